"""Programs that take turns A B C A B C, each in a process of its own, and the statistics of what they took.

In one process the threads of NumPy and of PyTorch disturb each other up to eightfold; one after the other in whole
runs, each would meet another state of the machine. A worker answers requests and blocks in between.
"""

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent))  # the package

from copi_ref.arrays.backend import usable_cores  # noqa: E402

SETTLE = 0.05  # seconds: threads of OpenBLAS and OpenMP spin for up to 30 ms after the last product of another process
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

Request = dict[str, Any]


@dataclass(frozen=True)
class Contender:
    """A step, what it did to the weights (NumPy arrays W and R), and how to wait until the device has finished it.

    `warms_up` says whether the first step of each turn is left out.
    """

    step: Callable[[], Any]
    weights: Callable[[], tuple[list[Any], list[Any]]]
    wait: Callable[[], Any] = lambda: None
    warms_up: bool = True


# In the worker


def serve(make: Callable[[Request], Contender]) -> None:
    """Answer the requests on stdin until it ends. In between the process blocks: it must not spin beside the others."""
    requests = (json.loads(line) for line in sys.stdin)
    for answer in _answers(make, requests):
        print(json.dumps(answer), flush=True)


def _answers(make: Callable[[Request], Contender], requests: Iterator[Request]) -> Iterator[Any]:
    """Answer requests: `make` a contender, `save` its weights after one step to a file, time a `turn`."""
    contender = None
    for request in requests:
        if request["do"] == "make":
            contender = None  # first of all free what the last one held
            contender = make(request)
            yield {}
            continue
        assert contender is not None
        if request["do"] == "save":
            contender.step()
            W, R = contender.weights()
            np.savez(request["file"], *W, *R)
            yield {}
        else:
            yield _time_turn(contender, request["seconds"], request["block"])


def _time_turn(contender: Contender, seconds: float, block: int) -> list[float]:
    """Time steps for so many seconds, at least one; each time is that of `block` steps over their number."""
    time.sleep(SETTLE)
    if contender.warms_up:
        contender.step()  # not counted: caches and threads come back
        contender.wait()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        start = time.perf_counter()
        for _ in range(block):
            contender.step()
        contender.wait()
        times.append((time.perf_counter() - start) / block)
    return times


# In the process that asks

Worker = subprocess.Popen[str]


@contextmanager
def workers(
    script: str,
    names: Sequence[str],
    threads: int,
    environments: dict[str, dict[str, str]] | None = None,
    contender: str | None = None,
) -> Iterator[dict[str, Worker]]:
    """Start a worker of each name, `script NAME`, with so many threads; end them all at the end of the block.

    With a contender all are `script CONTENDER`, and differ in their environments.
    """
    with ExitStack() as stack:
        started = {}
        for name in names:
            worker = subprocess.Popen(
                worker_command(script, contender or name),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env={**worker_environment(threads), **(environments or {}).get(name, {})},
            )
            stack.enter_context(worker)  # which closes its stdin, so that it ends, and waits for it
            started[name] = worker
        yield started


def worker_command(script: str, *arguments: str) -> list[str]:
    """Return the command that runs a script of this folder."""
    return [sys.executable, str(FOLDER / script), *arguments]


def worker_environment(threads: int) -> dict[str, str]:
    """Return the environment for so many threads, and OpenBLAS's own kernel; libraries read it when imported."""
    from copi_ref.arrays.blas import without_kernel_variables

    return {**without_kernel_variables(), **dict.fromkeys(THREADS, str(threads))}


def ask(worker: Worker, do: str, **request: Any) -> Any:
    """Send one request and wait for its answer.

    Raises:
        RuntimeError: the worker ended instead.
    """
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.write(json.dumps({"do": do, **request}) + "\n")
    worker.stdin.flush()
    answer = worker.stdout.readline()
    if not answer:
        raise RuntimeError(f"{' '.join(map(str, worker.args[1:]))} ended with status {worker.wait()}: see above")
    return json.loads(answer)


def take_turns(asked: dict[str, Worker], rounds: int, seconds: float, block: int = 1) -> dict[str, list[float]]:
    """Return each worker's seconds a step, the median of its turn, round by round."""
    medians: dict[str, list[float]] = {name: [] for name in asked}
    for _ in range(rounds):
        for name, worker in asked.items():
            medians[name].append(float(np.median(ask(worker, "turn", seconds=seconds, block=block))))
    return medians


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return the median and the quartiles."""
    low, median, high = np.quantile(values, (0.25, 0.5, 0.75))
    return {"median": float(median), "low": float(low), "high": float(high)}


def ratios(above: Sequence[float], below: Sequence[float]) -> dict[str, float]:
    """Return the spread of above/below, taken round by round: what slows a whole round cancels."""
    return spread(np.asarray(above) / np.asarray(below))


def shown(of: dict[str, float], form: str) -> str:
    """Return a median with its quartiles as text."""
    return f"{of['median']:{form}} [{of['low']:{form}}, {of['high']:{form}}]"


def save(results: dict[str, Any], file: Path | None) -> None:
    """Write all that was measured to a file, if one was named."""
    if file:
        file.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def machine(threads: int) -> dict[str, str]:
    """Describe what the times depend on, the load at the start included."""
    found = {"processor": _processor(), "cores": str(usable_cores()), **worker_facts(threads)}
    found["load"] = f"{os.getloadavg()[0]:.2f} before the start" if hasattr(os, "getloadavg") else "unknown"
    return found


def worker_facts(threads: int, besides: dict[str, str] | None = None) -> dict[str, str]:
    """Return what a worker's process says of itself: this one may have other threads, and another kernel of BLAS.

    `besides` is what its environment has besides.
    """
    asked = "import json; from copi_ref.arrays.backend import environment; print(json.dumps(environment()))"
    command, environment = [sys.executable, "-c", asked], {**worker_environment(threads), **(besides or {})}
    done = subprocess.run(command, env=environment, cwd=FOLDER.parent, stdout=subprocess.PIPE, check=True, text=True)
    return dict(json.loads(done.stdout))


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def print_machine(described: dict[str, str]) -> None:
    """Print the description, and a warning if the machine is busy."""
    print("\n".join(f"{name + ':':18}{value}" for name, value in described.items()))
    if described["load"] != "unknown" and float(described["load"].split()[0]) > 0.3:
        print("WARNING: other programs were running in the last minute: these times are not to be quoted")
    if described["blas threads"].startswith("unknown"):
        print("WARNING: without threadpoolctl nobody knows which kernel of BLAS ran")
