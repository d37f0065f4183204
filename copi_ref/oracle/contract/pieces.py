"""COPI in exchangeable pieces, made of the library's own functions: a wrong variant exchanges one of them.

The composition below runs on `Tracked` arrays, which gives expected values with their allowances, and on NumPy
arrays, which gives what a variant would have computed. A test holds that it is `copi_ref.step`.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from copi_ref.arrays.backend import namespace
from copi_ref.arrays.moments import mean_sample
from copi_ref.arrays.products import apply
from copi_ref.arrays.signs import signs
from copi_ref.credit.sign_symmetric import with_signs_of
from copi_ref.learning_rules import copi_update, sgd_update
from copi_ref.network import Params, decorrelated
from copi_ref.oracle.contract import lateral as rules
from copi_ref.oracle.contract.conventions import DIRECT, Conventions
from copi_ref.oracle.rounding import AnyArray, Tracked, kept

Inputs = dict[str, Any]
"""Arguments by name: arrays, tuples of arrays (one a layer), numbers."""

Quantities = dict[str, AnyArray]
"""Results by name, as "ΔW" or "x of layer 2", in the order in which they are computed."""

_NOTHING: Quantities = {}

OF_FORWARD = frozenset({"decorrelate", "preactivate", "shifted", "activate", "upwards"})
OF_PERTURBATIONS = frozenset({"error", "slope", "carried", "sent", "at_output", "in_hidden", "downwards"})
OF_LATERAL = frozenset({"joined", "product", "decay", "weighted", "restored", "drawn", "gain", "regained"})
"""The pieces that `forward`, `perturbations` and `lateral_change` are made of."""


def batch_of(inputs: Inputs) -> AnyArray:
    """Return the samples that come in: y0 of a network, x of a layer."""
    return inputs["y0"] if "y0" in inputs else inputs["x"]


@dataclass(frozen=True, kw_only=True)
class Pieces:
    """The parts of a step. Layers are counted from 1.

    What is made of other pieces gets all of them, so that of two mistakes, in the whole and in a part, both are made.

    Args:
        conventions: what was chosen.
        decorrelate: ``(y, R, layer) -> x``.
        preactivate: ``(x, y, W) -> a``, y the layer's input before R.
        shifted: ``(a, b) -> a``, of networks with biases.
        activate: ``(a, layer, layers) -> y``.
        error: ``(a, y, target) -> −∂ℓ/∂y_L``.
        slope: ``(a, y) -> f′(a)``.
        carried: ``(above, W, R, B) -> Rᵀ Wᵀ δ``, or B δ: what comes down, before f′.
        sent: ``(pieces, a, y, target, δ_L) -> s``: what direct methods send from the output to every hidden layer.
        target_state: ``(a, y, delta) -> z``.
        copi: ``(x, z, W) -> ΔW``.
        sgd: ``(x, delta) -> ΔW``.
        bias: ``(delta, b) -> Δb``, of networks with biases.
        product: ``(x, R) -> R E[x xᵀ]``, or E[x xᵀ] R.
        decay: ``(x, R) -> R diag(E[x²])``, or diag(E[x²]) R.
        weighted: ``(x, coupling)``: product − decay with a factor on it, where the rule has one.
        restored: ``(x, R)``: what drives E[x²] to 1, taken away besides; None where the rule has no such part.
        drawn: ``(x, indices) -> x`` of a subsampled rule.
        gain: ``(y, x) -> g``, where the conventions have one.
        regained: ``(pieces, y, x, drawn x, R, η) -> g R − R + η ΔR``, where they do.
        at_output, in_hidden, joined: ``(pieces, …)``, see `output_delta`, `hidden_delta` and `lateral`.
        upwards, downwards: ``(pieces, inputs, own) -> quantities``, see `forward` and `perturbations`.
        step: ``(pieces, inputs, own) -> quantities``: how a step is put together.
    """

    conventions: Conventions
    decorrelate: Callable[[AnyArray, AnyArray, int], AnyArray]
    preactivate: Callable[[AnyArray, AnyArray, AnyArray], AnyArray]
    shifted: Callable[[AnyArray, AnyArray], AnyArray]
    activate: Callable[[AnyArray, int, int], AnyArray]
    error: Callable[[AnyArray, AnyArray, AnyArray], AnyArray]
    slope: Callable[[AnyArray, AnyArray], AnyArray]
    carried: Callable[[AnyArray, AnyArray, AnyArray, AnyArray], AnyArray]
    sent: Callable[..., AnyArray]
    target_state: Callable[[AnyArray, AnyArray, AnyArray], AnyArray]
    copi: Callable[[AnyArray, AnyArray, AnyArray], AnyArray]
    sgd: Callable[[AnyArray, AnyArray], AnyArray]
    bias: Callable[[AnyArray, AnyArray], AnyArray]
    product: Callable[[AnyArray, AnyArray], AnyArray]
    decay: Callable[[AnyArray, AnyArray], AnyArray]
    weighted: Callable[[AnyArray, AnyArray], AnyArray]
    restored: Callable[[AnyArray, AnyArray], AnyArray | None]
    drawn: Callable[[AnyArray, AnyArray], AnyArray]
    gain: Callable[[AnyArray, AnyArray], AnyArray]
    regained: Callable[..., AnyArray]
    at_output: Callable[..., AnyArray]
    in_hidden: Callable[..., AnyArray]
    joined: Callable[..., AnyArray]
    upwards: Callable[["Pieces", Inputs, Quantities], Quantities]
    downwards: Callable[["Pieces", Inputs, Quantities], Quantities]
    step: Callable[["Pieces", Inputs, Quantities], Quantities]

    def output_delta(self, a: AnyArray, y: AnyArray, target: AnyArray) -> AnyArray:
        """Return δ_L."""
        return self.at_output(self, a, y, target)

    def hidden_delta(
        self,
        above: AnyArray,
        a: AnyArray,
        y: AnyArray,
        W: AnyArray,
        R: AnyArray,
        B: AnyArray,
        a_above: AnyArray,
        from_output: bool,
    ) -> AnyArray:
        """Return δ_l; W and R are of the layer above, `above` and a_above of the one that δ comes from.

        That is the output for "dfa"; `from_output` says whether it is.
        """
        return self.in_hidden(self, above, a, y, W, R, B, a_above, from_output)

    def lateral(self, x: AnyArray, R: AnyArray) -> AnyArray:
        """Return ΔR."""
        return self.joined(self, x, R)

    def with_changes(self, **pieces: Any) -> "Pieces":
        """Return a copy with some pieces exchanged; also by the names of the methods, without the pieces first."""
        changed: dict[str, Any] = dict(_late(*named) for named in pieces.items())
        if unknown := changed.keys() - vars(self).keys():
            raise TypeError(f"no pieces: {', '.join(sorted(unknown))}")
        new = object.__new__(type(self))  # `replace` calls __init__ with all of them, and takes three times as long
        vars(new).update(vars(self), **changed)
        return new


_METHODS = {"output_delta": "at_output", "hidden_delta": "in_hidden", "lateral": "joined"}


def _late(name: str, piece: Callable[..., Any]) -> tuple[str, Callable[..., Any]]:
    if name not in _METHODS:
        return name, piece
    return _METHODS[name], lambda pieces, *arguments: piece(*arguments)


def right_pieces(conventions: Conventions) -> Pieces:
    """Return the pieces that the conventions call right: the library's functions."""
    f, loss, linear = conventions.f(), conventions.of_output(), conventions.output_activation == "identity"

    def error(a: AnyArray, y: AnyArray, target: AnyArray) -> AnyArray:
        return loss.descent(conventions.predicted(a, y), target, namespace(target))

    def of_seen(term: rules.Term) -> rules.Term:
        def of_samples(x: AnyArray, R: AnyArray) -> AnyArray:
            taken = rules.seen(conventions, x)
            return reduced(conventions, taken, term(taken, R))

        return of_samples

    terms = rules.LATERAL_TERMS[conventions.lateral_rule]
    carried = _CARRIED.get(conventions.credit, _by_feedback)
    right = Pieces(
        conventions=conventions,
        decorrelate=lambda y, R, layer: decorrelated(Params(W=(R,), R=(R,)), 0, y),
        preactivate=lambda x, y, W: x @ W.mT,
        shifted=lambda a, b: a + b,
        activate=lambda a, layer, layers: a if linear and layer == layers else f(a),
        error=error,
        slope=lambda a, y: f.derivative(a),
        carried=carried,
        sent=_SENT.get(conventions.credit, _delta_of_output),
        target_state=lambda a, y, delta: a + delta,
        copi=lambda x, z, W: reduced(conventions, x, copi_update(x, z, W)),
        sgd=lambda x, delta: reduced(conventions, x, sgd_update(x, delta)),
        bias=lambda delta, b: reduced(conventions, delta, mean_sample(delta, namespace(delta))),
        product=of_seen(terms.product),
        decay=of_seen(terms.decay),
        weighted=lambda x, coupling: rules.weighted(conventions, x, coupling),
        restored=lambda x, R: restored(conventions, x, rules.excess_power(x), R),
        drawn=lambda x, indices: x[indices, :],
        gain=rules.gain_of(conventions),
        regained=_regained,
        at_output=_linear_output_delta if linear else _output_delta,
        in_hidden=_hidden_delta,
        joined=_lateral,
        upwards=_forward,
        downwards=_perturbations,
        step=whole_step,
    )
    if not conventions.has_R:  # all R are I: what it would round is left out
        right = right.with_changes(decorrelate=lambda y, R, layer: y)
    if conventions.credit == "bp" and not conventions.has_R:
        right = right.with_changes(carried=lambda above, W, R, B: apply(W.mT, above))
    if conventions.weight_rule == "sgd":  # z is δ, and ΔW has no other term: what is said of E[z xᵀ] holds
        right = right.with_changes(target_state=lambda a, y, delta: delta, copi=lambda x, z, W: right.sgd(x, z))
    return right


def _output_delta(pieces: Pieces, a: AnyArray, y: AnyArray, target: AnyArray) -> AnyArray:
    return scaled(pieces.slope(a, y) * pieces.error(a, y, target), pieces.conventions.error_scale)


def _linear_output_delta(pieces: Pieces, a: AnyArray, y: AnyArray, target: AnyArray) -> AnyArray:
    return scaled(pieces.error(a, y, target), pieces.conventions.error_scale)


def _by_feedback(above: AnyArray, W: AnyArray, R: AnyArray, B: AnyArray) -> AnyArray:
    return apply(B, above)


_CARRIED: dict[str, Callable[[AnyArray, AnyArray, AnyArray, AnyArray], AnyArray]] = {
    "bp": lambda above, W, R, B: apply(R.mT, apply(W.mT, above)),
    "sign-symmetric": lambda above, W, R, B: apply(signs(W.mT), above),
    "sign-symmetric-magnitudes": lambda above, W, R, B: apply(with_signs_of(B, W), above),
}
"""What comes down, by credit method; by feedback weights alone in all others."""


def _delta_of_output(pieces: Pieces, a: AnyArray, y: AnyArray, target: AnyArray, delta: AnyArray) -> AnyArray:
    """What "dfa" sends."""
    if pieces.conventions.dfa_error == "pre-activation":
        return delta
    return scaled(pieces.error(a, y, target), pieces.conventions.error_scale)


def _sign_of_error(pieces: Pieces, a: AnyArray, y: AnyArray, target: AnyArray, delta: AnyArray) -> AnyArray:
    sent = signs(_delta_of_output(pieces, a, y, target, delta))
    return scaled(sent, pieces.conventions.error_scale)


def _target(pieces: Pieces, a: AnyArray, y: AnyArray, target: AnyArray, delta: AnyArray) -> AnyArray:
    return scaled(target, pieces.conventions.error_scale)


_SENT: dict[str, Callable[..., AnyArray]] = {"sdfa": _sign_of_error, "drtp": _target}
"""What goes to every hidden layer, by direct credit method; δ_L, or the error, in the others."""


def _hidden_delta(
    pieces: Pieces, above: AnyArray, a: AnyArray, y: AnyArray, W: AnyArray, R: AnyArray, B: AnyArray, *rest: Any
) -> AnyArray:
    return pieces.slope(a, y) * pieces.carried(above, W, R, B)


def _lateral(pieces: Pieces, x: AnyArray, R: AnyArray) -> AnyArray:
    return coupled(pieces, pieces.product(x, R) - pieces.decay(x, R), x, R)


def coupled(pieces: Pieces, coupling: AnyArray, x: AnyArray, R: AnyArray) -> AnyArray:
    """Return ΔR of what stands for the product of R with C_off: by most rules its negative."""
    conventions = pieces.conventions
    if conventions.lateral_rule == "symmetric":
        return -(coupling + coupling.mT) / 2
    if (restored := pieces.restored(x, R)) is None:
        return -coupling
    return -(pieces.weighted(x, coupling) + restored)


def restored(conventions: Conventions, x: AnyArray, v: AnyArray, R: AnyArray) -> AnyArray | None:
    """Return what drives E[x²] to 1, given v = E[x²] − 1; None where the rule has no such part."""
    of_rule = rules.LATERAL_TERMS[conventions.lateral_rule].restored
    return of_rule and reduced(conventions, x, of_rule(rules.kappa_of(conventions, x), v, R))


def _regained(pieces: Pieces, y: AnyArray, x: AnyArray, taken: AnyArray, R: AnyArray, eta: float) -> AnyArray:
    gained = pieces.gain(y, x) * R
    return gained - R + eta * pieces.lateral(taken, gained)


def lateral_change(pieces: Pieces, inputs: Inputs, x: AnyArray, R: AnyArray, y: Any, indices: Any) -> AnyArray:
    """Return ΔR of a layer with input y before R; with a gain what R moves by in all, η ΔR in it.

    `indices` are those of the samples that are drawn, None where all are taken.
    """
    taken = x if indices is None or not pieces.conventions.subsampled else pieces.drawn(x, indices)
    if pieces.conventions.lateral_gain == "none":
        return pieces.lateral(taken, R)
    return pieces.regained(pieces, y, x, taken, R, inputs["eta_r"])


def reduced(conventions: Conventions, x: AnyArray, update: AnyArray) -> AnyArray:
    """Return a mean over samples as it is, or made a sum."""
    return scaled(update, x.shape[-2] if conventions.reduction == "sum" else 1)


def scaled(array: AnyArray, factor: float) -> AnyArray:
    """Return factor · array; 1 costs no rounding."""
    return array if factor == 1 else factor * array


def forward(pieces: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
    """Return x, a and y of all layers, each from the implementation's own upstream value where `own` has it."""
    return pieces.upwards(pieces, inputs, own)


def _forward(pieces: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
    found: Quantities = {}
    y, layers = inputs["y0"], len(inputs["W"])
    for layer, (W, R) in enumerate(zip(inputs["W"], inputs["R"], strict=True), start=1):
        name = f"of layer {layer}"
        found[f"x {name}"] = pieces.decorrelate(y, R, layer)
        x = kept(found[f"x {name}"], own.get(f"x {name}"))
        found[f"a {name}"] = pieces.preactivate(x, y, W)
        if "b" in inputs:
            found[f"a {name}"] = pieces.shifted(found[f"a {name}"], inputs["b"][layer - 1])
        # y may come from a second evaluation of a, such as a fused (W R) y: the allowance of a counts.
        a = kept(found[f"a {name}"], own.get(f"a {name}"))
        found[f"y {name}"] = pieces.activate(a, layer, layers)
        # The next x may come from a second evaluation of y, such as all matrices in one where f is the identity.
        y = kept(found[f"y {name}"], own.get(f"y {name}"))
    return found


def perturbations_of_given(pieces: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
    """Return δ of all layers for given x, a and y, and what a may be where it is computed again from the lowest x.

    Autograd of the loss, or of y_L as a function of a_l, runs the network again: f′ and y_L are those of its own a.
    """
    if not isinstance(inputs["a"][0], Tracked):
        return perturbations(pieces, inputs, own)
    given = {f"{s} of layer {at + 1}": one for s in "xay" for at, one in enumerate(inputs[s])}
    from_x = pieces.with_changes(decorrelate=lambda y, R, layer: y if layer == 1 else pieces.decorrelate(y, R, layer))
    again = forward(from_x, {**inputs, "y0": inputs["x"][0]}, given)
    a, y = ([kept(again[name], given[name]) for name in given if name.startswith(s)] for s in "ay")
    found = perturbations(pieces, {**inputs, "a": a, "y": y}, own)
    if not any(quantity.value.any() for quantity in found.values()):
        return found  # inputs are drawn again where every result is 0, and a is no result
    return {name: quantity for name, quantity in again.items() if name.startswith("a")} | found


def perturbations(pieces: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
    """Return δ of all layers, the highest first; each from the implementation's own δ above where `own` has it."""
    return pieces.downwards(pieces, inputs, own)


def _perturbations(pieces: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
    found: Quantities = {}
    a, y, layers = inputs["a"], inputs["y"], len(inputs["W"])
    name = f"δ of layer {layers}"
    found[name] = pieces.output_delta(a[-1], y[-1], inputs["target"])
    # δ may be a whole Jacobian times the error: what a second evaluation of the δ above rounds counts in all below.
    delta = kept(found[name], own.get(name))
    if pieces.conventions.credit == "sdfa":
        found[f"error of layer {layers}"] = _decisive(pieces, a[-1], y[-1], inputs["target"])
    direct = pieces.conventions.credit in DIRECT
    sent = pieces.sent(pieces, a[-1], y[-1], inputs["target"], delta) if direct else None
    for layer in range(layers - 1, 0, -1):  # W[layer] is that of the layer above
        above, a_above = (sent, a[-1]) if direct else (delta, a[layer])
        B = inputs["B"][layer - 1] if "B" in inputs else None
        W, R = inputs["W"][layer], inputs["R"][layer]
        from_output = direct or layer == layers - 1
        name = f"δ of layer {layer}"
        found[name] = pieces.hidden_delta(above, a[layer - 1], y[layer - 1], W, R, B, a_above, from_output)
        delta = kept(found[name], own.get(name))
    return found


def _decisive(pieces: Pieces, a: AnyArray, y: AnyArray, target: AnyArray) -> AnyArray:
    """Return errors whose signs are sent: 0 where f′(a_L) makes them 0 before, so that rounding decides nothing."""
    error = pieces.error(a, y, target)
    if pieces.conventions.dfa_error == "output" or pieces.conventions.output_activation == "identity":
        return error
    slope = pieces.slope(a, y)
    return error * np.asarray((slope.value if isinstance(slope, Tracked) else slope) != 0, dtype=float)


def whole_step(pieces: Pieces, inputs: Inputs, own: Quantities, known: Quantities = _NOTHING) -> Quantities:
    """Return x, a, y, δ, ΔW and ΔR of all layers (Algorithm 1, lines 4 to 16); `known` ones are not computed again."""
    states = of_symbols(("x", "a", "y"), known) or forward(pieces, inputs, own)
    return {**states, **after_forward(pieces, inputs, states, own, known)}


def after_forward(
    pieces: Pieces, inputs: Inputs, states: Quantities, own: Quantities, known: Quantities = _NOTHING
) -> Quantities:
    """Return δ, ΔW and ΔR of all layers, given x, a and y."""
    layers = range(1, len(inputs["W"]) + 1)

    def of_each_layer(found: Quantities, symbol: str) -> list[AnyArray]:
        return [kept(found[name], own.get(name)) for name in (f"{symbol} of layer {layer}" for layer in layers)]

    x, a, y = (of_each_layer(states, symbol) for symbol in "xay")
    found = of_symbols(("δ", "error"), known) or perturbations(pieces, {**inputs, "a": a, "y": y}, own)
    seen = {"x": x, "a": a, "y": [inputs["y0"], *y], "δ": of_each_layer(found, "δ")}
    for layer in reversed(layers):
        for letter in "WRb" if "b" in inputs else "WR":
            name = f"Δ{letter} of layer {layer}"
            found[name] = known[name] if name in known else _UPDATES[letter](pieces, inputs, seen, layer - 1)
    return found


def symbol_of(name: str) -> str:
    """Return "ΔW" of "ΔW" and of "ΔW of layer 2"."""
    return name.partition(" ")[0]


def of_symbols(symbols: Collection[str], found: Quantities) -> Quantities:
    """Return the quantities of some symbols, as "x" and "ΔW", of all layers."""
    return {name: quantity for name, quantity in found.items() if symbol_of(name) in symbols}


Seen = dict[str, list[AnyArray]]
"""x, a, y and δ of all layers as updates see them; y begins with that of the input."""


def _weight_update(pieces: Pieces, inputs: Inputs, seen: Seen, at: int) -> AnyArray:
    z = pieces.target_state(seen["a"][at], seen["y"][at + 1], seen["δ"][at])
    return pieces.copi(seen["x"][at], z, inputs["W"][at])


def _lateral_update(pieces: Pieces, inputs: Inputs, seen: Seen, at: int) -> AnyArray:
    indices = inputs["indices"][at] if "indices" in inputs else None
    change = lateral_change(pieces, inputs, seen["x"][at], inputs["R"][at], seen["y"][at], indices)
    return change if pieces.conventions.lateral_gain == "none" else change / inputs["eta_r"]


def _bias_update(pieces: Pieces, inputs: Inputs, seen: Seen, at: int) -> AnyArray:
    return pieces.bias(seen["δ"][at], inputs["b"][at])


_UPDATES = {"W": _weight_update, "R": _lateral_update, "b": _bias_update}
"""Of one layer, by letter."""


def recovered(quantities: Quantities, inputs: Inputs) -> Quantities:
    """Return expected ΔW and ΔR with what it costs to recover them from the new weights, as (W⁺ − W)/η."""
    return {name: _recovered(name, quantity, inputs) for name, quantity in quantities.items()}


def _recovered(name: str, update: AnyArray, inputs: Inputs) -> AnyArray:
    if not (name.startswith("Δ") and isinstance(update, Tracked)):
        return update
    letter, layer = name[1], int(name.rpartition(" ")[2])
    eta = inputs["eta_r" if letter == "R" else "eta_w"]
    new = inputs[letter][layer - 1] + eta * update
    # W itself is exact: samples may be added to it one after the other, which rounds N partial sums as large as W⁺, and
    # η ΔW is a rounding more. Those N + 1 count, and not all those of ΔW, that M is multiplied with.
    additions = inputs["y0"].shape[0] + 1
    magnitude = update.magnitude + additions * new.magnitude / (eta * update.roundings)
    return replace(update, magnitude=magnitude, largest=new.largest)
