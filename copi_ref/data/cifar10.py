"""CIFAR-10 in its binary version: a folder of six files, or the archive that they come in."""

import gzip
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from copi_ref.arrays import checks
from copi_ref.arrays.backend import HostArray, host_float
from copi_ref.data.dataset import Dataset, check_count, split
from copi_ref.data.errors import GZIP, DataError, refuse_mistaken

FOLDER = "cifar-10-batches-bin"
ARCHIVE = "cifar-10-binary.tar.gz"

_TRAIN = tuple(f"data_batch_{number}.bin" for number in range(1, 6))
_TEST = "test_batch.bin"
_RECORDS = 10_000  # in each file
_RECORD = 1 + 3 * 32 * 32  # bytes: a label, then all red, all green and all blue pixels
_CLASSES = 10


def load_cifar10(path: str | Path, dtype: Any = np.float32, held_out: int | None = None) -> Dataset:
    """Read CIFAR-10 (Krizhevsky, 2009); pixels are divided by 255 and lie as in the file, channel by channel.

    Args:
        path: the folder ``cifar-10-batches-bin``, a folder that holds it or the archive ``cifar-10-binary.tar.gz``,
            or that archive itself, which is read as it is and not unpacked to disk. Where a folder holds both the
            archive is read: the folder may have been cut off while it was unpacked.
        dtype: float16, float32 or float64, of the samples.
        held_out: so many training images, the last ones, are the test set and are not trained on; the test batch is
            not read. None: the test set is the test batch.

    Returns:
        50,000 training and 10,000 test samples of 3072 features; with `held_out`, 50,000 − held_out and held_out.

    Raises:
        TypeError: `dtype` is not floating, `held_out` no whole number, or `path` no path.
        DataError: a file is missing, damaged, has a label above 9 or not exactly 10,000 records, or `held_out`
            leaves nothing to train on.
    """
    path, dtype = checks.path("path", path), host_float(dtype)
    if held_out is not None:
        check_count("held_out", held_out)
        if held_out >= (total := len(_TRAIN) * _RECORDS):  # said before half a gigabyte is read
            raise DataError(f"held_out is {held_out}: {held_out} samples can't be held out of {total}")
    names = (*_TRAIN, _TEST) if held_out is None else _TRAIN
    x = np.empty((len(names) * _RECORDS, _RECORD - 1), dtype)
    y = np.empty(len(x), np.int64)
    for name, records in _batches(_find(path), names):
        start = _RECORDS * names.index(name)  # an archive has its files in any order
        rows = slice(start, start + _RECORDS)
        y[rows], x[rows] = records[:, 0], records[:, 1:]
        x[rows] /= 255  # in place: the set is never held twice
    return split(x, y, _RECORDS if held_out is None else held_out)


def _find(path: Path) -> Path:
    if (path / ARCHIVE).is_file():
        return path / ARCHIVE
    if path.is_file() or (path / _TRAIN[0]).is_file():
        return path
    if (path / FOLDER).is_dir():
        return path / FOLDER
    raise DataError(f"{path}: has no {FOLDER}/, no {ARCHIVE} and no {_TRAIN[0]}")


def _batches(path: Path, names: tuple[str, ...]) -> Iterator[tuple[str, HostArray]]:
    """Yield each file's name and its records, (10,000, 3073) bytes."""
    return _from_archive(path, names) if path.is_file() else _from_folder(path, names)


def _from_folder(folder: Path, names: tuple[str, ...]) -> Iterator[tuple[str, HostArray]]:
    for name in names:
        try:
            with (folder / name).open("rb") as stream:
                yield name, _records(str(folder / name), stream)
        except OSError as error:
            raise DataError(f"{folder / name}: can't be read ({error})") from error


def _from_archive(path: Path, names: tuple[str, ...]) -> Iterator[tuple[str, HostArray]]:
    """Read the archive once, from its beginning to its end."""
    missing = set(names)
    try:
        with path.open("rb") as raw, gzip.open(raw) as unpacked:
            if not (start := raw.peek(64)).startswith(GZIP):
                refuse_mistaken(path, start)
            refuse_mistaken(path, unpacked.peek(64))
            with tarfile.open(fileobj=unpacked, mode="r|") as archive:
                for member in archive:
                    name = PurePosixPath(member.name).name
                    if name in missing and member.isreg():
                        missing.remove(name)
                        yield name, _records(f"{path}: {member.name}", archive.extractfile(member))
            while unpacked.read(1 << 20):  # gzip compares its checksum at the very end
                pass
    except (EOFError, zlib.error, gzip.BadGzipFile, tarfile.TarError) as error:
        raise DataError(f"{path}: truncated or damaged archive ({error}): fetch the file again") from error
    except OSError as error:
        raise DataError(f"{path}: can't be read ({error})") from error
    if missing:
        raise DataError(f"{path}: has no {', '.join(sorted(missing))}")


def _records(where: str, stream: Any) -> HostArray:
    content = stream.read(_RECORDS * _RECORD + 1)
    if len(content) != _RECORDS * _RECORD:
        whole, rest = divmod(len(content), _RECORD)
        has = f"more than {_RECORDS} records" if whole >= _RECORDS else f"{whole} records of {_RECORD} and {rest} bytes"
        hint = ", or hold out training images to test on" if where.endswith(_TEST) else ""
        raise DataError(f"{where}: has {has}: needs exactly {_RECORDS} records; fetch it again{hint}")
    records = np.frombuffer(content, np.uint8).reshape(_RECORDS, _RECORD)
    if (largest := records[:, 0].max()) >= _CLASSES:
        raise DataError(f"{where}: has the label {largest}: needs 0 to {_CLASSES - 1}")
    return records
