"""On an NVIDIA GPU: the time of a step and of an epoch with CuPy, and in ensembles.

    python benchmarks/gpu.py [--network mnist cifar10] [--members 1 5 25] [--tf32] [--json FILE]
    python benchmarks/gpu.py --dry-run       # the same program without a GPU, on a tiny network: times mean nothing

The library once as it is and once with its step recorded as a CUDA graph; beside it, on the same device, PyTorch as
Algorithm 1 is written, best ordered, and best ordered and recorded; and the rate of a big matrix product, with and
without TF32. Each contender is a process of its own and they take turns. An epoch has as many samples as the data
set: MNIST itself if COPI_REF_DATA names its folder, otherwise random pixels. Without a device, or without PyTorch for
it, the program says so and exits with status 2.
"""

import argparse
import importlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from contenders import (
    BATCH,
    GRAPH,
    LIBRARY,
    LITERAL,
    MATMUL,
    MATMUL_SIZE,
    NETWORKS,
    ORDERED,
    ORDERED_GRAPH,
    TIMED_RATE,
    flops,
)
from epochs import MNIST_SAMPLES
from step import TOLERANCE, verify
from turns import ask, machine, print_machine, ratios, save, shown, spread, take_turns, usable_cores, workers

SAMPLES = {"mnist": MNIST_SAMPLES, "cifar10": 50_000, "dry run": 200}
DRY_RUN = {"dry run": (20, 16, 16, 4)}
TF32 = {False: {"CUPY_TF32": "0", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": "0"}}
TF32[True] = dict.fromkeys(TF32[False], "1")
TOLERANCES = {False: TOLERANCE, True: 2e-2}
"""Of an update, without and with TF32: its products have factors of 11 bits, wrong by up to 5e-4."""
LITERAL_AT_MOST = 0.5
"""Target on cifar10: the library's time over literal PyTorch's."""
MEMBERS_AT_MOST = {25: 5.0}
"""Target: the time of so many members over that of one."""
OURS = {LIBRARY: "copi_ref", GRAPH: GRAPH}


@dataclass(frozen=True)
class Row:
    """A contender: a key of `CONTENDERS`; the library's with its members; and TF32."""

    contender: str
    members: int = 1
    tf32: bool = False

    @property
    def label(self) -> str:
        """What it is called."""
        if self.contender == MATMUL:
            return f"matrix product, TF32 {'on' if self.tf32 else 'off'}"
        if self.contender not in OURS:
            return self.contender
        return f"{OURS[self.contender]}, S = {self.members}"


def rows_of(what: str, options: argparse.Namespace) -> list[Row]:
    """Return the contenders: for a step also the matrix products."""
    ours = [LIBRARY] if options.dry_run else list(OURS)
    library = [Row(name, members, options.tf32) for name in ours for members in options.members]
    pytorch = [Row(name, tf32=options.tf32) for name in (LITERAL, ORDERED)]
    if what == "epoch":
        return [*library, *pytorch]
    recorded = [] if options.dry_run else [Row(ORDERED_GRAPH, tf32=options.tf32)]
    return [*library, *pytorch, *recorded, *(Row(MATMUL, tf32=tf32) for tf32 in (False, True))]


def measure(network: str, what: str, options: argparse.Namespace) -> dict[Row, list[float]]:
    """Return the seconds a step of each contender, round by round; `what` is "step" or "epoch"."""
    sizes, device = (DRY_RUN | NETWORKS)[network], "cpu" if options.dry_run else "cuda"
    by_label = {row.label: row for row in rows_of(what, options)}
    environments = {label: TF32[row.tf32] for label, row in by_label.items()}
    with workers("epochs.py", list(by_label), options.threads, environments) as started:
        for label, row in by_label.items():
            request = {"what": what, "contender": row.contender, "members": row.members}
            request |= {"device": device, "samples": SAMPLES[network]}
            if what == "step" and row.members == 1 and row.contender != MATMUL:
                error, allowed = verify(started[label], sizes, BATCH, **request), TOLERANCES[row.tf32]
                if not error <= allowed:
                    sys.exit(f"{label} makes another step: its updates are off by {error:.1e}, allowed is {allowed}")
            ask(started[label], "make", sizes=sizes, batch=BATCH, eta_w=TIMED_RATE, eta_r=TIMED_RATE, **request)
        if what == "step":  # so many that the device is not waited for after each
            times = take_turns(started, options.rounds, seconds=0.3, block=20)
        else:
            times = take_turns(started, options.epochs, seconds=0)
    steps = 1 if what == "step" else -(-SAMPLES[network] // BATCH)
    return {row: [one / steps for one in times[label]] for label, row in by_label.items()}


def summary(network: str, times: dict[Row, list[float]], flops_a_second: float) -> dict[str, Any]:
    """Return what is reported: times, shares of the floor, and the ratios that the targets are about."""
    floor = sum(flops((DRY_RUN | NETWORKS)[network], BATCH).values()) / flops_a_second
    rows, compared = {}, {}
    for row, seconds in times.items():
        if row.contender == MATMUL:
            continue
        share = spread([row.members * floor / one for one in seconds])
        rows[row.label] = {"ms a step": spread([1e3 * one for one in seconds]), "floor / it": share}
        if row.contender not in OURS:
            continue
        for other, below in times.items():
            if other.contender in (LITERAL, ORDERED, ORDERED_GRAPH) and row.members == 1:
                target = LITERAL_AT_MOST if (network, other.contender) == ("cifar10", LITERAL) else None
            elif other.contender == row.contender and other.members == 1 < row.members:
                target = MEMBERS_AT_MOST.get(row.members)
            else:
                continue
            compared[f"{row.label} / {other.label}"] = {**ratios(seconds, below), "target": target}
    return {"times": rows, "ratios": compared}


def report(title: str, found: dict[str, Any]) -> str:
    """Return the tables of one measurement: median [quartiles] of the rounds."""
    lines = [f"\n{title}", f"{'':28}{'ms a step':>28}{'floor / it':>22}"]
    for label, row in found["times"].items():
        lines.append(f"{label:28}{shown(row['ms a step'], '.3f'):>28}{shown(row['floor / it'], '.2f'):>22}")
    for label, ratio in found["ratios"].items():
        target = ratio["target"]
        met = f"   target ≤ {target} {'met' if ratio['median'] <= target else 'NOT met'}" if target else ""
        lines.append(f"{label + ':':52}{shown(ratio, '.2f')}{met}")
    return "\n".join(lines)


def device() -> dict[str, str]:
    """Describe the GPU, as CuPy and PyTorch see it.

    Raises:
        BackendError, ImportError: one of them has none.
    """
    import torch

    from copi_ref.arrays.backend import BackendError, load_backend

    load_backend("cupy")
    if not torch.cuda.is_available():
        raise BackendError("PyTorch has no CUDA device here: install a build for CUDA")
    cupy = importlib.import_module("cupy")
    pool = cupy.get_default_memory_pool().get_limit()
    return {
        "gpu": torch.cuda.get_device_name(0),
        "cuda": f"{cupy.cuda.runtime.runtimeGetVersion()} (CuPy), {torch.version.cuda} (PyTorch)",
        "driver": str(cupy.cuda.runtime.driverGetVersion()),
        "memory pool": "no limit" if pool == 0 else f"at most {pool / 2**30:.1f} GiB",
    }


def run(options: argparse.Namespace, gpu: dict[str, str]) -> dict[str, Any]:
    """Measure and print everything."""
    results: dict[str, Any] = {"machine": machine(options.threads), "device": gpu, "tf32": options.tf32}
    print_machine(results["machine"] | gpu | {"TF32": "on" if options.tf32 else "off"})
    size = MATMUL_SIZE["cpu" if options.dry_run else "cuda"]
    for network in DRY_RUN if options.dry_run else options.network:
        times = measure(network, "step", options)
        rates = {row.tf32: 2 * size**3 / np.median(values) for row, values in times.items() if row.contender == MATMUL}
        for tf32, rate in rates.items():
            print(f"{size}² matrix product, TF32 {'on' if tf32 else 'off'}: {rate / 1e12:.2f} Tflop/s", flush=True)
        results[network] = {"flop/s": {"TF32 on": rates[True], "TF32 off": rates[False]}}
        for what in ("step", "epoch") if options.epochs else ("step",):
            times = times if what == "step" else measure(network, what, options)
            results[network][what] = summary(network, times, float(rates[options.tf32]))
            print(report(f"{network}, {what}", results[network][what]), flush=True)
    return results


def main() -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument(
        "--members", nargs="+", type=int, default=[1, 5, 25], help="sizes of the ensembles, 1 among them"
    )
    parser.add_argument("--rounds", type=int, default=10, help="of the steps")
    parser.add_argument(
        "--epochs", type=int, default=3, help="of each contender, after one that is not counted; 0: none"
    )
    parser.add_argument("--threads", type=int, default=usable_cores())
    parser.add_argument("--tf32", action="store_true", help="let every contender use TF32")
    parser.add_argument("--dry-run", action="store_true", help="on NumPy and PyTorch's CPU, with a tiny network")
    parser.add_argument("--json", type=Path, help="write all that was measured to this file")
    options = parser.parse_args()
    options.members = sorted({1, *options.members})
    try:
        gpu = {"gpu": "none: a dry run, these times mean nothing"} if options.dry_run else device()
    except (ImportError, RuntimeError) as error:  # BackendError is a RuntimeError
        print(f"gpu.py: {error}", file=sys.stderr)
        return 2
    results = run(options, gpu)
    save(results, options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
