"""A user's own data: one .npz file with four arrays."""

import zipfile
import zlib
from pathlib import Path

import numpy as np

from copi_ref.arrays import checks
from copi_ref.arrays.backend import HostArray
from copi_ref.data.dataset import Dataset
from copi_ref.data.errors import DataError, refuse_mistaken

_NAMES = ("x_train", "y_train", "x_test", "y_test")


def load_npz(path: str | Path) -> Dataset:
    """Read ``x_train, y_train, x_test, y_test`` from an .npz file; shapes and types as in `Dataset`.

    Pickled objects in the file are never loaded.

    Raises:
        DataError: the file is missing or damaged, lacks an array, or holds one that does not fit.
    """
    path = checks.path("path", path)
    try:
        arrays = _read(path)
    except DataError:
        raise
    except (OSError, EOFError, ValueError, RuntimeError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path}: can't be read as .npz ({error})") from error
    try:
        dataset = Dataset(**arrays)
    except (TypeError, ValueError) as error:
        raise DataError(f"{path}: {error}") from error
    if dataset.classes > len(dataset.y_train):
        raise DataError(
            f"{path}: has the label {dataset.classes - 1} but {len(dataset.y_train)} training samples: "
            "labels count from 0, a sample or more for each"
        )
    return dataset


def _read(path: Path) -> dict[str, HostArray]:
    with path.open("rb") as stream:  # opened here: NumPy leaves it open when the file is damaged
        refuse_mistaken(path, stream.peek(64), "gzipped")
        file = np.load(stream, allow_pickle=False)
        if not isinstance(file, np.lib.npyio.NpzFile):
            raise DataError(f"{path}: holds a single array: needs an .npz with {', '.join(_NAMES)}")
        missing = [name for name in _NAMES if name not in file]
        if missing:
            raise DataError(f"{path}: has no {', '.join(missing)}, only {', '.join(file) or 'nothing'}")
        return {name: _array(path, file, name) for name in _NAMES}


def _array(path: Path, file: np.lib.npyio.NpzFile, name: str) -> HostArray:
    try:
        return np.asarray(file[name])
    except ValueError as error:
        if "Object arrays" not in str(error):  # NumPy has no class of its own for them
            raise
        needed = "floats" if name.startswith("x") else "integer labels"
        raise DataError(
            f"{path}: {name} is an array of Python objects, which are never loaded: needs {needed}"
        ) from error
