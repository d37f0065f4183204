"""A table of several runs on disk."""

from pathlib import Path

from copi_ref.experiments.runner import Spread
from copi_ref.files import csv_bytes, write_atomically


def write_summary(folder: Path, summary: dict[str, dict[str, Spread]]) -> None:
    """Write ``summary.csv``: a line per method, mean and standard deviation of each figure."""
    figures = next(iter(summary.values()))
    header = ["method", *(f"{name}_{part}" for name in figures for part in ("mean", "std"))]
    rows = [
        [method, *(value for spread in spreads.values() for value in (spread.mean, spread.std))]
        for method, spreads in summary.items()
    ]
    write_atomically(folder / "summary.csv", csv_bytes([header, *rows]))
