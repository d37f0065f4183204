"""Training: the loop over epochs, the metrics of each, and what went wrong if something did."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import numpy as np

from copi_ref.arrays import checks
from copi_ref.arrays.pieces import pieces, there
from copi_ref.data.dataset import Dataset
from copi_ref.network import Params, forward
from copi_ref.recipe import Recipe
from copi_ref.state import State, check_members, check_state, member, number_of_member, own, recipe_of_member, without
from copi_ref.training.batches import Samples, move
from copi_ref.training.epoch import AfterBatch, Begun, shuffle, train_epoch, with_rates
from copi_ref.training.evaluation import evaluate
from copi_ref.training.finiteness import finite_networks, non_finite_activity, non_finite_weight
from copi_ref.training.in_place import Scratch, step_in_place
from copi_ref.training.prediction import ROWS
from copi_ref.training.progress import Progress
from copi_ref.training.scale import advice, scale_of

Row = dict[str, Any]
"""Metrics of an epoch by name: numbers, or of an ensemble NumPy arrays (S,), nan for networks that have stopped."""


@dataclass(frozen=True, eq=False)
class FitResult:
    """The last state, and one row of metrics per epoch; of an ensemble also which of its networks stopped, and why.

    `stopped` holds by number the `NonFiniteError` of each network that left the finite numbers, with its last good
    state. In `state` such a network is all NaN.
    """

    state: State
    metrics: tuple[Row, ...]
    stopped: dict[int, "NonFiniteError"] = field(default_factory=dict)

    def __repr__(self) -> str:
        reached = ""
        if self.metrics and "test_accuracy" in self.metrics[-1]:
            accuracies = np.ravel(self.metrics[-1]["test_accuracy"])
            reached = f", test_accuracy {' '.join(f'{accuracy:.4f}' for accuracy in accuracies)}"
        stopped = f", {len(self.stopped)} stopped" if self.stopped else ""
        return f"FitResult({self.state}, {len(self.metrics)} epochs{reached}{stopped})"

    def member(self, index: int) -> "FitResult":
        """Return what training one network of the ensemble alone gives; ``seconds`` are those of all.

        Raises:
            NonFiniteError: it left the finite numbers.
            TypeError: the result is of a single network, or the index no integer.
            IndexError: there is no such network.
        """
        number = number_of_member(self.state, index)
        if number in self.stopped:
            raise self.stopped[number]
        return FitResult(member(self.state, number), tuple(_row_of(row, number) for row in self.metrics))


class NonFiniteError(FloatingPointError):
    """Training left the finite numbers.

    `state` is the last good state, that of the start of the epoch; `metrics` are the rows of the epochs before.
    """

    def __init__(self, message: str, state: State, metrics: tuple[Row, ...]):
        super().__init__(message, state, metrics)  # all three, so that it can be pickled
        self.state = state
        self.metrics = metrics

    def __str__(self) -> str:
        return str(self.args[0])


Diagnostics = Callable[[Recipe, State, Samples], dict[str, float]]
"""``(recipe, state, samples) -> dict``: what `fit` records of a network besides accuracy and loss."""


def fit(
    recipe: Recipe,
    state: State,
    dataset: Dataset,
    epochs: int,
    callback: Callable[[State, Row], None] | None = None,
    diagnostics: Diagnostics | None = None,
    *,
    begun: Begun | None = None,
    after_batch: AfterBatch | None = None,
    progress: bool = False,
) -> FitResult:
    """Train for some epochs (Algorithm 1, lines 2 to 18), each over all samples in a new order.

    The data are moved to the library, device and dtype of the state's arrays. The same recipe, state and data give
    the same result bit for bit, for one build of the library and one number of threads. Steps are taken in place, in
    arrays of `fit`'s own: repeated `step` gives the same up to rounding (see `copi_ref.training.in_place`).

    An ensemble is trained as one computation. Each network is what it would be alone: it has its own order of
    samples, and its own rates where the recipe's have the shape (S, 1, 1). One that leaves the finite numbers stops:
    it is NaN from then on, also if training is continued, and the others go on.

    Args:
        recipe: all that the algorithm leaves open.
        state: where to start: from `init_state`, or from an earlier `fit`, which it then continues.
        dataset: samples and labels; label k has the target 1 at unit k and 0 elsewhere.
        epochs: how many more epochs to train.
        callback: called after each epoch with the state and the row of metrics.
        diagnostics: measures more after each epoch, ``(recipe, state, samples) -> dict`` of numbers by name, which join
            the row; `samples` are the training samples. See `copi_ref.analysis.diagnostics.layer_diagnostics`.
        begun: `state` is one that `after_batch` was given, and this came with it: the first epoch goes on from there.
        after_batch: called after each batch, ``(state, begun)``; `copi_ref.training.checkpoint` can save both.
        progress: show on stderr how far training is: a bar in a terminal and in a notebook, elsewhere a line an epoch.

    Returns:
        The new state, and a row of metrics per epoch. A row has epoch, train_accuracy, train_loss, test_accuracy,
        test_loss (of the whole sets, after the epoch) and seconds (of its training alone). An ensemble has arrays of
        shape (S,) for all but epoch and seconds.

    Raises:
        TypeError, ValueError: the data or the rates don't fit the network.
        NonFiniteError: a weight or a loss of a single network became infinite or NaN; the message names where that
            began, and whether the scale of the samples or a rate is at fault.
    """
    checks.instance("recipe", recipe, Recipe)
    check_state(state)
    checks.instance("dataset", dataset, Dataset, "Dataset(x_train, y_train, x_test, y_test)")
    checks.whole_number("epochs", epochs, minimum=0)
    for name, function in (("callback", callback), ("diagnostics", diagnostics), ("after_batch", after_batch)):
        if function is not None:
            checks.function(name, function)
    if begun is not None:
        checks.instance("begun", begun, Begun, "after_batch was given it")
    checks.true_or_false("progress", progress)
    if progress:
        with Progress(sys.stderr, state.epoch + epochs, state.epoch) as shown:
            beside = shown.beside(callback)
            return fit(recipe, state, dataset, epochs, beside, diagnostics, begun=begun, after_batch=after_batch)
    train, test = move(state.params, dataset)
    check_members(state)
    rows: list[Row] = []
    stopped: dict[int, NonFiniteError] = {}
    for _ in range(epochs):
        start = perf_counter()
        with np.errstate(over="ignore", invalid="ignore"):  # NonFiniteError says more than NumPy's warning
            after = train_epoch(recipe, state, train, begun, after_batch)
            good = finite_networks(after)
            seconds = perf_counter() - start + (begun.seconds if begun else 0)
            row = {"epoch": state.epoch, **_metrics(recipe, after.params, train, test)}
            for value in row.values():
                good = good & np.isfinite(value)
            if not good.all():
                ends = _Ends(recipe, state, after, row, tuple(rows), begun)
                if state.members is None:
                    raise _error(ends, train, test)
                for index in map(int, np.flatnonzero(~good)):
                    if index not in stopped:
                        stopped[index] = _error(ends.member(index), train, test)
        if stopped:
            after = without(~good, after)
            row = {name: np.where(good, value, np.nan) if np.ndim(value) else value for name, value in row.items()}
        state, begun = after, None
        if not good.any():
            break
        more = {} if diagnostics is None else _diagnosed(diagnostics, recipe, state, train, stopped)
        rows.append({**row, "seconds": seconds, **more})
        if callback is not None:
            callback(state, rows[-1])
    return FitResult(state, tuple(rows), stopped)


def _metrics(recipe: Recipe, params: Params, train: Samples, test: Samples) -> Row:
    on_train, on_test = evaluate(recipe, params, *train), evaluate(recipe, params, *test)
    return {
        "train_accuracy": on_train.accuracy,
        "train_loss": on_train.loss,
        "test_accuracy": on_test.accuracy,
        "test_loss": on_test.loss,
    }


def _row_of(row: Row, index: int) -> Row:
    """Return one network's row of an ensemble's."""
    return {name: value[index].item() if np.ndim(value) else value for name, value in row.items()}


def _diagnosed(
    diagnostics: Diagnostics, recipe: Recipe, state: State, train: Samples, stopped: dict[int, NonFiniteError]
) -> Row:
    """Measure a network, or those of an ensemble one by one."""

    def measure(recipe: Recipe, state: State) -> Row:
        row = diagnostics(recipe, state, train)
        if not isinstance(row, Mapping):
            kind = "None" if row is None else f"a {type(row).__name__}"
            raise TypeError(f"diagnostics returned {kind}: needs a dict of numbers by name")
        return dict(row)

    if state.members is None:
        return measure(recipe, state)
    measured = {
        index: measure(recipe_of_member(recipe, index), member(state, index))
        for index in range(state.members)
        if index not in stopped
    }
    names = next(iter(measured.values()))
    return {
        name: np.array([measured[index][name] if index in measured else np.nan for index in range(state.members)])
        for name in names
    }


@dataclass(frozen=True, eq=False)
class _Ends:
    """An epoch of a network: the recipe, the states before and after, its row, and the rows of the epochs before."""

    recipe: Recipe
    before: State
    after: State
    row: Row
    rows: tuple[Row, ...]
    begun: Begun | None

    def member(self, index: int) -> "_Ends":
        """Return the same of one network of an ensemble."""
        return _Ends(
            recipe_of_member(self.recipe, index),
            member(self.before, index),
            member(self.after, index),
            _row_of(self.row, index),
            tuple(_row_of(row, index) for row in self.rows),
            self.begun and self.begun.member(index),
        )


def _error(ends: _Ends, train: Samples, test: Samples) -> NonFiniteError:
    """Return the error for an epoch that ended non-finite."""
    if broken := non_finite_weight(ends.before.params, ends.before.optimizer):
        message = f"training can't start in epoch {ends.before.epoch}: {broken} is not finite already"
        return NonFiniteError(message, ends.before, ends.rows)
    broken = non_finite_weight(ends.after.params, ends.after.optimizer)
    where = _where_it_began(ends, train) if broken else _where_it_shows(ends, train, test)
    why = advice(with_rates(ends.recipe, ends.before), scale_of(train[0]))
    message = f"training became non-finite in epoch {ends.before.epoch}{where}: {why}"
    return NonFiniteError(message, ends.before, ends.rows)


def _where_it_began(ends: _Ends, train: Samples) -> str:
    """Repeat the epoch, looking after every step, and say what overflowed first."""
    recipe = with_rates(ends.recipe, ends.before)
    state, batches = shuffle(recipe, ends.before, train, ends.begun)
    for batch, (y0, target) in enumerate(batches, start=ends.begun.batches if ends.begun else 0):
        after = step_in_place(recipe, own(state), y0, target, Scratch())
        if found := non_finite_weight(after.params, after.optimizer):
            trace = forward(state.params, y0, recipe.activation)
            return f", batch {batch} (both from 0), first in {non_finite_activity(trace) or found}"
        state = after
    return ", and not when it was repeated"


def _where_it_shows(ends: _Ends, *sets: Samples) -> str:
    """Say what overflows when finite weights are evaluated."""
    params = ends.after.params
    rows = (there(x[piece, :], params.W[0]) for x, _ in sets for piece in pieces(x.shape[0], ROWS))
    traces = (forward(params, x, ends.recipe.activation) for x in rows)
    found = next((found for trace in traces if (found := non_finite_activity(trace))), "the loss itself")
    losses = ", ".join(f"{name} is {value}" for name, value in ends.row.items() if not np.isfinite(value))
    return f": {losses}, first in {found}, though all weights are finite"
