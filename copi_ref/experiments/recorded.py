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
from copi_ref.experiments.admission import check, forget_if_nothing_came, open_again, remove_left_overs
from copi_ref.experiments.config import Plan
from copi_ref.experiments.folder import (
    CHECKPOINT,
    WITHIN,
    FinishedRun,
    RunFailedError,
    identity,
    named,
    read_outcome,
    read_run,
    write_config,
    write_outcome,
)
from copi_ref.experiments.lock import locked
from copi_ref.experiments.metrics import METRICS, Digest, append_metrics, cut_metrics, write_metrics
from copi_ref.files.records import RecordError
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

    After each epoch its metrics go on the disk, and then a checkpoint; within an epoch there is another one, in a file
    of its own, after the first batch that ends so many seconds after the last. A process may be killed at any moment:
    resumed, the run ends with the same bytes in its checkpoint, and the same metrics but for ``seconds``, as one that
    was left alone. What is left of one that leaves the finite numbers is the checkpoint of the last epoch that did not.

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
            try:
                _train(folder, plan, dataset, identity(config), checkpoint_seconds, callback)
            except Exception:
                forget_if_nothing_came(folder)
                raise
    return read_run(folder)


def _train(
    folder: Path,
    plan: Plan,
    dataset: Dataset,
    run: Mapping[str, Any],
    checkpoint_seconds: float,
    callback: Callback | None,
) -> None:
    settings = plan.experiment()
    start = _standing(folder, plan, dataset, run)
    recorder = _Recorder(folder, run, Digest(_rows(folder, start)), checkpoint_seconds, callback)
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
        # Where the last checkpoint within the epoch stood is a matter of the clock: what stays is that of its start.
        (folder / WITHIN).unlink(missing_ok=True)
        write_outcome(folder, str(error))
        raise RunFailedError(f"{folder}: {error}") from error
    write_outcome(folder)


def _standing(folder: Path, plan: Plan, dataset: Dataset, run: Mapping[str, Any]) -> Checkpoint:
    """Return where the run stands: within an epoch, at the end of one, or at its beginning."""
    settings = plan.experiment()
    first = init_state(settings.recipe, settings.sizes(dataset), np.random.default_rng(plan.seed))
    path, within = folder / CHECKPOINT, folder / WITHIN
    last = load_checkpoint(path, first, run) if path.exists() else Checkpoint(first)
    if within.exists():
        later = load_checkpoint(within, first, run)
        if later.state.epoch == last.state.epoch:
            return later
        within.unlink()  # of an epoch that has ended: the process was killed before it could be removed
    return last


def _rows(folder: Path, start: Checkpoint) -> tuple[Row, ...]:
    """Return the rows of the epochs before a checkpoint, and remove the others."""
    with named(folder / METRICS):
        rows = cut_metrics(folder, start.state.epoch)
        if start.run.get("metrics") not in (None, str(Digest(rows))):
            raise RecordError("is damaged: its rows are not those that the checkpoint was written after")
    return rows


class _Recorder:
    """What `fit` calls: writes metrics and checkpoints."""

    def __init__(
        self, folder: Path, run: Mapping[str, Any], metrics: Digest, seconds: float, callback: Callback | None
    ):
        self.folder, self.run, self.metrics, self.seconds, self.callback = folder, run, metrics, seconds, callback
        self.last = monotonic()

    def after_batch(self, state: State, begun: Begun) -> None:
        # A state that is not finite makes the epoch end with an error, and could not be gone on with.
        if monotonic() - self.last >= self.seconds and finite_networks(state).all():
            self.save(WITHIN, state, begun)

    def after_epoch(self, state: State, row: Row) -> None:
        append_metrics(self.folder, row)  # first, so that no epoch that a checkpoint has finished lacks its line
        self.metrics.add(row)
        self.save(CHECKPOINT, state)
        (self.folder / WITHIN).unlink(missing_ok=True)
        if self.callback is not None:
            self.callback(state, row)

    def save(self, name: str, state: State, begun: Begun | None = None) -> None:
        save_checkpoint(self.folder / name, state, begun, {**self.run, "metrics": str(self.metrics)})
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
        groups: dict[int, list[tuple[Path, Plan, tuple[Row, ...], State]]] = {}
        for folder, plan in zip(folders, plans, strict=True):
            remove_left_overs(folder)
            open_again(folder, plan.epochs)
            if read_outcome(folder) is None:
                start = _standing(folder, plan, dataset, identity(plan.config(surroundings)))
                rows = _rows(folder, start)
                groups.setdefault(start.state.epoch, []).append((folder, plan, rows, start.state))
        for group in groups.values():
            result = _train_together(group[0][1], [state for *_, state in group], dataset, callback)
            for index, (folder, plan, rows, _) in enumerate(group):
                _write_member(folder, plan.config(surroundings), rows, result, index)
    return [_outcome(folder) for folder in folders]


def _train_together(plan: Plan, states: Sequence[State], dataset: Dataset, callback: Callback | None) -> FitResult:
    """Train seeds that stand at the same epoch; all plans are alike but for their seeds."""
    diagnostics = layer_diagnostics if plan.diagnostics else None
    left = plan.epochs - states[0].epoch
    return fit(plan.experiment().recipe, stack(states), dataset, left, callback, diagnostics)


def _write_member(
    folder: Path, config: Mapping[str, Any], before: tuple[Row, ...], result: FitResult, index: int
) -> None:
    """Write what a seed has become that had rows of epochs before."""
    error = result.stopped.get(index)
    end: FitResult | NonFiniteError = error or result.member(index)
    rows = [*before, *end.metrics]
    write_config(folder, config)
    if end.metrics:
        write_metrics(folder, rows)
    save_checkpoint(folder / CHECKPOINT, end.state, None, {**identity(config), "metrics": str(Digest(rows))})
    write_outcome(folder, str(error) if error else None)


def _outcome(folder: Path) -> FinishedRun | RunFailedError:
    try:
        return read_run(folder)
    except RunFailedError as error:
        return error
