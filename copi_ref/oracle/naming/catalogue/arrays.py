"""What wrong formulas do to arrays. Rows are samples, or units."""

from collections.abc import Callable
from typing import Any

import numpy as np

from copi_ref.arrays.backend import HostArray
from copi_ref.oracle.naming.catalogue.moments import mean_square
from copi_ref.oracle.rounding import PRECISIONS

EPSILON = 1e-5
"""That of batch and layer norms."""


EPSILONS = tuple(float(f"1e-{digits}") for digits in range(1, 17))
"""Below which people keep powers from falling."""


def n_minus_1(x: HostArray) -> float:
    """N/(N − 1)."""
    return len(x) / (len(x) - 1) if len(x) > 1 else np.inf


def nonzero(A: HostArray) -> HostArray:
    """A with 1 where it is 0, to be divided by."""
    return np.where(A == 0, 1.0, A)


def normalised(A: HostArray, axis: int | None = None) -> HostArray:
    """A divided by its norm, or its rows or columns by theirs."""
    return np.asarray(A / nonzero(np.sqrt(np.sum(A * A, axis=axis, keepdims=True))))


def clipped_by_norm(A: HostArray, axis: int | None = None) -> HostArray:
    """A scaled down to a norm of 1 where it is larger."""
    return np.asarray(A / np.maximum(np.sqrt(np.sum(A * A, axis=axis, keepdims=True)), 1))


def transposed_if_square(A: HostArray) -> HostArray:
    """Aᵀ where that has the same shape."""
    return A.mT if A.shape[0] == A.shape[1] else A


def without_diagonal(A: HostArray) -> HostArray:
    """A with zeros on its diagonal."""
    return np.asarray(A - np.diag(np.diag(A)))


def cleared(A: HostArray, rows: Any, columns: Any) -> HostArray:
    """A with zeros in some rows or columns."""
    A = A.copy()
    A[rows, columns] = 0
    return A


def centred(x: HostArray) -> HostArray:
    """x less its mean over the batch."""
    return np.asarray(x - x.mean(axis=0))


def unit_power(x: HostArray) -> HostArray:
    """x scaled to E[x²] = 1, column by column."""
    return np.asarray(x / nonzero(np.sqrt(mean_square(x))))


def standardised(x: HostArray, axis: int = 0) -> HostArray:
    """x with mean 0 and variance 1, of each column over the batch, or of each sample."""
    x = x - x.mean(axis=axis, keepdims=True)
    return np.asarray(x / np.sqrt(np.mean(x * x, axis=axis, keepdims=True) + EPSILON))


def without_last(x: HostArray) -> HostArray:
    """Zeros in place of the last sample: it adds nothing, and N stays."""
    return up_to(x, len(x) - 1)


def up_to(x: HostArray, count: int) -> HostArray:
    """Zeros in place of all samples after the first few."""
    return np.vstack([x[:count], 0 * x[count:]])


def whole_tiles(A: HostArray, size: int, rows: bool) -> HostArray:
    """A with zeros in rows, or columns, beyond a multiple of a size; where there are fewer, nothing is lost."""
    A = A.copy()
    lines = A if rows else A.T
    lines[len(lines) // size * size or len(lines) :] = 0
    return A


def rows_with_any(x: HostArray) -> HostArray:
    """Where samples are not all 0."""
    return np.asarray(np.any(x != 0, axis=1))


def rounded_to(name: str) -> Callable[[HostArray], HostArray]:
    """Return what rounds to a format."""
    return PRECISIONS[name].representable


def softmax(a: HostArray) -> HostArray:
    """softmax(a), row by row."""
    e = np.exp(a - a.max(axis=-1, keepdims=True))
    return np.asarray(e / e.sum(axis=-1, keepdims=True))


def sigmoid(a: HostArray) -> HostArray:
    """1/(1 + e⁻ᵃ)."""
    return np.asarray(1 / (1 + np.exp(-a)))


def reshaped(A: HostArray) -> HostArray:
    """A with the shape of its transpose, entries in the order in which they were; transposed back."""
    return A.reshape(A.shape[::-1]).mT


def of_column_major(A: HostArray) -> HostArray:
    """Entries of A in column-major order, read row by row."""
    return A.mT.reshape(A.shape)


def mirrored(A: HostArray, upper: bool) -> HostArray:
    """A with one triangle mirrored to the other."""
    half = np.triu(A) if upper else np.tril(A)
    return half + half.mT - np.diag(np.diag(A))
