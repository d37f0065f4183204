"""The runs of which docs/results/runs has settings and curves: the tables of experiments.md say what these do."""

import numpy as np
import pytest
from digits_runs import column
from recorded import PAGE, numbers, table

from copi_ref.experiments.comparison import paired_difference
from copi_ref.experiments.folder import find_runs
from copi_ref.experiments.runner import epoch_of_99_percent

RUNS = find_runs(PAGE.parent / "runs")
assert RUNS, "a folder of results without runs"
SECTIONS = {"mnist-tmlr-100": "MNIST, `tmlr`, 100 epochs"}


def written(number):
    return f"{number:.4f}".removeprefix("0")


def medians(values):
    """Of each ten epochs in a row."""
    return [np.median(values[start : start + 10]) for start in range(len(values) - 9)]


@pytest.mark.parametrize("run", RUNS, ids=lambda run: str(run.folder.relative_to(PAGE.parent)))
def test_a_row_is_what_the_run_has_on_record(run):
    setting = run.folder.relative_to(PAGE.parent / "runs").parts[0]
    accuracy, loss = (column(run, name) for name in ("test_accuracy", "test_loss"))
    assert len(accuracy) == run.config["epochs"] == 100
    assert table(SECTIONS[setting])[f"{run.method}, seed {run.seed}"] == {
        "method, seed": f"{run.method}, seed {run.seed}",
        "test accuracy, last epoch": written(accuracy[-1]),
        "test accuracy, last of ten": written(medians(accuracy)[-1]),
        "test accuracy, peak (its epoch)": f"{written(max(accuracy))} ({accuracy.argmax()})",
        "test loss, lowest of ten": written(min(medians(loss))),
        "test loss, last of ten": written(medians(loss)[-1]),
        "epoch, from 0, of 99 % of peak train accuracy": str(epoch_of_99_percent(run.metrics)),
    }


@pytest.mark.parametrize("heading", SECTIONS.values())
def test_differences_are_those_of_the_rows(heading):
    """Of the seeds that both methods have."""

    def of_seeds(method, figure):
        rows = {tuple(name.split(", ")): row for name, row in table(heading).items()}
        return {seed: numbers(row[figure])[0] for (name, seed), row in rows.items() if name == method}

    for method, row in table(heading, 2).items():
        for figure, of_runs in (
            ("test accuracy, last epoch", "test accuracy, last epoch"),
            ("test accuracy, peak", "test accuracy, peak (its epoch)"),
        ):
            ours, others = of_seeds("copi-bp", of_runs), of_seeds(method, of_runs)
            seeds = sorted(ours.keys() & others.keys())
            assert row["pairs"] == str(len(seeds))
            found = paired_difference([others[seed] for seed in seeds], [ours[seed] for seed in seeds])
            assert np.allclose(numbers(row[figure]), [found.mean, found.low, found.high], rtol=0, atol=0.501e-4)
