"""COPI in exchangeable pieces: each is the library's own function, and a wrong variant exchanges one of them.

The composition below runs on `Tracked` arrays, which gives expected values with their allowances, and on NumPy
arrays, which gives what a variant would have computed. A test holds that it is `copi_ref.step`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from copi_ref.credit.backpropagation import backpropagated
from copi_ref.credit.feedback_alignment import fed_back
from copi_ref.decorrelation import decorrelation_update
from copi_ref.learning_rules import copi_update, sgd_update
from copi_ref.network import Params, decorrelated
from copi_ref.oracle.contract.conventions import Conventions
from copi_ref.oracle.rounding import AnyArray, Tracked, kept

Inputs = dict[str, Any]
"""Arguments by name: arrays, tuples of arrays (one a layer), numbers."""

Quantities = dict[str, AnyArray]
"""Results by name, as "ΔW" or "x of layer 2", in the order in which they are computed."""


@dataclass(frozen=True, kw_only=True)
class Pieces:
    """The parts of a step. Layers are counted from 1.

    Args:
        conventions: what was chosen.
        decorrelate: ``(y, R, layer) -> x``.
        preactivate: ``(x, y, W) -> a``, y the layer's input before R.
        activate: ``(a, layer, layers) -> y``.
        output_delta: ``(a, y, target) -> δ_L``.
        hidden_delta: ``(above, a, y, W, R, B, a_above, from_output) -> δ_l``: W and R are of the layer above, `above`
            and a_above of the one that δ comes from, for "dfa" the output. `from_output`: whether that is the output.
        target_state: ``(a, y, delta) -> z``.
        copi: ``(x, z, W) -> ΔW``.
        sgd: ``(x, delta) -> ΔW``.
        lateral: ``(x, R) -> ΔR``.
        step: ``(pieces, inputs, own) -> quantities``: how a step is put together.
    """

    conventions: Conventions
    decorrelate: Callable[[AnyArray, AnyArray, int], AnyArray]
    preactivate: Callable[[AnyArray, AnyArray, AnyArray], AnyArray]
    activate: Callable[[AnyArray, int, int], AnyArray]
    output_delta: Callable[[AnyArray, AnyArray, AnyArray], AnyArray]
    hidden_delta: Callable[..., AnyArray]
    target_state: Callable[[AnyArray, AnyArray, AnyArray], AnyArray]
    copi: Callable[[AnyArray, AnyArray, AnyArray], AnyArray]
    sgd: Callable[[AnyArray, AnyArray], AnyArray]
    lateral: Callable[[AnyArray, AnyArray], AnyArray]
    step: Callable[["Pieces", Inputs, Quantities], Quantities]

    def with_changes(self, **pieces: Any) -> "Pieces":
        """Return a copy with some pieces exchanged."""
        return replace(self, **pieces)


def right_pieces(conventions: Conventions) -> Pieces:
    """Return the pieces that the conventions call right: the library's functions."""
    f, loss = conventions.f(), conventions.loss()

    def output_delta(a: AnyArray, y: AnyArray, target: AnyArray) -> AnyArray:
        prediction = conventions.given(y) if conventions.output == "activation" else a
        return scaled(loss.perturbation(prediction, a, target, f), conventions.error_scale)

    def hidden_delta(
        above: AnyArray, a: AnyArray, y: AnyArray, W: AnyArray, R: AnyArray, B: AnyArray, *rest: Any
    ) -> AnyArray:
        if conventions.credit == "bp":
            return backpropagated(above, W, R, a, f)
        return fed_back(above, B, a, f)

    return Pieces(
        conventions=conventions,
        decorrelate=lambda y, R, layer: decorrelated(Params(W=(R,), R=(R,)), 0, y),
        preactivate=lambda x, y, W: x @ W.mT,
        activate=lambda a, layer, layers: f(a),
        output_delta=output_delta,
        hidden_delta=hidden_delta,
        target_state=lambda a, y, delta: a + delta,
        copi=lambda x, z, W: reduced(conventions, x, copi_update(x, z, W)),
        sgd=lambda x, delta: reduced(conventions, x, sgd_update(x, delta)),
        lateral=lambda x, R: reduced(conventions, x, decorrelation_update(x, R, conventions.lateral_rule)),
        step=whole_step,
    )


def reduced(conventions: Conventions, x: AnyArray, update: AnyArray) -> AnyArray:
    """Return a mean over samples as it is, or made a sum."""
    return scaled(update, x.shape[-2] if conventions.reduction == "sum" else 1)


def scaled(array: AnyArray, factor: float) -> AnyArray:
    """Return factor · array; 1 costs no rounding."""
    return array if factor == 1 else factor * array


def forward(pieces: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
    """Return x, a and y of all layers, each from the implementation's own upstream value where `own` has it."""
    found: Quantities = {}
    y, layers = inputs["y0"], len(inputs["W"])
    for layer, (W, R) in enumerate(zip(inputs["W"], inputs["R"], strict=True), start=1):
        name = f"of layer {layer}"
        found[f"x {name}"] = pieces.decorrelate(y, R, layer)
        x = kept(found[f"x {name}"], own.get(f"x {name}"))
        found[f"a {name}"] = pieces.preactivate(x, y, W)
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
    found: Quantities = {}
    a, y, layers = inputs["a"], inputs["y"], len(inputs["W"])
    name = f"δ of layer {layers}"
    found[name] = pieces.output_delta(a[-1], y[-1], inputs["target"])
    # δ may be a whole Jacobian times the error: what a second evaluation of the δ above rounds counts in all below.
    delta_L = delta = kept(found[name], own.get(name))
    direct = pieces.conventions.credit == "dfa"
    for layer in range(layers - 1, 0, -1):  # W[layer] is that of the layer above
        above, a_above = (delta_L, a[-1]) if direct else (delta, a[layer])
        B = inputs["B"][layer - 1] if "B" in inputs else None
        W, R = inputs["W"][layer], inputs["R"][layer]
        from_output = direct or layer == layers - 1
        name = f"δ of layer {layer}"
        found[name] = pieces.hidden_delta(above, a[layer - 1], y[layer - 1], W, R, B, a_above, from_output)
        delta = kept(found[name], own.get(name))
    return found


def whole_step(pieces: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
    """Return x, a, y, δ, ΔW and ΔR of all layers (Algorithm 1, lines 4 to 16)."""
    states = forward(pieces, inputs, own)
    return {**states, **after_forward(pieces, inputs, states, own)}


def after_forward(pieces: Pieces, inputs: Inputs, states: Quantities, own: Quantities) -> Quantities:
    """Return δ, ΔW and ΔR of all layers, given x, a and y."""
    layers = range(1, len(inputs["W"]) + 1)

    def of_each_layer(found: Quantities, symbol: str) -> list[AnyArray]:
        return [kept(found[name], own.get(name)) for name in (f"{symbol} of layer {layer}" for layer in layers)]

    x, a, y = (of_each_layer(states, symbol) for symbol in "xay")
    found = perturbations(pieces, {**inputs, "a": a, "y": y}, own)
    delta = of_each_layer(found, "δ")
    for layer in reversed(layers):
        at = layer - 1
        z = pieces.target_state(a[at], y[at], delta[at])
        found[f"ΔW of layer {layer}"] = pieces.copi(x[at], z, inputs["W"][at])
        found[f"ΔR of layer {layer}"] = pieces.lateral(x[at], inputs["R"][at])
    return found


def recovered(quantities: Quantities, inputs: Inputs) -> Quantities:
    """Return expected ΔW and ΔR with what it costs to recover them from the new weights, as (W⁺ − W)/η."""
    return {name: _recovered(name, quantity, inputs) for name, quantity in quantities.items()}


def _recovered(name: str, update: AnyArray, inputs: Inputs) -> AnyArray:
    if not (name.startswith("Δ") and isinstance(update, Tracked)):
        return update
    letter, layer = name[1], int(name.rpartition(" ")[2])
    eta = inputs["eta_w" if letter == "W" else "eta_r"]
    new = inputs[letter][layer - 1] + eta * update
    # W itself is exact: samples may be added to it one after the other, which rounds N partial sums as large as W⁺, and
    # η ΔW is a rounding more. Those N + 1 count, and not all those of ΔW, that M is multiplied with.
    additions = inputs["y0"].shape[0] + 1
    magnitude = update.magnitude + additions * new.magnitude / (eta * update.roundings)
    return replace(update, magnitude=magnitude, largest=new.largest)
