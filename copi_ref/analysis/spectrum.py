"""Powers of a second moment C, such as C^(−½), by its eigenvalues; 0 in the directions in which nothing lies."""

from copi_ref.arrays import checks
from copi_ref.arrays.backend import Array


def power_on_range(C: Array, exponent: float) -> Array:
    """Return C^p = Σ_k λ_k^p v_k v_kᵀ over the eigenvalues λ_k > K ε λmax, with ε of the dtype.

    The other directions are null to working precision: in them the samples are 0, and there the result is 0 too, so
    that it has the least norm. With p = −1 it is the pseudo-inverse, with p = 0 the projector on the range of C.

    Args:
        C: (…, K, K), a second moment: symmetric and positive semi-definite.
        exponent: p.

    Returns:
        (…, K, K), symmetric up to rounding.

    Raises:
        TypeError: `C` is no floating array, or exact (eigenvalues are not rational).
        ValueError: `C` is not square.

    Not checked: that C is symmetric (its lower triangle counts) and finite.
    """
    xp = checks.arrays(C=(C, "KK"))
    checks.solvable("power_on_range", "C", C)
    checks.one_number("exponent", exponent)
    exponent = float(exponent)
    eigenvalues, V = xp.linalg.eigh(C)  # in ascending order
    smallest = C.shape[-1] * float(xp.finfo(C.dtype).eps) * eigenvalues[..., -1:]
    null = eigenvalues <= smallest
    # Masked before the power: where(null, 0, λ^p) would still take the root of a λ that rounding left below 0.
    powers = xp.where(null, eigenvalues * 0 + 1, eigenvalues) ** exponent
    power = (V * xp.where(null, powers * 0, powers)[..., None, :]) @ V.mT
    dead = xp.linalg.diagonal(C) == 0  # an input that is always 0: rounding mixes it into other null directions
    return xp.where(dead[..., None, :] | dead[..., :, None], power * 0, power)
