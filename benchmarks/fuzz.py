"""Junk for every public callable, for as long as it takes to trust them: the long form of tests/project/test_fuzz.py.

    python benchmarks/fuzz.py --calls 100000 [--seed 0] [--only copi_update]

Prints how many calls were accepted, refused, and went wrong by kind, with what reproduces the first of each; any makes
the exit status 1. A call that takes longer than --timeout seconds is a failure too.
"""

import argparse
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

for _threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_threads] = "1"
sys.path[:0] = [str(Path(__file__).resolve().parents[1] / folder) for folder in ("", "tests")]

import numpy as np  # noqa: E402
from fuzzing import ACCEPTED, ALWAYS, CALLABLES, REFUSED, Junk, Place, Target, attempt, drawn  # noqa: E402

from copi_ref.to_convergence import minimise  # noqa: E402

SHOWN = 5  # of each kind of failure
DRAWS = 2000  # pieces of junk, of which the calls choose


class TooLongError(BaseException):
    """Raised by the alarm; no Exception, which a call might catch."""


def main() -> int:
    """Make the calls, and return 1 if one of them went wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="callables with this in their names")
    parser.add_argument("--timeout", type=int, default=10, help="seconds that a call may take")
    options = parser.parse_args()
    minimise._ITERATIONS = 20  # as in the test: a search that can't end is not what is looked for
    signal.signal(signal.SIGALRM, _too_long)

    rng, junk = np.random.default_rng(options.seed), [*ALWAYS, *drawn(DRAWS, options.seed)]
    places = [(target, place) for target in CALLABLES if options.only in target.label for place in target.places]
    counts: Counter[str] = Counter()
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # text in the place of a path names nothing in it
        for call in range(options.calls):
            target, place = places[call % len(places)]
            outcome, said = judged(target, place, junk[rng.integers(len(junk))], options.timeout)
            counts[outcome] += 1
            if outcome not in (ACCEPTED, REFUSED) and counts[outcome] <= SHOWN:
                print(f"{outcome}: {said}", flush=True)
        os.chdir("/")
    failed = counts.total() - counts[ACCEPTED] - counts[REFUSED]
    each = ", ".join(f"{count} {outcome}" for outcome, count in counts.most_common())
    seconds = time.perf_counter() - start
    callables = len({target.label for target, _ in places})
    print(f"{counts.total()} calls of {callables} callables in {seconds:.0f} s: {each}; {failed} failures")
    return int(failed > 0)


def judged(target: Target, place: Place, junk: Junk, timeout: int) -> tuple[str, str]:
    """Return what came of a call, which may take so many seconds."""
    signal.alarm(timeout)
    try:
        return attempt(target, place, junk)
    except TooLongError:
        return "took too long", f"{target}, {junk} at {'.'.join(map(str, place))}"
    finally:
        signal.alarm(0)


def _too_long(number: int, frame: object) -> None:
    raise TooLongError


if __name__ == "__main__":
    sys.exit(main())
