"""A lateral rule on a part of the batch: an estimate of ΔR for a share of its cost."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from copi_ref.arrays import checks
from copi_ref.arrays.backend import Array, device_of
from copi_ref.decorrelation import LateralRule, LateralRuleName, find_lateral_rule
from copi_ref.task import Generators


@dataclass(frozen=True)
class Subsampled:
    """A lateral rule on a random part of the batch, drawn with replacement: an estimate of ΔR for a share of its cost.

    A recipe's `lateral_rule`; the step draws from the state's generator, for one layer after the other, the last first.
    By itself it is called as ``Subsampled(rule, share)(x, R, rng)``.

    Args:
        rule: a callable ``(x, R) -> ΔR``, such as ``Whitening()``; or the name of a rule in `LATERAL_RULES`.
        share: the part of the samples that is drawn, above 0 and at most 1; at least one sample is.

    Raises:
        TypeError: a share that is no number, or no rule.
        ValueError: the share is out of range, or an unknown name.
    """

    rule: LateralRuleName | LateralRule = "left"
    share: float | Fraction = Fraction(1, 10)

    draws = True

    def __post_init__(self) -> None:
        checks.one_number("share", self.share, minimum=0, maximum=1)
        checks.positive_number("share", self.share)
        if getattr(find_lateral_rule(self.rule, "rule"), "draws", False):
            raise ValueError(f"rule is {self.rule!r}, which draws: needs one that does not")

    def __call__(self, x: Array, R: Array, rng: Generators) -> Array:
        """Return ΔR, (…, K, K), of the samples that are drawn.

        Args:
            x: (…, N, K), decorrelated inputs; rows are samples.
            R: (…, K, K), the lateral weights that gave them.
            rng: a generator; for an ensemble, x (S, N, K), a tuple of S, so that each draws what it would draw alone.

        Raises:
            TypeError, ValueError: as the rule, or `rng` is no generator.
        """
        checks.arrays(x=(x, "NK"), R=(R, "KK"))
        return find_lateral_rule(self.rule)(self.drawn(x, rng), R)

    def drawn(self, x: Array, rng: Generators) -> Array:
        """Return the samples of x, (…, N, K), that are drawn: (…, n, K); errors as a call."""
        xp = checks.arrays(x=(x, "NK"))
        samples = x.shape[-2]
        size = max(1, round(self.share * samples))

        def of_one(one: Array, rng: np.random.Generator) -> Array:
            checks.generator("rng", rng)
            index = xp.asarray(rng.integers(samples, size=size), device=device_of(x))
            return xp.take(one, index, axis=-2)

        if isinstance(rng, tuple):
            if x.ndim != 3:
                raise ValueError(f"rng is a tuple, but x has shape {tuple(x.shape)}: needs (S, N, K), or one generator")
            checks.same_length(rng=(rng, x.shape[0]))
            return xp.stack([of_one(x[at, ...], one) for at, one in enumerate(rng)])
        return of_one(x, rng)
