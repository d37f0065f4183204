"""Training: what Algorithm 1 leaves open (`Recipe`), what changes (`State`), its inner loop (`step`), and `fit`."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from copi_ref import _checks
from copi_ref.activations import Activation, leaky_relu
from copi_ref.backend import Array, HostArray, Namespace, device_of, float_name, from_numpy, namespace
from copi_ref.credit import OUTPUTS, CreditMethod, Task, find_credit, init_feedback
from copi_ref.data.dataset import Dataset
from copi_ref.decorrelation import LATERAL_RULES, decorrelation_update
from copi_ref.learning_rules import copi_update, sgd_update
from copi_ref.losses import Loss, quadratic
from copi_ref.network import Params, Trace, forward, init_params
from copi_ref.optimizers import Optimizer, plain

Rate = float | Array | Callable[[int], Any]
"""A learning rate: a number, an ensemble's array of shape (S, 1, 1), or a function of the epoch that gives one."""

WEIGHT_RULES: dict[str, Callable[[Array, Array, Array, Array], Array]] = {
    "copi": lambda x, a, delta, W: copi_update(x, a + delta, W),  # z = a + δ
    "sgd": lambda x, a, delta, W: sgd_update(x, delta),
}
"""ΔW from x, a, δ and W: Eq. 3 (`copi`), or gradient descent on the same decorrelated inputs (`sgd`)."""

_EVALUATION_ROWS = 5000  # bounds the memory of an evaluation: activities of so many samples at a time


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All that Algorithm 1 leaves open.

    Args:
        eta_w: η_W, learning rate of the forward weights; a number or a function of the epoch (from 0).
        eta_r: η_R, learning rate of the lateral weights; likewise.
        activation: f.
        loss: ℓ.
        credit: how δ is found: a name in `CREDIT`, or a callable ``(params, trace, task) -> deltas``.
        weight_rule: "copi" (Eq. 3) or "sgd" (§2.7).
        lateral_rule: "symmetric", "left", "right" (see `decorrelation_update`), or "none": R stays as it is.
        optimizer: how ΔW becomes a step. R always takes the plain one.
        error_scale: every δ is multiplied by it before it goes into the update.
        output: what is compared with the target: "activation", y_L, or "pre-activation", a_L.
        lateral_only_epochs: in so many epochs at the start only R learns.
        batch_size: samples of a step; the last batch of an epoch may be smaller.
        dtype: of the parameters that `init_state` draws.

    Raises:
        TypeError, ValueError: a field that is none of these; the message names it.
    """

    eta_w: Rate
    eta_r: Rate
    activation: Activation = leaky_relu
    loss: Loss = quadratic
    credit: str | CreditMethod = "bp"
    weight_rule: str = "copi"
    lateral_rule: str = "symmetric"
    optimizer: Optimizer = plain
    error_scale: float = 1
    output: str = "activation"
    lateral_only_epochs: int = 0
    batch_size: int = 50
    dtype: str = "float32"

    def __post_init__(self) -> None:
        for name in ("eta_w", "eta_r"):
            if not callable(getattr(self, name)):
                _checks.number(name, getattr(self, name), minimum=0)
        for name, kind in (("activation", Activation), ("loss", Loss)):
            if not isinstance(getattr(self, name), kind):
                raise TypeError(f"{name} is {getattr(self, name)!r}: needs a copi_ref {kind.__name__}")
        if not (callable(self.optimizer) and hasattr(self.optimizer, "init")):
            raise TypeError(f"optimizer is {self.optimizer!r}: needs one such as copi_ref.plain")
        find_credit(self.credit)
        _checks.choice("weight_rule", self.weight_rule, WEIGHT_RULES)
        _checks.choice("lateral_rule", self.lateral_rule, {**LATERAL_RULES, "none": None})
        _checks.choice("output", self.output, OUTPUTS)
        _checks.number("error_scale", self.error_scale)
        _checks.whole_number("lateral_only_epochs", self.lateral_only_epochs, minimum=0)
        _checks.whole_number("batch_size", self.batch_size, minimum=1)
        float_name(self.dtype)


@dataclass(frozen=True)
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


@dataclass(frozen=True)
class FitResult:
    """The last state, and one row of metrics per epoch."""

    state: State
    metrics: tuple[dict[str, float], ...]


class NonFiniteError(FloatingPointError):
    """Training left the finite numbers.

    `state` is the last good state, that of the start of the epoch; `metrics` are the rows of the epochs before.
    """

    def __init__(self, message: str, state: State, metrics: tuple[dict[str, float], ...]):
        super().__init__(message)
        self.state = state
        self.metrics = metrics


def init_state(
    recipe: Recipe, sizes: tuple[int, ...], rng: np.random.Generator, xp: Namespace | None = None
) -> State:
    """Draw the network and the feedback weights, and set up the optimizer and the shuffling.

    The three draw from generators of their own, spawned from `rng`: recipes that differ in their credit method
    start from the same weights and see the same batches.

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
    return replace(
        state, params=params, optimizer=tuple(memory), rng_state=rng_state, step=state.step + 1
    )


def _perturbations(
    recipe: Recipe, state: State, trace: Trace, target: Array
) -> tuple[tuple[Array, ...], dict[str, Any]]:
    """Return δ of every layer times the error scale, and the generator's state afterwards."""
    rng = _generator(state.rng_state)
    task = Task(target, recipe.loss, recipe.activation, state.feedback, rng, recipe.output)
    scale = _checks.coefficient("error_scale", recipe.error_scale, trace.a[-1])
    deltas = find_credit(recipe.credit)(state.params, trace, task)
    return tuple(scale * delta for delta in deltas), dict(rng.bit_generator.state)


def _rate(name: str, rate: Rate, epoch: int, like: Array) -> Any:
    return _checks.coefficient(name, rate(epoch) if callable(rate) else rate, like)


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
    train, test = _move(state.params, dataset)
    rows: list[dict[str, float]] = []
    for _ in range(epochs):
        start = perf_counter()
        with np.errstate(over="ignore", invalid="ignore"):  # NonFiniteError says more than NumPy's warning
            after = _train_epoch(recipe, state, train)
            if _non_finite(after.params):
                raise NonFiniteError(_where_it_began(recipe, state, train), state, tuple(rows))
            seconds = perf_counter() - start
            row = {"epoch": float(state.epoch), **_metrics(recipe, after.params, train, test)}
        for name, value in row.items():
            if not np.isfinite(value):
                message = f"epoch {state.epoch}: {name} is {value} though all weights are finite: lower eta_w"
                raise NonFiniteError(message, state, tuple(rows))
        state = after
        rows.append({**row, "seconds": seconds})
        if callback is not None:
            callback(state, rows[-1])
    return FitResult(state, tuple(rows))


class Evaluation(NamedTuple):
    """Share of samples whose largest output is the target's, and the mean loss."""

    accuracy: float
    loss: float


def evaluate(recipe: Recipe, params: Params, x: Array, target: Array) -> Evaluation:
    """Return accuracy and mean loss over samples, 5000 at a time.

    Args:
        recipe: gives activation, output and loss.
        params: one network.
        x: (N, K_0), inputs, in the library and dtype of `params`.
        target: (N, K_L), targets; the largest entry of a row is the right class.

    Raises:
        TypeError, ValueError: arrays that don't fit the network.
    """
    xp = _checks.arrays(x=(x, "NK"), target=(target, "NM"))
    correct, loss = 0, 0.0
    for first in range(0, x.shape[0], _EVALUATION_ROWS):
        rows = slice(first, first + _EVALUATION_ROWS)
        prediction = OUTPUTS[recipe.output](forward(params, x[rows, :], recipe.activation))
        hits = xp.argmax(prediction, axis=-1) == xp.argmax(target[rows, :], axis=-1)
        correct += int(xp.count_nonzero(hits))
        loss += float(xp.sum(recipe.loss(prediction, target[rows, :])))
    return Evaluation(correct / x.shape[0], loss / x.shape[0])


class _Samples(NamedTuple):
    x: Array
    target: Array


def _move(params: Params, dataset: Dataset) -> tuple[_Samples, _Samples]:
    """Copy the data to where the network is, labels as one-hot rows."""
    W = params.W[-1]
    if W.ndim != 2:
        raise ValueError(f"W of the last layer has shape {W.shape}: fit trains one network, without ensemble axes")
    inputs, outputs = params.R[0].shape[-1], W.shape[-2]
    if dataset.features != inputs:
        raise ValueError(f"x_train has {dataset.features} features but the network has {inputs} inputs: need the same")
    if dataset.classes > outputs:
        raise ValueError(f"y_train or y_test has the label {dataset.classes - 1} but the network has {outputs} outputs")

    def there(host: HostArray) -> Array:
        return from_numpy(host, namespace(W), W.dtype, device_of(W))

    one_hot = np.eye(outputs)
    return (
        _Samples(there(dataset.x_train), there(one_hot[dataset.y_train])),
        _Samples(there(dataset.x_test), there(one_hot[dataset.y_test])),
    )


def _batches(recipe: Recipe, state: State, train: _Samples) -> tuple[State, Iterator[_Samples]]:
    """Shuffle: the state with its generator advanced, and the batches of one epoch."""
    xp = namespace(train.x)
    rng = _generator(state.rng_state)
    order = from_numpy(rng.permutation(train.x.shape[0]), xp, device=device_of(train.x))
    batches = (
        _Samples(xp.take(train.x, rows, axis=0), xp.take(train.target, rows, axis=0))
        for first in range(0, order.shape[0], recipe.batch_size)
        for rows in (order[first : first + recipe.batch_size],)
    )
    return replace(state, rng_state=dict(rng.bit_generator.state)), batches


def _train_epoch(recipe: Recipe, state: State, train: _Samples) -> State:
    state, batches = _batches(recipe, state, train)
    for y0, target in batches:
        state = step(recipe, state, y0, target)
    return replace(state, epoch=state.epoch + 1)


def _metrics(recipe: Recipe, params: Params, train: _Samples, test: _Samples) -> dict[str, float]:
    on_train, on_test = evaluate(recipe, params, *train), evaluate(recipe, params, *test)
    return {
        "train_accuracy": on_train.accuracy,
        "train_loss": on_train.loss,
        "test_accuracy": on_test.accuracy,
        "test_loss": on_test.loss,
    }


def _non_finite(params: Params) -> str | None:
    """Name the first weight array that holds an infinity or a NaN."""
    return _first_non_finite(("W", params.W), ("R", params.R))


def _first_non_finite(*quantities: tuple[str, tuple[Array, ...]]) -> str | None:
    for name, arrays in quantities:
        for layer, array in enumerate(arrays, start=1):
            xp = namespace(array)
            if not bool(xp.all(xp.isfinite(array))):
                return f"{name} of layer {layer}"
    return None


def _where_it_began(recipe: Recipe, state: State, train: _Samples) -> str:
    """Repeat an epoch that ended in non-finite weights, looking after every step, and say what overflowed first."""
    epoch = state.epoch
    state, batches = _batches(recipe, state, train)
    for batch, (y0, target) in enumerate(batches):
        after = step(recipe, state, y0, target)
        found = _non_finite(after.params)
        if found:
            trace = forward(state.params, y0, recipe.activation)
            found = _first_non_finite(("x", trace.x), ("a", trace.a), ("y", trace.y)) or found
            break
        state = after
    return (
        f"training became non-finite in epoch {epoch}, batch {batch} (both from 0), first in {found}: "
        "lower eta_r or eta_w, or use lateral_rule='left'; the error's `state` is that before the epoch"
    )
