"""A run as a folder: ``config.json``, ``metrics.csv``, ``checkpoint.npz`` and, when it has ended, ``outcome.json``.

``checkpoint.npz`` is of the end of an epoch; in the middle of one there can be a ``within_epoch.npz`` beside it.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from copi_ref.experiments.config import FORMAT, IDENTITY, Count, recipe_of
from copi_ref.experiments.metrics import METRICS, Digest, read_metrics
from copi_ref.files import write_atomically
from copi_ref.files.records import RecordError, parsed, record
from copi_ref.network import Params
from copi_ref.oracle.calling.named import TargetError
from copi_ref.recipe import Recipe
from copi_ref.training.checkpoint import load_params

CONFIG, CHECKPOINT, WITHIN, OUTCOME = "config.json", "checkpoint.npz", "within_epoch.npz", "outcome.json"


class RunError(ValueError):
    """A folder holds no run, another run, or one that has not ended well; the message names folder and fault."""


class RunFailedError(RunError):
    """A run has left the finite numbers; its folder has the metrics and the checkpoint of before."""


@dataclass(frozen=True, kw_only=True)
class _Config:
    """What ``config.json`` holds; those with a default came later, and older runs lack them."""

    format: Literal["copi_ref run"]
    dataset: str
    held_out: Count | None
    preset: str
    method: str
    seed: Annotated[int, range(1 << 128)]
    epochs: Count
    hidden: list[Count]
    overrides: dict[str, float | str]
    recipe: dict[str, bool | int | float | str | list[float]]
    data: str
    environment: dict[str, str | None]
    diagnostics: bool = False
    ensemble: bool = False
    rules: dict[str, str] | None = None
    revision: str | None = None
    resumed_by: list[str | None] | None = None


@dataclass(frozen=True, kw_only=True)
class Ending:
    """What ``outcome.json`` holds: how a run ended.

    Args:
        status: "finished", or "failed" with an error.
        error: why.
        metrics: the `copi_ref.experiments.metrics.Digest` of the rows of ``metrics.csv``; older runs lack it.
    """

    status: Literal["finished", "failed"]
    error: str | None = None
    metrics: str | None = None

    def __post_init__(self) -> None:
        if (self.status == "failed") != (self.error is not None):
            raise RecordError(f"status is {self.status!r} and error is {self.error!r}: needs an error if it failed")


@dataclass(frozen=True, eq=False)
class FinishedRun:
    """A run that has ended well.

    Args:
        folder: where it lies.
        config: everything needed to repeat it; among its keys are dataset, held_out, preset, method, seed, epochs,
            hidden (a list of sizes), recipe, data (the fingerprint of the samples) and environment.
        metrics: one row per epoch, by column.
    """

    folder: Path
    config: dict[str, Any]
    metrics: tuple[dict[str, float], ...]

    @property
    def method(self) -> str:
        """The method's name."""
        return str(self.config["method"])

    @property
    def seed(self) -> int:
        """The seed."""
        return int(self.config["seed"])

    @cached_property
    def params(self) -> Params:
        """The network at the end, as NumPy arrays; read when it is asked for.

        Raises:
            CheckpointError: the checkpoint is missing, damaged, or of another run.
        """
        return load_params(self.folder / CHECKPOINT, identity(self.config))

    @cached_property
    def recipe(self) -> Recipe:
        """The recipe of the run, made again from its preset, method and overrides when it is asked for.

        Raises:
            RunError: these mean something else by now, or a function of one's own is not where it was; the message says
                what differs.
        """
        try:
            return recipe_of(self.config)
        except (TypeError, ValueError, TargetError) as error:
            raise RunError(f"{self.folder}: its recipe can't be made again: {error}") from error


def read_run(folder: str | Path) -> FinishedRun:
    """Read a finished run.

    Raises:
        RunError: the folder holds no run, a damaged one, or one that has not finished.
        RunFailedError: the run left the finite numbers.
    """
    folder = Path(folder)
    config = read_config(folder)
    outcome = read_outcome(folder)
    if outcome is None:
        raise RunError(f"{folder}: has not finished: go on with resume=True (--resume)")
    if outcome.error is not None:
        raise RunFailedError(f"{folder}: {outcome.error}")
    with named(folder / METRICS):
        metrics = read_metrics(folder / METRICS)
        if len(metrics) != config["epochs"]:
            raise RecordError(f"has {len(metrics)} epochs, but the run had {config['epochs']}")
        if outcome.metrics not in (None, str(Digest(metrics))):
            raise RecordError(f"is damaged: its rows are not those that {OUTCOME} was written for")
    return FinishedRun(folder, config, metrics)


def find_runs(root: str | Path) -> list[FinishedRun]:
    """Return all finished runs below a folder, sorted by their place and seed; others are left out.

    A run's folder is one whose ``config.json`` is of the format "copi_ref run". One that is other JSON, even a list or
    a number, is another program's and skipped: a run's own is written whole, and damaged it is no JSON. One that is no
    JSON is skipped too, unless it names that format or has a file of a run beside it.

    Raises:
        RunError: there is no such folder, or a run is damaged, or a ``config.json`` can't be read and so not be told
            from a run's.
    """
    endings = [(folder, read_outcome(folder)) for folder in _run_folders(root)]
    runs = [read_run(folder) for folder, ending in endings if ending is not None and ending.error is None]
    return sorted(runs, key=lambda run: (run.folder.parent, run.config["seed"]))


def find_failed(root: str | Path) -> list[FinishedRun]:
    """Return the runs below a folder that left the finite numbers: with their settings, and without metrics.

    Which folders are runs, and errors, as `find_runs`.
    """
    endings = [(folder, read_outcome(folder)) for folder in _run_folders(root)]
    ended_badly = [folder for folder, ending in endings if ending is not None and ending.error is not None]
    return [FinishedRun(folder, read_config(folder), ()) for folder in ended_badly]


def find_unfinished(root: str | Path) -> list[FinishedRun]:
    """Return the runs below a folder that have not ended: with their settings, and without metrics; as `find_runs`."""
    begun = [folder for folder in _run_folders(root) if read_outcome(folder) is None]
    return [FinishedRun(folder, read_config(folder), ()) for folder in begun]


def _run_folders(root: str | Path) -> Iterator[Path]:
    """Yield the folders below `root` that hold a run; what holds clearly none is skipped, as `find_runs` says."""
    if not Path(root).is_dir():
        raise RunError(f"{root}: {'is no folder' if Path(root).exists() else 'no such folder'}: needs one with runs")
    for path in sorted(Path(root).rglob(CONFIG)):
        if path.is_dir():
            continue
        try:
            raw = path.read_bytes()
        except OSError as error:
            raise RunError(f"{path}: can't be read ({error})") from error
        try:
            content = parsed(json.loads, raw)
        except ValueError as error:
            # Files beside it are not enough where it is JSON: other programs have a metrics.csv too.
            beside = (METRICS, CHECKPOINT, WITHIN, OUTCOME, "lock")
            if FORMAT.encode() in raw or any((path.parent / name).is_file() for name in beside):
                raise RunError(f"{path}: can't be read as JSON ({error})") from error
            continue
        if isinstance(content, dict) and content.get("format") == FORMAT:
            yield path.parent


def read_config(folder: Path) -> dict[str, Any]:
    """Return what ``config.json`` holds.

    Raises:
        RunError: it is missing, damaged, or not a run's.
    """
    if not (folder / CONFIG).is_file():
        raise RunError(f"{folder}: holds no run: has no {CONFIG}")
    config = _json(folder / CONFIG)
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        raise RunError(f"{folder / CONFIG}: is not of a run of copi_ref")
    with named(folder / CONFIG):
        record(_Config, config)
    return config


def read_outcome(folder: Path) -> Ending | None:
    """Return what ``outcome.json`` holds, or None before the run has ended; errors as `read_config`."""
    if not (folder / OUTCOME).is_file():
        return None
    content = _json(folder / OUTCOME)
    with named(folder / OUTCOME):
        return record(Ending, content)


def identity(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a checkpoint says of the run that it is of: settings that stay the same as long as it goes on."""
    return {name: config[name] for name in IDENTITY}


def write_config(folder: Path, config: Mapping[str, Any]) -> None:
    """Write ``config.json``; that of a run that is resumed stays, with the revision that goes on with it added.

    The epochs, and the rates of all of them, are those that are asked for now.
    """
    if (folder / CONFIG).is_file():
        there, longer = read_config(folder), {name: config[name] for name in ("epochs", "recipe")}
        config = {**there, **longer, "resumed_by": [*there.get("resumed_by", []), config["revision"]]}
    _write_json(folder / CONFIG, config)


def write_outcome(folder: Path, error: str | None = None) -> None:
    """Write how the run ended, finished or with an error, and the digest of its metrics."""
    ending = {"status": "finished"} if error is None else {"status": "failed", "error": error}
    with named(folder / METRICS):
        rows = read_metrics(folder / METRICS) if (folder / METRICS).exists() else ()
    _write_json(folder / OUTCOME, {**ending, "metrics": str(Digest(rows))})


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Name the file in which a record is not as declared, in a RunError."""
    try:
        yield
    except RecordError as error:
        raise RunError(f"{path}: {error}") from error


def _json(path: Path) -> Any:
    try:
        return parsed(json.loads, path.read_bytes())
    except (OSError, ValueError) as error:
        raise RunError(f"{path}: can't be read as JSON ({error})") from error


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    write_atomically(path, (json.dumps(content, indent=2) + "\n").encode())
