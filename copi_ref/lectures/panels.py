"""What lectures show: matrices as tables, figures as pictures, and both side by side where there is room."""

import io
from collections.abc import Sequence
from fractions import Fraction
from html import escape
from typing import Any

import marimo as mo
import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from copi_ref.arrays.backend import HostArray
from copi_ref.oracle import Report

# Okabe and Ito's colours, told apart by the colour-blind.
COLOURS = BLUE, ORANGE, GREEN, PINK, RED, SKY = "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9"


def number(value: Any) -> str:
    """Return a number in four digits, or a fraction as it is."""
    if isinstance(value, (Fraction, int)):
        return str(value).replace("-", "−")
    text = f"{float(value):.4g}"
    return "0" if text == "-0" else text.replace("-", "−")


def matrix(name: str, array: HostArray, *, right: HostArray | None = None, heat: bool = False) -> str:
    """Return a matrix, or a vector as one row, as a table below its name.

    Args:
        name: above the table, and what a screen reader calls it.
        array: (M, K), (K,) or ().
        right: what it should be: entries that differ are marked, and say what is right.
        heat: colour each entry by its size, blue above 0 and orange below.
    """
    rows = np.atleast_2d(np.asarray(array))
    wanted = rows if right is None else np.atleast_2d(np.asarray(right))
    largest = max((abs(float(value)) for value in rows.ravel() if np.isfinite(float(value))), default=0) or 1
    body = "".join(
        "<tr>" + "".join(_cell(*pair, largest if heat else None) for pair in zip(row, wished, strict=True)) + "</tr>"
        for row, wished in zip(rows, wanted, strict=True)
    )
    brackets = "border-left:2px solid;border-right:2px solid;border-radius:6px;padding:0 .3em;border-collapse:separate"
    table = f'<table aria-label="{escape(name)}" style="{brackets};width:auto;margin:.2em auto">{body}</table>'
    return f'<div style="text-align:center"><div style="font-size:.9em">{escape(name)}</div>{table}</div>'


def _cell(value: Any, should: Any, largest: float | None) -> str:
    style = "padding:.1em .45em;text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap;border:0"
    if not (value == should or (value != value and should != should)):
        marked = f"{style};background:{ORANGE};color:black;font-weight:bold"
        return f'<td data-changed style="{marked}" title="right: {number(should)}">≠ {number(value)}</td>'
    if largest is not None and np.isfinite(float(value)):
        shade = round(55 * min(1, abs(float(value)) / largest))
        style += f";background:color-mix(in srgb, {BLUE if value > 0 else ORANGE} {shade}%, white);color:black"
    return f'<td style="{style}">{number(value)}</td>'


def table(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return a table of texts and numbers; it scrolls where the page is narrow."""
    style = 'style="padding:.1em .6em;text-align:right"'
    head = "".join(f"<th {style}>{escape(one)}</th>" for one in heads)
    body = "".join("<tr>" + "".join(f"<td {style}>{escape(str(one))}</td>" for one in row) + "</tr>" for row in rows)
    return f'<div style="max-width:100%;overflow-x:auto"><table><tr>{head}</tr>{body}</table></div>'


def panels(width: float, height: float, rows: int = 1, columns: int = 1) -> tuple[Figure, list[Axes]]:
    """Return a figure of that many inches and its axes, row by row.

    Margins are fixed: a layout that fits them to the labels takes longer than all else that a lecture does at a touch.
    """
    figure = Figure(figsize=(width, height))
    grid = figure.subplots(rows, columns, squeeze=False)
    across, down = width / columns, height / rows
    figure.subplots_adjust(
        left=0.55 / width, right=1 - 0.1 / width, bottom=0.42 / height, top=1 - 0.28 / height,
        wspace=0.6 / (across - 0.6), hspace=0.65 / (down - 0.6),
    )  # fmt: skip
    for axes in grid.flat:
        axes.tick_params(labelsize=8)
        axes.locator_params(nbins=4)  # every tick costs
    return figure, list(grid.flat)


def titled(axes: Axes, title: str) -> None:
    """Write a title above axes, at a fixed height: to look for room takes a quarter of the time of a picture."""
    axes.set_title(title, fontsize=9, y=1)


def picture(figure: Figure, says: str) -> str:
    """Return a figure as an image that shrinks with the page.

    Args:
        figure: at most 4 inches wide, so that its letters can be read on a phone.
        says: what it shows, for those who can't see it.
    """
    content = io.StringIO()
    with rc_context({"svg.fonttype": "none"}):  # letters stay letters
        figure.savefig(content, format="svg")
    drawing = content.getvalue()
    drawing = drawing[drawing.index("<svg") :].replace(
        "<svg ", f'<svg role="img" aria-label="{escape(says)}" style="max-width:100%;height:auto" ', 1
    )
    return f'<div style="max-width:100%;min-width:0;flex:0 1 auto">{drawing}</div>'


def verdict(report: Report) -> mo.Html:
    """Show what the oracle says, as it says it; its table scrolls where the page is narrow."""
    first, *rest = report.summary().split("\n\n")
    lines = "".join(f'<div style="font-family:monospace">{escape(one)}</div>' for one in first.splitlines())
    table = "\n\n".join(rest)
    shown = f'<div style="min-width:0">{lines}<pre style="overflow-x:auto;font-size:.8em">{escape(table)}</pre></div>'
    return mo.callout(mo.Html(shown), kind="success" if report.ok else "danger")


def beside(*parts: str) -> mo.Html:
    """Show parts side by side, and below each other where the page is narrow."""
    style = "display:flex;flex-wrap:wrap;gap:.6em 1.6em;align-items:center;overflow-x:auto;margin:.3em 0"
    return mo.Html(f'<div style="{style}">{"".join(parts)}</div>')


def line(equation: str, *parts: str) -> mo.Html:
    """Show an equation, and beside it what it gives."""
    left = f'<div style="flex:0 0 13em;max-width:100%;font-style:italic">{escape(equation)}</div>'
    return beside(left, *parts)
