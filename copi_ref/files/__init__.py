"""Writing files whole: under another name first, and then renamed; and rows as CSV."""

import csv
import io
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import Any


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Name the file in an OSError that does not: a full disk is found by a write, which knows of no name."""
    try:
        yield
    except OSError as error:
        if error.filename is not None or error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a reader, or a crash, never sees half of it; folders are made as needed.

    Raises:
        OSError: the folder can't be written to; nothing is left behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{token_hex(8)}")
    try:
        # made with the user's own permissions, and never over another file
        with naming(path), temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # renamed before it is on the disk, it could be empty after a power cut
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def csv_bytes(rows: Iterable[Iterable[Any]]) -> bytes:
    """Return rows as the content of a CSV file."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
