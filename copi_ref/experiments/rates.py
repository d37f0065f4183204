"""Accuracy against the learning rate, by method: the high learning rates of the TMLR version, and IL's stability."""

import math
from collections.abc import Sequence

from copi_ref.experiments.chosen_runs import SHARED, FigureError, Row, check_same, check_seeds
from copi_ref.experiments.folder import FinishedRun
from copi_ref.experiments.runner import Spread, peak, spread

_NONE = Spread(math.nan, None)


def rate_of(run: FinishedRun) -> float:
    """Return the learning rate that a run was made with: η_W, of its last epoch; for IL-prox α.

    It is what was asked for in place of the preset's: for IL-prox that is no η_W.
    """
    config = run.config
    rate = config.get("overrides", {}).get("eta_w", config["recipe"]["eta_w"])
    return float(rate[-1] if isinstance(rate, list) else rate)


def by_rate(
    finished: Sequence[FinishedRun],
    failed: Sequence[FinishedRun],
    dataset: str,
    methods: Sequence[str],
    command: str,
) -> list[Row]:
    """Return test accuracy by method and learning rate, after the last epoch and at its peak: over seeds that finished.

    A seed whose training left the finite numbers counts in ``diverged`` and not in the mean, which is nan where none
    finished.

    Raises:
        FigureError: there are no runs, two of one seed, or runs of different data, presets, networks or epochs.
    """
    rows = []
    for method in methods:
        groups: dict[float, tuple[list[FinishedRun], list[FinishedRun]]] = {}
        for runs, place in ((finished, 0), (failed, 1)):
            for run in runs:
                if _is_of(run, dataset, [method]):
                    groups.setdefault(rate_of(run), ([], []))[place].append(run)
        rows += [_row(method, rate, *groups[rate]) for rate in sorted(groups)]
    if not rows:
        raise FigureError(f"there are no runs of {dataset} by {' or '.join(methods)}: make them with\n  {command}")
    shown = [run for run in (*finished, *failed) if _is_of(run, dataset, methods)]
    check_same(shown, dataset, (*SHARED, "epochs"))
    return rows


def _row(method: str, rate: float, finished: list[FinishedRun], failed: list[FinishedRun]) -> Row:
    check_same([*finished, *failed], f"{method} at the rate {rate:g}", ("recipe",))
    check_seeds([*finished, *failed])
    last = [run.metrics[-1]["test_accuracy"] for run in finished]
    return {
        "method": method,
        "rate": rate,
        "seeds": len(finished) + len(failed),
        "diverged": len(failed),
        "last_test_accuracy": spread(last) if last else _NONE,
        "peak_test_accuracy": spread([peak(run.metrics, "test_accuracy") for run in finished]) if last else _NONE,
    }


def _is_of(run: FinishedRun, dataset: str, methods: Sequence[str]) -> bool:
    return run.config["dataset"] == dataset and run.config["method"] in methods
