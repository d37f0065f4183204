"""Steps with another f, and the right f′ for it."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from copi_ref.arrays.backend import HostArray
from copi_ref.oracle.contract.pieces import Pieces, right_pieces
from copi_ref.oracle.naming.catalogue.arrays import sigmoid
from copi_ref.oracle.naming.catalogue.variant import Variant
from copi_ref.oracle.rounding import PRECISIONS

Elementwise = Callable[[HostArray], HostArray]


def _activation(name: str, says: str, f: Elementwise, f_prime: Elementwise) -> Variant:
    """Another f, with the right f′ for it."""
    return Variant(f"step-f-is-{name}", f"f is {says}, with its f′", lambda p: p.with_changes(
        activate=lambda a, layer, layers: f(a), slope=lambda a, y: f_prime(a)))  # fmt: skip


def _cut(name: str, says: str, low: float, high: float) -> Variant:
    """f of a that is cut to an interval, with an f′ of 0 outside it."""
    return Variant(f"step-f-cut-{name}", f"f is cut {says}, with its f′", lambda p: p.with_changes(
        activate=lambda a, layer, layers: p.activate(np.clip(a, low, high), layer, layers),
        slope=lambda a, y: p.slope(a, y) * ((a >= low) & (a <= high))))  # fmt: skip


def _linear_hidden(p: Pieces) -> Pieces:
    return p.with_changes(
        in_hidden=lambda q, *args: p.in_hidden(q.with_changes(slope=lambda a, y: np.ones_like(a)), *args),
        activate=lambda a, layer, layers: a if layer < layers else p.activate(a, layer, layers),
    )


_ROUGH = ("float32", "float16")


def _with_rounded_slope(*pieces: str, format: str) -> Callable[[Pieces], Pieces | None]:
    """The slope below 0 is a number of a coarser format, as one that is made without saying which."""

    def change(p: Pieces) -> Pieces | None:
        slope = p.conventions.slope_below
        if slope is None or p.conventions.slope_is_dyadic:
            return None
        rounded = float(PRECISIONS[format].representable(np.asarray(float(slope))))
        others = right_pieces(replace(p.conventions, slope=rounded))
        return p.with_changes(**{piece: getattr(others, piece) for piece in pieces})

    return change


ROUNDED_SLOPES = (
    *(Variant(f"{name}-slope-in-{format}", f"the slope of {what} below 0 is rounded to {format}",
              _with_rounded_slope(*pieces, format=format))
      for name, what, pieces in (("forward-f", "f", ("activate",)), ("delta", "f′", ("slope",)),
                                 ("step-f", "f and f′", ("activate", "slope")))
      for format in _ROUGH),
)  # fmt: skip

ACTIVATION_VARIANTS = (
    *ROUNDED_SLOPES,
    _activation("elu", "an ELU", lambda a: np.where(a < 0, np.expm1(np.minimum(a, 0)), a),
                lambda a: np.where(a < 0, np.exp(np.minimum(a, 0)), 1.0)),
    _activation("softplus", "a softplus", lambda a: np.logaddexp(0, a), sigmoid),
    _activation("silu", "a SiLU", lambda a: a * sigmoid(a),
                lambda a: sigmoid(a) * (1 + a * (1 - sigmoid(a)))),
    _activation("absolute", "|a|", np.abs, np.sign),
    _activation("relu6", "ReLU6", lambda a: np.clip(a, 0, 6), lambda a: np.where((a > 0) & (a < 6), 1.0, 0.0)),
    _activation("hard-tanh", "a hard tanh", lambda a: np.clip(a, -1, 1), lambda a: np.where(np.abs(a) < 1, 1.0, 0.0)),
    _activation("square", "a²", lambda a: a * a, lambda a: 2 * a),
    _cut("at-6", "above 6", -np.inf, 6),
    _cut("at-1", "to ±1", -1, 1),
    _cut("below-minus-1", "below −1", -1, np.inf),
    Variant("step-linear-hidden", "f and f′ are left out of the hidden layers", _linear_hidden),
    Variant("step-linear", "f and f′ are left out everywhere", lambda p: p.with_changes(
        activate=lambda a, layer, layers: a, slope=lambda a, y: np.ones_like(a))),
)  # fmt: skip
