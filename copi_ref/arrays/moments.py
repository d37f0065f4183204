"""Second moments over the samples of a batch: E[u vᵀ] and E[x²]. E is the mean over axis −2, not centred."""

from typing import Any

from copi_ref.arrays.backend import Array, Namespace, namespace


def mean_outer(u: Array, v: Array) -> Array:
    """E[u vᵀ]: (…, N, M) and (…, N, K) give (…, M, K)."""
    # Dividing the small factor (N×K) and not the product (M×K) saves a pass over the bigger matrix, and a sum
    # over many samples can't overflow before it becomes a mean.
    wide_u, wide_v = _wide(u), _wide(v)
    return _as(u, wide_u.mT @ (wide_v / v.shape[-2]))


def mean_sample(y: Array, xp: Namespace) -> Array:
    """E[y]: (…, N, K) gives (…, K)."""
    return _as(y, xp.sum(_wide(y) / y.shape[-2], axis=-2))


def mean_square(x: Array, xp: Namespace) -> Array:
    """E[x²]: (…, N, K) gives (…, K)."""
    # As the diagonal of mean_outer(x, x) is formed, so that C_off has a diagonal of 0 up to the order of the sum.
    wide = _wide(x)
    return _as(x, xp.sum(wide * (wide / x.shape[-2]), axis=-2))


def unit_size(x: Array, axis: int | tuple[int, ...], xp: Namespace) -> tuple[Array, Array]:
    """Return x/s and s, the largest |x| along `axis`, which stays as an axis of 1; s is 1 where all are 0.

    Squares of x/s are at most 1, and the largest is 1: they vanish only where x is 0, and not where x² is too small
    for the format.
    """
    size = xp.max(xp.abs(x), axis=axis, keepdims=True)
    size = xp.where(size == 0, size + 1, size)
    return x / size, size


def is_half(x: Array) -> bool:
    """Whether an array is of a format of two bytes, float16 or bfloat16."""
    return getattr(x.dtype, "itemsize", None) == 2


def _wide(x: Array) -> Array:
    """A half format in float32, and others as they are: the terms of a mean over thousands of samples vanish in it."""
    if not is_half(x):
        return x
    xp = namespace(x)
    return xp.astype(x, xp.float32)


def _as(x: Array, wide: Any) -> Any:
    return namespace(x).astype(wide, x.dtype) if is_half(x) else wide
