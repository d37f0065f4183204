"""Where the library's step spends its time, by operation: what `step.py --profile` prints.

The operations of `step_in_place` are called here one by one, in its order and layout, each with a clock around it, on
weights that go through the caches as in training. A whole step is timed in between, and what the operations don't
account for is the rest: checks, Python, and whatever the clocks cost.
"""

import copy
import json
import subprocess
import sys
from collections import defaultdict
from time import perf_counter
from typing import Any

import numpy as np
from contenders import BATCH, LIBRARY, NETWORKS, TIMED_RATE, Problem, copi_ref_in_place, draw_problem
from turns import spread, worker_command, worker_environment

AGREE = 1e-5  # of an update, relative: the same step in float32 (with rate 1, or rounding of the weights would hide it)


class Laps:
    """Seconds by operation: each lap is the time since the one before."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.before = perf_counter()

    def __call__(self, name: str) -> None:
        """Add the time since the last lap to that name's."""
        self.seconds[name] += perf_counter() - self.before
        self.before = perf_counter()


def step_by_operations(problem: Problem, scratch: Any, eta: float) -> dict[str, float]:
    """Take the step of `step_in_place` with rule `right` into W and R; return the seconds of each operation."""
    from copi_ref import leaky_relu, quadratic
    from copi_ref.arrays.products import apply
    from copi_ref.training.in_place import _blocks  # the library's own, so that the layout is the same

    W, R, samples = problem.W, problem.R, len(problem.y0)
    xs, as_, y, lap = [], [], problem.y0, Laps()
    for W_l, R_l in zip(W, R, strict=True):
        xs.append(apply(R_l, y))
        lap("R y")
        as_.append(apply(W_l, xs[-1]))
        lap("W x")
        y = leaky_relu(as_[-1])
        lap("f(a)")
    deltas = [quadratic.perturbation(y, as_[-1], problem.target, leaky_relu)]
    lap("f′(a) ∘ error")
    for W_l, R_l, a in zip(W[:0:-1], R[:0:-1], as_[-2::-1], strict=True):
        error = apply(R_l.T, apply(W_l.T, deltas[-1]))
        lap("Rᵀ Wᵀ δ")
        deltas.append(leaky_relu.derivative(a) * error)
        lap("f′(a) ∘ error")
    for W_l, R_l, x, a, delta in zip(W[::-1], R[::-1], xs[::-1], as_[::-1], deltas, strict=True):
        z = a + delta
        z /= samples
        z *= eta
        lap("η/N (a + δ)")
        scratch.forget()
        power = eta * scratch.power(x)
        lap("η E[x²]")
        for rows in _blocks(W_l):
            _add(lap, "W", W_l[rows], 1 - power, scratch.product(z[:, rows], x))
        power = eta * scratch.power(x)
        lap("η E[x²]")
        for rows in _blocks(R_l):
            q = apply(R_l[rows], x)
            lap("R x")
            q /= samples
            q *= -eta
            lap("η/N R x")
            _add(lap, "R", R_l[rows], 1 + power, scratch.product(q, x))
    return lap.seconds


def _add(lap: Laps, name: str, block: Any, factor: Any, product: Any) -> None:
    lap(f"{name}: product of batch and batch")
    block *= factor
    lap(f"{name}: scale")
    block += product
    lap(f"{name}: add")


def measure(network: str, rounds: int, threads: int) -> dict[str, Any]:
    """Profile a network's step in a fresh process."""
    command = worker_command("step_profile.py", network, str(rounds))
    done = subprocess.run(command, env=worker_environment(threads), stdout=subprocess.PIPE, check=True, text=True)
    return dict(json.loads(done.stdout))


def _measure_here(network: str, rounds: int) -> dict[str, Any]:
    from copi_ref.training.in_place import Scratch

    sizes, scratch = NETWORKS[network], Scratch()
    problem = draw_problem(sizes, BATCH)
    _check_same(problem)
    whole = copi_ref_in_place(problem, TIMED_RATE, TIMED_RATE, "cpu")
    steps: dict[str, list[float]] = defaultdict(list)
    for _ in range(rounds):
        start = perf_counter()
        whole.step()
        total = perf_counter() - start
        operations = step_by_operations(problem, scratch, TIMED_RATE)
        for name, seconds in operations.items():
            steps[name].append(1e3 * seconds)
        steps["the rest"].append(1e3 * (total - sum(operations.values())))
        steps[LIBRARY].append(1e3 * total)
    return {"sizes": sizes, "batch": BATCH, "ms": {name: spread(values) for name, values in steps.items()}}


def _check_same(problem: Problem) -> None:
    """The operations here have to be those of the library, or the profile would be of something else."""
    from copi_ref.training.in_place import Scratch

    whole, parts = copi_ref_in_place(problem, 1.0, 1.0, "cpu"), copy.deepcopy(problem)
    whole.step()
    step_by_operations(parts, Scratch(), 1.0)
    W, R = whole.weights()
    for end, right, start in zip([*parts.W, *parts.R], [*W, *R], [*problem.W, *problem.R], strict=True):
        error = np.linalg.norm(end - right) / np.linalg.norm(right - start)
        if not error <= AGREE:
            sys.exit(f"this is another step than copi_ref.training.in_place's (by {error:.1e}): see step_profile.py")


def report(network: str, result: dict[str, Any]) -> str:
    """Return the table of one network, the longest operation first."""
    times = dict(result["ms"])
    total = times.pop(LIBRARY)
    rest = times.pop("the rest")
    lines = [
        f"\n{network}: {'-'.join(map(str, result['sizes']))}, batch {result['batch']}, float32, one step by operation"
    ]
    rows = [*sorted(times.items(), key=lambda row: -row[1]["median"]), ("the rest", rest), ("step_in_place", total)]
    for name, of in rows:
        share = of["median"] / total["median"]
        lines.append(f"{name:32}{of['median']:9.3f} ms [{of['low']:.3f}, {of['high']:.3f}]{share:8.1%}")
    return "\n".join(lines)


if __name__ == "__main__":
    print(json.dumps(_measure_here(sys.argv[1], int(sys.argv[2]))))
