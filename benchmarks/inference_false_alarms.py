"""How often the oracle rejects right Inference Learning: it never should.

    python benchmarks/inference_false_alarms.py --checks 20000 [--seed 0]

Each draw has conventions of its own, every field at random; the implementation is by loops over samples and units
(tests/oracle/inference/loops.py). One comparison is one call of one function on one input. Every rejection is printed
with its conventions; any makes the exit status 1.
"""

import argparse
import os
import sys
import time
from pathlib import Path

for _threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_threads] = "1"
sys.path[:0] = [str(Path(__file__).resolve().parents[1] / folder) for folder in ("", "tests/oracle")]

import numpy as np  # noqa: E402
from inference.loops import Loops  # noqa: E402

from copi_ref.oracle import InferenceConventions, check  # noqa: E402

CHOICES = {
    "samples": ["rows", "columns"],
    "form": ["weights-after-activation", "activation-after-weights"],
    "activation": ["leaky_relu", "relu", "identity", "tanh", "sigmoid"],
    "slope": [0.1, 0.01, 0.25, 0.5],
    "derivative_at_zero": [1, 0, 0.5, "slope"],
    "input_activation": [False, True],
    "output_activation": ["same", "identity"],
    "biases": ["none", "inside", "outside"],
    "inference_factor": [1, 2, "1/N", 0.3],
    "inference_rate": ["one", "per-layer"],
    "precisions": [(), (), (2, 0.5), (1, 2, 0.5), (0.3, 3)],
    "state_decay": [0, 0, 0.1],
    "momentum": [0, 0, 0.5],
    "schedule": ["all-at-once", "bottom-up", "top-down"],
    "predictions": ["current", "current", "fixed"],
    "output": ["clamped", "clamped", "nudged", "pulled"],
    "start": ["forward", "forward", "zeros", "from-above"],
    "energy_factor": [0.5, 1],
    "energy_reduction": ["per-sample", "sum", "mean"],
    "reduction": ["mean", "sum"],
    "weight_factor": [1, 2],
    "step_reduction": ["as reduction", "mean", "sum"],
    "learning": ["after", "after", "incremental"],
    "incremental_order": ["states-first", "simultaneous", "weights-first"],
    "returns": ["descent", "gradient"],
    "error_sign": [1, -1],
}


def drawn(rng: np.random.Generator) -> InferenceConventions:
    """Conventions at random, but for what docs/check/inference_learning.md leaves without a meaning."""
    chosen = {name: values[rng.integers(len(values))] for name, values in CHOICES.items()}
    if chosen["learning"] == "incremental":  # of momentum, of fixed predictions and of sweeps beside weights that move
        chosen |= {"momentum": 0, "predictions": "current", "schedule": "all-at-once"}
    if chosen["start"] == "from-above":  # no f and no b there
        chosen |= {"output": "clamped"}
    return InferenceConventions(**chosen)


def main() -> int:
    """Check until there are as many comparisons as asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checks", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    done = rejected = draws = 0
    worst, start = 0.0, time.perf_counter()
    while done < options.checks:
        rng = np.random.default_rng([options.seed, draws])
        conventions, precision = drawn(rng), ("float64", "float32")[draws % 2]
        with np.errstate(all="ignore"):
            report = check(Loops(conventions), conventions=conventions, precision=precision, xp=np, seed=draws)
        done += sum(result.cases for result in report.results)
        ratios = [result.worst / result.allowed for result in report.results if result.allowed]
        worst = max([worst, *ratios])
        if not report.ok:
            rejected += 1
            print(f"draw {draws}, {precision}: {conventions}\n    {report.diagnosis[:300]}", flush=True)
        draws += 1
    print(
        f"{done} comparisons of {draws} implementations: {rejected} rejected; the largest error is {worst:.2g} of its "
        f"allowance; {time.perf_counter() - start:.0f} s"
    )
    return int(rejected > 0)


if __name__ == "__main__":
    sys.exit(main())
