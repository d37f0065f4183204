"""Second moments. Rows are samples."""

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
    C = mean_outer(x, x)
    return np.asarray(C - np.diag(np.diag(C)))
