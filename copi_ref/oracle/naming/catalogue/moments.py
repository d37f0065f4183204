"""Moments and a few other pieces from which wrong formulas are made. Rows are samples."""

import numpy as np

from copi_ref.arrays.backend import HostArray


def mean_outer(u: HostArray, v: HostArray) -> HostArray:
    """E[u vᵀ]."""
    return np.asarray(u.mT @ v / len(u))


def mean_square(x: HostArray) -> HostArray:
    """E[x²]."""
    return np.asarray(np.mean(x * x, axis=0))


def C_off(x: HostArray) -> HostArray:
    """C_off."""
    return without_diagonal(mean_outer(x, x))


def without_diagonal(A: HostArray) -> HostArray:
    """A with zeros on its diagonal."""
    return np.asarray(A - np.diag(np.diag(A)))


def centred(x: HostArray) -> HostArray:
    """x less its mean over the batch."""
    return np.asarray(x - x.mean(axis=0))


def unit_power(x: HostArray) -> HostArray:
    """x scaled to E[x²] = 1, column by column."""
    size = np.sqrt(mean_square(x))
    return np.asarray(x / np.where(size == 0, 1, size))


def n_minus_1(x: HostArray) -> float:
    """N/(N − 1)."""
    return len(x) / (len(x) - 1) if len(x) > 1 else np.inf


def per(x: HostArray, over: HostArray, update: HostArray) -> HostArray:
    """A mean over samples, divided by the columns of `over` in place of N."""
    return np.asarray(update * len(x) / over.shape[1])


def without_last(x: HostArray) -> HostArray:
    """Zeros in place of the last sample: it adds nothing, and N stays."""
    return np.vstack([x[:-1], 0 * x[-1:]])


def softmax(a: HostArray) -> HostArray:
    """softmax(a), row by row."""
    e = np.exp(a - a.max(axis=-1, keepdims=True))
    return np.asarray(e / e.sum(axis=-1, keepdims=True))
