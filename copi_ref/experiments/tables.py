"""A figure's numbers, as a file and on the terminal."""

import math
from collections.abc import Sequence
from typing import Any

from copi_ref.experiments.chosen_runs import Row
from copi_ref.experiments.runner import Spread
from copi_ref.files import csv_bytes


def as_csv(rows: Sequence[Row]) -> bytes:
    """Return rows as CSV; a Spread takes two columns, NAME_mean and NAME_sd, and is empty where there is no number."""
    spreads = {name for name, value in rows[0].items() if isinstance(value, Spread)}
    names = [column for name in rows[0] for column in ((f"{name}_mean", f"{name}_sd") if name in spreads else (name,))]
    lines = [[cell for value in row.values() for cell in _cells(value)] for row in rows]
    return csv_bytes([names, *lines])


def as_table(rows: Sequence[Row]) -> str:
    """Return rows in columns for the terminal, mean ± standard deviation over seeds."""
    cells = [list(rows[0]), *([as_text(value) for value in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in cells)
    return "\n".join(line.rstrip() for line in lines)


def as_text(value: Any) -> str:
    """Return a text, a number or a Spread as a reader needs it; "-" where there is no number."""
    if isinstance(value, Spread):
        if math.isnan(value.mean):
            return "-"
        return value.text()
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _cells(value: Any) -> list[Any]:
    if not isinstance(value, Spread):
        return [value]
    return ["" if number is None or math.isnan(number) else number for number in (value.mean, value.std)]
