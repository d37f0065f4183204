"""How the time of one step grows with the width of the layers, the size of the batch and the number of layers.

    python benchmarks/scaling.py [--rounds 5] [--threads 2] [--json FILE] [--figure FILE.png]

One thing varies at a time. The network is K-K-K-10, its input as wide as its two hidden layers, so that K is the only
width in it; with more hidden layers K-K-…-K-10. An exponent p is the slope of the straight line through log time
against log size: time ~ size^p. Over all sizes it is pulled down by what a step costs however small it is; the upper
half of the sizes shows what wide layers do. Ratios between contenders are for `step.py`.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from contenders import BATCH, LIBRARY, LITERAL, TIMED_RATE
from turns import Worker, ask, machine, print_machine, save, spread, take_turns, usable_cores, workers

WIDTHS = (128, 181, 256, 362, 512, 724, 1024, 1448, 2048, 2896, 4096)
BATCHES = (10, 20, 50, 100, 200, 500, 1000)
DEPTHS = (1, 2, 3, 4, 6, 8, 12)
WIDTH, DEPTH = 512, 2  # of what does not vary; the batch is that of step.py
LITERAL_WIDEST = 2048  # its K³ makes one step at 4096 a matter of many seconds
TARGETS = {LIBRARY: 2.2}
"""Largest exponent of time against width; the literal step's is 3."""

SWEEPS: dict[str, list[tuple[int, tuple[int, int, int]]]] = {
    "width": [(width, (width, BATCH, DEPTH)) for width in WIDTHS],
    "batch": [(batch, (WIDTH, batch, DEPTH)) for batch in BATCHES],
    "depth": [(depth, (WIDTH, BATCH, depth)) for depth in DEPTHS],
}
"""By name: what varies, and the (width, batch, hidden layers) that it gives."""


def sweep(name: str, asked: dict[str, Worker], rounds: int, seconds: float) -> dict[str, list[dict[str, Any]]]:
    """Time the contenders at every point of a sweep, in turn."""
    points: dict[str, list[dict[str, Any]]] = {contender: [] for contender in asked}
    for size, (width, batch, depth) in SWEEPS[name]:
        here = {one: worker for one, worker in asked.items() if one != LITERAL or width <= LITERAL_WIDEST}
        sizes = (*(width,) * (depth + 1), 10)
        for worker in here.values():
            ask(worker, "make", sizes=sizes, batch=batch, eta_w=TIMED_RATE, eta_r=TIMED_RATE)
        for contender, times in take_turns(here, rounds, seconds).items():
            points[contender].append({"size": size, "ms": spread([1e3 * time for time in times])})
        print(_line(size, {one: points[one][-1]["ms"] for one in here}), flush=True)
    return points


def exponent(points: Sequence[dict[str, Any]]) -> float:
    """Return the slope of log time against log size, by least squares."""
    sizes, times = ([np.log(value) for value in values] for values in _columns(points))
    return float(np.polyfit(sizes, times, 1)[0])


def _columns(points: Sequence[dict[str, Any]]) -> tuple[list[float], list[float]]:
    return [point["size"] for point in points], [point["ms"]["median"] for point in points]


def exponents(name: str, points: dict[str, list[dict[str, Any]]]) -> dict[str, dict[str, float]]:
    """Return each contender's exponents: over all sizes, and over the upper half of its own."""
    found = {}
    for contender, of in points.items():
        found[contender] = {"all": exponent(of)}
        if name == "width":
            found[contender]["upper half"] = exponent(of[len(of) // 2 :])
    return found


def report(name: str, found: dict[str, dict[str, float]]) -> str:
    """Return a line per contender with its exponents, and the target where there is one."""
    lines = []
    for contender, by_range in found.items():
        numbers = ", ".join(f"{value:.2f} ({sizes})" for sizes, value in by_range.items())
        line = f"exponent of {name}, {contender}: {numbers}"
        if name == "width" and contender in TARGETS:
            met = max(by_range.values()) <= TARGETS[contender]
            line += f"   target ≤ {TARGETS[contender]} {'met' if met else 'NOT met'}"
        lines.append(line)
    return "\n".join(lines)


def _line(size: int, times: dict[str, dict[str, float]]) -> str:
    columns = (f"{one['median']:10.3f} ms [{one['low']:.3f}, {one['high']:.3f}]" for one in times.values())
    return f"{size:8}" + "".join(f"{column:>36}" for column in columns)


def draw(results: dict[str, Any], file: Path) -> None:
    """Draw time against size, both logarithmic, one panel a sweep."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, len(SWEEPS), figsize=(12, 3.6), layout="constrained", sharey=True)
    for panel, (name, sweep_of) in zip(axes, results["sweeps"].items(), strict=True):
        for contender, points in sweep_of["points"].items():
            fits = sweep_of["exponents"][contender]
            label = f"{contender}: {fits.get('upper half', fits['all']):.2f}"
            panel.loglog(*_columns(points), marker="o", markersize=3, label=label)
        sizes = sorted({point["size"] for points in sweep_of["points"].values() for point in points})
        panel.set_xticks(sizes[::2], [str(size) for size in sizes[::2]])
        panel.set_xticks([], minor=True)
        panel.set_xlabel({"width": "width K", "batch": "batch size N", "depth": "hidden layers"}[name])
        panel.legend(title="exponent (width: upper half)", fontsize=8, title_fontsize=8)
    axes[0].set_ylabel("ms a step")
    figure.savefig(file, dpi=150)


def main() -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.2, help="length of a contender's turn in a round")
    parser.add_argument("--threads", type=int, default=usable_cores(), help="of every contender")
    parser.add_argument("--sweep", nargs="+", choices=SWEEPS, default=list(SWEEPS))
    parser.add_argument("--json", type=Path, help="write all that was measured to this file")
    parser.add_argument("--figure", type=Path, help="draw it to this file (needs matplotlib)")
    arguments = parser.parse_args()
    results: dict[str, Any] = {"machine": machine(arguments.threads), "sweeps": {}}
    print_machine(results["machine"])
    with workers("contenders.py", (LIBRARY, LITERAL), arguments.threads) as started:
        for name in arguments.sweep:
            print(f"\n{name:>8}" + "".join(f"{contender:>36}" for contender in started))
            points = sweep(name, started, arguments.rounds, arguments.seconds)
            found = exponents(name, points)
            results["sweeps"][name] = {"points": points, "exponents": found}
            print(report(name, found), flush=True)
    save(results, arguments.json)
    if arguments.figure:
        draw(results, arguments.figure)
    return 0


if __name__ == "__main__":
    sys.exit(main())
