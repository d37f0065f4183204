"""The runs of which docs/results/runs has settings and curves: the tables of experiments.md say what these do."""

from pathlib import Path

import numpy as np
import pytest
from recorded import PAGE, table

from copi_ref.experiments.folder import find_runs

RUNS = find_runs(PAGE.parent / "runs")
assert RUNS, "a folder of results without runs"
SECTIONS = {"mnist-tmlr-100": "MNIST, `tmlr`, 100 epochs"}


def column(run, name):
    return np.array([row[name] for row in run.metrics])


def written(number):
    return f"{number:.4f}".removeprefix("0")


def medians(values):
    """Of each ten epochs in a row."""
    return [np.median(values[start : start + 10]) for start in range(len(values) - 9)]


@pytest.mark.parametrize("run", RUNS, ids=lambda run: str(run.folder.relative_to(PAGE.parent)))
def test_a_row_is_what_the_run_has_on_record(run):
    setting = Path(run.folder).relative_to(PAGE.parent / "runs").parts[0]
    accuracy, loss, train = (column(run, name) for name in ("test_accuracy", "test_loss", "train_accuracy"))
    assert len(accuracy) == run.config["epochs"] == 100
    assert table(SECTIONS[setting])[f"{run.method}, seed {run.seed}"] == {
        "method, seed": f"{run.method}, seed {run.seed}",
        "test accuracy, last epoch": written(accuracy[-1]),
        "test accuracy, last of ten": written(medians(accuracy)[-1]),
        "test accuracy, peak (its epoch)": f"{written(max(accuracy))} ({accuracy.argmax()})",
        "test loss, lowest of ten": written(min(medians(loss))),
        "test loss, last of ten": written(medians(loss)[-1]),
        "epoch, from 0, of 99 % of peak train accuracy": str((train >= 0.99 * max(train)).argmax()),
    }
