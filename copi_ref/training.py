"""Training: what changes (`State`), the inner loop of Algorithm 1 (`step`), and the loop around it (`fit`)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import numpy as np

from copi_ref import _checks
from copi_ref.backend import Array, Namespace
from copi_ref.batches import Samples, move, pieces, shuffled
from copi_ref.credit import Task, find_credit, init_feedback
from copi_ref.data.dataset import Dataset
from copi_ref.decorrelation import decorrelation_update
from copi_ref.evaluation import ROWS, evaluate
from copi_ref.finiteness import non_finite_activity, non_finite_weight
from copi_ref.network import Params, Trace, forward, init_params
from copi_ref.recipe import WEIGHT_RULES, Rate, Recipe


@dataclass(frozen=True, eq=False)
class State:
    """What training changes. `step` and `fit` return a new one and leave the old one as it was.

    Args:
        params: the network's weights.
        optimizer: the optimizer's memory, one entry a layer.
        feedback: fixed feedback weights, if the credit method has some.
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


@dataclass(frozen=True, eq=False)
class FitResult:
    """The last state, and one row of metrics per epoch."""

    state: State
    metrics: tuple[dict[str, float], ...]


class NonFiniteError(FloatingPointError):
    """Training left the finite numbers.

    `state` is the last good state, that of the start of the epoch; `metrics` are the rows of the epochs before.
    """

    def __init__(self, message: str, state: State, metrics: tuple[dict[str, float], ...]):
        super().__init__(message, state, metrics)  # all three, so that it can be pickled
        self.state = state
        self.metrics = metrics

    def __str__(self) -> str:
        return str(self.args[0])


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
    params, memory, rng_state = state.params, list(state.optimizer), state.rng_state
    trace = forward(params, y0, recipe.activation)  # lines 4 to 8
    learns_W = state.epoch >= recipe.lateral_only_epochs
    learns_R = recipe.lateral_rule != "none"
    if learns_W:
        deltas, rng_state = _perturbations(recipe, state, trace, target)  # lines 9 to 12

    # The updates wait until the perturbations have gone through all layers: with layer 3 updated first, layer 2
    # would get its δ through weights that the forward pass never used.
    W, R = list(params.W), list(params.R)
    for layer in reversed(range(len(W))):  # line 13
        x, a = trace.x[layer], trace.a[layer]
        if learns_W:  # line 14
            update = WEIGHT_RULES[recipe.weight_rule](x, a, deltas[layer], W[layer])
            direction, memory[layer] = recipe.optimizer(update, memory[layer])
            W[layer] = W[layer] + _rate("eta_w", recipe.eta_w, state.epoch, W[layer]) * direction
        if learns_R:  # line 15
            update = decorrelation_update(x, R[layer], recipe.lateral_rule)
            R[layer] = R[layer] + _rate("eta_r", recipe.eta_r, state.epoch, R[layer]) * update

    params = Params(W=tuple(W), R=tuple(R))
    return replace(state, params=params, optimizer=tuple(memory), rng_state=rng_state, step=state.step + 1)


def _perturbations(
    recipe: Recipe, state: State, trace: Trace, target: Array
) -> tuple[tuple[Array, ...], dict[str, Any]]:
    """Return δ of every layer times the error scale, and the generator's state afterwards."""
    rng = _generator(state.rng_state)
    task = Task(target, recipe.loss, recipe.activation, state.feedback, rng, recipe.output)
    scale = _checks.coefficient("error_scale", recipe.error_scale, trace.a[-1])
    deltas = find_credit(recipe.credit)(state.params, trace, task)
    _checks.same_length(deltas=(deltas, len(trace.a)))
    for layer, (delta, a) in enumerate(zip(deltas, trace.a, strict=True), start=1):
        _checks.arrays(**{f"a of layer {layer}": (a, "NM"), f"δ of layer {layer}": (delta, "NM")})
    return tuple(scale * delta for delta in deltas), dict(rng.bit_generator.state)


def _rate(name: str, rate: Rate, epoch: int, like: Array) -> Any:
    if callable(rate):
        rate = rate(epoch)
        _checks.number(f"{name} of epoch {epoch}", rate, minimum=0)
    return _checks.coefficient(name, rate, like)


def _generator(rng_state: dict[str, Any]) -> np.random.Generator:
    bit_generator = getattr(np.random, rng_state["bit_generator"])(0)
    bit_generator.state = rng_state
    return np.random.Generator(bit_generator)


def fit(
    recipe: Recipe,
    state: State,
    dataset: Dataset,
    epochs: int,
    callback: Callable[[State, dict[str, float]], None] | None = None,
) -> FitResult:
    """Train for some epochs (Algorithm 1, lines 2 to 18), each over all samples in a new order.

    The data are moved to the library, device and dtype of the state's arrays. The same recipe, state and data give
    the same result bit for bit, for one build of the library and one number of threads.

    Args:
        recipe: all that the algorithm leaves open.
        state: where to start: from `init_state`, or from an earlier `fit`, which it then continues.
        dataset: samples and labels; label k has the target 1 at unit k and 0 elsewhere.
        epochs: how many more epochs to train.
        callback: called after each epoch with the state and the row of metrics.

    Returns:
        The new state, and per epoch: epoch, train_accuracy, train_loss, test_accuracy, test_loss (of the whole
        sets, after the epoch) and seconds (of its training alone).

    Raises:
        TypeError, ValueError: the data don't fit the network.
        NonFiniteError: a weight or a loss became infinite or NaN; the message names where that began.
    """
    _checks.whole_number("epochs", epochs, minimum=0)
    train, test = move(state.params, dataset)
    rows: list[dict[str, float]] = []
    for _ in range(epochs):
        start = perf_counter()
        with np.errstate(over="ignore", invalid="ignore"):  # NonFiniteError says more than NumPy's warning
            after = _train_epoch(recipe, state, train)
            if non_finite_weight(after.params, after.optimizer):
                raise NonFiniteError(_where_it_began(recipe, state, train), state, tuple(rows))
            seconds = perf_counter() - start
            row = {"epoch": state.epoch, **_metrics(recipe, after.params, train, test)}
            if not all(np.isfinite(value) for value in row.values()):
                raise NonFiniteError(_where_it_shows(recipe, after, row, train, test), state, tuple(rows))
        state = after
        rows.append({**row, "seconds": seconds})
        if callback is not None:
            callback(state, rows[-1])
    return FitResult(state, tuple(rows))


def _train_epoch(recipe: Recipe, state: State, train: Samples) -> State:
    state, batches = _shuffle(recipe, state, train)
    for y0, target in batches:
        state = step(recipe, state, y0, target)
    return replace(state, epoch=state.epoch + 1)


def _shuffle(recipe: Recipe, state: State, train: Samples) -> tuple[State, Iterator[Samples]]:
    """Return the state with its generator advanced, and the batches of one epoch."""
    rng = _generator(state.rng_state)
    batches = shuffled(train, recipe.batch_size, rng)
    return replace(state, rng_state=dict(rng.bit_generator.state)), batches


def _metrics(recipe: Recipe, params: Params, train: Samples, test: Samples) -> dict[str, float]:
    on_train, on_test = evaluate(recipe, params, *train), evaluate(recipe, params, *test)
    return {
        "train_accuracy": on_train.accuracy,
        "train_loss": on_train.loss,
        "test_accuracy": on_test.accuracy,
        "test_loss": on_test.loss,
    }


def _where_it_began(recipe: Recipe, state: State, train: Samples) -> str:
    """Repeat an epoch that ended non-finite, looking after every step, and say what overflowed first."""
    state, batches = _shuffle(recipe, state, train)
    for batch, (y0, target) in enumerate(batches):
        after = step(recipe, state, y0, target)
        if found := non_finite_weight(after.params, after.optimizer):
            trace = forward(state.params, y0, recipe.activation)
            return (
                f"training became non-finite in epoch {state.epoch}, batch {batch} (both from 0), "
                f"first in {non_finite_activity(trace) or found}: lower eta_r or eta_w"
            )
        state = after
    return f"training became non-finite in epoch {state.epoch}, and not when it was repeated: lower eta_r or eta_w"


def _where_it_shows(recipe: Recipe, state: State, row: dict[str, float], *sets: Samples) -> str:
    """Say what overflows when finite weights are evaluated."""
    rows = (x[piece, :] for x, _ in sets for piece in pieces(x.shape[0], ROWS))
    traces = (forward(state.params, x, recipe.activation) for x in rows)
    found = next((found for trace in traces if (found := non_finite_activity(trace))), "the loss itself")
    losses = ", ".join(f"{name} is {value}" for name, value in row.items() if not np.isfinite(value))
    return (
        f"training became non-finite in epoch {state.epoch - 1}: {losses}, first in {found}, "
        "though all weights are finite: lower eta_r or eta_w"
    )
