"""The papers' figures, drawn from their numbers; with `plots` the only file that imports matplotlib."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from copi_ref.arrays.backend import HostArray
from copi_ref.experiments.chosen_runs import Row
from copi_ref.figures.training import line_style, whole_epochs
from copi_ref.files import write_atomically

_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_WIDTH = 7.2  # inches: a page of two columns, where text of 8 points stays readable
_RC: Any = {
    "font.size": 8,
    "axes.titlesize": 8,
    "lines.linewidth": 1.3,
    "lines.markersize": 4,
    "svg.hashsalt": "copi_ref",
}


def curves_figure(rows: Sequence[Row], panels: Sequence[str], methods: Sequence[str], title: str, idle: int) -> Figure:
    """Draw metrics over epochs (Fig. 2): the mean over seeds, and one deviation to either side.

    Args:
        rows: of `copi_ref.experiments.figure_2.curves`.
        panels: metrics, one a panel; a single one takes half the width.
        methods: in the order of their line styles, also those without rows.
        title: above the figure, if there is one.
        idle: epochs at the start in which only R learned.
    """
    with matplotlib.rc_context(_RC):
        columns = min(2, len(panels))
        height = 0.5 + 0.2 * -(-len(methods) // columns) + 2.4 * (len(panels) // columns)
        figure = Figure(figsize=(_WIDTH * columns / 2, height), layout="constrained")
        if title:
            figure.suptitle(title, fontsize=9, parse_math=False)
        grid = figure.subplots(len(panels) // columns, columns, sharex=True, squeeze=False)
        for axes, metric in zip(grid.flat, panels, strict=True):
            _curves(axes, rows, metric, methods, idle)
        only_R = {0: "", 1: "epoch 0"}.get(idle, f"epochs 0 to {idle - 1}")
        learns = f";\nthe scale leaves out {only_R}, when only R learns" if only_R else ""
        for axes in grid[-1]:
            whole_epochs(axes, f"epoch, from 0 (measured after it{learns})")
        _legend(figure, grid[0, 0], columns)
        return figure


def images_figure(rows: dict[str, HostArray], notes: dict[str, str], title: str) -> Figure:
    """Draw rows of images (Fig. 3A), each row in grey on a scale of its own.

    The first row goes from 0, black, to its largest value. In the others 0 is the middle grey, and white and black are
    the 99.5th percentile of sizes: single pixels that are hardly ever on would leave all others grey.

    Args:
        rows: (n, side, side) images by what they are.
        notes: what stands below a row's name.
        title: above the figure.
    """
    with matplotlib.rc_context(_RC):
        count = max(len(images) for images in rows.values())
        figure = Figure(figsize=(_WIDTH, 0.5 + 0.75 * len(rows)), layout="constrained")
        figure.suptitle(title, fontsize=9, parse_math=False)
        grid = figure.subplots(len(rows), count, squeeze=False)
        for line, (panels, (name, images)) in enumerate(zip(grid, rows.items(), strict=True)):
            largest = float(np.max(images) if line == 0 else np.percentile(np.abs(images), 99.5)) or 1.0
            for axes, image in zip(panels, images, strict=True):
                _image(axes, image, 0 if line == 0 else -largest, largest)
            label = "\n".join([name, notes[name]] if name in notes else [name])
            panels[0].set_ylabel(label, rotation=0, ha="right", va="center", fontsize=7)
        return figure


def mosaics_figure(layers: dict[str, HostArray], title: str) -> Figure:
    """Draw receptive fields (Fig. 3B), a mosaic a layer: white for a positive correlation, black for a negative one.

    Each field is on a scale of its own, from minus to plus its largest size.

    Args:
        layers: (n, side, side) fields by the name of their layer.
        title: above the figure.
    """
    with matplotlib.rc_context(_RC):
        columns = min(4, len(layers))
        lines = -(-len(layers) // columns)
        figure = Figure(figsize=(_WIDTH, 0.4 + lines * (0.25 + _WIDTH / columns)), layout="constrained")
        figure.suptitle(title, fontsize=9, parse_math=False)
        grid = figure.subplots(lines, columns, squeeze=False)
        for axes in grid.flat[len(layers) :]:
            axes.set_axis_off()
        for axes, (name, images) in zip(grid.flat, layers.items(), strict=False):
            _image(axes, mosaic(images), -1, 1)
            axes.set_title(name, parse_math=False)
        return figure


def compression_figure(rows: Sequence[Row], title: str) -> Figure:
    """Draw test accuracy against the number of replaced hidden layers (Fig. 3C): a line a formula, with deviations."""
    with matplotlib.rc_context(_RC):
        figure = Figure(figsize=(_WIDTH / 2 + 0.6, 3.2), layout="constrained")
        figure.suptitle(title, fontsize=9, parse_math=False)
        axes = figure.subplots()
        formulas = list(dict.fromkeys(row["formula"] for row in rows))
        for number, formula in enumerate(formulas):
            found = [row for row in rows if row["formula"] == formula]
            # Beside each other: the exact inverse and the pseudo-inverse give the same where there is an inverse.
            places = [row["replaced"] + 0.08 * (number - (len(formulas) - 1) / 2) for row in found]
            _points(axes, places, found, "test_accuracy", number, formula)
        axes.set_xticks(sorted({row["replaced"] for row in rows}))
        axes.set(xlabel="hidden layers replaced by one linear map", ylabel="test accuracy (share of samples)")
        axes.grid(alpha=0.3)
        axes.legend(title="formula (App. B)")
        return figure


def rates_figure(rows: Sequence[Row], methods: Sequence[str], title: str, rate: str) -> Figure:
    """Draw test accuracy against the learning rate; hollow marks at the bottom say how many seeds diverged.

    After the last epoch, and beside it at the peak over epochs where it differs.

    Args:
        rows: of `copi_ref.experiments.rates.by_rate`.
        methods: in the order of their line styles, also those without rows.
        title: above the figure.
        rate: the name of the learning rate.
    """
    panels = {"last_test_accuracy": "after the last epoch", "peak_test_accuracy": "peak over epochs, of the test set"}
    if all(row["last_test_accuracy"] == row["peak_test_accuracy"] for row in rows if row["diverged"] < row["seeds"]):
        del panels["peak_test_accuracy"]
    with matplotlib.rc_context(_RC):
        figure = Figure(figsize=(_WIDTH * (0.3 + 0.35 * len(panels)), 3.6), layout="constrained")
        figure.suptitle(title, fontsize=9, parse_math=False)
        grid = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axes, (column, heading) in zip(grid, panels.items(), strict=True):
            for number, method in enumerate(methods):
                _rates(axes, [row for row in rows if row["method"] == method], column, number, method)
            axes.set(xscale="log", xlabel=rate, title=heading)
            axes.margins(x=0.1)
            axes.grid(alpha=0.3)
        lowest, highest = grid[0].get_ylim()
        if any(row["diverged"] for row in rows):  # room for a line of marks a method
            grid[0].set_ylim(bottom=lowest - 0.1 * len(methods) * (highest - lowest))
        grid[0].set_ylabel("test accuracy (share of samples)")
        _legend(figure, grid[0])
        return figure


def save_both(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Write a figure as NAME.svg and NAME.png, and return where; the same figure gives the same bytes.

    Raises:
        OSError: the folder can't be written to.
    """
    paths = [folder / f"{name}.svg", folder / f"{name}.png"]
    for path in paths:
        image = io.BytesIO()
        with matplotlib.rc_context(_RC):
            # Without the date: else no two files are the same. 300 dots an inch: as printers ask.
            metadata = {"Date": None} if path.suffix == ".svg" else {}
            figure.savefig(image, format=path.suffix[1:], dpi=300, metadata=metadata)
        write_atomically(path, image.getvalue())
    return paths


def mosaic(images: HostArray) -> HostArray:
    """Lay (n, side, side) images out in a square, each divided by its largest size; 0 between them."""
    n, side, _ = images.shape
    columns = int(np.ceil(np.sqrt(n)))
    lines = -(-n // columns)
    sheet = np.zeros((lines * (side + 1) - 1, columns * (side + 1) - 1))
    for place, image in enumerate(images):
        top, left = (side + 1) * (place // columns), (side + 1) * (place % columns)
        sheet[top : top + side, left : left + side] = image / (np.abs(image).max() or 1)
    return sheet


def _curves(axes: Axes, rows: Sequence[Row], metric: str, methods: Sequence[str], idle: int) -> None:
    ends = []  # of the envelopes, where W learns: what was before would set the scale
    for number, method in enumerate(methods):
        found = [row for row in rows if row["method"] == method]
        if found:
            epochs = np.array([row["epoch"] for row in found])
            mean, std = (np.array([value or 0 for value in values]) for values in _spreads(found, metric))
            style = {
                **line_style(number),
                "marker": _MARKERS[number % len(_MARKERS)],
                "markevery": max(1, len(found) // 10),
            }
            (line,) = axes.plot(epochs, mean, **style, label=f"{method}, {_seeds(found)}")
            axes.fill_between(epochs, mean - std, mean + std, color=line.get_color(), alpha=0.2, linewidth=0)
            ends += [*(mean - std)[idle:], *(mean + std)[idle:]]
    kind = metric.partition("_")[2]
    axes.set_ylabel(f"{metric.replace('_', ' ')} ({'share of samples' if kind == 'accuracy' else 'mean over samples'})")
    axes.grid(alpha=0.3)
    if kind == "loss":
        axes.set_yscale("log")
        ends = [end for end in ends if end > 0]  # an envelope may go below 0, which has no place on this scale
    if idle and len(set(ends)) > 1:
        margin = 0 if kind == "loss" else 0.05 * (max(ends) - min(ends))
        axes.set_ylim(min(ends) - margin, max(ends) + margin)


def _rates(axes: Axes, rows: Sequence[Row], column: str, number: int, method: str) -> None:
    if not rows:
        return
    drawn = [row for row in rows if row["diverged"] < row["seeds"]]
    _points(axes, [row["rate"] for row in drawn], drawn, column, number, f"{method}, {_seeds(rows)}")
    style: dict[str, Any] = {
        "marker": _MARKERS[number],
        "markerfacecolor": "none",
        "color": line_style(number)["color"],
    }
    height = 0.03 + 0.06 * number  # in the axes' own height: one line of marks a method, below the data
    for row in rows:
        if row["diverged"]:
            where = row["rate"], height
            axes.plot(*where, **style, transform=axes.get_xaxis_transform())
            text = f"{row['diverged']}/{row['seeds']}"
            beside: Any = {"xytext": (4, 0), "textcoords": "offset points", "va": "center", "fontsize": 6}
            axes.annotate(text, where, xycoords=axes.get_xaxis_transform(), **beside)


def _points(axes: Axes, places: Sequence[float], rows: Sequence[Row], column: str, number: int, label: str) -> None:
    mean, std = _spreads(rows, column)
    style = {**line_style(number), "marker": _MARKERS[number]}
    axes.errorbar(places, mean, [value or 0 for value in std], **style, capsize=2, label=label)


def _spreads(rows: Sequence[Row], column: str) -> tuple[list[float], list[float | None]]:
    return [row[column].mean for row in rows], [row[column].std for row in rows]


def _seeds(rows: Sequence[Row]) -> str:
    counts = sorted({row["seeds"] for row in rows})
    text = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return f"{text} seed{'s' * (counts[-1] > 1)}"


def _image(axes: Axes, image: HostArray, lowest: float, highest: float) -> None:
    axes.imshow(image, cmap="gray", vmin=lowest, vmax=highest, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])


def _legend(figure: Figure, axes: Axes, columns: int = 2) -> None:
    handles, labels = axes.get_legend_handles_labels()
    legend = figure.legend(handles, labels, loc="outside lower center", ncols=columns)
    for text in legend.get_texts():
        text.set_parse_math(False)  # a name may have a $ in it
