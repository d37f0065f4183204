"""The functions that an implementation of Inference Learning may offer, and what is expected of each."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from copi_ref.oracle.contract.pieces import Inputs, scaled
from copi_ref.oracle.inference.composition import changes, inferred, started, without_target
from copi_ref.oracle.inference.conventions import InferenceConventions
from copi_ref.oracle.inference.rules import At, Net, Quantities, Rules, States, given_states, named_states
from copi_ref.oracle.rounding import AnyArray, Tracked

InferenceFunctionName = Literal[
    "errors",
    "predictions",
    "energy",
    "start",
    "infer",
    "weight_update",
    "step",
    "converge",
    "prox_update",
    "prox_step",
    "implicit_step",
    "implicit_layer",
]


@dataclass(frozen=True)
class InferenceFunction:
    """One function of the contract.

    Args:
        name: as the implementation has to call it.
        arguments: in order. The target follows where a pulled output needs it, then the biases b, where there are any.
        result: what it has to return, in words.
        equation: with its place.
        expected: ``(rules, inputs, own) -> quantities``; of what is judged by a residual there are none.
        takes_biases: whether b is its last argument.
        takes_pull: whether the target comes in where the output is pulled.
    """

    name: str
    arguments: tuple[str, ...]
    result: str
    equation: str
    expected: Callable[[Rules, Inputs, Quantities], Quantities]
    takes_biases: bool = True
    takes_pull: bool = False

    def arguments_given(self, conventions: InferenceConventions) -> tuple[str, ...]:
        """Return the arguments with which it is called."""
        pull = ("target",) if self.takes_pull and conventions.output == "pulled" else ()
        b = ("b",) if self.takes_biases and conventions.biases != "none" else ()
        return (*self.arguments, *pull, *b)

    @property
    def by_residual(self) -> bool:
        """Whether several results are right, and it is judged by a residual."""
        return self.expected is _several


def _several(rules: Rules, inputs: Inputs, own: Quantities) -> Quantities:
    return {}


def net_of(inputs: Inputs) -> Net:
    """Return the network that arguments describe."""
    b = inputs.get("b")
    return Net(
        tuple(inputs["W"]), inputs["y0"], tuple(b) if b is not None else None, inputs.get("target"),
        inputs.get("gamma", 0.0), inputs.get("eta", 1.0),
    )  # fmt: skip


def place_of(rules: Rules, inputs: Inputs) -> At:
    """Return the network at the states that came in."""
    return At(rules, without_target(rules, net_of(inputs)), tuple(inputs["states"]))


def _errors(rules: Rules, inputs: Inputs, own: Quantities) -> Quantities:
    at = place_of(rules, inputs)
    sign = rules.conventions.error_sign
    return named_states("e", [scaled(at.e(layer), sign) for layer in range(1, at.net.layers + 1)])


def _predictions(rules: Rules, inputs: Inputs, own: Quantities) -> Quantities:
    at = place_of(rules, inputs)
    return named_states("p", [_as_difference(at.p(layer), at.h(layer)) for layer in range(1, at.net.layers + 1)])


def _as_difference(p: AnyArray, h: AnyArray) -> AnyArray:
    """p with what it costs to have it as h − e."""
    if not isinstance(p, Tracked):
        return p
    magnitude = p.magnitude + 2 * np.abs(h.value)
    quantum = min(p.quantum, h.quantum)
    largest = max(p.largest, h.largest, float(np.max(magnitude)) / quantum if quantum else np.inf)
    return replace(p, magnitude=magnitude, roundings=p.roundings + 2, quantum=quantum, largest=largest)


def _energy(rules: Rules, inputs: Inputs, own: Quantities) -> Quantities:
    return {"F": rules.energy(place_of(rules, inputs))}


def _start(rules: Rules, inputs: Inputs, own: Quantities) -> Quantities:
    net = net_of(inputs)
    return named_states("h", started(rules, net, [own.get(f"h of layer {at}") for at in range(1, net.layers + 1)]))


def _infer(rules: Rules, inputs: Inputs, own: Quantities) -> Quantities:
    """From the implementation's own states one step before, where they are known; else from those that came in."""
    own = inputs.get("chain", {})
    place, steps = place_of(rules, inputs), int(inputs["steps"])
    if "now of layer 1" in own:
        now = given_states(own, "now", place.states)
        before = given_states(own, "before", place.states) if steps > 1 else None
        place = At(rules, place.net, now, before, place, steps - 1)
        return named_states("h", inferred(rules, place, 1).states)
    return named_states("h", inferred(rules, rules.enter(place), steps).states)


def _weight_update(rules: Rules, inputs: Inputs, own: Quantities) -> Quantities:
    sign = -1 if rules.conventions.returns == "gradient" else 1
    return {name: scaled(change, sign) for name, change in changes(place_of(rules, inputs)).items()}


def _step(rules: Rules, inputs: Inputs, own: Quantities) -> Quantities:
    return recovered(rules.learn(in_step(rules), net_of(inputs), int(inputs["steps"]), own), inputs)


def in_step(rules: Rules) -> Rules:
    """The pieces with the reduction that `step` has."""
    chosen = rules.conventions
    if chosen.step_reduction == "as reduction":
        return rules
    return rules.with_changes(conventions=replace(chosen, reduction=chosen.step_reduction))


def recovered(quantities: Quantities, inputs: Inputs) -> Quantities:
    """Return expected ΔW and Δb with what it costs to recover them from the new weights, as (W⁺ − W)/η."""
    return {name: _recovered(name, quantity, inputs) for name, quantity in quantities.items()}


def _recovered(name: str, update: AnyArray, inputs: Inputs) -> AnyArray:
    if not (name.startswith("Δ") and isinstance(update, Tracked)):
        return update
    eta, layer = inputs["eta"], int(name.rpartition(" ")[2])
    new = inputs["W" if name[1] == "W" else "b"][layer - 1] + eta * update
    # As in a step of COPI; in incremental learning W is rounded once in every step of inference.
    additions = (inputs["y0"].shape[0] + 1) * max(1, int(inputs["steps"]))
    magnitude = update.magnitude + additions * new.magnitude / (eta * max(1, update.roundings))
    return replace(
        update, magnitude=magnitude, roundings=max(1, update.roundings), largest=max(new.largest, update.largest)
    )


def _prox_update(rules: Rules, inputs: Inputs, own: Quantities) -> Quantities:
    at = place_of(rules, inputs)
    return {f"ΔW of layer {layer}": rules.prox_change(at, layer) for layer in range(1, at.net.layers + 1)}


_STATES = "one array per layer, the lowest first"

INFERENCE_FUNCTIONS: dict[str, InferenceFunction] = {
    function.name: function
    for function in (
        InferenceFunction("errors", ("W", "y0", "states"), f"e: {_STATES}", "e_l = h_l − p_l", _errors),
        InferenceFunction(
            "predictions", ("W", "y0", "states"), f"p: {_STATES}", "p_l = ψ(W_l φ(h_{l−1}) + b_l)", _predictions
        ),
        InferenceFunction(
            "energy", ("W", "y0", "states"), "F of each sample, or one number", "F = ½ Σ_l ‖e_l‖²", _energy
        ),
        InferenceFunction("start", ("W", "y0", "target"), f"h: {_STATES}", "h_l = p_l, and h_L = y*", _start),
        InferenceFunction(
            "infer",
            ("W", "y0", "states", "gamma", "steps"),
            f"h: {_STATES}",
            "h_l ← h_l − γ ∂F/∂h_l, T times",
            _infer,
            takes_pull=True,
        ),
        InferenceFunction(
            "weight_update",
            ("W", "y0", "states"),
            f"ΔW, or (ΔW, Δb): {_STATES}",
            "ΔW_l = E[(ψ′(a_l) ∘ e_l) x_lᵀ]",
            _weight_update,
        ),
        InferenceFunction(
            "step",
            ("W", "y0", "target", "gamma", "steps", "eta"),
            f"W, or (W, b): {_STATES}",
            "start, T steps of inference, W_l + η ΔW_l",
            _step,
        ),
        InferenceFunction(
            "converge", ("W", "y0", "states"), f"h: {_STATES}", "∂F/∂h_l = 0 for every state that is free", _several,
            takes_pull=True,
        ),
        InferenceFunction(
            "prox_update", ("W", "y0", "states"), f"ΔW: {_STATES}", "ΔW_l = E[e_l x_lᵀ/‖x_l‖²]", _prox_update,
            takes_biases=False,
        ),
        InferenceFunction(
            "prox_step", ("W", "y0", "target", "alpha"), f"W: {_STATES}", "W⁺ = W − α ∇ℓ(W⁺), of one sample",
            _several,            takes_biases=False,
        ),
        InferenceFunction(
            "implicit_step", ("W", "y0", "target", "alpha"), f"W: {_STATES}", "W⁺ = W − α E[∇ℓ(W⁺)]", _several,
            takes_biases=False,
        ),
        InferenceFunction(
            "implicit_layer", ("x", "W", "target", "alpha"), "W⁺", "W⁺ = W + α E[(y* − W⁺ x) xᵀ]", _several,
            takes_biases=False
        ),
    )
}  # fmt: skip
"""In the order in which they are checked: a wrong prediction is named before a step that contains it."""

ONE_OF_TWO = {"errors": "predictions", "predictions": "errors"}
"""Functions of which one is enough."""


def states_from(quantities: Quantities, symbol: str, layers: int) -> States:
    """Return the arrays of a symbol, the lowest layer first."""
    return tuple(quantities[f"{symbol} of layer {layer}"] for layer in range(1, layers + 1))
