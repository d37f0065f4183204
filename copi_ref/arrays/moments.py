"""Second moments over the samples of a batch: E[u vᵀ] and E[x²]. E is the mean over axis −2, not centred."""

import math
from typing import Any

from copi_ref.arrays.backend import Array, Namespace, namespace
from copi_ref.arrays.checks import is_exact
from copi_ref.arrays.products import apply


def mean_outer(u: Array, v: Array) -> Array:
    """E[u vᵀ]: (…, N, M) and (…, N, K) give (…, M, K)."""
    # Dividing the small factor (N×K) and not the product (M×K) saves a pass over the bigger matrix, and a sum
    # over many samples can't overflow before it becomes a mean.
    return narrow(wide(u).mT @ (wide(v) / v.shape[-2]), u)


def mean_sample(y: Array, xp: Namespace) -> Array:
    """E[y]: (…, N, K) gives (…, K)."""
    return narrow(xp.sum(wide(y) / y.shape[-2], axis=-2), y)


def mean_square(x: Array, xp: Namespace) -> Array:
    """E[x²]: (…, N, K) gives (…, K)."""
    # As the diagonal of mean_outer(x, x) is formed, so that C_off has a diagonal of 0 up to the order of the sum.
    return narrow(xp.sum(wide(x) * (wide(x) / x.shape[-2]), axis=-2), x)


def off_diagonal_times(x: Array, R: Array, xp: Namespace) -> Array:
    """C_off R, with C_off = E[x xᵀ] − diag(E[x²]): (…, N, K) and (…, K, K) give (…, K, K)."""
    p = apply(R.mT, x)  # E[x pᵀ] = E[x xᵀ] R; x is multiplied by R first, which costs N K², and not C, which costs K³
    return mean_outer(x, p) - mean_square(x, xp)[..., :, None] * R


def unit_size(x: Array, axis: int | tuple[int, ...], xp: Namespace) -> Array:
    """Return s by which to divide x: the largest |x| along `axis`, which stays as an axis of 1, or 1.

    It is 1 where squares of x are normal numbers with digits to spare, as nearly always; and where all x are 0.
    """
    largest = xp.max(xp.abs(x), axis=axis, keepdims=True)
    if is_exact(x):
        return largest * 0 + 1
    numbers = xp.finfo(x.dtype)
    low, high = math.sqrt(numbers.smallest_normal) / numbers.eps, math.sqrt(numbers.max)
    return xp.where(((largest >= low) & (largest <= high)) | (largest == 0), xp.ones_like(largest), largest)


def is_half(x: Array) -> bool:
    """Whether an array is of a format of two bytes, float16 or bfloat16."""
    return getattr(x.dtype, "itemsize", None) == 2


def wide(x: Array) -> Array:
    """A half format in float32, and others as they are: the terms of a mean over thousands of samples vanish in it."""
    if not is_half(x):
        return x
    xp = namespace(x)
    return xp.astype(x, xp.float32)


def narrow(found: Any, like: Array) -> Any:
    """A result in the half format of `like`, if it is one: rounded once."""
    return namespace(like).astype(found, like.dtype) if is_half(like) else found
