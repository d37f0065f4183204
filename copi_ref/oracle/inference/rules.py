"""Inference Learning in exchangeable pieces: a wrong variant exchanges one of them.

What runs here on `Tracked` arrays gives expected values with their allowances, and on NumPy arrays what a variant would
have computed. A test holds that it is what `copi_ref.inference_learning` computes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from copi_ref.activations import Activation
from copi_ref.arrays.backend import namespace
from copi_ref.arrays.moments import mean_outer, mean_sample
from copi_ref.arrays.products import apply
from copi_ref.oracle.contract.pieces import scaled
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


# --- what is right ----------------------------------------------------------------------------------------------------


def right_rules(conventions: InferenceConventions, seen: list[Tracked] | None = None) -> Rules:
    """Return the pieces that the conventions call right; `seen` gets every array of which f′ is taken."""
    return Rules(
        conventions=conventions,
        f=_listing(conventions.f(), seen),
        input=_input,
        pre=_pre,
        prediction=_prediction,
        error=lambda at, k: at.h(k) - at.p(k),
        through=_through,
        own=lambda at, k: weighted(at, k, at.e(k)),
        above=_above,
        gradient=_gradient,
        rate=lambda at, k: at.net.gamma[k - 1] if conventions.inference_rate == "per-layer" else at.net.gamma,
        moved=_moved,
        moves=_moves,
        sweep=_sweep,
        steps_made=lambda T: T,
        energy=_energy,
        top=_TOPS[conventions.output],
        begin=_BEGINNINGS[conventions.start],
        start_order=lambda layers: range(layers - 1, 0, -1) if conventions.start == "from-above" else range(1, layers),
        enter=lambda at: at,
        weight_input=lambda at, k: at.x(k),
        change=_change,
        bias_change=_bias_change,
        prox_change=lambda at, k: mean_outer(at.e(k), over_square(at.x(k))),
        learn=_LEARNING[conventions.learning],
    )


def _listing(f: Activation, seen: list[Tracked] | None) -> Activation:
    if seen is None:
        return f

    def listed(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(a: AnyArray, xp: Any) -> Any:
            if isinstance(a, Tracked):
                seen.append(a)
            return function(a, xp)

        return call

    return replace(f, f_prime=listed(f.f_prime))


def _input(at: At, layer: int) -> AnyArray:
    chosen = at.rules.conventions
    bends = chosen.input_activation if layer == 1 else chosen.weights_last
    return at.rules.f(at.h(layer - 1)) if bends else at.h(layer - 1)


def _pre(at: At, layer: int) -> AnyArray:
    a = apply(at.net.W[layer - 1], at.x(layer))
    inside = at.net.b is not None and at.rules.conventions.biases == "inside"
    return a + at.net.b[layer - 1] if inside and at.net.b is not None else a


def is_bent(at: At, layer: int) -> bool:
    """Whether f comes after the weights of a layer."""
    chosen = at.rules.conventions
    return not chosen.weights_last and not (layer == at.net.layers and chosen.output_activation == "identity")


def _prediction(at: At, layer: int) -> AnyArray:
    p = at.rules.f(at.a(layer)) if is_bent(at, layer) else at.a(layer)
    outside = at.net.b is not None and at.rules.conventions.biases == "outside"
    return p + at.net.b[layer - 1] if outside and at.net.b is not None else p


def weighted(at: At, layer: int, e: AnyArray) -> AnyArray:
    """π_l e."""
    precisions = at.rules.conventions.precisions
    return scaled(e, precisions[layer - 1]) if precisions else e


def _through(at: At, layer: int) -> AnyArray:
    e = weighted(at, layer, at.e(layer))
    return at.rules.f.derivative(at.a(layer)) * e if is_bent(at, layer) else e


def _above(at: At, layer: int) -> AnyArray:
    down = apply(at.net.W[layer].mT, at.rules.through(at, layer + 1))
    return at.rules.f.derivative(at.bent_state(layer)) * down if at.rules.conventions.weights_last else down


def factor_of(at: At) -> float:
    """The factor on the gradient by which states move."""
    factor = at.rules.conventions.inference_factor
    return 1 / at.net.samples if isinstance(factor, str) else factor


def _gradient(at: At, layer: int) -> AnyArray:
    chosen, total = at.rules.conventions, at.rules.own(at, layer)
    if layer < at.net.layers:
        total = total - at.rules.above(at, layer)
    elif at.net.target is not None:  # pulled
        total = total + (at.h(layer) - at.net.target)
    total = scaled(total, factor_of(at))
    return total + scaled(at.h(layer), chosen.state_decay) if chosen.state_decay else total


def _moved(at: At, layer: int) -> AnyArray:
    h, momentum = at.h(layer), at.rules.conventions.momentum
    new = h - at.rules.rate(at, layer) * at.rules.gradient(at, layer)
    if momentum and at.before is not None:  # v of the step before is (h before − h)/γ
        new = new + momentum * (h - at.before[layer - 1])
    return new


def _moves(at: At) -> Sequence[int]:
    layers = range(1, at.net.layers + (at.rules.conventions.output == "pulled"))
    return layers[::-1] if at.rules.conventions.schedule == "top-down" else layers


def _sweep(at: At) -> States:
    now, states = at, list(at.states)
    for layer in at.rules.moves(at):
        states[layer - 1] = at.rules.moved(now, layer)
        if at.rules.conventions.schedule != "all-at-once":
            now = now.with_state(layer, states[layer - 1])
    return tuple(states)


def squares(e: AnyArray) -> AnyArray:
    """‖e‖² of each sample, (N,)."""
    return namespace(e).sum(e * e, axis=-1)


def _energy(at: At) -> AnyArray:
    chosen, total = at.rules.conventions, None
    for layer in range(1, at.net.layers + 1):
        term = weighted(at, layer, squares(at.e(layer)))
        total = term if total is None else total + term
    return of_samples(scaled(total, chosen.energy_factor), chosen.energy_reduction)


def of_samples(energies: AnyArray, reduction: str) -> AnyArray:
    """Return energies as they are, or one number of all samples, as an array of one."""
    if reduction == "per-sample":
        return energies
    total = namespace(energies).sum(energies[None, :], axis=-1)
    return total / energies.shape[0] if reduction == "mean" else total


def _nudged(net: Net, rules: Rules, p: AnyArray) -> AnyArray:
    """p_L + δ_L, δ_L = −∂ℓ/∂p_L of ℓ = ½‖y_L − y*‖²."""
    chosen = rules.conventions
    if chosen.weights_last and chosen.output_activation == "same":
        return p + rules.f.derivative(p) * (net.target - rules.f(p))
    return p + (net.target - p)


_TOPS: dict[str, Callable[[Net, Rules, Callable[[], AnyArray]], AnyArray]] = {
    "clamped": lambda net, rules, predict: net.target,
    "nudged": lambda net, rules, predict: _nudged(net, rules, predict()),
    "pulled": lambda net, rules, predict: predict(),
}

_BEGINNINGS: dict[str, Callable[[At, int], AnyArray]] = {
    "forward": lambda at, layer: at.p(layer),
    "zeros": lambda at, layer: at.p(layer) * 0,
    "from-above": lambda at, layer: apply(at.net.W[layer].mT, at.h(layer + 1)),
}


def started(rules: Rules, net: Net, own: Sequence[AnyArray | None] = ()) -> States:
    """Return the states of the start, each from the implementation's own below (or above) where `own` has it."""
    found: list[AnyArray] = [net.y0[:, :1] @ (W[:, :1].mT * 0) for W in net.W]  # zeros, as wide as each layer
    known: list[AnyArray] = list(found)
    at_output = net.layers

    def here() -> At:
        return At(rules, net, tuple(known))

    def put(layer: int, h: AnyArray) -> None:
        given = own[layer - 1] if own else None
        found[layer - 1], known[layer - 1] = h, h if given is None else given

    order = list(rules.start_order(at_output))
    above_first = (bool(order) and order[0] > order[-1]) or rules.conventions.start == "from-above"
    if above_first:
        forward = rules.with_changes(begin=_BEGINNINGS["forward"], start_order=lambda layers: range(1, layers))
        put(at_output, rules.top(net, rules, lambda: _predicted(forward, net)))
    for layer in order:
        put(layer, rules.begin(here(), layer))
    if not above_first:
        put(at_output, rules.top(net, rules, lambda: here().p(at_output)))
    return tuple(found)


def _predicted(rules: Rules, net: Net) -> AnyArray:
    """p_L of a forward pass."""
    at = At(rules, net, (net.y0[:, :1] * 0,) * net.layers)
    for layer in range(1, net.layers):
        at = At(rules, net, (*at.states[: layer - 1], at.p(layer), *at.states[layer:]))
    return at.p(net.layers)


def without_target(rules: Rules, net: Net) -> Net:
    """A network as inference sees it: the target pulls only where it is not clamped."""
    return net if rules.conventions.output == "pulled" else replace(net, target=None)


def inferred(rules: Rules, place: At, steps: int) -> At:
    """Return the place after some steps more: those that are made of place.t + steps, less those made of place.t."""
    made_before = rules.steps_made(place.t) if place.t else 0
    for _ in range(rules.steps_made(place.t + steps) - made_before):
        place = place.after(rules.sweep(place))
    return place


# --- what weights learn -----------------------------------------------------------------------------------------------


def _change(at: At, layer: int) -> AnyArray:
    chosen = at.rules.conventions
    update = mean_outer(at.rules.through(at, layer), at.rules.weight_input(at, layer))
    return _as_reduced(at, scaled(update, chosen.weight_factor))


def _bias_change(at: At, layer: int) -> AnyArray:
    chosen = at.rules.conventions
    e = weighted(at, layer, at.e(layer)) if chosen.biases == "outside" else at.rules.through(at, layer)
    return _as_reduced(at, scaled(mean_sample(e, namespace(e)), chosen.weight_factor))


def _as_reduced(at: At, update: AnyArray) -> AnyArray:
    return scaled(update, at.net.samples if at.rules.conventions.reduction == "sum" else 1)


def over_square(x: AnyArray) -> AnyArray:
    """x/‖x‖² of each sample."""
    if not isinstance(x, Tracked):
        return np.asarray(x / np.sum(x * x, axis=-1, keepdims=True))
    s = np.sum(x.value * x.value, axis=-1, keepdims=True)
    # Of ‖x‖² the relative error is 2 Σ|x| M/s times that of x, and of its own sum.
    relative = 2 * np.sum(np.abs(x.value) * x.magnitude, axis=-1, keepdims=True) / s
    magnitude = (x.magnitude + np.abs(x.value) * relative) / s
    dyadic = bool(np.all(np.frexp(s)[0] == 0.5))
    quantum = x.quantum / float(np.max(s)) if dyadic else 0.0
    size = float(np.max(magnitude)) / quantum if quantum else np.inf
    squares = float(np.max(s)) / x.quantum**2 if x.quantum else np.inf
    return Tracked(
        x.value / s, magnitude, x.roundings + x.shape[-1] + 2, x.products + 2, quantum, max(size, squares, x.largest)
    )


def changes(at: At) -> dict[str, AnyArray]:
    """Return ΔW and Δb of every layer at some states."""
    found = {}
    for layer in range(1, at.net.layers + 1):
        found[f"ΔW of layer {layer}"] = at.rules.change(at, layer)
        if at.net.b is not None:
            found[f"Δb of layer {layer}"] = at.rules.bias_change(at, layer)
    return found


Quantities = dict[str, AnyArray]


def named_states(symbol: str, arrays: Sequence[AnyArray]) -> Quantities:
    """Return arrays by name, as "h of layer 2"."""
    return {f"{symbol} of layer {layer}": array for layer, array in enumerate(arrays, start=1)}


def given_states(own: Quantities, symbol: str, states: States) -> States:
    """Return states, each the implementation's own where it has told it."""
    return tuple(own.get(f"{symbol} of layer {layer}", h) for layer, h in enumerate(states, start=1))


def _learn_after(rules: Rules, net: Net, steps: int, own: Quantities) -> Quantities:
    """Start, infer, and learn from the last states."""
    began = started(rules, net, [own.get(f"start of layer {layer}") for layer in range(1, net.layers + 1)])
    begun = given_states(own, "start", began)
    end = inferred(rules, At(rules, without_target(rules, net), begun), steps)
    own_end = given_states(own, "h", end.states)
    there = At(rules, end.net, own_end, end.before, end.start, end.t)
    errors = [scaled(there.e(layer), rules.conventions.error_sign) for layer in range(1, net.layers + 1)]
    return {
        **named_states("start", began),
        **named_states("h", end.states),
        **named_states("e", errors),
        **changes(there),
    }


def _learn_all_along(rules: Rules, net: Net, steps: int, own: Quantities) -> Quantities:
    """Incremental: W learns in every step of inference. What comes back is (W⁺ − W)/η."""
    began = started(rules, net, [own.get(f"start of layer {layer}") for layer in range(1, net.layers + 1)])
    place = At(rules, without_target(rules, net), given_states(own, "start", began))
    total: Quantities = {}
    for _ in range(rules.steps_made(steps)):
        place, learnt = INCREMENTS[rules.conventions.incremental_order](place)
        total = {name: total[name] + change if total else change for name, change in learnt.items()}
    if not total:
        total = {name: change * 0 for name, change in changes(place).items()}
    return {**named_states("start", began), **named_states("h", place.states), **total}


def learning_from(place: At, learnt: Quantities) -> At:
    """The same place in a network that has learnt: W + η ΔW."""
    net = place.net
    W = tuple(stored(w + net.eta * learnt[f"ΔW of layer {layer}"]) for layer, w in enumerate(net.W, start=1))
    b = None
    if net.b is not None:
        b = tuple(stored(one + net.eta * learnt[f"Δb of layer {layer}"]) for layer, one in enumerate(net.b, start=1))
    return At(place.rules, replace(net, W=W, b=b), place.states, place.before, place.start, place.t)


def _states_first(place: At) -> tuple[At, Quantities]:
    moved = place.after(place.rules.sweep(place))
    learnt = changes(moved)
    return learning_from(moved, learnt), learnt


def _simultaneous(place: At) -> tuple[At, Quantities]:
    learnt = changes(place)
    return learning_from(place.after(place.rules.sweep(place)), learnt), learnt


def _weights_first(place: At) -> tuple[At, Quantities]:
    learnt = changes(place)
    there = learning_from(place, learnt)
    return there.after(there.rules.sweep(there)), learnt


INCREMENTS: dict[str, Callable[[At], tuple[At, Quantities]]] = {
    "states-first": _states_first,
    "simultaneous": _simultaneous,
    "weights-first": _weights_first,
}
"""One step of incremental learning: the place after it, and what weights have learnt."""

_LEARNING = {"after": _learn_after, "incremental": _learn_all_along}
