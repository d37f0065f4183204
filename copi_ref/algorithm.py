"""Algorithm 1: what training changes (`State`), how it starts, and one step, line by line."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from copi_ref import _checks
from copi_ref.backend import Array, Namespace, namespace
from copi_ref.credit import Task, find_credit, init_feedback
from copi_ref.decorrelation import LATERAL_GAINS
from copi_ref.moments import mean_sample
from copi_ref.network import Params, Trace, centred, forward, init_params
from copi_ref.recipe import Rate, Recipe, find_lateral_rule, find_weight_rule


@dataclass(frozen=True, eq=False)
class State:
    """What training changes. `step` and `fit` return a new one and leave the old one as it was.

    Args:
        params: the network's weights.
        optimizer: the optimizer's memory, one entry a layer.
        feedback: feedback weights, if the credit method has some; fixed, unless the method learns them.
        rng_state: state of the generator that shuffles, and that random credit methods draw from.
        epoch: epochs finished.
        step: steps taken.
    """

    params: Params
    optimizer: tuple[Any, ...]
    feedback: tuple[Array, ...] | None
    rng_state: dict[str, Any]
    epoch: int = 0
    step: int = 0


def init_state(recipe: Recipe, sizes: tuple[int, ...], rng: np.random.Generator, xp: Namespace | None = None) -> State:
    """Draw the network and the feedback weights, and set up the optimizer and the shuffling.

    The three draw from generators of their own, spawned from `rng`: recipes that differ in their credit method
    start from the same weights and see the same batches. (What is spawned depends on the seed of `rng` and on how
    often it spawned before, not on how many numbers were drawn from it.)

    Args:
        recipe: the recipe that the state is for.
        sizes: units of each layer, the input first.
        rng: the generator to spawn from.
        xp: array module; by default the chosen backend.

    Raises:
        TypeError, ValueError, BackendError: as `init_params`.
    """
    _checks.generator("rng", rng)
    weights_rng, feedback_rng, training_rng = rng.spawn(3)
    params = init_params(sizes, weights_rng, recipe.dtype, xp)
    if recipe.centring:
        params = replace(params, mean=tuple(R[..., 0, :] * 0 for R in params.R))
    return State(
        params=params,
        optimizer=tuple(recipe.optimizer.init(W) for W in params.W),
        feedback=init_feedback(recipe.credit, sizes, feedback_rng, recipe.dtype, xp),
        rng_state=dict(training_rng.bit_generator.state),
    )


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
    params, memory = state.params, list(state.optimizer)
    learns_W = state.epoch >= recipe.lateral_only_epochs
    learns_R = recipe.lateral_rule != "none"
    rng = generator_of(state)
    task = Task(target, recipe.loss, recipe.activation, state.feedback, rng, recipe.output)

    trace = forward(params, y0, recipe.activation)  # lines 4 to 8
    if learns_W:
        seen, deltas = _perturbations(recipe, params, trace, task)  # lines 9 to 12

    # The updates wait until the perturbations have gone through all layers: with layer 3 updated first, layer 2
    # would get its δ through weights that the forward pass never used.
    W, R, inputs = list(params.W), list(params.R), (y0, *trace.y[:-1])
    for layer in reversed(range(len(W))):  # line 13
        if learns_W:  # line 14
            update = find_weight_rule(recipe.weight_rule)(seen.x[layer], seen.a[layer], deltas[layer], W[layer])
            _check_update("W", layer, W[layer], update)
            direction, memory[layer] = recipe.optimizer(update, memory[layer])
            direction = _decayed(recipe, direction, W[layer])
            W[layer] = W[layer] + _rate("eta_w", recipe.eta_w, state.epoch, W[layer]) * direction
        if learns_R:  # line 15
            update = find_lateral_rule(recipe.lateral_rule)(trace.x[layer], R[layer])
            _check_update("R", layer, R[layer], update)
            R[layer] = R[layer] + _rate("eta_r", recipe.eta_r, state.epoch, R[layer]) * update
            R[layer] = _scaled(recipe, centred(params, layer, inputs[layer]), R[layer])

    return replace(
        state,
        params=Params(tuple(W), tuple(R), _running_means(recipe, params, inputs)),
        optimizer=tuple(memory),
        feedback=_feedback(recipe, params, trace, task),
        rng_state=dict(rng.bit_generator.state),
        step=state.step + 1,
    )


def _perturbations(recipe: Recipe, params: Params, trace: Trace, task: Task) -> tuple[Trace, tuple[Array, ...]]:
    """Return the states that the weights learn from, and δ of every layer times the error scale."""
    credit: Any = find_credit(recipe.credit)
    if recipe.states == "inferred":
        seen, deltas = credit.infer(params, trace, task)
    else:
        seen, deltas = trace, credit(params, trace, task)
    _checks.same_length(deltas=(deltas, len(trace.a)))
    for layer, (delta, a) in enumerate(zip(deltas, trace.a, strict=True), start=1):
        _checks.arrays(**{f"a of layer {layer}": (a, "NM"), f"δ of layer {layer}": (delta, "NM")})
    scale = _checks.coefficient("error_scale", recipe.error_scale, trace.a[-1])
    return seen, tuple(scale * delta for delta in deltas)


def _check_update(name: str, layer: int, array: Array, update: Array) -> None:
    """Refuse an update of another shape or dtype, which would broadcast or be cast silently: rules may be a user's."""
    _checks.arrays(**{f"{name} of layer {layer + 1}": (array, "MK"), f"Δ{name} of layer {layer + 1}": (update, "MK")})


def _decayed(recipe: Recipe, direction: Array, W: Array) -> Array:
    """Take λ W from a direction; without decay, leave it as it is to the last bit."""
    if not recipe.weight_decay:
        return direction
    return direction - _checks.coefficient("weight_decay", recipe.weight_decay, W) * W


def _scaled(recipe: Recipe, y: Array, R: Array) -> Array:
    """Scale R by the recipe's gain, if it has one."""
    gain = LATERAL_GAINS[recipe.lateral_gain]
    return R if gain is None else gain(y, R) * R


def _running_means(recipe: Recipe, params: Params, inputs: tuple[Array, ...]) -> tuple[Array, ...] | None:
    """Move each μ towards the mean of the batch; None where nothing is centred."""
    if params.mean is None:
        if recipe.centring:
            raise ValueError(
                f"centring is {recipe.centring}, but the state has no means: init_state makes them for this recipe"
            )
        return None
    xp = namespace(inputs[0])
    rate = _checks.coefficient("centring", recipe.centring, inputs[0])
    return tuple(mean + rate * (mean_sample(y, xp) - mean) for mean, y in zip(params.mean, inputs, strict=True))


def _feedback(recipe: Recipe, params: Params, trace: Trace, task: Task) -> tuple[Array, ...] | None:
    """Return the feedback weights after the step, for methods that learn them (target propagation's inverse)."""
    learn = getattr(find_credit(recipe.credit), "learn_feedback", None)
    return learn(params, trace, task) if learn else task.feedback


def _rate(name: str, rate: Rate, epoch: int, like: Array) -> Any:
    if callable(rate):
        rate = rate(epoch)
        _checks.number(f"{name} of epoch {epoch}", rate, minimum=0)
    return _checks.coefficient(name, rate, like)


def generator_of(state: State) -> np.random.Generator:
    """Return a generator that stands where the state's does."""
    bit_generator = getattr(np.random, state.rng_state["bit_generator"])(0)
    bit_generator.state = state.rng_state
    return np.random.Generator(bit_generator)
