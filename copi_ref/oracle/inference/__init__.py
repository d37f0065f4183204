"""The oracle for Inference Learning: its contract, inputs, comparisons, names of mistakes and test vectors."""
