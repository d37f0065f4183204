"""Progress of training: one bar in a terminal and in a notebook, and in a file or a pipe a line an epoch."""

import os
import shutil
from collections.abc import Callable
from datetime import timedelta
from importlib import import_module
from time import perf_counter
from types import TracebackType
from typing import Any, Self, TextIO

import numpy as np

from copi_ref.state import State

WIDTH = 20  # of the bar, in signs, where the line has room for it

NOTEBOOK_VARIABLE = "JPY_PARENT_PID"
"""Jupyter's kernels set it: a process that has it writes into a notebook, whose file keeps all that it wrote."""

NOTEBOOK_SECONDS = 10
"""Time between two states of a bar in such a process: what is shorter leaves one line, its last."""


class Progress:
    """Shows how far training is, in a ``with`` block whose end ends the line.

    Args:
        stream: where to. A terminal and a notebook get a bar, which moves; files and pipes a line an epoch, at once.
        epochs: how many there will have been at the end.
        done: how many there have been.
        label: what each line begins with.
    """

    def __init__(self, stream: TextIO, epochs: int, done: int = 0, label: str = "") -> None:
        self._stream, self._epochs, self._done, self._label = stream, epochs, done, label
        in_kernel = type(stream).__module__.startswith("ipykernel")
        self._display = import_module("IPython.display").display if in_kernel else None
        self._output: Any = None  # of a notebook's cell
        self._is_bar = in_kernel or stream.isatty()
        self._pause = NOTEBOOK_SECONDS if NOTEBOOK_VARIABLE in os.environ and not in_kernel else 0
        self._start = self._written_at = perf_counter()
        self._line, self._written = "", ""
        self.moved = False  # whether an epoch has ended

    def __enter__(self) -> Self:
        if self._is_bar:
            self.show(self._done)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._is_bar:
            self._write(end="\n")

    def after_epoch(self, state: State, row: dict[str, Any]) -> None:
        """Show what `fit` tells its callback; of an ensemble the mean over those that have not stopped."""
        self.moved = True
        self.show(state.epoch, f"test accuracy {np.nanmean(row['test_accuracy']):.4f}")

    def beside(self, callback: Callable[[State, dict[str, Any]], None] | None) -> Callable[..., None]:
        """Return a callback that shows progress, and then calls another one."""

        def both(state: State, row: dict[str, Any]) -> None:
            self.after_epoch(state, row)
            if callback is not None:
                callback(state, row)

        return both

    def note(self, note: str) -> None:
        """Show a note at the place that has been reached."""
        self.show(self._done, note)

    def show(self, done: int, note: str = "") -> None:
        """Show how many epochs are done, how long they took, and a note."""
        self._done, now = done, perf_counter()
        parts = [self._label, f"{done}/{self._epochs} epochs", str(timedelta(seconds=int(now - self._start))), note]
        if not self._is_bar:
            print(_joined(parts), file=self._stream, flush=True)
            return
        # A line that the terminal breaks in two could not be written again.
        room = shutil.get_terminal_size().columns - 1
        width = max(0, min(WIDTH, room - len(_joined(parts)) - len("[] ")))
        full = width * done // self._epochs if self._epochs else width
        parts[1] = f"[{'#' * full}{'.' * (width - full)}] {parts[1]}"
        self._line = _joined(parts)[:room]
        if now - self._written_at >= self._pause:
            self._write()
            self._written_at = now

    def _write(self, end: str = "") -> None:
        """Write the line where it was written before. No escape: a notebook obeys none that moves the cursor."""
        if self._display is None:
            print(f"\r{self._line.ljust(len(self._written))}", end=end, file=self._stream, flush=True)
        elif self._output is None:
            self._output = self._display({"text/plain": self._line}, raw=True, display_id=True)
        else:
            self._output.update({"text/plain": self._line}, raw=True)
        self._written = self._line


def _joined(parts: list[str]) -> str:
    return "  ".join(filter(None, parts))
