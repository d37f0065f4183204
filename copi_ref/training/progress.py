"""Progress of training on a stream: one bar where a line can be written again, and elsewhere a line an epoch."""

import shutil
from collections.abc import Callable
from datetime import timedelta
from time import perf_counter
from types import TracebackType
from typing import Any, Self, TextIO

import numpy as np

from copi_ref.state import State

_WIDTH = 20  # of the bar, in signs, where the line has room for it


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
        # A notebook's stream is no terminal, but obeys a carriage return; it obeys no escape that moves the cursor up.
        self._moves = stream.isatty() or type(stream).__module__.startswith("ipykernel")
        self._start, self._written = perf_counter(), ""
        self.moved = False  # whether an epoch has ended

    def __enter__(self) -> Self:
        if self._moves:
            self.show(self._done)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._moves and self._written:
            print(file=self._stream, flush=True)

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

    def show(self, done: int, note: str = "") -> None:
        """Show how many epochs are done, how long they took, and a note."""
        self._done = done
        seconds = int(perf_counter() - self._start)
        parts = [self._label, f"{done}/{self._epochs} epochs", str(timedelta(seconds=seconds)), note]
        if not self._moves:
            print("  ".join(filter(None, parts)), file=self._stream, flush=True)
            return
        # A line that the terminal breaks in two could not be written again.
        room = shutil.get_terminal_size().columns - 1
        width = max(0, min(_WIDTH, room - len("  ".join(filter(None, parts))) - len("[] ")))
        full = width * done // self._epochs if self._epochs else width
        parts[1] = f"[{'#' * full}{'.' * (width - full)}] {parts[1]}"
        line = "  ".join(filter(None, parts))[:room]
        print(f"\r{line.ljust(len(self._written))}", end="", file=self._stream, flush=True)
        self._written = line

    def note(self, note: str) -> None:
        """Show a note at the place that has been reached."""
        self.show(self._done, note)
