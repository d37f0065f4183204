"""A user's own data: one .npz file with four arrays."""

from pathlib import Path

import numpy as np

from copi_ref.arrays import checks
from copi_ref.arrays.backend import HostArray
from copi_ref.data.dataset import Dataset
from copi_ref.data.errors import DataError, refuse_mistaken
from copi_ref.files.records import reading

_NAMES = ("x_train", "y_train", "x_test", "y_test")


GAP = 10
"""Classes without a sample that there may be in any case, as where labels count from 1."""


def load_npz(path: str | Path, classes: int | None = None) -> Dataset:
    """Read ``x_train, y_train, x_test, y_test`` from an .npz file; shapes and types as in `Dataset`.

    Pickled objects in the file are never loaded.

    Args:
        path: the file.
        classes: how many there are, the largest label and one. None: as many as the labels say, of which those without
            a sample may be no more than those with one, or 10: a network has an output for each, and one wrong label
            among thousands would make it thousands of times as large.

    Raises:
        DataError: the file is missing or damaged, lacks an array, or holds one that does not fit; or there are other
            classes.
    """
    path = checks.path("path", path)
    with reading(path, ".npz", DataError):
        arrays = _read(path)
    try:
        dataset = Dataset(**arrays)
    except (TypeError, ValueError) as error:
        raise DataError(f"{path}: {error}") from error
    _check_classes(path, dataset, classes)
    return dataset


def _check_classes(path: Path, dataset: Dataset, classes: int | None) -> None:
    found = dataset.classes
    if classes is not None:
        if found != classes:
            raise DataError(f"{path}: has {classes} classes, as was said, but the largest label is {found - 1}")
        return
    if found > len(dataset.y_train):
        raise DataError(
            f"{path}: has the label {found - 1} but {len(dataset.y_train)} training samples: "
            "labels count from 0, a sample or more for each"
        )
    used = np.union1d(dataset.y_train, dataset.y_test)
    if found - len(used) > max(GAP, len(used)):
        gap = int(used[:-1].max()) if len(used) > 1 else 0
        raise DataError(
            f"{path}: has the label {found - 1}, and {found - len(used)} of the {found} classes up to it have no sample"
            f" (the label before it is {gap}): number the labels from 0, or say classes={found}"
            f" (--classes {found}) if that is meant"
        )


def _read(path: Path) -> dict[str, HostArray]:
    with path.open("rb") as stream:  # opened here: NumPy leaves it open when the file is damaged
        start = stream.peek(64)
        refuse_mistaken(path, start, "gzipped")
        if not start.startswith((b"PK", np.lib.format.MAGIC_PREFIX)):  # NumPy would advise to load it as a pickle
            raise DataError(f"{path}: can't be read as .npz (it is no archive of arrays, as numpy.savez makes it)")
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
