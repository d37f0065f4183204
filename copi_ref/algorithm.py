"""Algorithm 1: how training starts, and one step, line by line."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from copi_ref.arrays import checks
from copi_ref.arrays.backend import Array, Namespace, namespace
from copi_ref.arrays.moments import mean_sample
from copi_ref.arrays.shown import shown
from copi_ref.credit import find_credit, init_feedback
from copi_ref.decorrelation import find_lateral_gain, find_lateral_rule
from copi_ref.kept_diagonal import BatchCentring
from copi_ref.network import Params, Trace, centred, forward, forward_by_batch_means, init_params
from copi_ref.recipe import Rate, Recipe, find_weight_rule
from copi_ref.state import State, check_state, generator_of, stack, standing_of
from copi_ref.task import Generators, Task, check_target


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
    checks.instance("recipe", recipe, Recipe)
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
    passed = pass_batch(recipe, state, y0, target)  # lines 4 to 12
    W, R, memory = list(state.params.W), list(state.params.R), list(state.optimizer)
    # The updates wait until the perturbations have gone through all layers: with layer 3 updated first, layer 2
    # would get its δ through weights that the forward pass never used.
    for layer in reversed(range(len(W))):  # lines 13 to 16
        if passed.eta_w is not None:
            x, a, delta = passed.seen[layer]
            dW = weight_update(recipe, layer, x, a, delta, W[layer])  # "copi": E[z xᵀ] − W diag(E[x²]), z = a + δ
            d, memory[layer] = direction(recipe, layer, dW, W[layer], memory[layer])  # "plain": d = ΔW
            W[layer] = W[layer] + passed.eta_w * d  # line 14
        if passed.eta_r is not None:
            R[layer] = gained(recipe, layer, passed, R[layer])
            dR = lateral_update(recipe, layer, passed, R[layer])  # "right": −R C_off
            R[layer] = R[layer] + passed.eta_r * dR  # line 15
            R[layer] = rescaled(recipe, layer, passed, R[layer])
    return after_updates(state, passed, W, R, memory)


# --- lines 4 to 12: once up, once down --------------------------------------------------------------------------------


class Seen(NamedTuple):
    """What the weights of one layer learn from: x_l and a_l, (…, N, K) and (…, N, M), and δ_l times the error scale."""

    x: Array
    a: Array
    delta: Array

    def __repr__(self) -> str:
        return shown(self)


class Passed(NamedTuple):
    """What a batch leaves that has gone up and down a network: all of it from the weights as they were.

    Args:
        params: the network, with the means that were subtracted.
        trace: of the forward pass; R learns from its x.
        seen: what W learns from, layer by layer; none while W waits.
        inputs: y_{l−1}, layer by layer.
        feedback: feedback weights after the step.
        means: running means after the step.
        rng: generators after the step.
        eta_w: η_W; None while W waits.
        eta_r: η_R; None in a step that leaves R as it is.
    """

    params: Params
    trace: Trace
    seen: tuple[Seen, ...]
    inputs: tuple[Array, ...]
    feedback: tuple[Array, ...] | None
    means: tuple[Array, ...] | None
    rng: Generators
    eta_w: Any
    eta_r: Any

    def __repr__(self) -> str:
        return shown(self)


def pass_batch(recipe: Recipe, state: State, y0: Array, target: Array) -> Passed:
    """Run a batch up and its perturbations down: lines 4 to 12. Arguments and errors are those of `step`."""
    checks.instance("recipe", recipe, Recipe)
    check_state(state)
    check_target(target)
    params, rng = state.params, generator_of(state)
    task = Task(target, recipe.loss, recipe.activation, state.feedback, rng, recipe.output)
    learns_W, learns_R = state.epoch >= recipe.lateral_only_epochs, R_learns(recipe, state)

    if isinstance(recipe.centring, BatchCentring):
        trace, params = forward_by_batch_means(params, y0, recipe.activation)
    else:
        trace = forward(params, y0, recipe.activation)  # lines 4 to 8
    seen = _perturbations(recipe, params, trace, task) if learns_W else ()  # lines 9 to 12
    inputs = (y0, *trace.y[:-1])
    return Passed(
        params,
        trace,
        seen,
        inputs,
        feedback=_feedback(recipe, params, trace, task),
        means=_running_means(recipe, state.params, inputs),
        rng=rng,
        eta_w=rate("eta_w", recipe.eta_w, state.epoch, params.W[0]) if learns_W else None,
        eta_r=rate("eta_r", recipe.eta_r, state.epoch, params.R[0]) if learns_R else None,
    )


def R_learns(recipe: Recipe, state: State) -> bool:
    """Say whether the next step is one in which R learns."""
    return recipe.lateral_rule != "none" and state.step % recipe.lateral_every == 0


def _perturbations(recipe: Recipe, params: Params, trace: Trace, task: Task) -> tuple[Seen, ...]:
    """Return the states that the weights learn from, and δ of every layer times the error scale."""
    credit: Any = find_credit(recipe.credit)
    if recipe.states == "inferred":
        states, deltas = _tuple_from("credit.infer", credit.infer(params, trace, task), ", (states, deltas)", 2)
        checks.instance("states of credit.infer", states, Trace, "it was given")
    else:
        states, deltas = trace, credit(params, trace, task)
    _tuple_from("credit", deltas, " of arrays, δ of each layer")
    layers = len(params.W)
    checks.same_length(x=(states.x, layers), a=(states.a, layers), deltas=(deltas, layers))
    scale = checks.coefficient("error_scale", recipe.error_scale, trace.a[-1])
    seen = []
    for layer, (W, x, a, delta) in enumerate(zip(params.W, states.x, states.a, deltas, strict=True), start=1):
        named = {"W": (W, "MK"), "x": (x, "NK"), "a": (a, "NM"), "δ": (delta, "NM")}
        checks.arrays(**{f"{name} of layer {layer}": of for name, of in named.items()})
        seen.append(Seen(x, a, scale * delta))
    return tuple(seen)


def _running_means(recipe: Recipe, params: Params, inputs: tuple[Array, ...]) -> tuple[Array, ...] | None:
    """Move each μ towards the mean of the batch; None where nothing is centred."""
    if params.mean is None:
        if recipe.centring:
            raise ValueError(
                f"centring is {recipe.centring}, but the state has no means: init_state makes them for this recipe"
            )
        return None
    xp = namespace(inputs[0])
    rate = recipe.centring.momentum if isinstance(recipe.centring, BatchCentring) else recipe.centring
    rate = checks.coefficient("centring", rate, inputs[0])
    return tuple(mean + rate * (mean_sample(y, xp) - mean) for mean, y in zip(params.mean, inputs, strict=True))


def _feedback(recipe: Recipe, params: Params, trace: Trace, task: Task) -> tuple[Array, ...] | None:
    """Return the feedback weights after the step, for methods that learn them (target propagation's inverse)."""
    learn = getattr(find_credit(recipe.credit), "learn_feedback", None)
    if learn is None:
        return task.feedback
    learnt = _tuple_from("credit.learn_feedback", learn(params, trace, task), " of arrays, the feedback weights")
    # Copies: what a user's method returns may be a view of a weight, which `fit` then writes to.
    return tuple(namespace(B).asarray(B, copy=True) for B in learnt)


def _tuple_from(function: str, returned: Any, needed: str, length: int | None = None) -> Any:
    """Return what a user's function returned, if it is a tuple or list, of that length if there is one."""
    if isinstance(returned, (tuple, list)) and length in (None, len(returned)):
        return returned
    kind = type(returned).__name__
    came = "None" if returned is None else f"a {kind}{f' of {len(returned)}' if kind in ('tuple', 'list') else ''}"
    raise TypeError(f"{function} returned {came}: needs a tuple{needed}")


def rate(name: str, value: Rate, epoch: int, like: Array) -> Any:
    """Return η of an epoch, in a form that leaves the dtype of `like` as it is.

    Raises:
        TypeError, ValueError: a schedule gives what is no rate.
    """
    if callable(value):
        value = value(epoch)
        checks.number(f"{name} of epoch {epoch}", value, minimum=0)
    return checks.coefficient(name, value, like)


# --- lines 14 and 15: what W and R move by ----------------------------------------------------------------------------


def weight_update(recipe: Recipe, layer: int, x: Array, a: Array, delta: Array, W: Array) -> Array:
    """Return ΔW of a layer (from 0) by the recipe's rule; a user's is checked."""
    dW = find_weight_rule(recipe.weight_rule)(x, a, delta, W)
    _check_update("W", layer, W, dW)
    return dW


def direction(recipe: Recipe, layer: int, dW: Array, W: Array, memory: Any) -> tuple[Array, Any]:
    """Return what the optimizer and the decay make of ΔW, and the optimizer's memory."""
    d, memory = _tuple_from("optimizer", recipe.optimizer(dW, memory), ", (direction, memory)", 2)
    if d is not dW:
        _check_update("W", layer, W, d, "the optimizer's direction for ")
    if recipe.weight_decay:  # without decay the direction stays as it is to the last bit
        d = d - checks.coefficient("weight_decay", recipe.weight_decay, W) * W
    return d, memory


def lateral_update(recipe: Recipe, layer: int, passed: Passed, R: Array) -> Array:
    """Return ΔR of a layer (from 0) by the recipe's rule; a user's is checked."""
    rule, x = find_lateral_rule(recipe.lateral_rule), passed.trace.x[layer]
    dR = rule(x, R, passed.rng) if getattr(rule, "draws", False) else rule(x, R)
    _check_update("R", layer, R, dR)
    return dR


def gained(recipe: Recipe, layer: int, passed: Passed, R: Array) -> Array:
    """Return g R with a gain that comes before the step, or R itself where the recipe has none."""
    gain = find_lateral_gain(recipe.lateral_gain)
    if gain is None or not getattr(gain, "before", False):
        return R
    return _times(gain(passed.inputs[layer], passed.trace.x[layer]), layer, R)


def rescaled(recipe: Recipe, layer: int, passed: Passed, R: Array) -> Array:
    """Return g R with a gain that comes after the step, or R itself where the recipe has none."""
    gain = find_lateral_gain(recipe.lateral_gain)
    if gain is None or getattr(gain, "before", False):
        return R
    return _times(gain(centred(passed.params, layer, passed.inputs[layer]), R), layer, R)


def _times(gain: Array, layer: int, R: Array) -> Array:
    """Return g R; a user's gain is checked as his updates are."""
    checks.arrays(**{f"R of layer {layer + 1}": (R, "KK"), f"the gain of R of layer {layer + 1}": (gain, "OO")})
    return gain * R


def _check_update(name: str, layer: int, array: Array, update: Array, what: str = "Δ") -> None:
    """Refuse an update of another shape or dtype, which would broadcast or be cast silently: rules may be a user's."""
    of = f"{name} of layer {layer + 1}"
    checks.arrays(**{of: (array, "MK"), f"{what}{of}": (update, "MK")})


def after_updates(state: State, passed: Passed, W: Sequence[Array], R: Sequence[Array], memory: Sequence[Any]) -> State:
    """Return the state with its new weights, and with all else that the step has changed."""
    return replace(
        state,
        params=Params(tuple(W), tuple(R), passed.means),
        optimizer=tuple(memory),
        feedback=passed.feedback,
        rng_state=standing_of(passed.rng),
        step=state.step + 1,
    )
