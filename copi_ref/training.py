"""Training: the loops around Algorithm 1's `step`, the metrics of each epoch, and what went wrong if it did."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np

from copi_ref import _checks
from copi_ref.algorithm import State, generator_of, init_state, step
from copi_ref.batches import Samples, move, pieces, shuffled
from copi_ref.data.dataset import Dataset
from copi_ref.evaluation import ROWS, evaluate
from copi_ref.finiteness import non_finite_activity, non_finite_weight
from copi_ref.network import Params, forward
from copi_ref.recipe import Recipe

__all__ = ["FitResult", "NonFiniteError", "State", "fit", "init_state", "step"]


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


Diagnostics = Callable[[Recipe, State, Samples], dict[str, float]]
"""``(recipe, state, samples) -> dict``: what `fit` records besides accuracy and loss."""


def fit(
    recipe: Recipe,
    state: State,
    dataset: Dataset,
    epochs: int,
    callback: Callable[[State, dict[str, float]], None] | None = None,
    diagnostics: Diagnostics | None = None,
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
        diagnostics: measures more after each epoch, ``(recipe, state, samples) -> dict`` of numbers by name, which join
            the row; `samples` are the training samples. See `copi_ref.analysis.diagnostics.layer_diagnostics`.

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
        more = {} if diagnostics is None else diagnostics(recipe, state, train)
        rows.append({**row, "seconds": seconds, **more})
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
    rng = generator_of(state)
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
