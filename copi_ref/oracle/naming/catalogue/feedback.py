"""Mistakes with feedback weights: their signs and sizes, and what direct methods send from the output."""

from collections.abc import Callable

import numpy as np

from copi_ref.arrays.backend import HostArray
from copi_ref.oracle.contract.conventions import WITH_B
from copi_ref.oracle.contract.pieces import scaled
from copi_ref.oracle.naming.catalogue.perturbations import Carried, carrying
from copi_ref.oracle.naming.catalogue.variant import Variant

_WIDTHS: tuple[tuple[str, str, Callable[[int, int], float]], ...] = (
    ("over-root-units", "divided by √K_l, the root of the units of the layer", lambda k, m: k**-0.5),
    ("over-root-sent", "divided by the root of how many numbers it is multiplied with", lambda k, m: m**-0.5),
    ("over-units", "divided by K_l, the units of the layer", lambda k, m: 1 / k),
    ("over-sent", "divided by how many numbers it is multiplied with", lambda k, m: 1 / m),
    ("times-root-units", "multiplied by √K_l, the root of the units of the layer", lambda k, m: k**0.5),
    ("times-root-sent", "multiplied by the root of how many numbers it is multiplied with", lambda k, m: m**0.5),
    ("of-xavier", "multiplied by √(2/(K + M)), of its own rows and columns", lambda k, m: (2 / (k + m)) ** 0.5),
    ("of-he", "multiplied by √(2/M), M its columns", lambda k, m: (2 / m) ** 0.5),
)  # fmt: skip
"""Factors that make feedback weights of a size, where they come drawn already: name, words, ``(rows, columns)``."""


def _of_width(factor: Callable[[int, int], float]) -> Carried:
    return lambda p, above, W, R, B: factor(*B.shape) * p.carried(above, W, R, B)


def _sent(name: str, says: str, wrong: Callable[..., HostArray], credit: str) -> Variant:
    """``(pieces, a, y, target, δ_L)`` give what a direct method sends to all hidden layers."""
    return Variant(name, says, lambda p: p.with_changes(sent=wrong) if p.conventions.credit == credit else None)


FEEDBACK_VARIANTS = (
    carrying("delta-feedback-without-signs", "|B| for |B| ∘ sign(W)ᵀ: the signs of W are left out",
             lambda p, above, W, R, B: above @ np.abs(B).T, "sign-symmetric-magnitudes"),
    carrying("delta-feedback-with-its-own-signs", "B with its own signs for |B| ∘ sign(W)ᵀ",
             lambda p, above, W, R, B: above @ B.T, "sign-symmetric-magnitudes"),
    carrying("delta-signs-of-weights-times-feedback", "B ∘ sign(W)ᵀ for |B| ∘ sign(W)ᵀ: signs of B are left in it",
             lambda p, above, W, R, B: above @ (B.T * np.sign(W)), "sign-symmetric-magnitudes"),
    carrying("delta-signs-with-R", "sign(W R) for sign(W) on the way down",
             lambda p, above, W, R, B: above @ np.sign(W @ R), "sign-symmetric"),
    carrying("delta-feedback-with-signs-with-R", "|B| ∘ sign(W R)ᵀ for |B| ∘ sign(W)ᵀ",
             lambda p, above, W, R, B: above @ (np.abs(B).T * np.sign(W @ R)), "sign-symmetric-magnitudes"),
    carrying("delta-weights-for-their-signs", "W for sign(W) on the way down, without R",
             lambda p, above, W, R, B: above @ W, "sign-symmetric"),
    carrying("delta-size-of-weights-and-feedback", "|B| ∘ Wᵀ for |B| ∘ sign(W)ᵀ: sizes of W are left in it",
             lambda p, above, W, R, B: above @ (np.abs(B).T * W), "sign-symmetric-magnitudes"),
    _sent("delta-label-signs-sent", "2 y* − 1, the sign of the error of labels, is sent and not y*",
          lambda p, a, y, t, delta: scaled(2 * t - 1, p.conventions.error_scale), "drtp"),
    _sent("delta-error-sent", "the error is sent and not y*",
          lambda p, a, y, t, delta: scaled(p.error(a, y, t), p.conventions.error_scale), "drtp"),
    _sent("delta-of-output-sent", "δ_L is sent and not y*", lambda p, a, y, t, delta: delta, "drtp"),
    _sent("delta-output-sent", "y_L is sent and not y*",
          lambda p, a, y, t, delta: scaled(y, p.conventions.error_scale), "drtp"),
    *(carrying(f"delta-feedback-{name}", f"B is {says}", _of_width(factor), *WITH_B)
      for name, says, factor in _WIDTHS),
)  # fmt: skip
