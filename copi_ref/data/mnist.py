"""MNIST, and other sets in its IDX format, as Fashion-MNIST: four files, gzipped or not."""

import gzip
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from copi_ref.arrays import checks
from copi_ref.arrays.backend import HostArray, host_float
from copi_ref.data.dataset import Dataset
from copi_ref.data.errors import GZIP, DataError, refuse_mistaken

_IMAGES_MAGIC, _LABELS_MAGIC = 0x803, 0x801  # unsigned bytes in three axes, and in one
_CLASSES = 10


def load_mnist(folder: str | Path, dtype: Any = np.float32) -> Dataset:
    """Read MNIST's four IDX files from a folder; pixels are divided by 255 and images flattened.

    Args:
        folder: holds ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte`` and the same with ``t10k``, each
            with or without ``.gz``. Where a file is there in both forms the ``.gz`` is read, as it was published: the
            other may be old, or cut off while it was unpacked.
        dtype: float16, float32 or float64, of the samples.

    Returns:
        60,000 training and 10,000 test samples of 784 features (or as many as the files hold).

    Raises:
        TypeError: `dtype` is not floating, or `folder` no path.
        DataError: a file is missing, truncated, of another format, or its size, count or labels disagree.
    """
    folder, dtype = checks.path("folder", folder), host_float(dtype)
    x_train, y_train = _load_part(folder, "train", dtype)
    x_test, y_test = _load_part(folder, "t10k", dtype)
    if x_train.shape[1] != x_test.shape[1]:
        raise DataError(f"{folder}: train images have {x_train.shape[1]} pixels, t10k images {x_test.shape[1]}")
    return Dataset(x_train, y_train, x_test, y_test)


def read_idx(path: str | Path, magic: int) -> HostArray:
    """Read one IDX file of unsigned bytes, gzipped or not.

    Args:
        path: the file.
        magic: the number it has to start with, 0x803 for images and 0x801 for labels.

    Returns:
        An array of dtype uint8 with the axes that the file names.

    Raises:
        DataError: missing, truncated, longer than its header says, damaged gzip, gzipped twice, a web page, or another
            magic number.
    """
    path = checks.path("path", path)
    checks.choice("magic", magic, {_IMAGES_MAGIC: None, _LABELS_MAGIC: None})
    try:
        with path.open("rb") as raw:
            gzipped = raw.read(2) == GZIP  # by content: people rename files
            raw.seek(0)
            with gzip.open(raw) if gzipped else raw as stream:
                refuse_mistaken(path, stream.peek(64))
                return _parse_idx(path, stream, magic)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: truncated or damaged gzip ({error}): fetch the file again") from error
    except OSError as error:
        raise DataError(f"{path}: can't be read ({error})") from error


def _parse_idx(path: Path, stream: Any, magic: int) -> HostArray:
    axes = magic & 0xFF
    header = stream.read(4 + 4 * axes)
    if len(header) >= 4 and (found := struct.unpack(">I", header[:4])[0]) != magic:
        raise DataError(f"{path}: starts with the magic number {found:#x}: needs {magic:#x}")
    if len(header) < 4 + 4 * axes:
        raise DataError(f"{path}: ends inside its header, after {len(header)} bytes: fetch the file again")
    shape = struct.unpack(f">{axes}I", header[4:])
    size = int(np.prod(shape, dtype=object))
    if size == 0:
        raise DataError(f"{path}: its header says {shape}: needs at least one sample")
    body = _read_at_most(stream, size + 1)
    if len(body) != size:
        more = "more than" if len(body) > size else f"{len(body)} of"
        raise DataError(f"{path}: has {more} the {size} bytes that its header {shape} says: fetch the file again")
    return np.frombuffer(body, dtype=np.uint8).reshape(shape)


def _read_at_most(stream: Any, size: int) -> bytes:
    """Read in pieces: a damaged header may claim terabytes, and read(size) would allocate them first."""
    pieces, missing = [], size
    while missing and (piece := stream.read(min(missing, 1 << 24))):
        pieces.append(piece)
        missing -= len(piece)
    return b"".join(pieces)


def _load_part(folder: Path, part: str, dtype: Any) -> tuple[HostArray, HostArray]:
    images_path = _find(folder, f"{part}-images", "idx3")
    labels_path = _find(folder, f"{part}-labels", "idx1")
    images, labels = read_idx(images_path, _IMAGES_MAGIC), read_idx(labels_path, _LABELS_MAGIC)
    if len(images) != len(labels):
        raise DataError(f"{labels_path}: has {len(labels)} labels but {images_path.name} has {len(images)} images")
    if labels.max() >= _CLASSES:
        raise DataError(f"{labels_path}: has the label {labels.max()}: needs 0 to {_CLASSES - 1}")
    return images.reshape(len(images), -1).astype(dtype) / 255, labels.astype(np.int64)


def _find(folder: Path, name: str, kind: str) -> Path:
    candidates = [f"{name}{dot}{kind}-ubyte{end}" for end in (".gz", "") for dot in "-."]
    for candidate in candidates:
        if (folder / candidate).is_file():
            return folder / candidate
    raise DataError(f"{folder}: has no file {name}-{kind}-ubyte or {name}-{kind}-ubyte.gz")
