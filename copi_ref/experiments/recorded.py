"""Train into a run folder, so that a run that is killed goes on where it was, and ends with the same bits."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np

from copi_ref.algorithm import init_state
from copi_ref.analysis.diagnostics import layer_diagnostics
from copi_ref.data.dataset import Dataset
from copi_ref.experiments.admission import check, open_again, remove_left_overs
from copi_ref.experiments.config import Plan
from copi_ref.experiments.folder import (
    CHECKPOINT,
    FinishedRun,
    RunFailedError,
    append_metrics,
    cut_metrics,
    read_metrics,
    read_outcome,
    read_run,
    write_config,
    write_metrics,
    write_outcome,
)
from copi_ref.experiments.lock import locked
from copi_ref.state import State, stack
from copi_ref.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from copi_ref.training.epoch import Begun
from copi_ref.training.finiteness import finite_networks
from copi_ref.training.fit import FitResult, NonFiniteError, Row, fit

Callback = Callable[[State, Row], None]
"""``(state, row)``, called after each epoch, as `fit` does."""


def run_into(
    folder: Path,
    plan: Plan,
    dataset: Dataset,
    surroundings: Mapping[str, Any],
    *,
    resume: bool = False,
    checkpoint_seconds: float = 60,
    callback: Callback | None = None,
) -> FinishedRun:
    """Train as planned, on the chosen backend, and leave everything in a folder.

    After each epoch its metrics go on the disk, and then a checkpoint; within an epoch there is another one after the
    first batch that ends so many seconds after the last. A process may be killed at any moment: resumed, the run ends
    with the same bytes of parameters, and the same metrics but for ``seconds``, as one that was left alone.

    Args:
        folder: of this run alone.
        plan: the run.
        dataset: the samples that the plan names.
        surroundings: as `copi_ref.experiments.config.surroundings` gives them for `dataset`.
        resume: go on with a run that stands in the folder, to the plan's number of epochs; one that has had them is not
            run again.
        checkpoint_seconds: time between checkpoints within an epoch.
        callback: called after each epoch that is trained.

    Raises:
        RunError: the folder holds something else, or a run that can't be resumed.
        RunFailedError: a weight or a loss became infinite or NaN, now or before.
        BlockingIOError: another process is at work on the run.
    """
    config = plan.config(surroundings)
    check(folder, config, resume)  # before anything is written into a folder that is not ours
    with locked(folder):
        check(folder, config, resume)
        remove_left_overs(folder)
        open_again(folder, plan.epochs)
        if read_outcome(folder) is None:
            write_config(folder, config)
            _train(folder, plan, dataset, checkpoint_seconds, callback)
    return read_run(folder)


def _train(folder: Path, plan: Plan, dataset: Dataset, checkpoint_seconds: float, callback: Callback | None) -> None:
    settings, recorder = plan.experiment(), _Recorder(folder, checkpoint_seconds, callback)
    start = _standing(folder, plan, dataset)
    cut_metrics(folder, start.state.epoch)
    try:
        fit(
            settings.recipe,
            start.state,
            dataset,
            plan.epochs - start.state.epoch,
            recorder.after_epoch,
            layer_diagnostics if plan.diagnostics else None,
            begun=start.begun,
            after_batch=recorder.after_batch,
        )
    except NonFiniteError as error:
        write_outcome(folder, str(error))
        raise RunFailedError(f"{folder}: {error}") from error
    write_outcome(folder)


def _standing(folder: Path, plan: Plan, dataset: Dataset) -> Checkpoint:
    """Return where the run stands: at its checkpoint, or at its beginning."""
    settings = plan.experiment()
    state = init_state(settings.recipe, settings.sizes(dataset), np.random.default_rng(plan.seed))
    path = folder / CHECKPOINT
    return load_checkpoint(path, like=state) if path.exists() else Checkpoint(state)


class _Recorder:
    """What `fit` calls: writes metrics and checkpoints."""

    def __init__(self, folder: Path, seconds: float, callback: Callback | None):
        self.folder, self.seconds, self.callback = folder, seconds, callback
        self.last = monotonic()

    def after_batch(self, state: State, begun: Begun) -> None:
        # A state that is not finite makes the epoch end with an error, and the last good one has to stay.
        if monotonic() - self.last >= self.seconds and finite_networks(state).all():
            self._save(state, begun)

    def after_epoch(self, state: State, row: Row) -> None:
        append_metrics(self.folder, row)  # first, so that no epoch that a checkpoint has finished lacks its line
        self._save(state)
        if self.callback is not None:
            self.callback(state, row)

    def _save(self, state: State, begun: Begun | None = None) -> None:
        save_checkpoint(self.folder / CHECKPOINT, state, begun)
        self.last = monotonic()


def run_ensemble_into(
    folders: Sequence[Path],
    plans: Sequence[Plan],
    dataset: Dataset,
    surroundings: Mapping[str, Any],
    *,
    resume: bool = False,
    callback: Callback | None = None,
) -> list[FinishedRun | RunFailedError]:
    """Train several seeds as one computation, and leave in the folder of each what `run_into` leaves in the end.

    Nothing is saved on the way: an ensemble that is interrupted begins again where its folders stand. Seeds that stand
    at different epochs are trained one group after the other.

    Args:
        folders: one for each plan.
        plans: runs that differ in their seeds alone.
        dataset, surroundings, callback: as for `run_into`.
        resume: leave those that have had their epochs as they are, and train the others.

    Raises:
        RunError: a folder holds something else, or a run and `resume` is false.
    """
    with ExitStack() as stack:
        for folder, plan in zip(folders, plans, strict=True):
            check(folder, plan.config(surroundings), resume)
            stack.enter_context(locked(folder))
        groups: dict[int, list[tuple[Path, Plan, State]]] = {}
        for folder, plan in zip(folders, plans, strict=True):
            remove_left_overs(folder)
            open_again(folder, plan.epochs)
            if read_outcome(folder) is None:
                state = _standing(folder, plan, dataset).state
                groups.setdefault(state.epoch, []).append((folder, plan, state))
        for group in groups.values():
            result = _train_together(group[0][1], [state for *_, state in group], dataset, callback)
            for index, (folder, plan, state) in enumerate(group):
                _write_member(folder, plan.config(surroundings), state.epoch, result, index)
    return [_outcome(folder) for folder in folders]


def _train_together(plan: Plan, states: Sequence[State], dataset: Dataset, callback: Callback | None) -> FitResult:
    """Train seeds that stand at the same epoch; all plans are alike but for their seeds."""
    diagnostics = layer_diagnostics if plan.diagnostics else None
    left = plan.epochs - states[0].epoch
    return fit(plan.experiment().recipe, stack(states), dataset, left, callback, diagnostics)


def _write_member(folder: Path, config: Mapping[str, Any], epoch: int, result: FitResult, index: int) -> None:
    """Write what a seed that stood at an epoch has become."""
    before = read_metrics(folder)[:epoch] if epoch else ()
    error = result.stopped.get(index)
    end: FitResult | NonFiniteError = error or result.member(index)
    write_config(folder, config)
    if end.metrics:
        write_metrics(folder, [*before, *end.metrics])
    save_checkpoint(folder / CHECKPOINT, end.state)
    write_outcome(folder, str(error) if error else None)


def _outcome(folder: Path) -> FinishedRun | RunFailedError:
    try:
        return read_run(folder)
    except RunFailedError as error:
        return error
