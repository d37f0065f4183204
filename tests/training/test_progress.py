"""What training says while it goes on: lines in a file, one bar in a terminal and in a notebook, by default nothing."""

import io

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


class NotebookStream(Stream):
    """As IPython's kernel has it: no terminal, and it obeys a carriage return."""

    __module__ = "ipykernel.iostream"


@pytest.mark.parametrize("stream", [Stream(terminal=True), NotebookStream()], ids=["terminal", "notebook"])
def test_where_lines_can_be_written_again_there_is_one_bar(stream, rng, monkeypatch):
    result = train(stream, rng, monkeypatch)
    assert "\x1b" not in stream.getvalue(), "notebooks don't obey escapes that move the cursor"
    shown = on_screen(stream.getvalue())
    assert len(shown) == 2
    assert shown[1] == "", "the line has ended"
    assert "[####################] 3/3 epochs" in shown[0]
    assert shown[0].endswith(f"test accuracy {result.metrics[-1]['test_accuracy']:.4f}")
    assert "[....................] 0/3 epochs" in on_screen(stream.read[0])[0], "before the first epoch has ended"


def test_a_bar_fits_into_a_narrow_terminal(rng, monkeypatch):
    """A line that is broken can't be written again."""
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
