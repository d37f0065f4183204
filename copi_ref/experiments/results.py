"""Results on disk. Every file is written whole."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from copi_ref.experiments.runner import Spread
from copi_ref.files import write_atomically


def claim(folder: Path, record: dict[str, Any]) -> None:
    """Make a folder for results and write ``run.json`` into it: the settings, and what the numbers depend on.

    A folder that holds the results of the same settings is taken again; results of two settings never mix.

    Raises:
        OSError: the folder can't be written to.
        FileExistsError: it holds something else.
    """
    path = folder / "run.json"
    if folder.is_dir() and any(folder.iterdir()):
        try:
            before = json.loads(path.read_text())["settings"]
        except (OSError, ValueError, KeyError, TypeError):
            before = None
        if before != json.loads(json.dumps(record))["settings"]:
            raise FileExistsError(f"{folder} holds something else: name another folder with --out, or remove it")
    write_atomically(path, (json.dumps(record, indent=2) + "\n").encode())


def write_metrics(folder: Path, method: str, seed: int, metrics: Sequence[dict[str, float]]) -> None:
    """Write ``METHOD-seedN/metrics.csv``, one line per epoch; nothing if there are none."""
    if metrics:
        rows: list[list[Any]] = [list(metrics[0]), *(list(row.values()) for row in metrics)]
        write_atomically(folder / f"{method}-seed{seed}" / "metrics.csv", _csv(rows))


def write_summary(folder: Path, summary: dict[str, dict[str, Spread]]) -> None:
    """Write ``summary.csv``: a line per method, mean and standard deviation of each figure."""
    figures = next(iter(summary.values()))
    header = ["method", *(f"{name}_{part}" for name in figures for part in ("mean", "std"))]
    rows = [
        [method, *(value for spread in spreads.values() for value in (spread.mean, spread.std))]
        for method, spreads in summary.items()
    ]
    write_atomically(folder / "summary.csv", _csv([header, *rows]))


def _csv(rows: Sequence[Sequence[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
