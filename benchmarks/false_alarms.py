"""How often the oracle rejects a correct implementation: it never should.

    python benchmarks/false_alarms.py --checks 100000 [--seed 0] [--workers 2] [--libraries numpy torch jax]

Each draw is an implementation put together at random (tests/oracle/correct_implementations.py), its conventions, a
precision and the seed of the oracle's inputs. One comparison is one call of one function on one input, element by
element against its derived allowance. Every rejection is printed with what reproduces it; any makes the exit status 1.

    python benchmarks/false_alarms.py --libraries torch --draw 17      # one draw again, with the oracle's summary
    python benchmarks/false_alarms.py --precisions float16 bfloat16    # what has to be equal on whole numbers there
"""

import argparse
import os
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

# Before any array library is imported: JAX's float64, and one thread a worker.
os.environ["JAX_ENABLE_X64"] = "1"
for _threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_threads] = "1"
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")
sys.path[:0] = [str(Path(__file__).resolve().parents[1] / folder) for folder in ("", "tests", "tests/oracle")]

import correct_implementations  # noqa: E402
import numpy as np  # noqa: E402

from copi_ref.oracle import Conventions, Report, Result, check  # noqa: E402

PRECISIONS = {  # and the libraries whose CPU arithmetic has them
    "float64": ("numpy", "torch", "jax"),
    "float32": ("numpy", "torch", "jax"),
    "float16": ("numpy", "torch", "jax"),
    "bfloat16": ("torch", "jax"),
}
COARSE = ("float16", "bfloat16")
SHARES = {"numpy": 0.45, "torch": 0.4, "jax": 0.15}  # of the comparisons: JAX compiles for every new shape
JIT_SHARE, JIT_SEEDS = 0.1, 10  # one implementation compiled by jax.jit is worth several inputs of the same shapes


@dataclass
class Tally:
    """What came of some draws.

    Args:
        comparisons: by (library, precision) and by (function, tier).
        rejected: comparisons in rejected results, by the same keys.
        ratios: error/allowance of the worst element of every passed result, by the same keys.
        rejections: what reproduces each rejection.
        draws: how many implementations there were.
    """

    comparisons: Counter = field(default_factory=Counter)
    rejected: Counter = field(default_factory=Counter)
    ratios: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    rejections: list[str] = field(default_factory=list)
    draws: int = 0

    def add(self, other: "Tally") -> None:
        """Add what came of other draws."""
        self.comparisons += other.comparisons
        self.rejected += other.rejected
        for key, ratios in other.ratios.items():
            self.ratios.setdefault(key, []).extend(ratios)
        self.rejections += other.rejections
        self.draws += other.draws

    def count(self, library: str, precision: str, result: Result) -> None:
        """Count one result of one check."""
        if result.status == "not checked":  # so coarse a format that there are no inputs for it
            return
        for key in ((library, precision), (result.check, result.tier)):
            self.comparisons[key] += result.cases
            if result.status != "passed":
                self.rejected[key] += 1
            elif result.worst:
                self.ratios.setdefault(key, []).append(result.worst / result.allowed)
            else:
                self.ratios.setdefault(key, []).append(0.0)

    def total(self, library: str) -> int:
        """How many comparisons a library had."""
        return sum(self.comparisons[library, precision] for precision in PRECISIONS)


@dataclass(frozen=True)
class Job:
    """Draws of one library for one process: numbers first, first + stride … until there are enough comparisons."""

    library: str
    checks: int
    seed: int
    first: int
    stride: int
    precisions: tuple[str, ...]


def run(job: Job) -> Tally:
    """Draw and check; in a process of its own, as the libraries' threads disturb each other."""
    if job.library == "torch":
        import torch

        torch.set_num_threads(1)
    tally, number, told = Tally(), job.first, time.monotonic()
    while tally.total(job.library) < job.checks:
        _check_draw(tally, job.library, job.seed, number, job.precisions)
        number += job.stride
        if time.monotonic() - told > 20:
            told = time.monotonic()
            done = f"{tally.total(job.library):,} of {job.checks:,} comparisons"
            print(f"{job.library} from {job.first}: {done}, {len(tally.rejections)} rejections", file=sys.stderr)
    return tally


def _check_draw(
    tally: Tally, library: str, seed: int, number: int, precisions: tuple[str, ...], verbose: bool = False
) -> None:
    """Check draw `number`: it depends on nothing but the library, the seed, the number and the precisions."""
    rng = np.random.default_rng([seed, number])
    there = [name for name in precisions if library in PRECISIONS[name]]
    precision = there[int(rng.integers(len(there)))]
    implementation, conventions = correct_implementations.drawn(rng, library, Conventions, precision in COARSE)
    jit = library == "jax" and rng.random() < JIT_SHARE
    called = correct_implementations.as_called(implementation, jit)
    tally.draws += 1
    for inputs in rng.integers(2**31, size=JIT_SEEDS if jit else 1):
        with np.errstate(over="ignore", invalid="ignore"):
            report = check(called, conventions=conventions, precision=precision, xp=implementation.xp, seed=int(inputs))
        for result in report.results:
            tally.count(library, precision, result)
        if verbose:
            print(report.summary())
        if not report.ok:
            chosen = " ".join(precisions)
            draw = f"--libraries {library} --precisions {chosen} --seed {seed} --draw {number}"
            draw = f"{draw}   (jit={jit}, inputs: seed={inputs})"
            tally.rejections.append("\n".join([draw, *_details(report, implementation.choices)]))


def _details(report: Report, choices: dict[str, str]) -> list[str]:
    failed = [result for result in report.results if result.status != "passed"]
    return [
        f"  {report.library} {report.precision}, {report.conventions.differing()}",
        *(f"  {one.check}, {one.tier}: {one.diagnosis} {one.where}" for one in failed),
        f"  {choices}",
    ]


def jobs(checks: int, seed: int, workers: int, libraries: list[str], precisions: tuple[str, ...]) -> list[Job]:
    """Split the comparisons among the libraries and workers, the slowest library first."""
    libraries = [library for library in libraries if any(library in PRECISIONS[name] for name in precisions)]
    total = sum(SHARES[library] for library in libraries)
    return [
        Job(library, -(-round(checks * SHARES[library] / total) // workers), seed, first, workers, precisions)
        for library in sorted(libraries, key=SHARES.__getitem__)
        for first in range(workers)
    ]


def run_all(todo: list[Job], workers: int) -> Tally:
    """Run the jobs, each in a fresh process."""
    tally = Tally()
    context = get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, max_tasks_per_child=1) as pool:
        for done in as_completed([pool.submit(run, job) for job in todo]):
            tally.add(done.result())
    return tally


def table(tally: Tally) -> str:
    """Return comparisons, rejections and margins, by library and precision and by function and tier."""
    lines = [f"{'':31}{'comparisons':>12}{'rejected':>10}   error/allowance: median      99 %       max"]
    for key in sorted(tally.comparisons, key=lambda key: (key[1] not in PRECISIONS, key)):
        ratios = np.array(tally.ratios.get(key, [np.nan]))
        median, most, largest = (np.quantile(ratios, share) for share in (0.5, 0.99, 1))
        numbers = f"{tally.comparisons[key]:12,}{tally.rejected[key]:10}"
        lines.append(f"{key[0]:21} {key[1]:9}{numbers}{'':20}{median:9.3f} {most:9.3f} {largest:9.3f}")
    comparisons = sum(tally.comparisons[key] for key in tally.comparisons if key[1] in PRECISIONS)
    lines.append(f"{comparisons:,} comparisons of {tally.draws:,} implementations: {len(tally.rejections)} rejected")
    lines.append("error/allowance is that of the worst element of a result that passed, 4 to 7 comparisons each")
    return "\n".join(lines)


def main() -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checks", type=int, default=100_000, help="how many comparisons, at least")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2, help="how many processes at a time")
    parser.add_argument("--libraries", nargs="+", choices=SHARES, default=list(SHARES))
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=["float64", "float32"])
    parser.add_argument("--draw", type=int, help="only this draw, of every library that was given")
    arguments = parser.parse_args()
    precisions = tuple(arguments.precisions)
    if arguments.draw is None:
        todo = jobs(arguments.checks, arguments.seed, arguments.workers, arguments.libraries, precisions)
        tally = run_all(todo, arguments.workers)
    else:
        tally = Tally()
        for library in arguments.libraries:
            _check_draw(tally, library, arguments.seed, arguments.draw, precisions, verbose=True)
    for rejection in tally.rejections:
        print("REJECTED", rejection, sep="\n", end="\n\n")
    print(table(tally))
    return 1 if tally.rejections else 0


if __name__ == "__main__":
    sys.exit(main())
