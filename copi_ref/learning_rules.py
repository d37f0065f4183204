"""The forward weights: how W learns from states and targets (paper §2.2 to §2.7), one equation a function."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any, Literal

from copi_ref.arrays import checks
from copi_ref.arrays.backend import Array
from copi_ref.arrays.moments import mean_outer, mean_square, narrow, unit_size, wide
from copi_ref.arrays.products import solve


def copi_update(x: Array, z: Array, W: Array) -> Array:
    """Return COPI's step direction of the forward weights: W ← W + η ΔW.

    ΔW = E[z xᵀ] − W diag(E[x²])  (Eq. 3; for one sample Eq. 5)

    Args:
        x: (…, N, K), decorrelated inputs; rows are samples.
        z: (…, N, M), target states z = a + δ.
        W: (…, M, K), forward weights.

    Returns:
        ΔW, (…, M, K), in units of W x².

    Raises:
        TypeError: arrays of different libraries or dtypes, or not floating.
        ValueError: shapes that don't fit.

    Not checked: that the inputs are decorrelated. ΔW differs from `sgd_update` by W C_off exactly.
    """
    xp = checks.arrays(x=(x, "NK"), z=(z, "NM"), W=(W, "MK"))
    return mean_outer(z, x) - W * mean_square(x, xp)[..., None, :]


def full_update(x: Array, z: Array, W: Array) -> Array:
    """Return the step direction that needs no decorrelated inputs, but a matrix inverse.

    ΔW = E[z xᵀ] E[x xᵀ]⁻¹ − W  (Eq. 2)

    Shapes as in `copi_update`; the result has the units of W.

    Raises:
        TypeError: arrays of different libraries or dtypes, or not floating; exact arrays (no exact inverse here).
        ValueError: shapes that don't fit, or fewer samples than features, so that E[x xᵀ] has no inverse.

    Not checked: the condition of E[x xᵀ]. If it is singular, the array library raises its own error or returns
    non-finite numbers.
    """
    checks.arrays(x=(x, "NK"), z=(z, "NM"), W=(W, "MK"))
    checks.solvable("full_update", "x", x)
    samples, features = x.shape[-2:]
    if samples < features:
        raise ValueError(f"x has {samples} samples of {features} features: E[x xᵀ] has an inverse only with N ≥ K")
    # D E[x xᵀ] = E[z xᵀ] is solved as E[x xᵀ] Dᵀ = E[x zᵀ] (E[x xᵀ] is symmetric): more accurate than an inverse.
    D = solve(mean_outer(x, x), mean_outer(x, z)).mT
    return D - W


def sgd_update(x: Array, delta: Array) -> Array:
    """Return gradient descent's step direction of the forward weights, for δ = −dℓ/da.

    ΔW = E[δ xᵀ]  (§2.7)

    Args:
        x: (…, N, K), inputs of the layer; rows are samples.
        delta: (…, N, M), perturbations δ.

    Returns:
        ΔW, (…, M, K).

    Raises:
        TypeError: arrays of different libraries or dtypes, or not floating.
        ValueError: shapes that don't fit.
    """
    checks.arrays(x=(x, "NK"), delta=(delta, "NM"))
    return mean_outer(delta, x)


def scaled_copi_update(x: Array, z: Array, W: Array, epsilon: Any = Fraction(1, 1000)) -> Array:
    """Return COPI's step direction with each column in units of its input's power.

    ΔW diag(E[x²] + ε)⁻¹, ΔW = E[z xᵀ] − W diag(E[x²])

    It undoes the factor diag(E[x²]) that Eq. 3 takes in from Eq. 2, so that weights of weak inputs learn as fast as
    those of strong ones. With ε = 0 and η = 1 one step leads to `fixed_point`, from anywhere.

    Args:
        x: (…, N, K), decorrelated inputs; rows are samples.
        z: (…, N, M), target states z = a + δ.
        W: (…, M, K), forward weights.
        epsilon: ε ≥ 0, in units of x²; in exact mode an int or a Fraction.

    Returns:
        ΔW, (…, M, K), in units of W; its column is 0 where E[x²] + ε = 0.

    Raises:
        TypeError: arrays of different libraries or dtypes, or not floating.
        ValueError: shapes that don't fit, or ε < 0.
    """
    xp = checks.arrays(x=(x, "NK"), z=(z, "NM"), W=(W, "MK"))
    checks.number("epsilon", epsilon, minimum=0)
    size = unit_size(wide(x), -2, xp)
    epsilon = checks.coefficient("epsilon", epsilon, size) + 0 * size
    size = xp.where(epsilon > 0, size * 0 + 1, size)  # ε is in units of x², and keeps what is small from mattering
    u = wide(x) / size
    power = mean_square(u, xp)[..., None, :]
    scale = power + epsilon
    # Masked before the division: where(dead, 0, 1/scale) would still divide by 0. The numerator is 0 there.
    scale = xp.where(scale == 0, scale + 1, scale)
    return narrow((mean_outer(wide(z), u) / size - power * wide(W)) / scale, x)


def nlms_update(x: Array, delta: Array) -> Array:
    """Return the step direction of normalised least mean squares: each sample in units of its input's length.

    ΔW = E[δ xᵀ/‖x‖²]

    Of all ΔW with ΔW x = δ for one sample, this is the smallest. It is the update of proximal IL, with δ = e.

    Args:
        x: (…, N, K), inputs of the layer; rows are samples.
        delta: (…, N, M), perturbations δ.

    Returns:
        ΔW, (…, M, K), in units of δ/x; a sample with x = 0 adds nothing.

    Raises:
        TypeError: arrays of different libraries or dtypes, or not floating.
        ValueError: shapes that don't fit.
    """
    xp = checks.arrays(x=(x, "NK"), delta=(delta, "NM"))
    size = unit_size(wide(x), -1, xp)
    u = wide(x) / size  # ‖x‖² is size² ‖u‖²
    power = xp.sum(u * u, axis=-1, keepdims=True)
    return narrow(mean_outer(wide(delta) / xp.where(power == 0, power + 1, power) / size, u), x)


def batch_nlms_update(x: Array, delta: Array, epsilon: Any = 0) -> Array:
    """Return gradient descent's step direction in units of the batch's mean input power, as IL-prox's authors run it.

    ΔW = E[δ xᵀ] / (E‖x‖² + 1 + ε)  (Alonso et al. 2022, with δ = e)

    A ratio of means, where `nlms_update` is the mean of ratios; for one sample and without the 1 they are the same. The
    1 is the input of a bias, that networks have there.

    Args:
        x: (…, N, K), inputs of the layer; rows are samples.
        delta: (…, N, M), perturbations δ.
        epsilon: ε ≥ 0; they take 0 to 20. In exact mode an int or a Fraction.

    Returns:
        ΔW, (…, M, K).

    Raises:
        TypeError: arrays of different libraries or dtypes, or not floating.
        ValueError: shapes that don't fit, or ε < 0.
    """
    xp = checks.arrays(x=(x, "NK"), delta=(delta, "NM"))
    checks.one_number("epsilon", epsilon, minimum=0)
    power = xp.sum(mean_square(wide(x), xp)[..., None, :], axis=-1, keepdims=True)
    epsilon = checks.coefficient("epsilon", epsilon, power)
    return narrow(mean_outer(wide(delta), wide(x)) / (power + 1 + epsilon), x)


def oja_update(x: Array, y: Array, M: Array) -> Array:
    """Return the step direction of Oja's rule, for linear units y = M x.

    ΔM = E[y xᵀ] − diag(E[y²]) M  (App. C: Δm_ij = y_i x_j − m_ij y_i²)

    COPI's decay has the input's power, E[x_j²], where Oja's has the output's, E[y_i²]. Every row follows the rule of
    a single unit: all of them tend to the same principal component.

    Args:
        x: (…, N, K), inputs; rows are samples.
        y: (…, N, M), outputs.
        M: (…, M, K), weights.

    Returns:
        ΔM, (…, M, K).

    Raises:
        TypeError: arrays of different libraries or dtypes, or not floating.
        ValueError: shapes that don't fit.

    Not checked: that y = M x.
    """
    xp = checks.arrays(x=(x, "NK"), y=(y, "NM"), M=(M, "MK"))
    return mean_outer(y, x) - mean_square(y, xp)[..., :, None] * M


def fixed_point(x: Array, z: Array) -> Array:
    """Return the weights at which COPI's update is zero for fixed targets.

    W = E[z xᵀ] diag(E[x²])⁻¹  (App. B)

    An input that is always 0 has E[x²] = 0, and any value of its column is a fixed point; this is the one of
    minimum norm, 0.

    Args:
        x: (…, N, K), decorrelated inputs; rows are samples.
        z: (…, N, M), target states.

    Returns:
        W, (…, M, K), in units of z/x.

    Raises:
        TypeError: arrays of different libraries or dtypes, or not floating.
        ValueError: shapes that don't fit.
    """
    xp = checks.arrays(x=(x, "NK"), z=(z, "NM"))
    size = unit_size(wide(x), -2, xp)
    u = wide(x) / size
    power = mean_square(u, xp)[..., None, :]
    # The denominator is masked before the division: where(dead, 0, 1/power) would still divide by 0.
    return narrow(mean_outer(wide(z), u) / xp.where(power == 0, power + 1, power) / size, x)


WeightRuleName = Literal["copi", "copi-scaled", "sgd", "nlms", "nlms-batch"]

WEIGHT_RULES: dict[str, Callable[[Array, Array, Array, Array], Array]] = {
    "copi": lambda x, a, delta, W: copi_update(x, a + delta, W),  # z = a + δ
    "copi-scaled": lambda x, a, delta, W: scaled_copi_update(x, a + delta, W),
    "sgd": lambda x, a, delta, W: sgd_update(x, delta),
    "nlms": lambda x, a, delta, W: nlms_update(x, delta),
    "nlms-batch": lambda x, a, delta, W: batch_nlms_update(x, delta),
}
"""ΔW from x, a, δ and W: by COPI, plain or variance-scaled, or from x and δ alone."""
