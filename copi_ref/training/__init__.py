"""Training: the loop over epochs and batches, and the engineering under it."""
