"""What training says while it goes on: lines in a file, one bar in a terminal and in a notebook, by default nothing."""

import io
import sys

import numpy as np
import pytest
from small_training import RECIPE, blobs, fresh

import copi_ref as copi
from copi_ref.training import progress
from copi_ref.training.progress import Progress


class Stream(io.StringIO):
    """A stream that keeps what somebody who reads along has got so far: all of it at each flush."""

    def __init__(self, terminal=False):
        super().__init__()
        self.terminal, self.read = terminal, []

    def isatty(self):
        return self.terminal

    def flush(self):
        self.read.append(self.getvalue())


def on_screen(text):
    """The lines that a terminal shows: after a carriage return the line is written again from its beginning."""
    lines = []
    for line in text.split("\n"):
        shown = ""
        for part in line.split("\r"):
            shown = part + shown[len(part) :]
        lines.append(shown.rstrip())
    return lines


def train(stream, rng, monkeypatch, epochs=3, **options):
    monkeypatch.setattr("sys.stderr", stream)
    recipe = copi.Recipe(eta_w=0.01, eta_r=0.01)
    return copi.fit(recipe, fresh(recipe), blobs(rng), epochs, progress=True, **options)


def test_by_default_nothing_is_said(rng, capsys):
    copi.fit(RECIPE, fresh(RECIPE), blobs(rng), 2)
    said = capsys.readouterr()
    assert said.out == said.err == ""


def test_in_a_file_a_line_an_epoch_is_there_when_the_epoch_has_ended(rng, monkeypatch):
    stream, seen = Stream(), []
    result = train(stream, rng, monkeypatch, callback=lambda state, row: seen.append(stream.read[-1]))
    lines = stream.getvalue().splitlines()
    assert len(lines) == 3
    for epoch, (line, row) in enumerate(zip(lines, result.metrics, strict=True), start=1):
        assert line.split()[:2] == [f"{epoch}/3", "epochs"]
        assert line.endswith(f"test accuracy {row['test_accuracy']:.4f}")
        assert seen[epoch - 1].splitlines() == lines[:epoch], "buffered"
    assert "\r" not in stream.getvalue()


def test_a_terminal_has_one_bar(rng, monkeypatch):
    monkeypatch.delenv("JPY_PARENT_PID", raising=False)
    stream = Stream(terminal=True)
    result = train(stream, rng, monkeypatch)
    assert "\x1b" not in stream.getvalue(), "notebooks don't obey escapes that move the cursor"
    shown = on_screen(stream.getvalue())
    assert len(shown) == 2
    assert shown[1] == "", "the line has ended"
    assert "[####################] 3/3 epochs" in shown[0]
    assert shown[0].endswith(f"test accuracy {result.metrics[-1]['test_accuracy']:.4f}")
    assert "[....................] 0/3 epochs" in on_screen(stream.read[0])[0], "before the first epoch has ended"


class KernelStream(Stream):
    """As IPython's kernel has it: no terminal."""

    __module__ = "ipykernel.iostream"


class Outputs(list):
    """The outputs of a notebook's cell, of which one can be changed; as `IPython.display`."""

    def display(self, content, raw, display_id):
        self.append(content["text/plain"])
        return self

    def update(self, content, raw):
        self[-1] = content["text/plain"]


def test_a_notebook_has_one_output_which_changes(rng, monkeypatch):
    stream, outputs = KernelStream(), Outputs()
    monkeypatch.setitem(sys.modules, "IPython.display", outputs)
    seen = []
    result = train(stream, rng, monkeypatch, callback=lambda state, row: seen.append(outputs[-1]))
    assert stream.getvalue() == ""
    (last,) = outputs
    assert "[####################] 3/3 epochs" in last
    assert last.endswith(f"test accuracy {result.metrics[-1]['test_accuracy']:.4f}")
    assert "[######..............] 1/3 epochs" in seen[0]


def test_a_process_that_a_notebook_has_started_leaves_a_line(rng, monkeypatch):
    """Its file keeps each state of a line, one below the other: it gets the last, and before it one in ten seconds."""
    monkeypatch.setenv("JPY_PARENT_PID", "1")
    stream = Stream(terminal=True)
    result = train(stream, rng, monkeypatch)
    (line, rest) = stream.getvalue().split("\n")
    assert line.startswith("\r[####################] 3/3 epochs")
    assert line.endswith(f"test accuracy {result.metrics[-1]['test_accuracy']:.4f}")
    assert (rest, len(stream.read)) == ("", 1)
    times = iter([0.0, 0.0, 4.0, 10.5, 15.0, 21.0])
    monkeypatch.setattr(progress, "perf_counter", lambda: next(times))
    stream = Stream(terminal=True)
    with Progress(stream, 4) as shown:
        for epoch in range(1, 5):
            shown.show(epoch)
    assert [text.rpartition("\r")[2].split()[1] for text in stream.read] == ["2/4", "4/4", "4/4"]


def test_a_bar_fits_into_a_narrow_terminal(rng, monkeypatch):
    """A line that is broken can't be written again."""
    monkeypatch.delenv("JPY_PARENT_PID", raising=False)
    monkeypatch.setenv("COLUMNS", "40")
    stream = Stream(terminal=True)
    train(stream, rng, monkeypatch)
    assert all(len(part) < 40 for part in stream.getvalue().replace("\r", "\n").split("\n"))


def test_training_that_is_continued_counts_on(rng, monkeypatch):
    recipe, stream = copi.Recipe(eta_w=0.01, eta_r=0.01), Stream()
    state = copi.fit(recipe, fresh(recipe), blobs(rng), 2).state
    monkeypatch.setattr("sys.stderr", stream)
    copi.fit(recipe, state, blobs(rng), 1, progress=True)
    assert stream.getvalue().startswith("3/3 epochs")


def test_of_an_ensemble_it_is_the_mean_over_those_that_go_on(rng, monkeypatch):
    stream, recipe = Stream(), copi.Recipe(eta_w=0.01, eta_r=np.array([0.01, 1e20, 0.01])[:, None, None])
    state = copi.init_state(recipe, (6, 5, 3), [np.random.default_rng(seed) for seed in range(3)], np)
    monkeypatch.setattr("sys.stderr", stream)
    result = copi.fit(recipe, state, blobs(rng), 1, progress=True)
    mean = np.mean(result.metrics[0]["test_accuracy"][[0, 2]])
    assert stream.getvalue().endswith(f"test accuracy {mean:.4f}\n")


def test_an_error_comes_on_a_line_of_its_own(rng, monkeypatch):
    stream = Stream(terminal=True)
    with pytest.raises(ZeroDivisionError):
        train(stream, rng, monkeypatch, callback=lambda state, row: 1 / 0)
    assert stream.getvalue().endswith("\n")


def test_time_is_shown_as_a_clock_does(monkeypatch):
    times = iter([100.0, 3829.9])
    monkeypatch.setattr(progress, "perf_counter", lambda: next(times))
    stream = Stream()
    with Progress(stream, 2, label="a run") as shown:
        shown.show(1, "so far")
    assert stream.getvalue() == "a run  1/2 epochs  1:02:09  so far\n"
