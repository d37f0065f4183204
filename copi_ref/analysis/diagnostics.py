"""Measures that tell whether decorrelation works."""

from copi_ref import _checks
from copi_ref.backend import Array, device_of
from copi_ref.moments import mean_outer


def off_diagonal_energy(x: Array) -> Array:
    """Return how correlated inputs are: ‖C_off‖_F / ‖diag C‖_F, with C = E[x xᵀ] (not centred).

    0 if and only if all pairs are uncorrelated (E[x_i x_j] = 0), and 0 where all inputs are always 0. It need not
    fall while R learns: with two identical inputs it stays 1 while both shrink.

    Args:
        x: (…, N, K), inputs of a layer; rows are samples.

    Returns:
        (…), without a unit.

    Raises:
        TypeError: `x` is no floating array, or exact (a root is not rational).
        ValueError: `x` has fewer than two axes.
    """
    _checks.arrays(x=(x, "NK"))
    return energy_of_moment(mean_outer(x, x))


def energy_of_moment(C: Array) -> Array:
    """Return ‖C_off‖_F / ‖diag C‖_F of a second moment C, (…, K, K); result and errors as `off_diagonal_energy`."""
    xp = _checks.arrays(C=(C, "KK"))
    _checks.not_exact("off_diagonal_energy", C)
    on_diagonal = xp.eye(C.shape[-1], dtype=C.dtype, device=device_of(C)) == 1
    scale = xp.max(xp.where(on_diagonal, C, C * 0), axis=(-2, -1), keepdims=True)
    scaled = C / xp.where(scale == 0, scale + 1, scale)  # else the squares of small inputs underflow
    # Squares are summed apart: ‖C‖² − ‖diag C‖² would lose a small off-diagonal part to rounding.
    square = scaled * scaled
    off = xp.sum(xp.where(on_diagonal, square * 0, square), axis=(-2, -1))
    diagonal = xp.sum(xp.where(on_diagonal, square, square * 0), axis=(-2, -1))
    return xp.sqrt(off / xp.where(diagonal == 0, diagonal + 1, diagonal))
