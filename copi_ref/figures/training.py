"""Results to figures; nothing else imports matplotlib."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from copi_ref.arrays.backend import HostArray
from copi_ref.experiments.folder import FinishedRun
from copi_ref.experiments.runner import Run
from copi_ref.files import write_atomically

# Okabe and Ito's colours, told apart by the colour-blind (without yellow, too pale for lines); the dashes tell them
# apart in print. Seven and four have no common divisor: 28 lines pass before two look the same.
_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#000000")
_DASHES = ("-", "--", "-.", ":")


def training_figure(runs: Sequence[Run], title: str, idle: int = 0) -> Figure:
    """Draw accuracy and loss over epochs, mean and spread over seeds, and what R did to the first layer's input.

    The scale of accuracies is that of the last three quarters of the epochs in which W learns: there methods differ by
    hundredths, which nobody sees on a scale that begins at chance.

    Args:
        runs: of one or more methods, one or more seeds each, all of the same number of epochs.
        title: above the figure.
        idle: epochs at the start in which only R learned; they are shaded.
    """
    seeds = len({run.seed for run in runs})
    figure = Figure(figsize=(15, 7.2), layout="constrained")
    over = f"mean ± standard deviation over {seeds} seeds" if seeds > 1 else "one seed"
    figure.suptitle(f"{title}: {over}", parse_math=False)  # a name may have a $ in it
    grid = figure.add_gridspec(2, 3, width_ratios=(1, 1, 0.8))
    panels = [("train_accuracy", 0, 0), ("test_accuracy", 0, 1), ("train_loss", 1, 0), ("test_loss", 1, 1)]
    for metric, row, column in panels:
        _curves(figure.add_subplot(grid[row, column]), runs, metric, idle)
    shown = next((run for run in runs if run.off_diagonal_after != run.off_diagonal_before), runs[0])
    pairs = [
        ("before", shown.moment_before, shown.off_diagonal_before),
        ("after", shown.moment_after, shown.off_diagonal_after),
    ]
    for row, (when, moment, left) in enumerate(pairs):
        axes = figure.add_subplot(grid[row, 2])
        image = axes.imshow(correlation(moment), cmap="RdBu_r", vmin=-1, vmax=1, interpolation="nearest")
        heading = f"input correlations {when} decorrelation\n({shown.method}, relative off-diagonal {left:.3g})"
        axes.set_title(heading, fontsize=10, parse_math=False)
        figure.colorbar(image, ax=axes, label=r"$E[x_i x_j]\,/\sqrt{E[x_i^2]\,E[x_j^2]}$")
    _legend_below(figure, figure.axes[0])
    return figure


MEASURES = {
    "off_diagonal": r"off-diagonal $\|C_{off}\|\,/\,\|diag\,C\|$",
    "asymmetry": r"asymmetry $\|R-R^T\|\,/\,\|R\|$",
    "log_det": r"$\log\,|\det R|$",
    "condition": "condition number of C",
    "angle": "angle to BP (degrees)",
    "dead": "share of dead inputs",
}
_NOT_DRAWN = {"condition": "C singular to rounding", "log_det": "R singular", "angle": "no angle (δ = 0)"}


def diagnostics_figure(runs: Sequence[Run], title: str) -> Figure:
    """Draw what `layer_diagnostics` measured over epochs: one line a layer, the mean over seeds, one row a method.

    Values that are not finite are left out, and a note in the panel says of which layers. So is a mean where one of the
    seeds has no finite value.

    Args:
        runs: of one or more methods, one or more seeds each, all of the same number of epochs.
        title: above the figure.

    Raises:
        ValueError: a run was trained without diagnostics.
    """
    for run in runs:
        if not _layers(run):
            which = f"{run.method}, seed {run.seed}"
            raise ValueError(f"{which} has no diagnostics: train with diagnostics=layer_diagnostics")
    methods, seeds = list(dict.fromkeys(run.method for run in runs)), len({run.seed for run in runs})
    figure, grid = _method_rows(methods, f"{title}\nmean over {seeds} seeds" if seeds > 1 else title)
    for panels, method in zip(grid, methods, strict=True):
        for axes, measure in zip(panels, MEASURES, strict=True):
            _layer_curves(axes, [run for run in runs if run.method == method], measure)
    for axes, (measure, heading) in zip(grid[0], MEASURES.items(), strict=True):
        axes.set_title(heading, fontsize=10)
        _limit(axes, measure)
    _legend_below(figure, max(grid[:, 0], key=lambda axes: len(axes.lines)))
    return figure


def measure_figure(runs: Sequence[Run | FinishedRun], measure: str) -> Figure:
    """Draw one of the measures of `MEASURES` for a narrow page: methods below each other, on one scale.

    Lines and notes as in `diagnostics_figure`; epochs count from 0, as in ``metrics.csv``.

    Args:
        runs: as for `diagnostics_figure`, and trained with diagnostics.
        measure: its name.
    """
    methods = list(dict.fromkeys(run.method for run in runs))
    figure = Figure(figsize=(3.6, 0.7 + 1.8 * len(methods)), layout="constrained")
    grid = figure.subplots(len(methods), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    for axes, method in zip(grid, methods, strict=True):
        _layer_curves(axes, [run for run in runs if run.method == method], measure)
        axes.set_title(method, fontsize=8, parse_math=False)  # a name may have a $ in it
    _limit(grid[0], measure)
    whole_epochs(grid[-1], "epoch, from 0")
    _legend_below(figure, max(grid, key=lambda axes: len(axes.lines)), most=4)
    return figure


def has_diagnostics(run: Run | FinishedRun) -> bool:
    """Say whether a run was trained with `layer_diagnostics`."""
    return bool(_layers(run))


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


def whole_epochs(axes: Axes, what: str = "epoch, from 0 (measured after it)") -> None:
    """Let an axis count epochs as ``metrics.csv`` does, in whole numbers."""
    axes.set_xlabel(what)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))  # of two ticks one would be a fraction


def _curves(axes: Axes, runs: Sequence[Run], metric: str, idle: int) -> None:
    ends = []  # of the envelopes, in the epochs that set the scale
    for number, method in enumerate(dict.fromkeys(run.method for run in runs)):
        curves = np.array([[row[metric] for row in run.metrics] for run in runs if run.method == method])
        epochs, mean = np.arange(curves.shape[1]), curves.mean(axis=0)
        std = curves.std(axis=0, ddof=1) if len(curves) > 1 else np.zeros_like(mean)
        marker = "." if len(epochs) == 1 else ""  # one point makes no line
        (line,) = axes.plot(epochs, mean, **line_style(number), marker=marker, label=method)
        if len(curves) > 1:
            axes.fill_between(epochs, mean - std, mean + std, color=line.get_color(), alpha=0.2, linewidth=0)
        late = idle + max(0, len(epochs) - idle) // 4
        ends += [*(mean - std)[late:], *(mean + std)[late:]]
    whole_epochs(axes)
    axes.set_xlim(-0.5, len(epochs) - 0.5)
    axes.set_ylabel(metric.replace("_", " "))
    axes.grid(alpha=0.3)
    if metric.endswith("loss"):
        axes.set_yscale("log")
    elif len(set(ends)) > 1:
        margin = 0.05 * (max(ends) - min(ends))
        axes.set_ylim(min(ends) - margin, max(ends) + margin)
    _shade(axes, min(idle, len(epochs)))


def _shade(axes: Axes, idle: int) -> None:
    """Mark the epochs in which only R learned."""
    if idle:
        axes.axvspan(-0.5, idle - 0.5, color="0.9", zorder=0)
        where = axes.get_xaxis_transform()
        axes.text(
            idle / 2 - 0.5, 0.5, "only R learns", rotation=90, ha="center", va="center", transform=where, fontsize=9
        )


def _method_rows(methods: Sequence[str], title: str) -> tuple[Figure, HostArray]:
    """Return a figure and its axes, one row a method and one column a measure."""
    if len(methods) == 1:  # six panels beside each other would be a thin strip
        figure = Figure(figsize=(12, 6.5), layout="constrained")
        grid = figure.subplots(2, 3, sharex=True)
        title = f"{methods[0]}: {title}"
    else:
        figure = Figure(figsize=(20, 1.4 + 2.3 * len(methods)), layout="constrained")
        grid = figure.subplots(len(methods), len(MEASURES), sharex=True, sharey="col")
        for axes, method in zip(grid[:, 0], methods, strict=True):
            axes.set_ylabel(method, fontsize=11, fontweight="bold")
    figure.suptitle(title, parse_math=False)
    for axes in grid[-1]:
        whole_epochs(axes)
    return figure, grid.reshape(len(methods), len(MEASURES))


def _layers(run: Run | FinishedRun) -> list[int]:
    """Return the layers, from 1, that a run has measures of."""
    return sorted(
        int(name.removeprefix("off_diagonal_")) for name in run.metrics[0] if name.startswith("off_diagonal_")
    )


def _layer_curves(axes: Axes, runs: Sequence[Run | FinishedRun], measure: str) -> None:
    """Draw a measure of one method over epochs, from 0, and note what can't be drawn."""
    if measure == "condition":
        axes.set_yscale("log")  # before the lines: matplotlib refuses it afterwards where none of them is finite
    missing: dict[str, list[str]] = {}
    for layer in _layers(runs[0]):
        curves = np.array([[row[f"{measure}_{layer}"] for row in run.metrics] for run in runs])
        mean, epochs = curves.mean(axis=0), np.arange(curves.shape[1])
        finite = np.isfinite(mean)
        (line,) = axes.plot(epochs, np.where(finite, mean, np.nan), **line_style(layer - 1), label=f"layer {layer}")
        alone = finite & ~np.append(False, finite[:-1]) & ~np.append(finite[1:], False)
        if alone.any():  # with both neighbours left out, or one epoch in all: no line shows it
            axes.plot(epochs[alone], mean[alone], ".", color=line.get_color())
        if not finite.all():
            share = "all epochs" if not finite.any() else f"{np.count_nonzero(~finite)} of {len(mean)} epochs"
            missing.setdefault(share, []).append(str(layer))
    axes.grid(alpha=0.3)
    if missing:
        lines = [f"layer{'s' * (len(layers) > 1)} {', '.join(layers)}: {share}" for share, layers in missing.items()]
        note = "\n".join([f"not drawn, {_NOT_DRAWN.get(measure, 'not finite')}:", *lines])
        # As a legend without lines: matplotlib then finds the place where it covers least.
        axes.legend([Line2D([], [], linestyle="none")], [note], handlelength=0, handletextpad=0, fontsize=8)


def _limit(axes: Axes, measure: str) -> None:
    """Set the limits of a measure, after all methods that share the axis were drawn."""
    if measure == "angle":
        top = axes.get_ylim()[1]
        most = 180 if top > 100 else 90
        axes.set_ylim(-most / 30, max(top, most * 31 / 30))
        axes.set_yticks(range(0, most + 1, most // 3))
    elif measure not in ("log_det", "condition"):
        axes.set_ylim(bottom=-axes.get_ylim()[1] / 30)  # none is negative, and many lines lie on 0


def _legend_below(figure: Figure, axes: Axes, most: int = 8) -> None:
    """Name the lines of one panel, which all panels share, once for the figure: there may be many."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), most), fontsize=9)


def line_style(number: int) -> dict[str, Any]:
    """Return how to draw the line of that number, from 0."""
    return {"color": _COLOURS[number % len(_COLOURS)], "linestyle": _DASHES[number % len(_DASHES)]}
