"""The lateral weights: how R learns to decorrelate x = R y (paper §2.4).

The paper writes its rule in two lines and calls them equal, because R "stays symmetric". It does not, in general:
after the first step C = E[x xᵀ] and R no longer commute. So its two lines are two rules, `left` and `right`, each
the transpose of the other for a symmetric R. `symmetric` is the symmetric part of `left` (for a symmetric R the mean
of both); it keeps a symmetric R symmetric to the last bit.
"""

from collections.abc import Callable
from functools import partial
from typing import Literal, cast

from copi_ref.arrays import checks
from copi_ref.arrays.backend import Array, Namespace
from copi_ref.arrays.moments import mean_outer, mean_square, narrow, off_diagonal_times, unit_size, wide
from copi_ref.arrays.products import apply
from copi_ref.kept_diagonal import KeptDiagonal, NormGain
from copi_ref.whitening import NormalizedWhitening, RowWhitening, TriangularWhitening, Whitening

LateralRuleName = Literal[
    "symmetric",
    "left",
    "right",
    "whitening",
    "whitening-normalized",
    "whitening-triangular",
    "whitening-rows",
    "kept-diagonal",
]


def decorrelation_update(x: Array, R: Array, rule: LateralRuleName = "symmetric") -> Array:
    """Return ΔR, the step direction of the lateral weights: R ← R + η ΔR.

    With C_off = E[x xᵀ] − diag(E[x²]):

    - ``"left"``: ΔR = −C_off R (Eq. 4, first line: what the derivation gives)
    - ``"right"``: ΔR = −R C_off (Eq. 4, last line; Eq. 6; Algorithm 1, line 15)
    - ``"symmetric"``: ΔR = −½ (C_off R + (C_off R)ᵀ)
    - ``"whitening"``, ``"whitening-normalized"``, ``"whitening-triangular"``, ``"whitening-rows"``: `Whitening` and its
      relatives, each with its default κ; see there
    - ``"kept-diagonal"``: ΔR = −R C of the first samples, see `KeptDiagonal`

    Args:
        x: (…, N, K), decorrelated inputs of the layer, x = R y; rows are samples.
        R: (…, K, K), the lateral weights that gave them.
        rule: one of the names above.

    Returns:
        ΔR, (…, K, K), in units of x² R.

    Raises:
        TypeError: arrays of different libraries or dtypes, or not floating.
        ValueError: shapes that don't fit, or an unknown rule.

    Not checked: that R is symmetric (`symmetric` is meant for such an R), and that η is small enough. A step of `left`
    with η ≤ 2/(3 λmax(C)) never raises ‖C_off‖. For `symmetric` no such bound is known, and for `right` there is none:
    for some inputs its flow leaves every bound in finite time (docs/results/proofs.md).
    """
    update = checks.choice("rule", rule, LATERAL_RULES)
    xp = checks.arrays(x=(x, "NK"), R=(R, "KK"))
    return update(x, R, xp)


def _left(x: Array, R: Array, xp: Namespace) -> Array:
    return -off_diagonal_times(x, R, xp)


def _right(x: Array, R: Array, xp: Namespace) -> Array:
    q = apply(R, x)  # so that E[q xᵀ] = R E[x xᵀ]; x is multiplied by R first, as in `off_diagonal_times`
    return -(mean_outer(q, x) - R * mean_square(x, xp)[..., None, :])


def _symmetric(x: Array, R: Array, xp: Namespace) -> Array:
    minus_M = _left(x, R, xp)
    return (minus_M + minus_M.mT) / 2  # a sum of two floats does not depend on their order: exactly symmetric


LATERAL_RULES: dict[str, Callable[[Array, Array, Namespace], Array]] = {
    "symmetric": _symmetric,
    "left": _left,
    "right": _right,
    "whitening": lambda x, R, xp: Whitening()(x, R),
    "whitening-normalized": lambda x, R, xp: NormalizedWhitening()(x, R),
    "whitening-triangular": lambda x, R, xp: TriangularWhitening()(x, R),
    "whitening-rows": lambda x, R, xp: RowWhitening()(x, R),
    "kept-diagonal": lambda x, R, xp: KeptDiagonal()(x, R),
}
"""ΔR by name; each takes x, R and their namespace."""

LateralRule = Callable[..., Array]
"""``(x, R) -> ΔR``, or with an attribute `draws` that is true ``(x, R, rng) -> ΔR``."""


def find_lateral_rule(rule: str | LateralRule, argument: str = "lateral_rule") -> LateralRule:
    """Return the lateral rule of that name, or `rule` itself if it is callable; `argument` is for the message.

    Raises:
        TypeError: a class.
        ValueError: an unknown name.
    """
    if isinstance(rule, type):
        raise TypeError(f"{argument} is the class {rule.__name__}: needs an instance, as {rule.__name__}()")
    if callable(rule):
        return rule
    checks.choice(argument, rule, LATERAL_RULES)
    return partial(decorrelation_update, rule=cast(LateralRuleName, rule))


def safe_eta_r(x: Array) -> Array:
    """Return the largest η_R that is known to be safe for ever under `left`: 2/(3 tr C), C = E[x xᵀ].

    With η λmax(C) ≤ 2/3 a step never raises ‖C_off‖, and it never raises tr C ≥ λmax(C) either, so the rate of the
    first step stays safe for all later ones: on the same inputs y, as of the first layer over all data. Leave room
    where batches differ, or where layers below learn. Safe is C: R itself may grow without bound where inputs are
    dependent. Also for `Whitening(0)` and `RowWhitening(0)`, which are `left`, and K − 1 times as large for
    `NormalizedWhitening(0)`. With a gain tr C rises again, and it is safe for a step. For `symmetric`, whitening with
    κ > 0, `TriangularWhitening`, `KeptDiagonal` and a part of a batch no such rate is known, and `right` has none.

    Args:
        x: (…, N, K), decorrelated inputs x = R y at the start; rows are samples.

    Returns:
        (…), in units of 1/x²; 0 where all x are 0, and there is nothing to learn, and infinite where x is so small
        that the format has no number for it. As a rate of an ensemble it needs two more axes:
        ``safe_eta_r(x)[..., None, None]``.

    Raises:
        TypeError: `x` is no floating array.
        ValueError: `x` has fewer than two axes, or no samples.
    """
    xp = checks.arrays(x=(x, "NK"))
    size = unit_size(wide(x), (-2, -1), xp)
    trace = xp.sum(mean_square(wide(x) / size, xp), axis=-1)
    dead, size = trace == 0, size[..., 0, 0]
    # masked before the division, as in fixed_point; + 1 keeps Fractions Fractions
    rate = 2 / (3 * xp.where(dead, trace + 1, trace)) / size / size
    return narrow(xp.where(dead, trace, rate), x)


def preserving_gain(y: Array, R: Array) -> Array:
    """Return the gain g that keeps the power of a layer's input: E‖g R y‖² = E‖y‖².

    g = √(E‖y‖² / E‖R y‖²)

    Decorrelation alone shrinks activities (tr C never rises under `left`). Scaling R by g after each step undoes that.
    It is this library's gain. That of "Correlations Are Ruining Your Gradient Descent" (Ahmad 2024) is `NormGain`: a
    mean of ratios and not a ratio of means, of y that is not centred, ahead of the step.

    Args:
        y: (…, N, K), inputs of the layer before R, centred where the network centres them.
        R: (…, K, K), lateral weights.

    Returns:
        (…, 1, 1), to multiply R with; 1 where y or R y is always 0, and not finite where E‖R y‖² is not.

    Raises:
        TypeError: arrays of different libraries or dtypes, not floating, or exact (a root is not rational).
        ValueError: shapes that don't fit.
    """
    xp = checks.arrays(y=(y, "NK"), R=(R, "KK"))
    checks.not_exact("preserving_gain", y)
    size_y = unit_size(wide(y), (-2, -1), xp)
    u = wide(y) / size_y
    v = apply(wide(R), u)
    size = unit_size(v, (-2, -1), xp)
    before, after = (xp.sum(mean_square(one, xp), axis=-1)[..., None, None] for one in (u, v / size))
    dead = (before == 0) | (after == 0)
    gain = xp.sqrt(before) / xp.sqrt(xp.where(dead, after + 1, after)) / size
    # A gain for an R of any size would hide for ever that training had diverged.
    power = after * (size_y * size) ** 2
    gain = xp.where(xp.isfinite(power), gain, power)
    return narrow(xp.where(dead, xp.ones_like(gain), gain), y)


LateralGainName = Literal["none", "power", "norms"]

LateralGain = Callable[[Array, Array], Array]
"""``(y, R) -> g``, y centred and R after its step; with an attribute `before` that is true ``(y, x) -> g``, y raw."""

LATERAL_GAINS: dict[str, LateralGain | None] = {"none": None, "power": preserving_gain, "norms": NormGain()}
"""What R is multiplied with: after each of its steps, or with `before` ahead of it."""


def find_lateral_gain(gain: str | LateralGain) -> LateralGain | None:
    """Return the gain of that name, or `gain` itself if it is callable.

    Raises:
        TypeError: a class.
        ValueError: an unknown name.
    """
    if isinstance(gain, type):
        raise TypeError(f"lateral_gain is the class {gain.__name__}: needs an instance, as {gain.__name__}()")
    return gain if callable(gain) else checks.choice("lateral_gain", gain, LATERAL_GAINS)
