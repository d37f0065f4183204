"""Inference: states lower the energy of the prediction errors, all at once or one layer after the other."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Literal, TypeVar

from copi_ref.activations import Activation
from copi_ref.arrays import checks
from copi_ref.arrays.backend import Array
from copi_ref.inference_learning.energy import PLAIN, Energy, energy_gradient, il_bias_update, il_update
from copi_ref.inference_learning.forms import WEIGHTS_LAST, Form, OrderName
from copi_ref.inference_learning.output import pull_gradient
from copi_ref.inference_learning.states import (
    Settled,
    States,
    check_activation,
    checked,
    first_layer,
    held_predictions,
    predicted,
    predictions,
)
from copi_ref.inference_learning.weights import Weights, multiplied_where_cheaper
from copi_ref.network import Params
from copi_ref.task import Task, check_task

Gamma = float | Any | Sequence[Any]
"""γ, or one γ a layer."""

ScheduleName = Literal["all-at-once", "bottom-up", "top-down"]

SCHEDULES: dict[str, Callable[[int], list[Sequence[int]]]] = {
    "all-at-once": lambda layers: [range(layers)],
    "bottom-up": lambda layers: [[layer] for layer in range(layers)],
    "top-down": lambda layers: [[layer] for layer in reversed(range(layers))],
}
"""Which layers move together, one group after the other; each sees the states that those before it have left."""

PredictionName = Literal["current", "fixed"]

Predict = Callable[[States], Settled]

PREDICTIONS: dict[str, Callable[[Predict, States], Predict]] = {
    "current": lambda predict, start: predict,
    "fixed": lambda predict, start: partial(held_predictions, predict(start)),
}
"""Whether predictions and slopes follow the states, or stay those of the start."""


def infer(
    params: Params | Weights,
    y0: Array,
    states: States,
    activation: Activation,
    steps: int,
    gamma: Gamma,
    form: Form | OrderName = WEIGHTS_LAST,
    *,
    energy: Energy = PLAIN,
    schedule: ScheduleName = "all-at-once",
    prediction: PredictionName = "current",
    task: Task | None = None,
) -> States:
    """Lower F = ½ Σ_l ‖e_l‖² over the hidden states, with the output's clamped: T steps of gradient descent.

    h_l ← h_l − γ (e_l − φ′(h_l) ∘ R_{l+1}ᵀ W_{l+1}ᵀ (ψ′(a_{l+1}) ∘ e_{l+1}))

    Args:
        params: the network; one without R, or with biases, is a `Weights`.
        y0: (…, N, K_0), inputs; rows are samples.
        states: where to start, as `forward_states` gives them; the last stays as it is.
        activation: f.
        steps: T.
        gamma: γ, or a sequence with one a layer, the output among them.
        form: a `Form`, or the name of a plain one.
        energy: another energy of this kind, with precisions or decay.
        schedule: a name in `SCHEDULES`.
        prediction: a name in `PREDICTIONS`. What weights learn from "fixed" ones is
            ``held_predictions(predictions(…, start, …), states)``.
        task: if there is one, the output is not clamped but pulled: it moves too, with ℓ(h_L) in the energy.

    Raises:
        TypeError, ValueError: arrays that don't fit the network, unknown names, or T no whole number of at least 0.

    Not checked: that γ is small enough for the energy to fall.
    """
    check_inference(steps, gamma)
    check_activation(activation)
    checks.instance("energy", energy, Energy, "Energy()")
    if task is not None:
        check_task(task)
    weights, form = checked(params, y0, states, form)
    follow = checks.choice("prediction", prediction, PREDICTIONS)
    groups = checks.choice("schedule", schedule, SCHEDULES)(len(states) - (task is None))
    rates = per_layer(gamma, states)
    weights = multiplied_where_cheaper(weights, y0.shape[-2], steps * len(groups))
    first = first_layer(weights, y0, activation, form)

    def predict(states: States) -> Settled:
        return predicted(weights, first, y0, states, activation, form)

    settle = follow(predict, states)
    for _ in range(steps):
        for group in groups:
            settled = settle(states)
            gradients = list(energy_gradient(weights, settled, energy))
            if task is not None:
                gradients[-1] = gradients[-1] + pull_gradient(task, states, settled.psi[-1])
            moved = list(states)
            for layer in group:
                moved[layer] = states[layer] - rates[layer] * gradients[layer]
            states = tuple(moved)
    return states


Network = TypeVar("Network", Params, Weights)

Move = Callable[[Network, States], States]
Learn = Callable[[Network, States], Network]


def _states_first(network: Network, states: States, move: Any, learn: Any) -> tuple[Network, States]:
    states = move(network, states)
    return learn(network, states), states


def _simultaneous(network: Network, states: States, move: Any, learn: Any) -> tuple[Network, States]:
    return learn(network, states), move(network, states)


def _weights_first(network: Network, states: States, move: Any, learn: Any) -> tuple[Network, States]:
    network = learn(network, states)
    return network, move(network, states)


IncrementalOrderName = Literal["states-first", "simultaneous", "weights-first"]

INCREMENTAL_ORDERS: dict[str, Callable[[Any, States, Any, Any], tuple[Any, States]]] = {
    "states-first": _states_first,
    "simultaneous": _simultaneous,
    "weights-first": _weights_first,
}
"""One step of states and one of weights. Under the first, weights see errors of the moved states."""


def incremental_il(
    params: Network,
    y0: Array,
    states: States,
    activation: Activation,
    steps: int,
    gamma: Gamma,
    eta: Any,
    form: Form | OrderName = WEIGHTS_LAST,
    *,
    order: IncrementalOrderName = "states-first",
    energy: Energy = PLAIN,
    task: Task | None = None,
) -> tuple[Network, States]:
    """Infer and learn at once, "incremental predictive coding" (iPC): weights move in every step of inference.

    T times h ← h − γ ∂F/∂h and W ← W − η ∂E[F]/∂W, and biases, if there are any, as W.

    Args:
        params: the network.
        y0: (…, N, K_0), inputs; rows are samples.
        states: where to start; the last stays as it is.
        activation: f.
        steps: T.
        gamma: γ, or a sequence with one a layer.
        eta: η.
        form: a `Form`, or the name of a plain one.
        order: a name in `INCREMENTAL_ORDERS`.
        energy: as `infer`.
        task: as `infer`.

    Returns:
        The network and the states.

    Raises:
        TypeError, ValueError: as `infer`, or η no number of at least 0.
    """
    check_inference(steps, gamma)
    check_activation(activation)
    checks.instance("energy", energy, Energy, "Energy()")
    checks.number("eta", eta, minimum=0)
    _, form = checked(params, y0, states, form)
    rate = checks.coefficient("eta", eta, states[-1])
    one_step = checks.choice("order", order, INCREMENTAL_ORDERS)

    def move(network: Network, states: States) -> States:
        return infer(network, y0, states, activation, 1, gamma, form, energy=energy, task=task)

    def learn(network: Network, states: States) -> Network:
        settled = predictions(network, y0, states, activation, form)
        moved = {"W": _added(network.W, il_update(settled, energy), rate)}
        if isinstance(network, Weights) and network.b is not None:
            moved["b"] = _added(network.b, il_bias_update(settled, energy), rate)
        return replace(network, **moved)

    for _ in range(steps):
        params, states = one_step(params, states, move, learn)
    return params, states


def _added(arrays: tuple[Array, ...], updates: tuple[Array, ...], rate: Any) -> tuple[Array, ...]:
    return tuple(array + rate * update for array, update in zip(arrays, updates, strict=True))


def per_layer(gamma: Gamma, states: States) -> list[Any]:
    """Return a γ for each layer, in a form that leaves the dtype of the states as it is.

    Raises:
        TypeError, ValueError: as `infer`.
    """
    each = list(gamma) if isinstance(gamma, Sequence) else [gamma] * len(states)
    checks.same_length(gamma=(each, len(states)))
    return [checks.coefficient("gamma", one, h) for one, h in zip(each, states, strict=True)]


def check_inference(steps: int, gamma: Gamma, name: str = "gamma") -> None:
    """Check T and γ of an inference; `name` is that of γ.

    Raises:
        TypeError, ValueError: T is no whole number, or γ no number (or sequence of numbers), of at least 0.
    """
    checks.whole_number("steps", steps, minimum=0)
    if isinstance(gamma, Sequence) and not isinstance(gamma, (str, bytes)):
        for layer, one in enumerate(gamma, start=1):
            checks.one_number(f"{name} of layer {layer}", one, minimum=0)
    else:
        checks.one_number(name, gamma, minimum=0)
