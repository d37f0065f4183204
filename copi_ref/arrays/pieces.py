"""Samples piece by piece: memory for a thousand of them, whatever their number; sums of means are in float64."""

from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np

from copi_ref.arrays import checks
from copi_ref.arrays.backend import Array, HostArray, device_of, float_name, from_numpy, is_host, namespace
from copi_ref.arrays.moments import mean_outer

# Of a network of 784-500×6-10 all activities in float64 take 60 MB. A power of two: a division by it does not round.
ROWS = 1024


def pieces(total: int, size: int) -> Iterator[slice]:
    """Cut `total` rows into slices of `size`, the last perhaps smaller."""
    # The standard does not say what a slice beyond the end gives.
    return (slice(first, min(first + size, total)) for first in range(0, total, size))


def there(array: Array, like: Array) -> Array:
    """Return `array` where `like` is: samples that stayed with the host are copied, the others are there already."""
    if is_host(array) and not is_host(like):
        return copied(array, like)
    return array


def copied(host: HostArray, like: Array) -> Array:
    """Copy a NumPy array to the library, dtype and device of `like`."""
    return from_numpy(host, namespace(like), like.dtype, device_of(like))


def mean_over_pieces(
    x: Array, like: Array, of: Callable[[Array], tuple[Array, ...]], name: str = "x"
) -> tuple[Array, ...]:
    """Return Σ (n_i/N) of(piece_i): means over all samples from those over pieces of at most 1024.

    Args:
        x: (…, N, K), samples in the library of `like`, or NumPy's, which are moved there piece by piece.
        like: an array that lies where the samples are needed, and has their dtype.
        of: gives means over a piece's samples, such as E[x xᵀ].
        name: that of `x` in messages.

    Raises:
        TypeError, ValueError: `x` is no array of samples.
    """
    checks.arrays(**{name: (x, "NK")})
    samples, totals = x.shape[-2], None
    for rows in pieces(samples, ROWS):
        weight = Fraction(rows.stop - rows.start, samples)
        share = weight if checks.is_exact(x) else float(weight)
        means = tuple(share * mean for mean in of(there(x[..., rows, :], like)))
        totals = means if totals is None else tuple(a + b for a, b in zip(totals, means, strict=True))
    assert totals is not None  # no samples: refused above
    return totals


def second_moment(
    y: Array, like: Array | None = None, less: Callable[[Array], Array] = lambda y: y, name: str = "y"
) -> Array:
    """Return E[y yᵀ] of samples, (…, K, K), in float64; arguments and errors as `mean_over_pieces`.

    `less` takes from each piece what is not to be in it, such as a mean.
    """

    def of_piece(piece: Array) -> tuple[Array]:
        double = in_double(less(piece))
        return (mean_outer(double, double),)

    return mean_over_pieces(y, y if like is None else like, of_piece, name)[0]


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
