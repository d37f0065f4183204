"""Wrong biases, in networks that have some: on the way up, and their updates."""

from collections.abc import Callable
from typing import Any

import numpy as np

from copi_ref.arrays.backend import HostArray
from copi_ref.oracle.contract.pieces import Pieces
from copi_ref.oracle.naming.catalogue.variant import Variant


def _shifted(name: str, says: str, wrong: Callable[[HostArray, HostArray], HostArray]) -> Variant:
    """``(a, b) -> a``, a being W x."""
    return Variant(name, says, _of_biases(lambda p: {"shifted": wrong}))


def _update(name: str, says: str, wrong: Callable[[Pieces, HostArray, HostArray], HostArray]) -> Variant:
    """``(pieces, delta, b) -> Δb``; the pieces are those before the change."""
    return Variant(name, says, _of_biases(lambda p: {"bias": lambda delta, b: wrong(p, delta, b)}))


def _of_biases(change: Callable[[Pieces], dict[str, Any]]) -> Callable[[Pieces], Pieces | None]:
    return lambda p: p.with_changes(**change(p)) if p.conventions.biases else None


def _outside(p: Pieces) -> dict[str, Any]:
    """y = f(W x) + b: what is shown as a is W x."""
    return {"shifted": lambda a, b: a, "upwards": lambda q, inputs, own: _with_b_after_f(p, q, inputs, own)}


def _with_b_after_f(p: Pieces, q: Pieces, inputs: Any, own: Any) -> Any:
    biases = iter(inputs["b"])
    outside = q.with_changes(activate=lambda a, layer, layers: q.activate(a, layer, layers) + next(biases))
    return p.upwards(outside, inputs, own)


FORWARD_BIAS_VARIANTS = (
    _shifted("forward-no-bias", "biases are left out", lambda a, b: a),
    _shifted("forward-bias-subtracted", "a = W x − b for W x + b", lambda a, b: a - b),
    _shifted("forward-bias-twice", "biases are added twice", lambda a, b: a + 2 * b),
    _shifted("forward-bias-of-first-unit", "all units of a layer have the first one's bias", lambda a, b: a + b[0]),
    Variant("forward-bias-outside", "y = f(W x) + b for f(W x + b)", _of_biases(_outside)),
)

STEP_BIAS_VARIANTS = (
    _update("step-bias-frozen", "biases stay as they are", lambda p, delta, b: 0 * b),
    _update("step-bias-sign", "Δb has the wrong sign: δ points downhill", lambda p, delta, b: -p.bias(delta, b)),
    _update("step-bias-summed", "Δb is the sum over samples and not the mean",
            lambda p, delta, b: len(delta) * p.bias(delta, b)),
    _update("step-bias-over-n-again", "Δb is divided by N once too often",
            lambda p, delta, b: p.bias(delta, b) / len(delta)),
    _update("step-bias-over-units", "Δb is the mean over units too: all have the same",
            lambda p, delta, b: np.full_like(b, p.bias(delta, b).mean())),
    _update("step-bias-of-first-sample", "Δb is that of the first sample",
            lambda p, delta, b: p.bias(delta[:1], b)),
    _update("step-bias-decays", "Δb = E[δ] − b, as from COPI's rule for an input of 1",
            lambda p, delta, b: p.bias(delta, b) - b),
)  # fmt: skip
