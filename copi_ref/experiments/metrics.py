"""A run's ``metrics.csv``: one row per epoch, written as it ends, and held against a digest of all of them."""

import csv
import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from copi_ref.files import csv_bytes, naming, write_atomically
from copi_ref.files.records import RecordError, record

METRICS = "metrics.csv"


@dataclass(frozen=True, kw_only=True)
class _Row:
    """The columns that every run has; those of diagnostics follow."""

    epoch: Annotated[int, range(1 << 63)]
    train_accuracy: float
    train_loss: float
    test_accuracy: float
    test_loss: float
    seconds: float


def read_metrics(path: Path) -> tuple[dict[str, float], ...]:
    """Return the rows, those of epochs 0, 1, 2 …

    Raises:
        RecordError: the file is missing, or a line is damaged.
    """
    try:
        names, *rows = csv.reader(path.read_text().splitlines())
        read = [dict(zip(names, map(float, row), strict=True)) for row in rows]
    except (OSError, ValueError, csv.Error) as error:
        raise RecordError(f"can't be read as metrics ({error})") from error
    return tuple(_row(row, epoch, names) for epoch, row in enumerate(read))


def _row(row: dict[str, float], epoch: int, names: Sequence[str]) -> dict[str, float]:
    if row.get("epoch", epoch) != epoch:
        raise RecordError(f"epoch is {row['epoch']:g} in row {epoch}: needs {epoch}, as epochs count from 0")
    numbered = {name: epoch if name == "epoch" else value for name, value in row.items()}
    record(_Row, numbered, others=True)
    if len(row) != len(names):
        raise RecordError(f"has two columns of one name: {', '.join(names)}")
    return numbered


class Digest:
    """The SHA-256 of rows, names and numbers to the last bit, but for ``seconds``, which change with the clock."""

    def __init__(self, rows: Iterable[Mapping[str, Any]] = ()):
        self._hash = hashlib.sha256()
        for row in rows:
            self.add(row)

    def add(self, row: Mapping[str, Any]) -> None:
        """Take one more row into it."""
        kept = {name: float(value) for name, value in row.items() if name != "seconds"}  # a count is read as a float
        self._hash.update(csv_bytes([list(kept), list(kept.values())]))

    def __str__(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"


def append_metrics(folder: Path, row: Mapping[str, Any]) -> None:
    """Add a line to ``metrics.csv``, below the names if it is the first; it is on the disk when this returns.

    Raises:
        OSError: it can't be written.
    """
    path = folder / METRICS
    lines = [] if path.exists() else [list(row)]
    with naming(path), path.open("ab") as file:
        file.write(csv_bytes([*lines, _numbers(row)]))
        file.flush()
        os.fsync(file.fileno())


def write_metrics(folder: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write ``metrics.csv`` whole."""
    rows = list(rows)
    write_atomically(folder / METRICS, csv_bytes([list(rows[0]) if rows else [], *map(_numbers, rows)]))


def cut_metrics(folder: Path, epochs: int) -> tuple[dict[str, float], ...]:
    """Leave the rows of so many epochs, and return them: what follows, perhaps half a line, came after the checkpoint.

    Raises:
        RecordError: there are fewer, or one is damaged.
    """
    path = folder / METRICS
    if epochs == 0:
        path.unlink(missing_ok=True)
        return ()
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    whole = sum(line.endswith(b"\n") for line in lines)
    if whole < epochs + 1:
        raise RecordError(f"has {max(whole - 1, 0)} epochs, but the checkpoint is of epoch {epochs}")
    if len(lines) > epochs + 1:
        write_atomically(path, b"".join(lines[: epochs + 1]))
    return read_metrics(path)


def _numbers(row: Mapping[str, Any]) -> list[Any]:
    """Return a row's numbers as Python's own, which are written with all digits."""
    return [value if isinstance(value, int) else float(value) for value in row.values()]
