"""Algorithm 1: how training starts, and one step, line by line."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from copi_ref.arrays import checks
from copi_ref.arrays.backend import Array, Namespace, namespace
from copi_ref.arrays.moments import mean_sample
from copi_ref.credit import find_credit, init_feedback
from copi_ref.decorrelation import LATERAL_GAINS
from copi_ref.network import Params, Trace, centred, forward, init_params
from copi_ref.recipe import Rate, Recipe, find_lateral_rule, find_weight_rule
from copi_ref.state import State, generator_of, stack, standing_of
from copi_ref.task import Task


def init_state(
    recipe: Recipe,
    sizes: tuple[int, ...],
    rng: np.random.Generator | Sequence[np.random.Generator],
    xp: Namespace | None = None,
) -> State:
    """Draw the network and the feedback weights, and set up the optimizer and the shuffling.

    The three draw from generators of their own, spawned from `rng`: recipes that differ in their credit method
    start from the same weights and see the same batches. (What is spawned depends on the seed of `rng` and on how
    often it spawned before, not on how many numbers were drawn from it.)

    Args:
        recipe: the recipe that the state is for.
        sizes: units of each layer, the input first.
        rng: the generator to spawn from; a sequence of S generators gives an ensemble of S networks, each as if it
            were alone.
        xp: array module; by default the chosen backend.

    Raises:
        TypeError, ValueError, BackendError: as `init_params`.
    """
    if isinstance(rng, Sequence):
        if not rng:
            raise ValueError("rng is empty: an ensemble needs at least one generator")
        for place, one in enumerate(rng):
            checks.generator(f"rng[{place}]", one)
        return stack([init_state(recipe, sizes, one, xp) for one in rng])
    checks.generator("rng", rng)
    weights_rng, feedback_rng, training_rng = rng.spawn(3)
    params = init_params(sizes, weights_rng, recipe.dtype, xp)
    if recipe.centring:
        params = replace(params, mean=tuple(R[..., 0, :] * 0 for R in params.R))
    return State(
        params=params,
        optimizer=tuple(recipe.optimizer.init(W) for W in params.W),
        feedback=init_feedback(recipe.credit, sizes, feedback_rng, recipe.dtype, xp),
        rng_state=standing_of(training_rng),
    )


class Seen(NamedTuple):
    """What the weights of one layer learn from: x_l and a_l, (…, N, K) and (…, N, M), and δ_l times the error scale."""

    layer: int
    x: Array
    a: Array
    delta: Array


def step(recipe: Recipe, state: State, y0: Array, target: Array) -> State:
    """Take one step on a batch: Algorithm 1, lines 3 to 16.

    Args:
        recipe: all that the algorithm leaves open.
        state: where training stands.
        y0: (…, N, K_0), inputs; rows are samples.
        target: (…, N, K_L), targets y*.

    Raises:
        TypeError, ValueError: arrays that don't fit the network; the message names them.

    Not checked: that the result is finite (`fit` does).
    """
    return algorithm_1(recipe, state, y0, target, updated_W, updated_R)


def algorithm_1(
    recipe: Recipe, state: State, y0: Array, target: Array, update_W: "UpdateW", update_R: "UpdateR"
) -> State:
    """Take one step, with lines 14 and 15 as given: pure in `step`, in place in `fit`; the rest as `step`."""
    params, memory = state.params, list(state.optimizer)
    learns_W = state.epoch >= recipe.lateral_only_epochs
    learns_R = recipe.lateral_rule != "none"
    rng = generator_of(state)
    task = Task(target, recipe.loss, recipe.activation, state.feedback, rng, recipe.output)

    trace = forward(params, y0, recipe.activation)  # lines 4 to 8
    if learns_W:
        seen = _perturbations(recipe, params, trace, task)  # lines 9 to 12

    # The updates wait until the perturbations have gone through all layers: with layer 3 updated first, layer 2
    # would get its δ through weights that the forward pass never used.
    inputs = (y0, *trace.y[:-1])
    feedback, means = _feedback(recipe, params, trace, task), _running_means(recipe, params, inputs)
    W, R = list(params.W), list(params.R)
    for layer in reversed(range(len(W))):  # lines 13 to 16
        if learns_W:
            eta = rate("eta_w", recipe.eta_w, state.epoch, W[layer])
            W[layer], memory[layer] = update_W(recipe, seen[layer], W[layer], memory[layer], eta)  # line 14
        if learns_R:
            eta = rate("eta_r", recipe.eta_r, state.epoch, R[layer])
            R[layer] = update_R(recipe, layer + 1, trace.x[layer], R[layer], eta)  # line 15
            if (gain := LATERAL_GAINS[recipe.lateral_gain]) is not None:
                R[layer] = gain(centred(params, layer, inputs[layer]), R[layer]) * R[layer]

    return replace(
        state,
        params=Params(tuple(W), tuple(R), means),
        optimizer=tuple(memory),
        feedback=feedback,
        rng_state=standing_of(rng),
        step=state.step + 1,
    )


UpdateW = Callable[[Recipe, Seen, Array, Any, Any], tuple[Array, Any]]
"""``(recipe, seen, W, memory, eta) -> W, memory``: line 14 for one layer."""

UpdateR = Callable[[Recipe, int, Array, Array, Any], Array]
"""``(recipe, layer, x, R, eta) -> R``: line 15 for one layer."""


def updated_W(recipe: Recipe, seen: Seen, W: Array, memory: Any, eta: Any) -> tuple[Array, Any]:
    """Return W + η_W d and the optimizer's memory, with d what the optimizer makes of ΔW."""
    direction, memory = direction_of_W(recipe, seen, W, memory)
    return W + eta * direction, memory


def direction_of_W(recipe: Recipe, seen: Seen, W: Array, memory: Any) -> tuple[Array, Any]:
    """Return what the optimizer and the decay make of ΔW, and the optimizer's memory."""
    update = find_weight_rule(recipe.weight_rule)(seen.x, seen.a, seen.delta, W)
    _check_update("W", seen.layer, W, update)
    direction, memory = recipe.optimizer(update, memory)
    if direction is not update:
        _check_update("W", seen.layer, W, direction, "the optimizer's direction for ")
    if recipe.weight_decay:  # without decay the direction stays as it is to the last bit
        direction = direction - checks.coefficient("weight_decay", recipe.weight_decay, W) * W
    return direction, memory


def updated_R(recipe: Recipe, layer: int, x: Array, R: Array, eta: Any) -> Array:
    """Return R + η_R ΔR."""
    return R + eta * direction_of_R(recipe, layer, x, R)


def direction_of_R(recipe: Recipe, layer: int, x: Array, R: Array) -> Array:
    """Return ΔR."""
    update = find_lateral_rule(recipe.lateral_rule)(x, R)
    _check_update("R", layer, R, update)
    return update


def _perturbations(recipe: Recipe, params: Params, trace: Trace, task: Task) -> list[Seen]:
    """Return the states that the weights learn from, and δ of every layer times the error scale."""
    credit: Any = find_credit(recipe.credit)
    if recipe.states == "inferred":
        states, deltas = credit.infer(params, trace, task)
    else:
        states, deltas = trace, credit(params, trace, task)
    layers = len(params.W)
    checks.same_length(x=(states.x, layers), a=(states.a, layers), deltas=(deltas, layers))
    scale = checks.coefficient("error_scale", recipe.error_scale, trace.a[-1])
    seen = []
    for layer, (W, x, a, delta) in enumerate(zip(params.W, states.x, states.a, deltas, strict=True), start=1):
        named = {"W": (W, "MK"), "x": (x, "NK"), "a": (a, "NM"), "δ": (delta, "NM")}
        checks.arrays(**{f"{name} of layer {layer}": of for name, of in named.items()})
        seen.append(Seen(layer, x, a, scale * delta))
    return seen


def _check_update(name: str, layer: int, array: Array, update: Array, what: str = "Δ") -> None:
    """Refuse an update of another shape or dtype, which would broadcast or be cast silently: rules may be a user's."""
    checks.arrays(**{f"{name} of layer {layer}": (array, "MK"), f"{what}{name} of layer {layer}": (update, "MK")})


def _running_means(recipe: Recipe, params: Params, inputs: tuple[Array, ...]) -> tuple[Array, ...] | None:
    """Move each μ towards the mean of the batch; None where nothing is centred."""
    if params.mean is None:
        if recipe.centring:
            raise ValueError(
                f"centring is {recipe.centring}, but the state has no means: init_state makes them for this recipe"
            )
        return None
    xp = namespace(inputs[0])
    rate = checks.coefficient("centring", recipe.centring, inputs[0])
    return tuple(mean + rate * (mean_sample(y, xp) - mean) for mean, y in zip(params.mean, inputs, strict=True))


def _feedback(recipe: Recipe, params: Params, trace: Trace, task: Task) -> tuple[Array, ...] | None:
    """Return the feedback weights after the step, for methods that learn them (target propagation's inverse)."""
    learn = getattr(find_credit(recipe.credit), "learn_feedback", None)
    if learn is None:
        return task.feedback
    # Copies: what a user's method returns may be a view of a weight, which `fit` then writes to.
    return tuple(namespace(B).asarray(B, copy=True) for B in learn(params, trace, task))


def rate(name: str, value: Rate, epoch: int, like: Array) -> Any:
    """Return η of an epoch, in a form that leaves the dtype of `like` as it is.

    Raises:
        TypeError, ValueError: a schedule gives what is no rate.
    """
    if callable(value):
        value = value(epoch)
        checks.number(f"{name} of epoch {epoch}", value, minimum=0)
    return checks.coefficient(name, value, like)
