"""Results to figures; nothing else imports matplotlib."""

import io
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from copi_ref.backend import HostArray
from copi_ref.experiments.results import write_atomically
from copi_ref.experiments.runner import Run

# Okabe and Ito's colours, told apart by the colour-blind; the dashes tell them apart in print.
_STYLES = [("#0072B2", "-"), ("#E69F00", "--"), ("#009E73", "-."), ("#CC79A7", ":"), ("#D55E00", "-")]


def training_figure(runs: Sequence[Run], title: str) -> Figure:
    """Draw accuracy and loss over epochs, mean and spread over seeds, and what R did to the first layer's input.

    Args:
        runs: of one or more methods, one or more seeds each, all of the same number of epochs.
        title: above the figure.
    """
    figure = Figure(figsize=(15, 7.2), layout="constrained")
    figure.suptitle(title)
    grid = figure.add_gridspec(2, 3)
    panels = [("train_accuracy", 0, 0), ("test_accuracy", 0, 1), ("train_loss", 1, 0), ("test_loss", 1, 1)]
    for metric, row, column in panels:
        _curves(figure.add_subplot(grid[row, column]), runs, metric)
    shown = next((run for run in runs if run.energy_after != run.energy_before), runs[0])
    pairs = [("before", shown.moment_before, shown.energy_before), ("after", shown.moment_after, shown.energy_after)]
    for row, (when, moment, energy) in enumerate(pairs):
        axes = figure.add_subplot(grid[row, 2])
        image = axes.imshow(correlation(moment), cmap="RdBu_r", vmin=-1, vmax=1, interpolation="nearest")
        axes.set_title(f"input correlations {when} decorrelation\n({shown.method}, energy {energy:.3g})", fontsize=10)
        figure.colorbar(image, ax=axes, label=r"$E[x_i x_j]\,/\sqrt{E[x_i^2]\,E[x_j^2]}$")
    return figure


def correlation(moment: HostArray) -> HostArray:
    """Return C_ij / √(C_ii C_jj), (K, K); 0 where an input is always 0."""
    scale = np.sqrt(np.diag(moment))
    scale = np.where(scale == 0, 1, scale)
    return moment / scale[:, None] / scale[None, :]


def save(figure: Figure, path: Path) -> None:
    """Write a figure; the ending of `path` (.png, .svg, .pdf) says in which format."""
    image = io.BytesIO()
    figure.savefig(image, format=path.suffix[1:], dpi=120)
    write_atomically(path, image.getvalue())


def _curves(axes: Axes, runs: Sequence[Run], metric: str) -> None:
    methods = list(dict.fromkeys(run.method for run in runs))
    for method, (colour, dashes) in zip(methods, cycle(_STYLES), strict=False):
        curves = np.array([[row[metric] for row in run.metrics] for run in runs if run.method == method])
        epochs = 1 + np.arange(curves.shape[1])
        mean, std = curves.mean(axis=0), curves.std(axis=0, ddof=1 if len(curves) > 1 else 0)
        axes.plot(epochs, mean, dashes, color=colour, label=method)
        axes.fill_between(epochs, mean - std, mean + std, color=colour, alpha=0.2, linewidth=0)
    seeds = len({run.seed for run in runs})
    axes.set(xlabel="epochs", ylabel=metric.replace("_", " "))
    axes.set_title(f"mean ± standard deviation over {seeds} seed{'s' * (seeds > 1)}", fontsize=10)
    axes.grid(alpha=0.3)
    if metric.endswith("accuracy"):
        axes.set_ylim(top=1)
    else:
        axes.set_yscale("log")
    axes.legend(fontsize=9)
