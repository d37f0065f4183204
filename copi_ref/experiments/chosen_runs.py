"""Which finished runs a figure is drawn from: those of one setting, by method; and what is read from them."""

import itertools
import json
from collections.abc import Sequence
from typing import Any

from copi_ref.arrays.backend import HostArray
from copi_ref.experiments.folder import FinishedRun

Row = dict[str, Any]
"""A line of a figure's numbers: texts, numbers and Spreads by column."""

SHARED = ("preset", "hidden", "held_out", "data")
"""Settings in which all runs of a figure have to be the same."""

_SHARED_BY_SEEDS = (*SHARED, "epochs", "recipe")


class FigureError(ValueError):
    """The runs that a figure needs are missing, or can't be drawn together; the message says which, and what to do."""


def runs_by_method(
    runs: Sequence[FinishedRun], dataset: str, methods: Sequence[str], command: str
) -> dict[str, list[FinishedRun]]:
    """Return the runs of a data set by method, in the order of `methods`, without those that have none.

    Args:
        runs: all there are.
        dataset: which to take.
        methods: which to take.
        command: what makes the runs, for the message.

    Raises:
        FigureError: there are none, or they differ in more than their seeds: in preset, hidden layers and held-out
            samples and data between methods, and in epochs or recipe between the seeds of one.
    """
    chosen = {method: [run for run in runs if _is(run, dataset, method)] for method in methods}
    chosen = {method: found for method, found in chosen.items() if found}
    if not chosen:
        raise FigureError(
            f"there are no finished runs of {dataset} by {' or '.join(methods)}: make them with\n  {command}"
        )
    check_same([run for found in chosen.values() for run in found], dataset, SHARED)
    for method, found in chosen.items():
        check_same(found, f"{dataset} by {method}", _SHARED_BY_SEEDS)
        check_seeds(found)
    return chosen


def check_same(runs: Sequence[FinishedRun], what: str, keys: Sequence[str]) -> None:
    """Refuse runs whose settings differ in one of the keys of their configurations.

    Raises:
        FigureError: they do; the message says in what, and names two folders.
    """
    for key in keys:
        for run in runs[1:]:
            one, other = runs[0].config[key], run.config[key]
            if one != other:
                raise FigureError(
                    f"runs of {what} differ in {_difference(key, one, other)} ({runs[0].folder}, {run.folder}): "
                    "name a folder with runs of one setting"
                )


def check_seeds(runs: Sequence[FinishedRun]) -> None:
    """Refuse two runs of one seed, which would count it twice.

    Raises:
        FigureError: there are two; the message names their folders.
    """
    seen: dict[int, FinishedRun] = {}
    for run in runs:
        first = seen.setdefault(run.config["seed"], run)
        if first is not run:
            raise FigureError(f"{first.folder} and {run.folder} hold the same run: name a folder with one of them")


def samples_for(run: FinishedRun, x: HostArray) -> HostArray:
    """Return samples in the dtype of a run's network; the same array if they are in it."""
    return x.astype(run.params.W[0].dtype, copy=False)


def title_of(run: FinishedRun) -> str:
    """Say what a run was of: "mnist (tested on 10000 held out), preset tmlr, hidden layers 500×6"."""
    config = run.config
    held_out = f" (tested on {config['held_out']} held out)" if config["held_out"] is not None else ""
    runs = [(size, len(list(group))) for size, group in itertools.groupby(config["hidden"])]
    hidden = "-".join(f"{size}×{count}" if count > 1 else str(size) for size, count in runs)
    return f"{config['dataset']}{held_out}, preset {config['preset']}, hidden layers {hidden}"


def _is(run: FinishedRun, dataset: str, method: str) -> bool:
    return bool(run.config["dataset"] == dataset and run.config["method"] == method)


def _difference(key: str, one: Any, other: Any) -> str:
    if isinstance(one, dict) and isinstance(other, dict):
        key, one, other = next(
            (name, one.get(name), other.get(name)) for name in [*one, *other] if one.get(name) != other.get(name)
        )
    return f"{key}: {json.dumps(one)} and {json.dumps(other)}"
