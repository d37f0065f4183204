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


@dataclass(frozen=True)
class Table:
    """A table for a reader: the names of its columns, and rows of as many texts."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Compared:
    """What the runs of one setting reached.

    Args:
        title: the setting.
        runs: by method and seed.
        reached: each method's figures, mean ± standard deviation over seeds.
        differences: those of the other methods from one; None where there is no other, or that one is not here.
        missing: the method that should be subtracted, where it is not here.
    """

    title: str
    runs: dict[str, dict[int, FinishedRun]]
    reached: Table
    differences: Table | None
    missing: str | None = None


def compared(runs: Sequence[FinishedRun], against: str | None = None) -> list[Compared]:
    """Return for each setting its methods' figures, and their differences from one method.

    Args:
        runs: finished runs; those of one data set, preset, size and number of epochs are of one setting.
        against: the method that the others are compared with; None: the first of each setting.

    Raises:
        RunError: there are no runs, or none of that method; or those of a setting were made from different data, or
            those of a method with different recipes.
    """
    if not runs:
        raise RunError("there are no finished runs to compare")
    methods = dict.fromkeys(run.method for run in runs)
    if against is not None and against not in methods:
        raise RunError(f"there is no run of {against}: needs one of {', '.join(methods)}")
    return [
        _compared(title, list(group), against)
        for title, group in itertools.groupby(sorted(runs, key=_setting), key=_setting)
    ]


def comparison(runs: Sequence[FinishedRun], against: str | None = None) -> str:
    """Return what `compared` does as tables in Markdown; arguments and errors are the same."""
    return "\n\n".join("\n".join(_as_markdown(one)) for one in compared(runs, against))


def _setting(run: FinishedRun) -> str:
    config = run.config
    held_out = "" if config["held_out"] is None else f", tested on {config['held_out']} training samples held out"
    changed = "".join(f", {name} {value}" for name, value in config["overrides"].items())
    hidden = "-".join(map(str, config["hidden"]))
    return f"{config['dataset']}, {config['preset']}, hidden {hidden}, {config['epochs']} epochs{changed}{held_out}"


def _compared(title: str, runs: list[FinishedRun], against: str | None) -> Compared:
    methods = {name: _by_seed(runs, name) for name in dict.fromkeys(run.method for run in runs)}
    try:
        check_same(runs, title, ("data",))
        for name, by_seed in methods.items():
            check_same(list(by_seed.values()), f"{title} by {name}", ("recipe",))
    except FigureError as error:
        raise RunError(str(error)) from error
    rows = []
    for name, by_seed in methods.items():
        spreads = {what: spread([figure(run) for run in by_seed.values()]) for what, figure in FIGURES.items()}
        cells = [one.text(digits=DIGITS[what], sign="± ") for what, one in spreads.items()]
        rows.append((name, str(len(by_seed)), *cells))
    reached = Table(("", "seeds", *FIGURES), tuple(rows))
    base = next(iter(methods)) if against is None else against
    if base not in methods:
        return Compared(title, methods, reached, None, missing=base)
    others = tuple(_differences(name, methods[name], methods[base]) for name in methods if name != base)
    head = (f"less {base}, paired by seed", "pairs", *FIGURES)
    return Compared(title, methods, reached, Table(head, others) if others else None)


def _as_markdown(one: Compared) -> list[str]:
    lines = [f"{one.title}:", "", *_lines(one.reached)]
    if one.missing is not None:
        return [*lines, "", f"No run of {one.missing} here, and so no differences."]
    return [*lines, "", *_lines(one.differences)] if one.differences else lines


def _lines(table: Table) -> list[str]:
    head, *rows = (f"| {' | '.join(cells)} |" for cells in (table.head, *table.rows))
    return [head, "|" + "---|" * len(table.head), *rows]


def _by_seed(runs: list[FinishedRun], method: str) -> dict[int, FinishedRun]:
    found: dict[int, FinishedRun] = {}
    for run in runs:
        if run.method == method and found.setdefault(run.seed, run) is not run:
            raise RunError(f"{run.folder} and {found[run.seed].folder} are the same run: needs one of them")
    return found


def _differences(name: str, one: dict[int, FinishedRun], other: dict[int, FinishedRun]) -> tuple[str, ...]:
    seeds = [seed for seed in one if seed in other]
    if not seeds:
        return (name, "0", *("" for _ in FIGURES))
    cells = [
        _interval(
            paired_difference([figure(one[seed]) for seed in seeds], [figure(other[seed]) for seed in seeds]),
            DIGITS[what],
        )
        for what, figure in FIGURES.items()
    ]
    return (name, str(len(seeds)), *cells)


def _interval(found: Difference, digits: int) -> str:
    mean, *ends = (f"{one:+.{digits}f}" for one in (found.mean, found.low, found.high) if one is not None)
    return f"{mean} [{', '.join(ends)}]" if ends else mean
