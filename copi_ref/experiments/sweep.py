"""Many runs: methods × learning rates × seeds, each in a folder of its own, in several processes or on a cluster."""

import logging
import os
import tomllib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Annotated, Any

from copi_ref.arrays.backend import BackendName, backend_name, usable_cores, use_backend
from copi_ref.data.dataset import Dataset
from copi_ref.experiments.config import OF_R, OVERRIDES, Count, Plan, surroundings
from copi_ref.experiments.parent import end_with
from copi_ref.experiments.presets import WITHOUT_R, PresetName, check_lateral
from copi_ref.experiments.recorded import run_into
from copi_ref.files.records import keys_of, parsed, record
from copi_ref.oracle.calling.named import TargetError

Load = Callable[[str, Path | None, int | None], Dataset]
"""``(dataset, data_dir, held_out) -> Dataset``; sent to other processes by its name."""


class SweepError(ValueError):
    """The file that describes a sweep is missing, damaged, or says what can't be done; the message names it."""


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """What a sweep's file says. A rate is one number or several; seeds are a list, or a number N for 0 to N − 1.

    `eta` is both rates, `eta_w` and `eta_r`, at once; given apart, each of one is combined with each of the other.
    """

    dataset: str
    preset: PresetName
    methods: list[str]
    seeds: Count | list[Annotated[int, range(1 << 128)]]
    epochs: Count
    held_out: Annotated[int, range(1, 1 << 63)] | None = None
    hidden: list[Count] | None = None
    eta: float | list[float] | None = None
    eta_w: float | list[float] | None = None
    eta_r: float | list[float] | None = None
    error_scale: float | None = None
    lateral_rule: str | None = None
    lateral_every: Count | None = None
    diagnostics: bool = False
    classes: Count | None = None

    def plans(self) -> list[Plan]:
        """Return all runs: each method with each learning rate that it makes use of, and each seed."""
        seeds = range(self.seeds) if isinstance(self.seeds, int) else self.seeds
        combinations = (
            (method, eta_w, None if method in WITHOUT_R else eta_r, seed)
            for method, (eta_w, eta_r), seed in product(self.methods, self._rates(), seeds)
        )
        return [self._plan(*combination) for combination in dict.fromkeys(combinations)]

    def _rates(self) -> list[tuple[Any, Any]]:
        """Return the pairs of eta_w and eta_r."""
        if self.eta is not None:
            return [(rate, rate) for rate in _several(self.eta)]
        return list(product(_several(self.eta_w), _several(self.eta_r)))

    def _plan(self, method: str, eta_w: float | None, eta_r: float | None, seed: int) -> Plan:
        changes = {name: getattr(self, name) for name in OVERRIDES} | {"eta_w": eta_w, "eta_r": eta_r}
        return Plan(
            dataset=self.dataset, held_out=self.held_out, preset=self.preset, method=method, seed=seed,
            epochs=self.epochs, hidden=None if self.hidden is None else tuple(self.hidden),
            overrides={name: value for name, value in changes.items() if value is not None},
            diagnostics=self.diagnostics,
        )  # fmt: skip

    def folder(self, out: Path, plan: Plan) -> Path:
        """Return where a run goes: METHOD/seed-N, and between them the rates of which there are several."""
        rates = {"eta": "eta_w", "eta_w": "eta_w", "eta_r": "eta_r"}
        swept = [
            f"{name}-{plan.changes[rate]}"
            for name, rate in rates.items()
            if isinstance(getattr(self, name), list) and rate in plan.changes
        ]
        return out.joinpath(plan.folder.parent, *swept, plan.folder.name)


def _several(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


NEEDED, OPTIONAL = keys_of(Sweep)


def read_sweep(path: Path) -> Sweep:
    """Read the TOML file of a sweep; its keys are the fields of `Sweep`.

    Raises:
        SweepError: the file is missing or no TOML, a key is unknown or missing, or a value can't be used.
    """
    try:
        values = parsed(tomllib.loads, path.read_bytes())
    except (OSError, ValueError) as error:
        raise SweepError(f"{path}: can't be read as TOML ({error})") from error
    try:
        sweep = record(Sweep, values)
        _check(sweep)
        for plan in sweep.plans():
            plan.experiment()  # raises what is wrong with a name or a rate
    except (TypeError, ValueError, TargetError) as error:
        raise SweepError(f"{path}: {error}") from error
    return sweep


def _check(sweep: Sweep) -> None:
    """Check what neither the types of the keys say, nor `Plan.experiment` looks at."""
    given = {name for name in OPTIONAL if getattr(sweep, name) is not None}
    if "eta" in given and (others := [name for name in ("eta_w", "eta_r") if name in given]):
        raise ValueError(f"has eta, which is both rates, and {' and '.join(others)}: leave out the one or the other")
    for name in (*NEEDED, *OPTIONAL):
        if getattr(sweep, name) == []:
            raise ValueError(f"{name} is empty: needs one or more")
    for setting in OF_R:
        if setting in given:
            check_lateral(setting, sweep.methods)


@dataclass(frozen=True, kw_only=True)
class Job:
    """A run, and what another process needs to know for it, which may stand in another folder.

    Args:
        plan: the run.
        folder: where it goes.
        source: the plan's data set; of a file the absolute path.
        data_dir: where the files of the published sets are.
        backend: name of the array library.
        threads: those that BLAS may take; None: as many as it does.
        checkpoint_seconds: as for `run_into`.
    """

    plan: Plan
    folder: Path
    source: str
    data_dir: Path | None
    backend: BackendName
    threads: int | None
    checkpoint_seconds: float


@dataclass(frozen=True)
class Outcome:
    """How a run ended: with a test accuracy, or with an error; and what else there is to say."""

    folder: Path
    test_accuracy: float | None
    error: str | None = None
    note: str = ""


def jobs_of(
    sweep: Sweep, out: Path, data_dir: Path | None = None, threads: int | None = 1, checkpoint_seconds: float = 60
) -> list[Job]:
    """Return a sweep's runs as jobs for `run_jobs`; paths are made absolute, for processes that stand elsewhere."""
    source = str(Path(os.path.expanduser(sweep.dataset)).resolve()) if sweep.dataset.endswith(".npz") else sweep.dataset
    return [
        Job(
            plan=plan, folder=sweep.folder(out.resolve(), plan), source=source,
            data_dir=data_dir and data_dir.resolve(), backend=backend_name(), threads=threads,
            checkpoint_seconds=checkpoint_seconds,
        )
        for plan in sweep.plans()
    ]  # fmt: skip


MOST_PER_CORE = 4
"""Processes for each core that are of use: runs that wait for the disk let others on, and more only take memory."""


def processes_for(jobs: int, asked: int) -> int:
    """Return how many processes to start for so many runs: as asked, but no more than runs, nor 4 for each core."""
    return min(asked, jobs, MOST_PER_CORE * usable_cores())


def run_jobs(jobs: Sequence[Job], load: Load, processes: int = 1) -> Iterator[Outcome]:
    """Run in so many processes of this machine, and yield each outcome as it comes; 1: in this process.

    Of a number that `processes_for` calls too many there are fewer. They end with this process, if it is killed too.

    A run that has ended before is not run again, one that was interrupted goes on. One that fails stops no other. A
    process that dies takes those beside it along: each run that was at work is tried once more, by itself, and has
    failed if that dies too; then the others go on.

    Raises:
        ImportError: joblib, for several processes, or threadpoolctl, for a limit of threads, is not installed; the
            message says how to.
    """
    processes = processes_for(len(jobs), processes)
    with _limited(jobs[0].threads):
        if processes == 1:
            yield from (run_job(job, load) for job in jobs)
        else:
            yield from _in_processes(jobs, load, processes)


def _limited(threads: int | None) -> AbstractContextManager[Any]:
    """Limit the threads of BLAS in this process, and afterwards let it have as many as before."""
    if threads is None:
        return nullcontext()
    limited: AbstractContextManager[Any] = (
        imported("threadpoolctl").ThreadpoolController().limit(limits=threads, user_api="blas")
    )
    return limited


def _in_processes(jobs: Sequence[Job], load: Load, processes: int) -> Iterator[Outcome]:
    joblib = imported("joblib")
    left = {job.folder: job for job in jobs}
    while left:
        begun: list[Path] = []
        # One run at a time, and none before a process is free: in a batch several would be lost together, and of
        # those that wait nobody could tell whether they were at work.
        parallel = joblib.Parallel(
            n_jobs=processes, return_as="generator_unordered", batch_size=1, pre_dispatch=processes
        )
        try:
            for outcome in parallel(_tasks(list(left.values()), load, begun)):
                del left[outcome.folder]
                yield outcome
        except BrokenExecutor:
            for job in [left.pop(folder) for folder in begun if folder in left]:
                yield _alone(job, load)


def _tasks(jobs: Sequence[Job], load: Load, begun: list[Path]) -> Iterator[Any]:
    """Hand jobs out to joblib, which takes one when a process is free, and write down which it has taken."""
    for job in jobs:
        begun.append(job.folder)
        yield imported("joblib").delayed(_run_in_worker)(job, load, os.getpid())


def _run_in_worker(job: Job, load: Load, parent: int) -> Outcome:
    end_with(parent)
    return run_job(job, load)


def _alone(job: Job, load: Load) -> Outcome:
    """Run once more, in a process whose death harms no other run."""
    joblib = imported("joblib")
    try:
        two = joblib.Parallel(n_jobs=2)  # of 1 it would be this process
        outcome: Outcome = two(_tasks([job], load, []))[0]
    except BrokenExecutor:
        died = "its process died, and again when it ran by itself: perhaps for want of memory"
        return Outcome(job.folder, None, f"{job.folder}: {died}")
    return replace(outcome, note=" (a process had died while this run was at work: run once more, by itself)")


def run_jobs_on_cluster(jobs: Sequence[Job], load: Load, scheduler: str) -> Iterator[Outcome]:
    """Run on the workers of a Dask scheduler, else as `run_jobs`; they have to see the same folders.

    A run whose workers die, that somebody cancels, or whose scheduler goes away has failed.

    Raises:
        ImportError: distributed is not installed; the message says how to.
        OSError: no scheduler answers at that address, or it is none.
    """
    distributed = imported("distributed")
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # the outcomes say what it would log
    try:
        client = distributed.Client(scheduler)
    except ValueError as error:
        raise OSError(
            f"{scheduler}: is no address of a scheduler ({error}): needs one such as tcp://host:8786"
        ) from error
    with client:
        futures = {client.submit(run_job, job, load, pure=False): job for job in jobs}
        for future in distributed.as_completed(futures):
            yield _outcome_of(future, futures[future])


def _outcome_of(future: Any, job: Job) -> Outcome:
    try:
        outcome: Outcome = future.result()
        return outcome
    except Exception as error:  # of Dask: `run_job` raises none
        return Outcome(job.folder, None, f"{job.folder}: {type(error).__name__}: {error}")


def run_job(job: Job, load: Load) -> Outcome:
    """Do a job in this process."""
    try:
        with use_backend(job.backend):
            dataset = loaded(load, job.source, job.data_dir, job.plan.held_out)
            # After the data, which may bring a library with threads of its own. Not taken back at the end: another
            # thread of a Dask worker may be in the middle of a run.
            if job.threads is not None:
                imported("threadpoolctl").threadpool_limits(limits=job.threads, user_api="blas")
            facts = surroundings(dataset)
            done = run_into(
                job.folder, job.plan, dataset, facts, resume=True, checkpoint_seconds=job.checkpoint_seconds
            )
    except Exception as error:  # whatever it is, the other runs go on, and it is reported
        message = str(error) if str(job.folder) in str(error) else f"{job.folder}: {type(error).__name__}: {error}"
        return Outcome(job.folder, None, message)
    return Outcome(job.folder, done.metrics[-1]["test_accuracy"])


@lru_cache(maxsize=1)
def loaded(load: Load, dataset: str, data_dir: Path | None, held_out: int | None) -> Dataset:
    """Return the data, read once in a process."""
    return load(dataset, data_dir, held_out)


def imported(library: str) -> Any:
    """Return a library of the extra `sweep`.

    Raises:
        ImportError: it is not installed; the message says how to.
    """
    try:
        return import_module(library)
    except ImportError as error:
        raise ImportError(f'{library} is not installed: pip install "copi_ref[sweep]"') from error
