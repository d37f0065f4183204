"""The runs of which docs/results/runs has settings and curves: the tables of experiments.md say what these do."""

from dataclasses import replace

import numpy as np
import pytest
from digits_runs import column
from recorded import PAGE, numbers, table

from copi_ref.experiments.comparison import compared, paired_difference
from copi_ref.experiments.folder import find_runs
from copi_ref.experiments.runner import epoch_of_99_percent

TEN, HUNDRED = "MNIST, `tmlr`, 10 epochs", "MNIST, `tmlr`, 100 epochs"


def kept(folder):
    runs = find_runs(PAGE.parent / "runs" / folder)
    assert runs, f"{folder} has no runs"
    return runs


FEW, MANY = (kept(f"mnist-tmlr-{epochs}") for epochs in (10, 100))
AFTER_TEN = [*FEW, *(replace(run, config={**run.config, "epochs": 10}, metrics=run.metrics[:10]) for run in MANY)]
"""All runs after ten epochs: how many will follow changes nothing in a run."""


def written(number):
    return f"{number:.4f}".removeprefix("0")


def medians(values):
    """Of each ten epochs in a row."""
    return [np.median(values[start : start + 10]) for start in range(len(values) - 9)]


# --- ten epochs -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [0, 1], ids=["reached", "differences"])
def test_ten_epochs_are_compared_as_the_command_does(number):
    (found,) = compared(AFTER_TEN, "copi-bp")
    ours = (found.reached, found.differences)[number]
    assert table(TEN, number) == {row[0]: dict(zip(ours.head, row, strict=True)) for row in ours.rows}


def test_accuracies_on_the_way_are_those_of_the_runs():
    """Those that a plain implementation is compared with: after one and after six epochs in which W learns."""
    accuracies = np.array([column(run, "test_accuracy") for run in AFTER_TEN if run.method == "copi-bp"])
    (row,) = (row for name, row in table(TEN, 2).items() if "plain implementation" in name)
    assert row["here"].startswith(", ".join(written(accuracies[:, epoch].mean()) for epoch in (1, 6)))
    assert f"{len(accuracies)} seeds" in row["here"]


# --- a hundred --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("run", MANY, ids=lambda run: f"{run.method}-{run.seed}")
def test_a_row_is_what_the_run_has_on_record(run):
    accuracy, loss = (column(run, name) for name in ("test_accuracy", "test_loss"))
    assert len(accuracy) == run.config["epochs"] == 100
    assert table(HUNDRED, 1)[f"{run.method}, seed {run.seed}"] == {
        "method, seed": f"{run.method}, seed {run.seed}",
        "test accuracy, last epoch": written(accuracy[-1]),
        "test accuracy, last of ten": written(medians(accuracy)[-1]),
        "test accuracy, peak (its epoch)": f"{written(max(accuracy))} ({accuracy.argmax()})",
        "test loss, lowest of ten": written(min(medians(loss))),
        "test loss, last of ten": written(medians(loss)[-1]),
        "epoch, from 0, of 99 % of peak train accuracy": str(epoch_of_99_percent(run.metrics)),
    }


@pytest.mark.parametrize(
    ("figure", "of_runs"),
    [("last epoch", "test accuracy, last epoch"), ("peak", "test accuracy, peak (its epoch)")],
)
def test_means_and_differences_are_those_of_the_rows(figure, of_runs):
    """Differences of the seeds that both methods have."""

    def of_seeds(method):
        rows = {tuple(name.split(", ")): row for name, row in table(HUNDRED, 1).items()}
        return {seed: numbers(row[of_runs])[0] for (name, seed), row in rows.items() if name == method}

    ours = of_seeds("copi-bp")
    for method, row in table(HUNDRED).items():
        others = of_seeds(method)
        assert row["seeds"] == str(len(others))
        values = list(others.values())
        assert row[f"test accuracy, {figure}"] == f"{written(np.mean(values))} ± {written(np.std(values, ddof=1))}"
        if method != "copi-bp":
            seeds = sorted(ours.keys() & others.keys())
            found = paired_difference([others[seed] for seed in seeds], [ours[seed] for seed in seeds])
            shown = numbers(row[f"less copi-bp, {figure}"])
            assert np.allclose(shown, [found.mean, found.low, found.high], rtol=0, atol=0.501e-4)


# --- CIFAR-10 ---------------------------------------------------------------------------------------------------------

CIFAR10 = "CIFAR-10, `tmlr`, 100 epochs, 1 seed"
EPOCHS_OF_BOTH = "published: epochs to 99 % of peak train accuracy; here: the epoch, from 0"


def test_rows_of_cifar10_are_what_the_runs_have_on_record():
    published = {
        name.lower(): (row["published, peak"], row[EPOCHS_OF_BOTH].split(";")[0])
        for name, row in table("CIFAR-10, `tmlr`, 10 epochs, 1 seed").items()
    }
    rows = {}
    for run in kept("cifar10-tmlr-100"):
        train, test, loss = (column(run, name) for name in ("train_accuracy", "test_accuracy", "test_loss"))
        settings = [run.config[name] for name in ("dataset", "preset", "seed", "epochs", "held_out")]
        assert settings == ["cifar10", "tmlr", 0, 100, 10_000]
        assert len(test) == 100
        rows[run.method] = {
            "CIFAR-10, seed 0": run.method,
            "published: peak, and epochs to 99 % of peak train accuracy": ", ".join(published[run.method]),
            "test accuracy, peak (its epoch)": f"{written(max(test))} ({test.argmax()})",
            "last epoch": written(test[-1]),
            "last of ten": written(medians(test)[-1]),
            "train accuracy, last epoch": written(train[-1]),
            "epoch, from 0, of 99 % of peak train accuracy": str(epoch_of_99_percent(run.metrics)),
            "test loss, lowest (its epoch)": f"{written(min(loss))} ({loss.argmin()})",
            "test loss, last epoch": written(loss[-1]),
        }
        for epoch, row in table(CIFAR10, 1).items():
            assert row[run.method] == written(test[int(epoch)])
    assert table(CIFAR10) == rows
