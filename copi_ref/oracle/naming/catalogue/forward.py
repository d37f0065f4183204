"""Wrong forward passes (Algorithm 1, lines 4 to 8)."""

from collections.abc import Callable

import numpy as np

from copi_ref.arrays.backend import HostArray
from copi_ref.oracle.contract.pieces import Pieces
from copi_ref.oracle.naming.catalogue.moments import centred, softmax, without_diagonal
from copi_ref.oracle.naming.catalogue.variant import Variant, exchanging


def _activation(name: str, says: str, wrong: Callable[[Pieces, HostArray, int, int], HostArray]) -> Variant:
    return Variant(name, says, lambda p: p.with_changes(activate=lambda a, layer, layers: wrong(p, a, layer, layers)))


FORWARD_VARIANTS = (
    exchanging("forward-R-transposed", "x = Rᵀ y: R is transposed in the forward pass (y @ R in rows)",
            decorrelate=lambda y, R, layer: y @ R),
    exchanging("forward-no-R", "x = y: R is left out of the forward pass", decorrelate=lambda y, R, layer: y),
    exchanging("forward-R-twice", "x = R R y: R is applied twice", decorrelate=lambda y, R, layer: y @ R.mT @ R.mT),
    exchanging("forward-R-added", "x = y + R y", decorrelate=lambda y, R, layer: y + y @ R.mT),
    exchanging("forward-R-subtracted", "x = y − R y", decorrelate=lambda y, R, layer: y - y @ R.mT),
    exchanging("forward-R-diagonal", "only the diagonal of R is used in the forward pass",
            decorrelate=lambda y, R, layer: y * np.diag(R)),
    exchanging("forward-R-off-diagonal", "the diagonal of R is left out of the forward pass",
            decorrelate=lambda y, R, layer: y @ without_diagonal(R).mT),
    exchanging("forward-R-first-layer-only", "R is left out above the first layer",
            decorrelate=lambda y, R, layer: y @ R.mT if layer == 1 else y),
    exchanging("forward-R-not-in-first-layer", "R is left out of the first layer",
            decorrelate=lambda y, R, layer: y if layer == 1 else y @ R.mT),
    exchanging("forward-centred", "the mean over the batch is taken from y before R",
            decorrelate=lambda y, R, layer: centred(y) @ R.mT),
    exchanging("forward-input-centred", "the mean over the batch is taken from y₀ before the first layer",
               decorrelate=lambda y, R, layer: (centred(y) if layer == 1 else y) @ R.mT),
    exchanging("forward-input-scaled", "y₀ is divided by 255",
               decorrelate=lambda y, R, layer: (y / 255 if layer == 1 else y) @ R.mT),
    exchanging("forward-x-negated", "x has the wrong sign", decorrelate=lambda y, R, layer: -(y @ R.mT)),
    exchanging("forward-a-from-y", "a = W y: computed from y and not from x", preactivate=lambda x, y, W: y @ W.mT),
    exchanging("forward-a-negated", "a has the wrong sign", preactivate=lambda x, y, W: -(x @ W.mT)),
    exchanging("forward-a-absolute", "a = |W| x", preactivate=lambda x, y, W: x @ np.abs(W).mT),
    _activation("forward-softmax-output", "y_L = softmax(a_L)",
                lambda p, a, layer, layers: softmax(a) if layer == layers else p.activate(a, layer, layers)),
    _activation("forward-linear-output", "y_L = a_L: f is left out of the last layer",
                lambda p, a, layer, layers: a if layer == layers else p.activate(a, layer, layers)),
    _activation("forward-linear-hidden", "f is left out of the hidden layers",
                lambda p, a, layer, layers: a if layer < layers else p.activate(a, layer, layers)),
    _activation("forward-f-mirrored", "f(−a) for f(a): slopes of the two sides are exchanged",
                lambda p, a, layer, layers: -p.activate(-a, layer, layers)),
    _activation("forward-f-absolute", "f(|a|) for f(a)",
                lambda p, a, layer, layers: p.activate(np.abs(a), layer, layers)),
    _activation("forward-f-negated", "y has the wrong sign",
                lambda p, a, layer, layers: -p.activate(a, layer, layers)),
    _activation("forward-f-twice", "f is applied twice",
                lambda p, a, layer, layers: p.activate(p.activate(a, layer, layers), layer, layers)),
    _activation("forward-f-kink-at-1", "the kink of f is at 1 and not at 0",
                lambda p, a, layer, layers: np.where(a < 1, _below(p) * a, a)),
    _activation("forward-f-kink-at-minus-1", "the kink of f is at −1 and not at 0",
                lambda p, a, layer, layers: np.where(a < -1, _below(p) * a, a)),
    _activation("forward-f-slope-missing-a", "below 0, f is the slope itself and not slope · a",
                lambda p, a, layer, layers: np.where(a < 0, float(p.conventions.slope), a)),
    _activation("forward-f-slope-sign", "below 0, f has the wrong sign",
                lambda p, a, layer, layers: np.where(a < 0, -p.activate(a, layer, layers), a)),
    _activation("forward-f-slope-added", "below 0, f is a + slope for slope · a",
                lambda p, a, layer, layers: np.where(a < 0, a + p.conventions.slope, a)),
    _activation("forward-f-slope-divided", "below 0, f is a/slope for slope · a",
                lambda p, a, layer, layers: np.where(a < 0, a / (p.conventions.slope or 1), a)),
)  # fmt: skip


def _below(p: Pieces) -> float:
    """The slope of f below 0."""
    return float(p.conventions.f().derivative(np.array([-1.0]))[0])
