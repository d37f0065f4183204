"""Data sets by the names that the command knows them by."""

import os
from pathlib import Path

from copi_ref.arrays import checks
from copi_ref.arrays.said import said
from copi_ref.data.cifar10 import load_cifar10
from copi_ref.data.dataset import Dataset, check_count, hold_out
from copi_ref.data.digits import load_digits
from copi_ref.data.errors import DataError
from copi_ref.data.mnist import load_mnist
from copi_ref.data.npz import load_npz

DATA_VARIABLE = "COPI_REF_DATA"
IDX_NAMES = ("mnist", "fashion-mnist")
FILE_NAMES = (*IDX_NAMES, "cifar10")
"""Published sets that are read from files; `copi-ref data fetch` downloads them."""


def load_named(
    name: str, data_dir: str | Path | None = None, held_out: int | None = None, classes: int | None = None
) -> Dataset:
    """Read a data set by its name.

    Args:
        name: "digits", "mnist", "fashion-mnist", "cifar10", or a path that ends in .npz.
        data_dir: where the files of the published sets are; None: the environment variable COPI_REF_DATA. In all three
            ``~`` is the home folder.
        held_out: so many training samples, the last ones, become the test set and are not trained on. None: the
            set's own test samples.
        classes: of an .npz file, as for `load_npz`.

    Raises:
        TypeError: arguments that are none of these.
        DataError: an unknown name, no folder, a file that is missing or damaged, too many samples held out, or
            `classes` of a set that has its own.
        ImportError: digits without scikit-learn.
    """
    if not isinstance(name, str):
        raise TypeError(f"name is {said(name)}: needs text, such as 'digits'")
    if data_dir is not None and not (isinstance(data_dir, str) and data_dir == ""):
        checks.path("data_dir", data_dir)
    if held_out is not None:
        check_count("held_out", held_out)
    if classes is not None and not name.endswith(".npz"):
        raise DataError(f"{name} has its own classes: leave out classes (--classes), which is for .npz files")
    if name == "cifar10":
        return load_cifar10(data_folder(name, data_dir), held_out=held_out)
    dataset = _load(name, data_dir, classes)
    return dataset if held_out is None else hold_out(dataset, held_out)


def data_folder(name: str, data_dir: str | Path | None) -> Path:
    """Return the folder that was named, or else that of the environment variable COPI_REF_DATA.

    Raises:
        DataError: neither is there; the message says what `name` needs.
    """
    found = named_folder(data_dir)
    if found is None:
        raise DataError(f"{name} needs a folder for its files: name it, as data_dir (--data-dir) or ${DATA_VARIABLE}")
    return found


def named_folder(data_dir: str | Path | None) -> Path | None:
    """Return the folder that was named, or that of COPI_REF_DATA, with ``~`` for the home folder; or None."""
    found = data_dir or os.environ.get(DATA_VARIABLE)
    return Path(os.path.expanduser(found)) if found else None


def _load(name: str, data_dir: str | Path | None, classes: int | None) -> Dataset:
    if name == "digits":
        return load_digits()
    if name in IDX_NAMES:
        return load_mnist(_idx_folder(name, data_folder(name, data_dir)))
    if not name.endswith(".npz"):
        raise DataError(f"{name}: unknown data set: needs digits, {', '.join(FILE_NAMES)}, or a path that ends in .npz")
    return load_npz(os.path.expanduser(name), classes)


def _idx_folder(name: str, folder: Path) -> Path:
    if (folder / name).is_dir():
        return folder / name
    # Both sets have files of the same names: nothing in them says which of the two they are.
    if folder.name in IDX_NAMES and folder.name != name:
        raise DataError(f"{folder}: is called {folder.name}: {name} needs a folder that holds {name}/, or its own")
    return folder
