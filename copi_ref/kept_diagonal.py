"""The lateral rule and the gain of "Correlations Are Ruining Your Gradient Descent" (Ahmad 2024, arXiv 2407.10780).

As its author runs it a step is R ← g R − η g R C: the gain comes first, and C = E[x xᵀ] keeps its diagonal, so that R
would shrink without it. Both are taken from the first samples of the batch alone. With that goes centring by the
batch's own mean (`BatchCentring`). The text was not at hand: this is what is known of the published code.
"""

from dataclasses import dataclass
from fractions import Fraction

from copi_ref.arrays import checks
from copi_ref.arrays.backend import Array
from copi_ref.arrays.moments import mean_outer, narrow, wide
from copi_ref.arrays.products import apply


@dataclass(frozen=True)
class KeptDiagonal:
    """ΔR = −R C, C = E[x xᵀ] with its diagonal, over the first ⌊N s⌋ + 1 samples of a batch.

    A step with η < 1/λmax(C) brings det R nearer to 0; a gain such as `NormGain` is needed beside it. It can be a
    recipe's `lateral_rule`.

    Args:
        share: s, from 0 to 1; the author's is 1/10.

    Raises:
        TypeError, ValueError: s is no number from 0 to 1.
    """

    share: float | Fraction = Fraction(1, 10)

    def __post_init__(self) -> None:
        checks.one_number("share", self.share, minimum=0, maximum=1)

    def __call__(self, x: Array, R: Array) -> Array:
        """Return ΔR, (…, K, K), from x (…, N, K) and R (…, K, K); errors as `decorrelation_update`."""
        checks.arrays(x=(x, "NK"), R=(R, "KK"))
        x = first(x, self.share)
        return -mean_outer(apply(R, x), x)


@dataclass(frozen=True)
class NormGain:
    """g = E[‖y‖ / √(‖x‖² + ε)] over the first ⌊N s⌋ + 1 samples: R is multiplied by it before its step.

    y is a layer's input as it comes, not centred, and x what R has made of it. A mean of ratios, where
    `preserving_gain` is a ratio of means: samples of small x count most. It can be a recipe's `lateral_gain`. Where
    these samples have y = 0 it is 1, which is this library's change: 0 would make R 0 for ever.

    Args:
        share: s, from 0 to 1; the author's is 1/10.
        epsilon: ε ≥ 0, in units of x².

    Raises:
        TypeError, ValueError: a setting that is no such number.
    """

    share: float | Fraction = Fraction(1, 10)
    epsilon: float = 1e-8

    before = True

    def __post_init__(self) -> None:
        checks.one_number("share", self.share, minimum=0, maximum=1)
        checks.one_number("epsilon", self.epsilon, minimum=0)

    def __call__(self, y: Array, x: Array) -> Array:
        """Return g, (…, 1, 1), from y (…, N, K), not centred, and x (…, N, K).

        Raises:
            TypeError: arrays of different libraries or dtypes, not floating, or exact (a root is not rational).
            ValueError: shapes that don't fit.
        """
        xp = checks.arrays(y=(y, "NK"), x=(x, "NK"))
        checks.not_exact("NormGain", x)
        of_y, of_x = (wide(first(one, self.share)) for one in (y, x))
        of_y, of_x = (xp.sum(one * one, axis=-1, keepdims=True) for one in (of_y, of_x))
        ratio = xp.sqrt(of_y) / xp.sqrt(of_x + checks.coefficient("epsilon", self.epsilon, of_x))
        # An overflow of ‖x‖² would give 0, and R = 0 would hide for ever that training had diverged.
        gain = xp.mean(xp.where(xp.isfinite(of_x), ratio, of_x), axis=-2, keepdims=True)
        return narrow(xp.where(gain == 0, xp.ones_like(gain), gain), x)


def first(x: Array, share: float | Fraction) -> Array:
    """Return the first ⌊N s⌋ + 1 samples, all of them at most."""
    return x[..., : int(x.shape[-2] * share) + 1, :]


@dataclass(frozen=True)
class BatchCentring:
    """Centring by the batch's own mean while training, by a running mean in evaluation: a recipe's `centring`.

    x_l = R_l (y_{l−1} − E[y_{l−1}]);  μ ← μ + m (E[y] − μ) for evaluation

    Errors of backpropagation go through the mean with the credit method "bp-batch-mean". A batch needs two samples at
    least: one alone is its own mean. Noise that a credit method adds does not change the means.

    Args:
        momentum: m, from 0 to 1.

    Raises:
        TypeError, ValueError: m is no number from 0 to 1.
    """

    momentum: float | Fraction = Fraction(1, 10)

    def __post_init__(self) -> None:
        checks.one_number("momentum", self.momentum, minimum=0, maximum=1)
