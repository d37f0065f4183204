"""Inference Learning in exchangeable pieces: a network at some states, and the pieces that are asked about it.

A wrong variant exchanges a piece. What runs on `Tracked` arrays gives expected values with their allowances, and on
NumPy arrays what a variant would have computed. `composition` puts pieces together, `right` has the right ones.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from copi_ref.activations import Activation
from copi_ref.oracle.inference.conventions import InferenceConventions
from copi_ref.oracle.rounding import AnyArray, Tracked

States = tuple[AnyArray, ...]
"""h_1 … h_L."""


@dataclass(frozen=True, eq=False)
class Net:
    """A network with a batch.

    Args:
        W: W_1 … W_L, (K_l, K_{l−1}).
        y0: (N, K_0).
        b: b_1 … b_L, (K_l,), or None.
        target: y*, (N, K_L); None where it is not told.
        gamma: γ, a number or one a layer.
        eta: η.
    """

    W: tuple[AnyArray, ...]
    y0: AnyArray
    b: tuple[AnyArray, ...] | None = None
    target: AnyArray | None = None
    gamma: Any = 0.0
    eta: float = 1.0

    @property
    def layers(self) -> int:
        """L."""
        return len(self.W)

    @property
    def samples(self) -> int:
        """N."""
        return int(self.y0.shape[0])

    def gamma_of(self, k: int) -> float:
        """γ of layer k."""
        return float(self.gamma[k - 1] if isinstance(self.gamma, (tuple, list)) else self.gamma)


Piece = Callable[..., Any]


@dataclass(frozen=True, eq=False, kw_only=True)
class Rules:
    """The parts of Inference Learning, all but the last few ``(at, layer) -> array``, layers counted from 1.

    Args:
        conventions: what was chosen.
        f: the activation.
        input: x_l, what W_l multiplies.
        pre: a_l = W_l x_l, with a bias inside.
        prediction: p_l.
        error: h_l − p_l.
        through: π_l ψ′(a_l) ∘ e_l: the error as W_l sees it.
        own: π_l e_l in the gradient.
        above: what layer l + 1 adds to the gradient of h_l, before its minus.
        gradient: of the energy by h_l.
        rate: γ of that layer in that step.
        moved: the new h_l.
        moves: ``(at) -> layers`` whose states move, in the order of the schedule.
        sweep: ``(at) -> states`` after one step.
        steps_made: ``(T) -> steps`` that are made.
        energy: ``(at) -> F``, (N,) or a number.
        top: ``(net, predict) -> h_L`` at the start; predict() gives p_L.
        begin: ``(net, layer, states so far) -> h_l`` at the start, called in the order of `start_order`.
        start_order: ``(layers) -> hidden layers``.
        enter: ``(at) -> place`` from which inference goes on that is given some states.
        weight_input: x_l in ΔW_l.
        change: ΔW_l.
        bias_change: Δb_l.
        prox_change: ΔW_l of IL-prox.
        learn: ``(rules, net, T, own) -> quantities``: how a step is put together.
    """

    conventions: InferenceConventions
    f: Activation
    input: Piece
    pre: Piece
    prediction: Piece
    error: Piece
    through: Piece
    own: Piece
    above: Piece
    gradient: Piece
    rate: Piece
    moved: Piece
    moves: Piece
    sweep: Piece
    steps_made: Piece
    energy: Piece
    top: Piece
    begin: Piece
    start_order: Piece
    enter: Piece
    weight_input: Piece
    change: Piece
    bias_change: Piece
    prox_change: Piece
    learn: Piece

    def with_changes(self, **pieces: Any) -> "Rules":
        """Return a copy with some pieces exchanged."""
        return replace(self, **pieces)


@dataclass(frozen=True, eq=False)
class At:
    """A network at some states: what its pieces are asked about.

    Args:
        rules: the pieces.
        net: the network.
        states: h_1 … h_L.
        before: the states one step earlier; None at the start.
        start: the place where inference started; None: here.
        t: steps made so far.
    """

    rules: Rules
    net: Net
    states: States
    before: States | None = None
    start: "At | None" = None
    t: int = 0
    _known: dict[tuple[str, int], AnyArray] = field(default_factory=dict)

    def _piece(self, name: str, layer: int) -> AnyArray:
        if (name, layer) not in self._known:
            self._known[name, layer] = getattr(self.rules, name)(self, layer)
        return self._known[name, layer]

    def _predicting(self, name: str, layer: int) -> AnyArray:
        """x_l, a_l or p_l: of the start, where predictions are fixed."""
        fixed = self.rules.conventions.predictions == "fixed" and self.start is not None
        return (self.start if fixed and self.start else self)._piece(name, layer)

    def h(self, layer: int) -> AnyArray:
        """h_l; h_0 is the input."""
        return self.states[layer - 1] if layer else self.net.y0

    def x(self, layer: int) -> AnyArray:
        """x_l."""
        return self._predicting("input", layer)

    def a(self, layer: int) -> AnyArray:
        """a_l."""
        return self._predicting("pre", layer)

    def p(self, layer: int) -> AnyArray:
        """p_l."""
        return self._predicting("prediction", layer)

    def e(self, layer: int) -> AnyArray:
        """h_l − p_l."""
        return self._piece("error", layer)

    def bent_state(self, layer: int) -> AnyArray:
        """h_l as f′ sees it: that of the start, where predictions are fixed."""
        fixed = self.rules.conventions.predictions == "fixed" and self.start is not None
        return (self.start if fixed and self.start else self).h(layer)

    @cached_property
    def origin(self) -> "At":
        """The place where inference started."""
        return self.start or self

    def after(self, states: States) -> "At":
        """The next place."""
        return At(self.rules, self.net, tuple(map(stored, states)), self.states, self.origin, self.t + 1)

    def with_state(self, layer: int, h: AnyArray) -> "At":
        """The same step with one state moved already."""
        states = (*self.states[: layer - 1], h, *self.states[layer:])
        return At(self.rules, self.net, states, self.before, self.origin, self.t)

    def with_rules(self, rules: Rules) -> "At":
        """The same place with other pieces."""
        start = self.start.with_rules(rules) if self.start is not None else None
        return At(rules, self.net, self.states, self.before, start, self.t)


def stored(h: AnyArray) -> AnyArray:
    """An array between two steps, where every implementation holds it as numbers: with the same allowance, more
    roundings and a smaller magnitude.

    Magnitudes are multiplied and roundings added: what comes of terms that cancelled would else count in each product
    after it as if they might be computed again, term by term.
    """
    if not isinstance(h, Tracked) or not h.roundings:
        return h
    size, total = np.abs(h.value), float(np.sum(np.abs(h.value)))
    ratio = float(np.sum(h.magnitude)) / total if total else 1.0
    if not 1 < ratio < 2.0**50:  # beyond that, nothing would be left of it anyway
        return h
    times = int(np.ceil(ratio))
    magnitude = np.maximum(size, h.magnitude / times)
    return replace(h, magnitude=magnitude, roundings=h.roundings * times, products=h.products * times)


Quantities = dict[str, AnyArray]


def named_states(symbol: str, arrays: Sequence[AnyArray]) -> Quantities:
    """Return arrays by name, as "h of layer 2"."""
    return {f"{symbol} of layer {layer}": array for layer, array in enumerate(arrays, start=1)}


def given_states(own: Quantities, symbol: str, states: States) -> States:
    """Return states, each the implementation's own where it has told it."""
    return tuple(own.get(f"{symbol} of layer {layer}", h) for layer, h in enumerate(states, start=1))
