"""How long training takes to an accuracy on MNIST: this library, and backpropagation with Adam in PyTorch.

    python benchmarks/time_to_accuracy.py FOLDER [--seeds 3] [--threads 2] [--json FILE]
    python benchmarks/time_to_accuracy.py FOLDER --held-out 10000      # on held-out training images, for choosing

Each contender runs in a process of its own and they take turns of so many steps; only the steps are timed. After each
turn the accuracy is taken, and the time to an accuracy is that of all steps up to the first turn that ends with it. A
recipe and Adam's rate are to be chosen on held-out training images, and compared on the test images.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
from trained import ADAM, ADAM_RATES, RECIPES
from turns import ask, machine, print_machine, save, usable_cores, workers

ACCURACIES = {0.97: 0.65, 0.98: 0.8}
"""Accuracies, each with the target for this library's time over Adam's."""

Curve = list[tuple[float, float]]
"""Seconds of training so far and the accuracy, turn by turn."""


def train_in_turn(names: list[str], seed: int, options: argparse.Namespace) -> dict[str, Curve]:
    """Train all contenders from one seed, until each has the highest accuracy or has had all its steps."""
    curves: dict[str, Curve] = {name: [] for name in names}
    with workers("trained.py", names, options.threads) as started:
        for worker in started.values():
            ask(worker, "make", seed=seed, folder=str(options.folder), held_out=options.held_out)
        for _ in range(0, options.steps, options.turn):
            for name, worker in started.items():
                if not curves[name] or curves[name][-1][1] < max(ACCURACIES):
                    answer = ask(worker, "train", steps=options.turn)
                    before = curves[name][-1][0] if curves[name] else 0.0
                    curves[name].append((before + answer["seconds"], answer["accuracy"]))
    return curves


def seconds_to(accuracy: float, curve: Curve) -> float:
    """Return the seconds to the first turn that ends with an accuracy, or NaN."""
    return next((seconds for seconds, reached in curve if reached >= accuracy), float("nan"))


def compared(curves: list[dict[str, Curve]]) -> dict[str, Any]:
    """Return seconds and ratios by accuracy; Adam's rate is the one with the least mean time to that accuracy."""
    found: dict[str, Any] = {}
    for accuracy, target in ACCURACIES.items():
        seconds = {name: [seconds_to(accuracy, of[name]) for of in curves] for name in curves[0]}
        rates = {name: float(np.mean(of)) for name, of in seconds.items() if name.startswith(ADAM)}
        best = min(rates, key=lambda name: (np.isnan(rates[name]), rates[name])) if rates else None
        ratios = {
            name: [one / adam for one, adam in zip(of, seconds[best], strict=True)]
            for name, of in seconds.items()
            if best and not name.startswith(ADAM)
        }
        found[str(accuracy)] = {"seconds": seconds, "better rate": best, "over it": ratios, "target": target}
    return found


def report(found: dict[str, Any], options: argparse.Namespace) -> str:
    """Return a table for each accuracy: mean and all seeds."""
    lines = []
    for accuracy, of in found.items():
        lines.append(
            f"\n{accuracy} accuracy on {options.held_out or 'test'} images; {options.seeds} seeds, seconds; "
            f"it: {of['better rate']}"
        )
        for name, seconds in of["seconds"].items():
            line = f"{name:44}{np.mean(seconds):7.1f}   ({', '.join(f'{one:.1f}' for one in seconds)})"
            if ratios := of["over it"].get(name):
                met = "met" if np.mean(ratios) <= of["target"] else "NOT met"
                each = ", ".join(f"{one:.2f}" for one in ratios)
                line += f"   over it {np.mean(ratios):.2f} ({each})   ≤ {of['target']} {met}"
            lines.append(line)
    return "\n".join(lines)


def main() -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="that holds MNIST's files")
    known = [*RECIPES, *ADAM_RATES]
    parser.add_argument("--contenders", nargs="+", choices=known, default=known, metavar="NAME", help="see trained.py")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=12_000, help="at most; 1,200 are an epoch")
    parser.add_argument("--turn", type=int, default=100, help="steps of a turn")
    parser.add_argument(
        "--held-out", type=int, default=0, help="training images to test on, in place of the test images"
    )
    parser.add_argument("--threads", type=int, default=usable_cores(), help="of every contender")
    parser.add_argument("--json", type=Path, help="write all that was measured to this file")
    options = parser.parse_args()
    results: dict[str, Any] = {"machine": machine(options.threads)}
    print_machine(results["machine"])
    curves = [train_in_turn(options.contenders, seed, options) for seed in range(options.seeds)]
    results |= {"curves": curves, "compared": compared(curves)}
    print(report(results["compared"], options))
    save(results, options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
