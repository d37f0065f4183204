"""Means over samples piece by piece: memory for a thousand samples, whatever their number; sums are in float64."""

from collections.abc import Callable
from fractions import Fraction

import numpy as np

from copi_ref.arrays import checks
from copi_ref.arrays.backend import Array, float_name, from_numpy, namespace
from copi_ref.training.batches import pieces, there

ROWS = 1000  # of a network of 784-500×6-10 all activities in float64 take 60 MB


def mean_over_pieces(x: Array, like: Array, of: Callable[[Array], tuple[Array, ...]]) -> tuple[Array, ...]:
    """Return Σ (n_i/N) of(piece_i): means over all samples from those over pieces of at most 1000.

    Args:
        x: (…, N, K), samples in the library of `like`, or NumPy's, which are moved there piece by piece.
        like: an array that lies where the samples are needed, and has their dtype.
        of: gives means over a piece's samples, such as E[x xᵀ].

    Raises:
        TypeError, ValueError: `x` is no array of samples.
    """
    checks.arrays(x=(x, "NK"))
    samples, totals = x.shape[-2], None
    for rows in pieces(samples, ROWS):
        weight = Fraction(rows.stop - rows.start, samples)
        share = weight if checks.is_exact(x) else float(weight)
        means = tuple(share * mean for mean in of(there(x[..., rows, :], like)))
        totals = means if totals is None else tuple(a + b for a, b in zip(totals, means, strict=True))
    assert totals is not None  # no samples: refused above
    return totals


def in_double(array: Array) -> Array:
    """Return an array in float64; exact arrays as they are.

    Raises:
        BackendError: the library gives another dtype (JAX without JAX_ENABLE_X64).
    """
    if checks.is_exact(array) or float_name(array.dtype) == "float64":
        return array
    xp = namespace(array)
    from_numpy(np.empty(0), xp, "float64")  # before the cast: JAX would only warn, and leave float32
    return xp.astype(array, xp.float64)
