"""A data set for classification: images or other features, and integer labels."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from copi_ref.arrays import checks
from copi_ref.arrays.backend import HostArray
from copi_ref.arrays.pieces import second_moment
from copi_ref.arrays.shown import shown
from copi_ref.data.errors import DataError


@dataclass(frozen=True, eq=False)
class Dataset:
    """Training and test samples in the host's memory; `fit` moves them to where the network is.

    Args:
        x_train: (N, K), floating and finite; rows are samples. Rates go by their scale, see `copi_ref.safe_eta_r`:
            those of the presets are for pixels in [0, 1].
        y_train: (N,), integer labels from 0.
        x_test: (N', K).
        y_test: (N',), integer labels from 0.

    Raises:
        TypeError: samples are not floating NumPy arrays, or labels not integer ones.
        ValueError: shapes that don't fit, nothing in a set, a non-finite sample, a negative label.
    """

    x_train: HostArray
    y_train: HostArray
    x_test: HostArray
    y_test: HostArray

    __repr__ = shown

    def __post_init__(self) -> None:
        for part in ("train", "test"):
            names = f"x_{part}", f"y_{part}"
            x, y = (getattr(self, name) for name in names)
            _check_kinds(*names, x, y)
            _check_numbers(*names, x, y)
        if self.x_train.shape[1] != self.x_test.shape[1]:
            raise ValueError(
                f"x_test has {self.x_test.shape[1]} features but x_train has {self.x_train.shape[1]}: "
                "both need the same"
            )

    @property
    def features(self) -> int:
        """Number of input units K."""
        return int(self.x_train.shape[1])

    @cached_property
    def input_moment(self) -> HostArray:
        """E[x xᵀ] of the training samples, (K, K), float64; the same for every run, so it is computed once."""
        return np.asarray(second_moment(self.x_train))

    @property
    def classes(self) -> int:
        """Number of classes, one more than the largest label in either part."""
        return 1 + int(max(self.y_train.max(), self.y_test.max()))


def split(x: HostArray, y: HostArray, count: int) -> Dataset:
    """Make a data set of samples of which the last `count` are the test set and the others the training set.

    The parts have no row in common, whatever `count` is. They are views: nothing is copied.

    Args:
        x: (N, K), as in `Dataset`.
        y: (N,), their labels.
        count: from 1 to N − 1. The order is that of the samples: shuffle a set that is sorted by label first.

    Raises:
        TypeError: `count` is no whole number, or as `Dataset`.
        DataError: `count` is below 1, or leaves nothing to train on.
        ValueError: as `Dataset`.
    """
    check_count("count", count)
    _check_kinds("x", "y", x, y)
    first = len(x) - count
    if first < 1:
        raise DataError(f"{count} samples can't be held out of {len(x)}: needs 1 to {len(x) - 1}")
    return Dataset(x[:first], y[:first], x[first:], y[first:])


def check_count(name: str, count: int) -> None:
    """Check a number of samples that are to be the test set.

    Raises:
        TypeError: it is no whole number.
        DataError: it is below 1.
    """
    checks.whole_number(name, count, minimum=-checks.LARGEST)
    if count < 1:
        raise DataError(f"{name} is {count}: needs at least 1")


def hold_out(dataset: Dataset, count: int) -> Dataset:
    """Put the last `count` training samples in the place of the test set, and train on the others; as `split`.

    What is chosen by looking at results, such as a learning rate, is chosen on such a set: the test set stays unseen.
    So there are three parts, without a common sample: the training and the test set of ``hold_out(dataset, count)``,
    which serve for training and validation, and the test set of `dataset`, kept for the end.
    """
    checks.instance("dataset", dataset, Dataset, "load_digits()")
    return split(dataset.x_train, dataset.y_train, count)


def _check_kinds(x_name: str, y_name: str, x: HostArray, y: HostArray) -> None:
    """Check all that can be seen without a look at the numbers."""
    for name, array in ((x_name, x), (y_name, y)):
        if not isinstance(array, np.ndarray):
            raise TypeError(f"{name} is a {type(array).__name__}: needs a NumPy array")
        checks.behaved(name, array)
    if not np.issubdtype(x.dtype, np.floating):
        hint = "" if _text_in(x) else "; divide 8-bit pixels by 255"
        raise TypeError(f"{x_name} {_text_in(x) or f'has dtype {x.dtype}'}: needs floats{hint}")
    if y.dtype.kind not in "iu":
        raise TypeError(f"{y_name} {_text_in(y) or f'has dtype {y.dtype}'}: needs integer labels from 0{_labels_of(y)}")
    if x.ndim != 2 or 0 in x.shape:
        raise ValueError(f"{x_name} has shape {x.shape}: needs (samples, features), at least one of each")
    if y.shape != x.shape[:1]:
        raise ValueError(f"{y_name} has shape {y.shape} but {x_name} has {len(x)} samples: needs ({len(x)},)")


def _check_numbers(x_name: str, y_name: str, x: HostArray, y: HostArray) -> None:
    if y.min() < 0:
        raise ValueError(f"{y_name} has the label {y.min()}: labels start at 0")
    if not np.isfinite(x).all():
        raise ValueError(f"{x_name} has {np.count_nonzero(~np.isfinite(x))} non-finite entries: needs none")


def _text_in(array: HostArray) -> str | None:
    """Say that an array holds text, if it does; as objects too, which is how pandas has it."""
    first = next(iter(array.flat), None) if array.dtype.kind in "OUS" else None
    return f"holds text ({str(first)!r})" if isinstance(first, (str, bytes)) else None


def _labels_of(y: HostArray) -> str:
    """Say how labels are made of what came in the place of them."""
    if _text_in(y):
        return "; np.unique(y, return_inverse=True) numbers them"
    return "; of one-hot rows they are y.argmax(axis=1)" if y.ndim > 1 else ", as y.astype(int)"
