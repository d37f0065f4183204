"""The linear map z ≈ M x that comes closest, from second moments (App. B): without an inverse, or with one."""

from collections.abc import Callable
from typing import Literal

from copi_ref.analysis.diagnostics import condition_of_moment
from copi_ref.analysis.spectrum import power_on_range
from copi_ref.arrays import checks
from copi_ref.arrays.backend import Array, device_of, namespace, to_numpy
from copi_ref.arrays.products import solve


def diagonal_map(zx: Array, power: Array) -> Array:
    """Return M = E[z xᵀ] diag(E[x²])⁻¹ (App. B), which is the closest map where all inputs are uncorrelated.

    It is `copi_ref.fixed_point` from moments: 0 in the column of an input that is always 0.

    Args:
        zx: (…, M, K), E[z xᵀ].
        power: (…, K), E[x²].

    Returns:
        (…, M, K), in units of z/x.

    Raises:
        TypeError: arrays of different libraries or dtypes, or not floating.
        ValueError: shapes that don't fit.
    """
    row = checks.as_row("power", power)
    xp = checks.arrays(zx=(zx, "MK"), power=(row, "OK"))
    dead = row == 0
    M = zx / xp.where(dead, row + 1, row)  # masked before the division, as in fixed_point
    return xp.where(dead, M * 0, M)


def inverse_map(zx: Array, C: Array) -> Array:
    """Return M = E[z xᵀ] C⁻¹ (App. B, W = Z Xᵀ (X Xᵀ)⁻¹): least squares, over the inputs that are not always 0.

    The column of an input that is always 0 is 0, as in `diagonal_map`. The equations are solved for inputs of power 1,
    which changes nothing but how exact the result is.

    Args:
        zx: (…, M, K), E[z xᵀ].
        C: (…, K, K), E[x xᵀ].

    Returns:
        (…, M, K), in units of z/x.

    Raises:
        TypeError: arrays of different libraries or dtypes, not floating, or exact (no exact inverse here).
        ValueError: shapes that don't fit, or C has no inverse to working precision.
    """
    xp = checks.arrays(zx=(zx, "MK"), C=(C, "KK"))
    checks.solvable("inverse_map", "zx", zx)
    power = xp.linalg.diagonal(C)
    dead = power == 0
    size = xp.sqrt(xp.where(dead, power + 1, power))[..., None, :]
    on_dead = xp.where(dead, power + 1, power * 0)[..., None, :]
    unit = C / size / size.mT
    unit = xp.where(_on_diagonal(unit), unit + on_dead, unit)  # a dead input is alone in its equation: 1 · m = 0
    if not bool((to_numpy(condition_of_moment(unit)) < float("inf")).all()):
        raise ValueError(
            "E[x xᵀ] has no inverse to working precision: some inputs depend on each other; "
            "take 'diagonal' or 'pseudo-inverse'"
        )
    return solve(unit, (zx / size).mT).mT / size


def pseudo_inverse_map(zx: Array, C: Array) -> Array:
    """Return M = Z X⁺ = E[z xᵀ] C⁺ (App. B): of all maps that are closest the one of least norm.

    Made from the K×K moment, and not from all samples: directions in which the inputs have less than K ε of the
    largest power count as none, that is, less than √(K ε) of the largest size.

    Arguments, result and errors as `inverse_map`, but C needs no inverse.
    """
    checks.arrays(zx=(zx, "MK"), C=(C, "KK"))
    checks.solvable("pseudo_inverse_map", "zx", zx)
    return zx @ power_on_range(C, -1)


LinearMapName = Literal["diagonal", "inverse", "pseudo-inverse"]
LINEAR_MAPS: dict[LinearMapName, Callable[[Array, Array], Array]] = {
    "diagonal": lambda zx, C: diagonal_map(zx, namespace(C).linalg.diagonal(C)),
    "inverse": inverse_map,
    "pseudo-inverse": pseudo_inverse_map,
}
"""M from E[z xᵀ] and C = E[x xᵀ], by the three formulas of App. B."""


def _on_diagonal(C: Array) -> Array:
    xp = namespace(C)
    return xp.eye(C.shape[-1], dtype=C.dtype, device=device_of(C)) == 1
