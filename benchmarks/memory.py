"""The memory that one step takes beyond the parameters, the batch and the data, against a formula.

    python benchmarks/memory.py [--network mnist cifar10] [--json FILE]

In floats, peak = A + B N: what grows with the weights, and what grows with the batch. Measuring at N = 50 and at 100
gives both. A is printed in units of K², K the widest layer's inputs; B in units of ΣK, the units of all layers.

Two measures of a network's first step. The process is fresh, and another network's step was before, so that what is
loaded once is there:

- traced: NumPy reports its arrays to `tracemalloc`. It does not see the work space inside BLAS (some 10 MiB a thread,
  whatever the size of the network), nor PyTorch's tensors.
- resident: the peak of the resident set during the step, less the resident set before it, as Linux counts it (VmHWM,
  reset through /proc/self/clear_refs). It sees everything, in whole pages; large arrays are made to have pages of their
  own, so that nothing freed earlier is used again unseen.
"""

import argparse
import gc
import itertools
import json
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

from contenders import BATCH, CONTENDERS, LIBRARY, LITERAL, NETWORKS, ORDERED, PURE, TIMED_RATE, draw_problem
from turns import Contender, machine, print_machine, save, usable_cores, worker_command, worker_environment

MEASURED = (LIBRARY, PURE, LITERAL, ORDERED)
BATCHES = (BATCH, 2 * BATCH)
FLOAT = 4  # bytes
AT_MOST = 2.0
"""Target: A/K² of the library in place, for the widest layer."""
OWN_PAGES = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "0"}
"""For glibc: arrays above 64 KiB get pages of their own, and these go back when the array is freed."""
CLEAR, STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")


def traced_bytes(contender: Contender) -> int:
    """Return the peak of what NumPy allocates in a step."""
    gc.collect()
    tracemalloc.start()
    contender.step()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def resident_bytes(contender: Contender) -> int | None:
    """Return by how much a step raises the resident set at its peak; None where the system doesn't tell."""
    gc.collect()
    try:
        CLEAR.write_text("5")  # the peak starts again from here
        before = _status("VmRSS")
        contender.step()
        return _status("VmHWM") - before
    except OSError:
        return None


def _status(name: str) -> int:
    line = next(line for line in STATUS.read_text(encoding="utf-8").splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024


def measure_here(name: str, network: str, batch: int) -> dict[str, int | None]:
    """Measure one contender in this process, anew each time: what it keeps from step to step counts too."""

    def fresh() -> Contender:
        return CONTENDERS[name](draw_problem(NETWORKS[network], batch), TIMED_RATE, TIMED_RATE, "cpu")

    fresh().step()
    resident = resident_bytes(fresh())
    return {"resident": resident, "traced": None if "PyTorch" in name else traced_bytes(fresh())}


def measure(network: str, threads: int) -> dict[str, Any]:
    """Measure all contenders on a network at both batch sizes, each in a fresh process."""
    result: dict[str, Any] = {}
    for name in MEASURED:
        by_batch = {}
        for batch in BATCHES:
            command = worker_command("memory.py", "--here", name, "--network", network, "--batch", str(batch))
            environment = {**worker_environment(threads), **OWN_PAGES}
            done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, text=True)
            by_batch[batch] = json.loads(done.stdout)
        result[name] = {"bytes": by_batch, **_coefficients(network, by_batch)}
    return result


def _coefficients(network: str, by_batch: dict[int, dict[str, int | None]]) -> dict[str, Any]:
    """Solve peak = A + B N for each measure; A in units of K² of the widest layer, B in units of ΣK."""
    sizes = NETWORKS[network]
    low, high = BATCHES
    found: dict[str, Any] = {}
    for measure in ("traced", "resident"):
        first, second = by_batch[low][measure], by_batch[high][measure]
        if first is not None and second is not None:
            B = (second - first) / FLOAT / (high - low)
            A = first / FLOAT - B * low
            found[measure] = {"A/K²": A / max(sizes[:-1]) ** 2, "B/ΣK": B / sum(sizes)}
    return found


def report(network: str, result: dict[str, Any]) -> str:
    """Return the table of one network."""
    sizes = NETWORKS[network]
    widest, units = max(sizes[:-1]), sum(sizes)
    parameters = sum(k * k + m * k for k, m in itertools.pairwise(sizes))
    lines = [
        f"\n{network}: {'-'.join(map(str, sizes))}, float32, batches of {' and '.join(map(str, BATCHES))}",
        f"K² = {widest**2:,} (K = {widest}), N ΣK = {BATCH * units:,} (N = {BATCH}), "
        f"all parameters {parameters:,} = {parameters / widest**2:.2f} K²",
        f"{'':24}{'measure':10}{f'floats at N = {BATCH}':>18}{'A/K²':>8}{'B/ΣK':>8}   target",
    ]
    for name in result:
        for measure in ("traced", "resident"):
            if (found := result[name].get(measure)) is None:
                continue
            target = ""
            if name == LIBRARY:
                target = f"A ≤ {AT_MOST:.0f} K² {'met' if found['A/K²'] <= AT_MOST else 'NOT met'}"
            floats = result[name]["bytes"][BATCH][measure] // FLOAT
            lines.append(f"{name:24}{measure:10}{floats:18,}{found['A/K²']:8.2f}{found['B/ΣK']:8.1f}   {target}")
    return "\n".join(lines)


def main() -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--threads", type=int, default=usable_cores(), help="of every contender")
    parser.add_argument("--json", type=Path, help="write all that was measured to this file")
    parser.add_argument("--here", choices=MEASURED, help="measure one contender in this process")
    parser.add_argument("--batch", type=int, default=BATCH, help="with --here")
    arguments = parser.parse_args()
    if arguments.here:
        print(json.dumps(measure_here(arguments.here, arguments.network[0], arguments.batch)))
        return 0
    results: dict[str, Any] = {"machine": machine(arguments.threads)}
    print_machine(results["machine"])
    for network in arguments.network:
        results[network] = measure(network, arguments.threads)
        print(report(network, results[network]), flush=True)
    save(results, arguments.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
