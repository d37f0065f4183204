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
from trained import ADAM_RATES, RECIPES, constant, halved
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


def seconds_to(accuracy: float, curve: Curve) -> tuple[float, bool]:
    """Return the seconds to the first turn that ends with an accuracy; or all seconds, and that it was not reached."""
    reached = [seconds for seconds, there in curve if there >= accuracy]
    return (reached[0], True) if reached else (curve[-1][0], False)


def compared(curves: list[dict[str, Curve]]) -> dict[str, Any]:
    """Return seconds by accuracy, and this library's over the better rates of Adam, constant ones and halved ones.

    The better rate gets there with more seeds, or sooner. Where Adam did not get there its seconds are all that it had,
    and the ratio is above what it would be; where this library did not, it is infinite.
    """
    found: dict[str, Any] = {}
    for accuracy in ACCURACIES:
        times = {name: [seconds_to(accuracy, of[name]) for of in curves] for name in curves[0]}
        means = {name: float(np.mean([seconds for seconds, _ in of])) for name, of in times.items()}
        ratios: dict[str, dict[str, list[float]]] = {}
        for over in (constant, halved):
            rates = [name for name in means if name in ADAM_RATES and ADAM_RATES[name][1] is over]
            if rates:
                better = min(rates, key=lambda name: (sum(not there for _, there in times[name]), means[name]))
                ratios[better] = {
                    name: [
                        one / adam if there else np.inf
                        for (one, there), (adam, _) in zip(times[name], times[better], strict=True)
                    ]
                    for name in means
                    if name in RECIPES
                }
        found[str(accuracy)] = {"seconds": times, "ratios": ratios, "target": ACCURACIES[accuracy]}
    return found


def report(found: dict[str, Any], options: argparse.Namespace) -> str:
    """Return the tables of each accuracy: means and all seeds."""
    lines = []
    for accuracy, of in found.items():
        lines.append(f"\nseconds to {accuracy} on {options.held_out or 'test'} images, mean and seeds")
        for name, times in of["seconds"].items():
            each = ", ".join(f"{seconds:.1f}" if there else f"not in {seconds:.1f}" for seconds, there in times)
            lines.append(f"{name:44}{np.mean([seconds for seconds, _ in times]):7.1f}   ({each})")
        for adam, by_name in of["ratios"].items():
            lines.append(f"over {adam}")
            for name, ratios in by_name.items():
                met = f"≤ {of['target']} {'met' if np.mean(ratios) <= of['target'] else 'NOT met'}"
                lines.append(f"{name:44}{np.mean(ratios):7.2f}   ({', '.join(f'{one:.2f}' for one in ratios)})   {met}")
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
