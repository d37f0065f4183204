"""How large samples are for the rates: where R is known to be safe, and what to change where training diverged."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from copi_ref.arrays.backend import Array, to_numpy
from copi_ref.arrays.pieces import ROWS, pieces
from copi_ref.decorrelation import safe_eta_r
from copi_ref.recipe import Recipe

LARGE = 2
"""Mean square of a feature above which samples are called too large: 1 if standardised, less of pixels in [0, 1]."""

PROVED = "proved safe for the rule left in layer 1, on the same samples in every step; not for layers above"
"""What is known of 2/(3 E‖x‖²) as a rate of R."""


@dataclass(frozen=True)
class Scale:
    """How large samples are.

    Args:
        features: K.
        power: E‖x‖², which is tr C of the first layer before R learns.
        safe_eta_r: 2/(3 E‖x‖²), see `copi_ref.safe_eta_r`: `PROVED` says for what.
    """

    features: int
    power: float
    safe_eta_r: float

    @property
    def is_large(self) -> bool:
        """Whether the samples are at fault rather than a rate."""
        return self.power > LARGE * self.features

    def factor(self, eta_r: float) -> float:
        """Return what to multiply samples with, so that `eta_r` is half the safe rate, as batches differ."""
        return float(np.sqrt(self.safe_eta_r / (2 * eta_r)))


def scale_of(x: Array) -> Scale:
    """Measure samples, (N, K), of any library, in float64 and without a copy of them all."""
    samples, features = x.shape
    # on the host: what says why training diverged must not fail for want of float64 on the device
    sums = sum(
        np.square(to_numpy(x[rows, :]).astype(np.float64)).sum(axis=0, keepdims=True) for rows in pieces(samples, ROWS)
    )
    mean_squares = np.asarray(sums / samples)
    # one sample with the mean squares of all has the same trace
    return Scale(features, float(mean_squares.sum()), float(safe_eta_r(np.sqrt(mean_squares))))


def advice(recipe: Recipe, scale: Scale) -> str:
    """Say whether the samples or the rates are too large for a network that diverged, and what to change.

    Args:
        recipe: with rates that are numbers.
        scale: of the training samples.
    """
    if not np.isfinite(scale.power):
        return "the samples are too large: scale them down, as E‖x‖² is infinite"
    eta_r = 0.0 if recipe.lateral_rule == "none" else _number(recipe.eta_r)
    above = eta_r > scale.safe_eta_r
    known = f"eta_r {eta_r:.3g} is {'above' if above else 'within'} 2/(3 E‖x‖²) = {scale.safe_eta_r:.3g}, {PROVED}"
    known = known if eta_r else "R does not learn"
    if scale.is_large:
        how = f"multiply them by {scale.factor(eta_r):.2g}" if above else "scale them to 1 or less for each feature"
        each = f"{scale.power / scale.features:.3g} for each of {scale.features} features"
        return (
            f"the samples are too large: {how}, or lower eta_r and eta_w (E‖x‖² is {scale.power:.3g}, {each}; {known})"
        )
    if above:
        return f"the rate is too high: lower eta_r, and eta_w likewise ({known})"
    return f"the rate is too high: lower eta_w first{', then eta_r' if eta_r else ''} ({known})"


def _number(rate: Any) -> float:
    return float(rate.item() if hasattr(rate, "item") else rate)  # of one network also an array with axes of length 1
