"""Methods side by side: what their runs reached, and how they differ seed by seed."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from copi_ref.experiments.chosen_runs import FigureError, check_same
from copi_ref.experiments.folder import FinishedRun, RunError
from copi_ref.experiments.runner import epoch_of_99_percent, peak, spread

FIGURES: dict[str, Callable[[FinishedRun], float]] = {
    "test accuracy, last epoch": lambda run: run.metrics[-1]["test_accuracy"],
    "test accuracy, peak": lambda run: peak(run.metrics, "test_accuracy"),
    "train accuracy, last epoch": lambda run: run.metrics[-1]["train_accuracy"],
    "epoch, from 0, of 99 % of peak train accuracy": lambda run: epoch_of_99_percent(run.metrics),
}
"""What a run comes down to. The peak is chosen on the test set, as the paper reports it; the last epoch is not."""

DIGITS = dict(zip(FIGURES, (4, 4, 4, 1), strict=True))  # after the point

LEVEL = 0.95  # of intervals


@dataclass(frozen=True)
class Difference:
    """A method's figure less another's, seed by seed: mean and 95 % interval (t), which one pair does not have."""

    mean: float
    low: float | None
    high: float | None
    pairs: int


def paired_difference(one: Sequence[float], other: Sequence[float]) -> Difference:
    """Return the mean of one − other with the interval in which Student's t expects it.

    Args:
        one: a figure of one method, a number for each seed.
        other: that of the other, seeds in the same order: they start from the same weights and see the same batches.

    Raises:
        ValueError: there are none, or not equally many.
    """
    if not one or len(one) != len(other):
        raise ValueError(f"one has {len(one)} values and other {len(other)}: needs pairs, at least one")
    differences = np.subtract(one, other)
    mean, pairs = float(differences.mean()), len(differences)
    if pairs == 1:
        return Difference(mean, None, None, 1)
    from scipy.special import stdtrit  # takes a second to load

    half = float(stdtrit(pairs - 1, (1 + LEVEL) / 2) * differences.std(ddof=1) / pairs**0.5)
    return Difference(mean, mean - half, mean + half, pairs)


def comparison(runs: Sequence[FinishedRun], against: str | None = None) -> str:
    """Return tables in Markdown: per setting each method's figures, and their differences from one method.

    Args:
        runs: finished runs; those of one data set, preset, size and number of epochs share a table.
        against: the method that the others are compared with; None: the first of each table.

    Raises:
        RunError: there are no runs, or none of that method; or those of a table were made from different data, or
            those of a method with different recipes.
    """
    if not runs:
        raise RunError("there are no finished runs to compare")
    methods = dict.fromkeys(run.config["method"] for run in runs)
    if against is not None and against not in methods:
        raise RunError(f"there is no run of {against}: needs one of {', '.join(methods)}")
    return "\n\n".join(
        _tables(title, list(group), against)
        for title, group in itertools.groupby(sorted(runs, key=_setting), key=_setting)
    )


def _setting(run: FinishedRun) -> str:
    config = run.config
    held_out = "" if config["held_out"] is None else f", tested on {config['held_out']} training samples held out"
    changed = "".join(f", {name} {value}" for name, value in config["overrides"].items())
    hidden = "-".join(map(str, config["hidden"]))
    return f"{config['dataset']}, {config['preset']}, hidden {hidden}, {config['epochs']} epochs{changed}{held_out}"


def _tables(title: str, runs: list[FinishedRun], against: str | None) -> str:
    methods = {name: _by_seed(runs, name) for name in dict.fromkeys(run.config["method"] for run in runs)}
    try:
        check_same(runs, title, ("data",))
        for name, by_seed in methods.items():
            check_same(list(by_seed.values()), f"{title} by {name}", ("recipe",))
    except FigureError as error:
        raise RunError(str(error)) from error
    lines = [f"{title}:", "", *_head("", "seeds", *FIGURES)]
    for name, by_seed in methods.items():
        spreads = {what: spread([figure(run) for run in by_seed.values()]) for what, figure in FIGURES.items()}
        cells = [one.text(digits=DIGITS[what], sign="± ") for what, one in spreads.items()]
        lines.append(_row(name, str(len(by_seed)), *cells))
    base = next(iter(methods)) if against is None else against
    if base not in methods:
        return "\n".join([*lines, "", f"No run of {base} here, and so no differences."])
    if len(methods) > 1:
        lines += ["", *_head(f"less {base}, paired by seed", "pairs", *FIGURES)]
        lines += [_differences(name, methods[name], methods[base]) for name in methods if name != base]
    return "\n".join(lines)


def _by_seed(runs: list[FinishedRun], method: str) -> dict[int, FinishedRun]:
    found: dict[int, FinishedRun] = {}
    for run in runs:
        if run.config["method"] == method and found.setdefault(run.config["seed"], run) is not run:
            raise RunError(f"{run.folder} and {found[run.config['seed']].folder} are the same run: needs one of them")
    return found


def _differences(name: str, one: dict[int, FinishedRun], other: dict[int, FinishedRun]) -> str:
    seeds = [seed for seed in one if seed in other]
    if not seeds:
        return _row(name, "0", *("" for _ in FIGURES))
    cells = [
        _interval(
            paired_difference([figure(one[seed]) for seed in seeds], [figure(other[seed]) for seed in seeds]),
            DIGITS[what],
        )
        for what, figure in FIGURES.items()
    ]
    return _row(name, str(len(seeds)), *cells)


def _interval(found: Difference, digits: int) -> str:
    mean, *ends = (f"{one:+.{digits}f}" for one in (found.mean, found.low, found.high) if one is not None)
    return f"{mean} [{', '.join(ends)}]" if ends else mean


def _head(*cells: str) -> list[str]:
    return [_row(*cells), "|" + "---|" * len(cells)]


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
