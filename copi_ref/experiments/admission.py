"""Whether a run may go into a folder, and whether what stands there goes on."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from copi_ref.experiments.config import different_bits, different_settings, first_epochs
from copi_ref.experiments.folder import CHECKPOINT, CONFIG, OUTCOME, WITHIN, RunError, read_config, read_outcome
from copi_ref.experiments.metrics import METRICS

_RESULTS = (METRICS, CHECKPOINT, WITHIN, OUTCOME)


def check(folder: Path, config: Mapping[str, Any], resume: bool) -> None:
    """Check that a run may go into a folder: it is new, or holds the same run, begun under the same conditions.

    A run of fewer epochs is the same run: it can go on.

    Raises:
        RunError: it holds something else, or a run that is not to be resumed or can't be with the same bits.
    """
    if not (folder / CONFIG).is_file():
        if folder.exists() and any(one.name != "lock" and not _is_left_over(one) for one in folder.iterdir()):
            raise RunError(f"{folder} holds something else than a run: name another folder (--out), or remove it")
        return
    there, asked = read_config(folder), json.loads(json.dumps(config))
    shorter = min(there["epochs"], asked["epochs"])
    if found := different_settings(*(first_epochs(one, shorter) for one in (there, asked))):
        raise RunError(f"{folder} holds another run: {'; '.join(found)}: name another folder (--out), or remove it")
    if asked["epochs"] < there["epochs"]:
        raise RunError(
            f"{folder} holds a run of {there['epochs']} epochs, and {asked['epochs']} were asked for: ask for as many "
            "or more, name another folder (--out), or remove it"
        )
    if not resume:
        raise RunError(
            f"{folder} holds this run already: go on with resume=True (--resume), name another folder (--out), "
            "or remove it"
        )
    if _goes_on(folder, asked["epochs"]) and (found := different_bits(there, asked)):
        raise RunError(f"{folder} can't be resumed with the same bits: {'; '.join(found)}")


def _goes_on(folder: Path, epochs: int) -> bool:
    """Whether there is something left to train: the run has not ended, or finished and is to be longer."""
    outcome = read_outcome(folder)
    return outcome is None or (outcome.error is None and read_config(folder)["epochs"] < epochs)


def open_again(folder: Path, epochs: int) -> None:
    """Make a finished run that is to have more epochs one that has not ended; the caller holds the folder's lock.

    A process that is killed after this leaves a run of fewer epochs whose last checkpoint is that of its end.
    """
    if (folder / OUTCOME).is_file() and _goes_on(folder, epochs):
        (folder / OUTCOME).unlink()


def forget_if_nothing_came(folder: Path) -> None:
    """Let another run have the folder where one ended with an error, such as a want of memory, and left no result."""
    if not any((folder / name).exists() for name in _RESULTS):
        (folder / CONFIG).unlink(missing_ok=True)


def remove_left_overs(folder: Path) -> None:
    """Remove what a process that was killed while it wrote has left behind; the caller holds the folder's lock."""
    for path in folder.iterdir():
        if _is_left_over(path):
            path.unlink()


def _is_left_over(path: Path) -> bool:
    return path.name.startswith(tuple(f".{name}." for name in (CONFIG, *_RESULTS)))
