"""The lateral weights: how R learns to decorrelate x = R y (paper §2.4).

The paper writes its rule in two lines and calls them equal, because R "stays symmetric". It does not, in general:
after the first step C = E[x xᵀ] and R no longer commute. So its two lines are two rules, `left` and `right`, each
the transpose of the other for a symmetric R. `symmetric` is the symmetric part of `left` (for a symmetric R the mean
of both); it keeps a symmetric R symmetric to the last bit.
"""

from collections.abc import Callable

from copi_ref import _checks
from copi_ref.backend import Array, Namespace
from copi_ref.moments import mean_outer, mean_square


def decorrelation_update(x: Array, R: Array, rule: str = "symmetric") -> Array:
    """Return ΔR, the step direction of the lateral weights: R ← R + η ΔR.

    With C_off = E[x xᵀ] − diag(E[x²]):

    - ``"left"``: ΔR = −C_off R (Eq. 4, first line: what the derivation gives)
    - ``"right"``: ΔR = −R C_off (Eq. 4, last line; Eq. 6; Algorithm 1, line 15)
    - ``"symmetric"``: ΔR = −½ (C_off R + (C_off R)ᵀ)

    Args:
        x: (…, N, K), decorrelated inputs of the layer, x = R y; rows are samples.
        R: (…, K, K), the lateral weights that gave them.
        rule: one of the names above.

    Returns:
        ΔR, (…, K, K), in units of x² R.

    Raises:
        TypeError: arrays of different libraries or dtypes, or not floating.
        ValueError: shapes that don't fit, or an unknown rule.

    Not checked: that R is symmetric (`symmetric` is meant for such an R), and that η is small enough. For `left`,
    η ≤ 2/(3 λmax(C)) never raises ‖C_off‖; for the other two no such bound is known.
    """
    update = _checks.choice("rule", rule, LATERAL_RULES)
    xp = _checks.arrays(x=(x, "NK"), R=(R, "KK"))
    return update(x, R, xp)


# Each multiplies x by R first, which costs N K², and never C by R, which costs K³.


def _left(x: Array, R: Array, xp: Namespace) -> Array:
    p = x @ R  # p = Rᵀ x, so that E[x pᵀ] = E[x xᵀ] R
    return -(mean_outer(x, p) - mean_square(x, xp)[..., :, None] * R)


def _right(x: Array, R: Array, xp: Namespace) -> Array:
    q = x @ R.mT  # q = R x, so that E[q xᵀ] = R E[x xᵀ]
    return -(mean_outer(q, x) - R * mean_square(x, xp)[..., None, :])


def _symmetric(x: Array, R: Array, xp: Namespace) -> Array:
    minus_M = _left(x, R, xp)
    return (minus_M + minus_M.mT) / 2  # a sum of two floats does not depend on their order: exactly symmetric


LATERAL_RULES: dict[str, Callable[[Array, Array, Namespace], Array]] = {
    "symmetric": _symmetric,
    "left": _left,
    "right": _right,
}
