"""Results on disk. Every file is written whole under another name first and then renamed."""

import csv
import io
import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from copi_ref.experiments.runner import Run, Spread

METRICS = ("epoch", "train_accuracy", "train_loss", "test_accuracy", "test_loss", "seconds")


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a reader, or a crash, never sees half of it; folders are made as needed.

    Raises:
        OSError: the folder can't be written to; nothing is left behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.chmod(temporary, 0o666 & ~_umask())  # mkstemp makes it private
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def write_metrics(folder: Path, run: Run) -> None:
    """Write ``METHOD-seedN/metrics.csv``, one line per epoch."""
    rows = [[int(row["epoch"]), *(row[name] for name in METRICS[1:])] for row in run.metrics]
    path = folder / f"{run.method}-seed{run.seed}" / "metrics.csv"
    write_atomically(path, _csv([METRICS, *rows]))


def write_summary(folder: Path, summary: dict[str, dict[str, Spread]]) -> None:
    """Write ``summary.csv``: a line per method, mean and standard deviation of each figure."""
    figures = next(iter(summary.values()))
    header = ["method", *(f"{name}_{part}" for name in figures for part in ("mean", "std"))]
    rows = [
        [method, *(value for spread in spreads.values() for value in (spread.mean, spread.std))]
        for method, spreads in summary.items()
    ]
    write_atomically(folder / "summary.csv", _csv([header, *rows]))


def write_record(folder: Path, record: dict[str, Any]) -> None:
    """Write ``run.json``: the settings, and what the numbers depend on."""
    write_atomically(folder / "run.json", (json.dumps(record, indent=2) + "\n").encode())


def _csv(rows: Sequence[Sequence[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
