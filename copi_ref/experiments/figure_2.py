"""Fig. 2: accuracy and loss over epochs, of COPI and of backpropagation; A on MNIST, B on CIFAR-10."""

from collections.abc import Sequence

from copi_ref.experiments.chosen_runs import Row
from copi_ref.experiments.folder import FinishedRun
from copi_ref.experiments.runner import epoch_of_99_percent, peak, spread

PANELS = {
    "2a": ("train_accuracy", "test_accuracy", "train_loss", "test_loss"),
    "2b": ("train_accuracy", "test_accuracy"),
}
"""What each part of the figure shows."""


def curves(chosen: dict[str, list[FinishedRun]], metrics: Sequence[str]) -> list[Row]:
    """Return the metrics after each epoch, mean and deviation over seeds: a row for each method and epoch.

    Epochs count from 0, as in ``metrics.csv``: the row of epoch 0 was measured after it.
    """
    rows = []
    for method, runs in chosen.items():
        for lines in zip(*(run.metrics for run in runs), strict=True):
            row: Row = {"method": method, "epoch": int(lines[0]["epoch"]), "seeds": len(runs)}
            rows.append(row | {name: spread([line[name] for line in lines]) for name in metrics})
    return rows


def summary(chosen: dict[str, list[FinishedRun]]) -> list[Row]:
    """Return for each method the test accuracy after the last epoch and the peak over epochs, and the speed.

    The peak is that of each run, selected on the test set, as the paper reports it. The speed is the first epoch, from
    0, after which 99 % of the run's own peak train accuracy are reached.
    """
    return [
        {
            "method": method,
            "seeds": len(runs),
            "epochs": len(runs[0].metrics),
            "last_test_accuracy": spread([run.metrics[-1]["test_accuracy"] for run in runs]),
            "peak_test_accuracy": spread([peak(run.metrics, "test_accuracy") for run in runs]),
            "epoch_of_99_percent": spread([epoch_of_99_percent(run.metrics) for run in runs]),
        }
        for method, runs in chosen.items()
    ]


def lateral_only_epochs(chosen: dict[str, list[FinishedRun]]) -> int:
    """Return in how many epochs at the start only R learned."""
    return max(int(runs[0].config["recipe"]["lateral_only_epochs"]) for runs in chosen.values())
