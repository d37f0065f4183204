"""A matrix times every sample of a batch."""

from copi_ref.backend import Array


def apply(A: Array, v: Array) -> Array:
    """A v of every sample v: (…, M, K) and (…, N, K) give (…, N, M), rows are samples."""
    # Not v @ A.mT: BLAS is up to 15 % slower when the big factor, and not the batch, has to be transposed.
    return (A @ v.mT).mT
