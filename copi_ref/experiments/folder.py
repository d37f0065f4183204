"""A run as a folder: ``config.json``, ``metrics.csv``, ``checkpoint.npz`` and, when it has ended, ``outcome.json``."""

import csv
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from copi_ref.experiments.config import FORMAT, recipe_of
from copi_ref.files import csv_bytes, write_atomically
from copi_ref.network import Params
from copi_ref.oracle.calling.named import TargetError
from copi_ref.recipe import Recipe
from copi_ref.training.checkpoint import load_params

CONFIG, METRICS, CHECKPOINT, OUTCOME = "config.json", "metrics.csv", "checkpoint.npz", "outcome.json"
_NEEDED = (
    "dataset", "held_out", "preset", "method", "seed", "epochs", "hidden", "overrides", "recipe", "data", "environment",
)  # fmt: skip


class RunError(ValueError):
    """A folder holds no run, another run, or one that has not ended well; the message names folder and fault."""


class RunFailedError(RunError):
    """A run has left the finite numbers; its folder has the metrics and the checkpoint of before."""


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
            CheckpointError: the checkpoint is missing or damaged.
        """
        return load_params(self.folder / CHECKPOINT)

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
        raise RunError(f"{folder}: has not finished: go on with --resume")
    if "error" in outcome:
        raise RunFailedError(f"{folder}: {outcome['error']}")
    metrics = read_metrics(folder)
    if len(metrics) != config["epochs"]:
        raise RunError(f"{folder / METRICS}: has {len(metrics)} epochs, but the run had {config['epochs']}")
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
    runs = [read_run(folder) for folder in _run_folders(root) if "error" not in (read_outcome(folder) or {"error": ""})]
    return sorted(runs, key=lambda run: (run.folder.parent, run.config["seed"]))


def find_failed(root: str | Path) -> list[FinishedRun]:
    """Return the runs below a folder that left the finite numbers: with their settings, and without metrics.

    Which folders are runs, and errors, as `find_runs`.
    """
    ended_badly = [folder for folder in _run_folders(root) if "error" in (read_outcome(folder) or {})]
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
            content = json.loads(raw)
        except ValueError as error:
            # Files beside it are not enough where it is JSON: other programs have a metrics.csv too.
            beside = (METRICS, CHECKPOINT, OUTCOME, "lock")
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
    if config.get("format") != FORMAT:
        raise RunError(f"{folder / CONFIG}: is not of a run of copi_ref")
    if missing := [key for key in _NEEDED if key not in config]:
        raise RunError(f"{folder / CONFIG}: lacks {', '.join(missing)}")
    return config


def read_outcome(folder: Path) -> dict[str, Any] | None:
    """Return what ``outcome.json`` holds, or None before the run has ended; errors as `read_config`."""
    return _json(folder / OUTCOME) if (folder / OUTCOME).is_file() else None


def write_config(folder: Path, config: Mapping[str, Any]) -> None:
    """Write ``config.json``; that of a run that is resumed stays, with the revision that goes on with it added.

    The epochs, and the rates of all of them, are those that are asked for now.
    """
    if (folder / CONFIG).is_file():
        there, longer = read_config(folder), {name: config[name] for name in ("epochs", "recipe")}
        config = {**there, **longer, "resumed_by": [*there.get("resumed_by", []), config["revision"]]}
    _write_json(folder / CONFIG, config)


def write_outcome(folder: Path, error: str | None = None) -> None:
    """Write how the run ended: finished, or with an error."""
    _write_json(folder / OUTCOME, {"status": "finished"} if error is None else {"status": "failed", "error": error})


def append_metrics(folder: Path, row: Mapping[str, Any]) -> None:
    """Add a line to ``metrics.csv``, below the names if it is the first; it is on the disk when this returns."""
    path = folder / METRICS
    lines = [] if path.exists() else [list(row)]
    with path.open("ab") as file:
        file.write(csv_bytes([*lines, _numbers(row)]))
        file.flush()
        os.fsync(file.fileno())


def write_metrics(folder: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write ``metrics.csv`` whole."""
    rows = list(rows)
    write_atomically(folder / METRICS, csv_bytes([list(rows[0]) if rows else [], *map(_numbers, rows)]))


def cut_metrics(folder: Path, epochs: int) -> None:
    """Leave the lines of so many epochs: what follows, perhaps half a line, is of after the checkpoint.

    Raises:
        RunError: there are fewer.
    """
    path = folder / METRICS
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    whole = sum(line.endswith(b"\n") for line in lines)
    if whole < epochs + 1 and epochs:
        raise RunError(f"{path}: has {max(whole - 1, 0)} epochs, but the checkpoint is of epoch {epochs}")
    if epochs == 0:
        path.unlink(missing_ok=True)
    elif len(lines) > epochs + 1:
        write_atomically(path, b"".join(lines[: epochs + 1]))


def read_metrics(folder: Path) -> tuple[dict[str, float], ...]:
    """Return the rows of ``metrics.csv``.

    Raises:
        RunError: it is missing, or a line is damaged.
    """
    path = folder / METRICS
    try:
        names, *rows = csv.reader(path.read_text().splitlines())
        metrics = tuple(dict(zip(names, map(float, row), strict=True)) for row in rows)
        return tuple({**row, "epoch": int(row["epoch"])} for row in metrics)
    except (OSError, ValueError, KeyError) as error:
        raise RunError(f"{path}: can't be read as metrics ({error})") from error


def _numbers(row: Mapping[str, Any]) -> list[Any]:
    """Return a row's numbers as Python's own, which are written with all digits."""
    return [value if isinstance(value, int) else float(value) for value in row.values()]


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise RunError(f"{path}: can't be read as JSON ({error})") from error
    if not isinstance(content, dict):
        raise RunError(f"{path}: holds a {type(content).__name__}: needs an object")
    return content


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    write_atomically(path, (json.dumps(content, indent=2) + "\n").encode())
