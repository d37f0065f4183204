"""ZCA whitening, and how far COPI's R is from it (Fig. 3A).

R preserves volume in the limit of small steps (tr C_off = 0): it decorrelates and can't whiten. So R is compared after
the scale that brings it closest: one for all units, or one a unit, which leaves out all that the paper calls the
remaining difference (that COPI "does not scale the individual elements for unit variance").
"""

from copi_ref.analysis.spectrum import power_on_range
from copi_ref.arrays import checks
from copi_ref.arrays.backend import Array, Namespace
from copi_ref.arrays.pieces import second_moment
from copi_ref.network import Params, centred, check_params


def zca(C: Array) -> Array:
    """Return the ZCA transform Z = C^(−½): the symmetric one of those that whiten, E[Z y (Z y)ᵀ] = I.

    C is not centred, as all of COPI's decorrelation: power is made 1, not variance. Directions in which y is 0 (pixels
    that are always 0; λ ≤ K ε λmax, ε of the dtype) stay 0, and E[Z y (Z y)ᵀ] is the projector on the others.

    Args:
        C: (…, K, K), E[y yᵀ]. In float64: rare pixels have powers 10¹¹ times below the largest.

    Returns:
        (…, K, K), in units of 1/y, symmetric up to rounding.

    Raises:
        TypeError: `C` is no floating array, or exact (a root is not rational).
        ValueError: `C` is not square.

    Not checked: that C is symmetric and finite.
    """
    checks.arrays(C=(C, "KK"))
    checks.solvable("zca", "C", C)
    return power_on_range(C, -0.5)


def distance_from_zca(R: Array, C: Array) -> Array:
    """Return how far R y is from whitened y over the samples, after the best scale: 0 where R ∝ Z, 1 at most.

    √(min_s E‖s R y − Z y‖² / E‖Z y‖²) = min_s ‖s R C^½ − P‖_F / ‖P‖_F, with P = Z C^½ the projector on the range of C.

    Measured on what the transforms do to data. ‖s R − Z‖ itself would look at little but the directions in which there
    are hardly any data, and where Z is huge.

    Args:
        R: (…, K, K), lateral weights.
        C: (…, K, K), E[y yᵀ] of what R is applied to.

    Returns:
        (…), without a unit; 0 where y is 0, and there is nothing to whiten.

    Raises:
        TypeError: arrays of different libraries or dtypes, not floating, or exact (a root is not rational).
        ValueError: shapes that don't fit.
    """
    return _distance(R, C, (-2, -1))


def distance_of_units_from_zca(R: Array, C: Array) -> Array:
    """Return the same after the best scale of each unit: √(Σ_i min_s E(s (R y)_i − (Z y)_i)² / E‖Z y‖²).

    Its square is the mean of 1 − c_i² over units, with c_i the uncentred correlation of (R y)_i and (Z y)_i and units
    weighted by E[(Z y)_i²] (1, where no direction is null). Arguments, result and errors as `distance_from_zca`.
    """
    return _distance(R, C, (-1,))


def input_moment(params: Params, y0: Array) -> Array:
    """Return C = E[(y_0 − μ)(y_0 − μ)ᵀ] of what the first R is applied to, (…, K_0, K_0), in float64 and in pieces.

    Args:
        params: the network; μ is 0 where it does not centre.
        y0: (N, K_0), samples in the network's library and dtype, or NumPy's, which are moved there piece by piece.

    Raises:
        TypeError, ValueError: samples that don't fit the network.
    """
    check_params(params)
    checks.arrays(**{"R of layer 1": (params.R[0], "KK")})
    return second_moment(y0, params.R[0], lambda piece: _first_input(params, piece), "y0")


def _first_input(params: Params, y0: Array) -> Array:
    """Return y_0 − μ, checked against the R that it is for."""
    checks.arrays(**{"R of layer 1": (params.R[0], "KK"), "y0": (y0, "NK")})
    return centred(params, 0, y0)


def _distance(R: Array, C: Array, axes: tuple[int, ...]) -> Array:
    """Return the distance with one best scale for all entries of R C^½ that lie along `axes`."""
    xp = checks.arrays(R=(R, "KK"), C=(C, "KK"))
    checks.solvable("distance_from_zca", "R", R)
    ours, white = R @ power_on_range(C, 0.5), power_on_range(C, 0)
    power = xp.sum(ours * ours, axis=axes, keepdims=True)
    scale = xp.sum(ours * white, axis=axes, keepdims=True) / xp.where(power == 0, power + 1, power)
    size = _norm(white, xp)
    return _norm(scale * ours - white, xp) / xp.where(size == 0, size + 1, size)


def _norm(A: Array, xp: Namespace) -> Array:
    return xp.sqrt(xp.sum(A * A, axis=(-2, -1)))
