"""A user's own data: one .npz file with four arrays."""

import zipfile
import zlib
from pathlib import Path

import numpy as np

from copi_ref.data.dataset import Dataset
from copi_ref.data.errors import DataError

_NAMES = ("x_train", "y_train", "x_test", "y_test")


def load_npz(path: str | Path) -> Dataset:
    """Read ``x_train, y_train, x_test, y_test`` from an .npz file; shapes and types as in `Dataset`.

    Pickled objects in the file are never loaded.

    Raises:
        DataError: the file is missing or damaged, lacks an array, or holds one that does not fit.
    """
    path = Path(path)
    try:
        with np.load(path, allow_pickle=False) as file:
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise DataError(f"{path}: holds a single array: needs an .npz with {', '.join(_NAMES)}")
            missing = [name for name in _NAMES if name not in file]
            if missing:
                raise DataError(f"{path}: has no {', '.join(missing)}, only {', '.join(file) or 'nothing'}")
            arrays = {name: file[name] for name in _NAMES}
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        raise DataError(f"{path}: can't be read as .npz ({error})") from error
    except ValueError as error:
        if isinstance(error, DataError):
            raise
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
