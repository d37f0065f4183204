"""Second moments over the samples of a batch: E[u vᵀ] and E[x²]. E is the mean over axis −2, not centred."""

from copi_ref.arrays.backend import Array, Namespace


def mean_outer(u: Array, v: Array) -> Array:
    """E[u vᵀ]: (…, N, M) and (…, N, K) give (…, M, K)."""
    # Dividing the small factor (N×K) and not the product (M×K) saves a pass over the bigger matrix, and a sum
    # over many samples can't overflow before it becomes a mean.
    return u.mT @ (v / v.shape[-2])


def mean_sample(y: Array, xp: Namespace) -> Array:
    """E[y]: (…, N, K) gives (…, K)."""
    return xp.sum(y / y.shape[-2], axis=-2)


def mean_square(x: Array, xp: Namespace) -> Array:
    """E[x²]: (…, N, K) gives (…, K)."""
    # As the diagonal of mean_outer(x, x) is formed, so that C_off has a diagonal of 0 up to the order of the sum.
    return xp.sum(x * (x / x.shape[-2]), axis=-2)
