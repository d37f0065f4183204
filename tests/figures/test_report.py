"""Runs as one HTML file: what it says is what the runs left, names come out as they are, and it needs nothing else."""

import csv
import re
from html.parser import HTMLParser

import pytest

pytest.importorskip("matplotlib")

from copi_ref.analysis.diagnostics import MEASURES
from copi_ref.cli.main import main
from copi_ref.experiments.folder import RunError, write_config, write_outcome
from copi_ref.experiments.metrics import write_metrics
from copi_ref.figures.report import report

RECIPE = {"eta_w": [0.1, 0.1, 0.2], "lateral_only_epochs": 1, "optimizer": "Plain()"}
CONFIG = {
    "format": "copi_ref run", "dataset": "digits", "held_out": None, "preset": "demo", "hidden": [9, 9], "epochs": 3,
    "overrides": {}, "diagnostics": False, "data": "sha256:1", "revision": "abc",
    "environment": {"numpy": "2.4.6", "machine": "<one>"},
}  # fmt: skip


def rows_of(train, test, more=()):
    """Metrics over epochs; the losses are other numbers than the accuracies."""
    return [
        {"epoch": epoch, "train_accuracy": one, "train_loss": 2 - one, "test_accuracy": other, "test_loss": 3 - other,
         "seconds": 1.5, **dict.fromkeys(more, 0.125 * (epoch + 1))}
        for epoch, (one, other) in enumerate(zip(train, test, strict=True))
    ]  # fmt: skip


def leave(root, method, seed, rows, outcome="finished", **changes):
    """Leave a run's folder as training does."""
    folder = root / method.replace("/", "_") / f"seed-{seed}"
    folder.mkdir(parents=True)
    recipe = {**RECIPE, "weight_rule": f"of {method}"}
    write_config(folder, {**CONFIG, "method": method, "seed": seed, "recipe": recipe, **changes})
    write_metrics(folder, rows)
    if outcome:
        write_outcome(folder, None if outcome == "finished" else outcome)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two settings; a run that failed, one that has not ended."""
    root = tmp_path_factory.mktemp("runs") / "my runs"
    leave(root, "bp-adam", 0, rows_of((0.5, 0.6, 0.8), (0.5, 0.6, 0.6)))
    leave(root, "bp-adam", 1, rows_of((0.5, 0.6, 0.8), (0.5, 0.6, 0.5)))
    leave(root, "copi-bp", 0, rows_of((0.5, 0.9, 0.901), (0.5, 0.8, 0.7)))
    leave(root, "copi-bp", 1, rows_of((0.5, 0.6, 0.9), (0.5, 0.6, 0.9)), environment={"numpy": "2.1"})
    leave(root, "il", 0, rows_of((0.5,), (0.25,)), epochs=1)
    leave(root, "copi-fa", 0, rows_of((0.1,), (0.1,)), "training became non-finite in epoch 1")
    leave(root, "copi-fa", 1, rows_of((0.1,), (0.1,)), outcome=None)
    return root


@pytest.fixture(scope="module")
def text(runs):
    return report(runs)


@pytest.fixture(scope="module")
def found(text):
    return Read(text)


class Read(HTMLParser):
    """What a browser would find: tables by their caption, other text by tag, addresses, identifiers."""

    def __init__(self, text):
        super().__init__()
        self.tables, self.texts, self.tags, self.ids, self.addresses = {}, {}, [], [], []
        self.open = []
        self.feed(text)
        assert self.open == [], "a tag is not closed"

    def handle_starttag(self, tag, attrs):
        self.handle_startendtag(tag, attrs)
        if tag not in ("meta", "link"):
            self.open.append(tag)
        if tag == "table":
            self.rows = []
        elif tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        for name, value in attrs:
            self.ids += [value] if name == "id" else []
            self.addresses += [value] if name in ("src", "srcset", "href", "xlink:href", "data", "action") else []

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        if tag == "table":
            self.tables.setdefault(self.texts["caption"][-1], []).append(self.rows)

    def handle_data(self, data):
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data
        elif self.open and data.strip():
            self.texts.setdefault(self.open[-1], []).append(data.strip())


def test_the_numbers_are_those_of_the_metrics(found, runs):
    """By hand: .8 and .9 at the peak, .7 and .9 in the last epoch; the differences of the last epoch are .1 and .4."""
    one, three = found.tables["Mean ± standard deviation over seeds"]
    assert three[2][:5] == ["copi-bp", "2", "0.8000 ± 0.1414", "0.8500 ± 0.0707", "0.9005 ± 0.0007"]
    assert one[1][:3] == ["il", "1", "0.2500"]
    ((head, line),) = found.tables["Differences, with 95 % intervals (Student's t)"]
    assert head[0] == "less bp-adam, paired by seed"
    assert line[:2] == ["copi-bp", "2"]
    assert line[2].startswith("+0.2500 [")
    each = [line for _, *lines in found.tables["Each run after its last epoch"] for line in lines]
    for run, *numbers, seconds in each:
        *_, last = rows = list(csv.DictReader((runs / run / "metrics.csv").read_text().splitlines()))
        expected = [float(last[name]) for name in ("test_accuracy", "train_accuracy", "test_loss", "train_loss")]
        assert list(map(float, numbers)) == pytest.approx(expected, abs=5e-4)
        assert float(seconds) == round(1.5 * len(rows))
    assert len(each) == 5


def test_each_setting_has_its_curves(found):
    settings = [f"digits, demo, hidden 9-9, {epochs} epochs" for epochs in (1, 3)]
    assert [name for name in found.texts["h2"] if name.startswith("digits")] == settings
    for name in ("Test accuracy", "Train accuracy", "Test loss", "Train loss"):
        assert found.texts["figcaption"].count(name) == 2
    assert found.tags.count("svg") == 8
    assert found.texts["text"].count("copi-bp, 2 seeds") == 4
    assert found.texts["text"].count("il, 1 seed") == 4
    assert "Diagnostics, by layer" not in found.texts.get("h3", [])


def test_settings_are_told_once_and_differences_by_run(found):
    ((_, *common),) = found.tables["What is the same in all runs"]
    common = dict(common)
    assert common["recipe.eta_w"] == "0.1 (×2), 0.2"
    assert common["hidden"] == "9 (×2)"
    assert common["held_out"] == "none"
    assert "method" not in common
    assert found.tables["In what runs differ"] == [[
        ["epochs", "method", "recipe.weight_rule", "seeds"],
        ["3", "bp-adam", "of bp-adam", "0, 1"],
        ["3", "copi-bp", "of copi-bp", "0, 1"],
        ["1", "il", "of il", "0"],
        ["3", "copi-fa", "of copi-fa", "0, 1"],
    ]]  # fmt: skip


def test_an_environment_that_differs_is_told_with_its_runs(found):
    made_with = dict(found.tables["What the runs were made with"][0])
    assert made_with["numpy"] == "2.4.6 (6 of 7 runs); 2.1 (1 of 7 runs)"
    assert made_with["machine"] == "<one> (6 of 7 runs)"
    assert made_with["revision"] == "abc"


def test_runs_that_did_not_finish_are_told_with_the_reason(found):
    assert "Runs: 5 finished, 1 failed, 1 not ended." in found.texts["p"]
    assert found.tables["They are in no figure and no comparison"][0][1:] == [
        ["copi-fa/seed-0", "training became non-finite in epoch 1"],
        ["copi-fa/seed-1", "has not ended: go on with resume=True (--resume)"],
    ]


def test_names_come_out_as_they_are_and_diagnostics_are_drawn(tmp_path):
    """Of files, folders and methods: HTML, rich's markup and matplotlib's formulas have signs of their own."""
    root, names = tmp_path / "<i>$a$ & b", ("<b>$x$", "a[/b]")
    columns = [f"{measure}_{layer}" for measure in MEASURES for layer in (1, 2)]
    for name in names:
        rows = rows_of((0.5, 0.6), (0.5, 0.6), columns)
        leave(root, name, 0, rows, epochs=2, dataset=f"{''.join(names)}.npz")
    found = Read(report(root))
    assert found.texts["h1"] == found.texts["title"] == ["Runs in <i>$a$ & b"]
    assert found.texts["h2"][0].startswith("<b>$x$a[/b].npz, ")
    assert [line[0] for line in found.tables["Mean ± standard deviation over seeds"][0][1:]] == list(names)
    assert found.tags.count("svg") == 4 + len(MEASURES)
    for name in names:
        assert found.texts["text"].count(f"{name}, 1 seed") == 4
        assert found.texts["text"].count(name) == len(MEASURES)  # above the panels of each measure
    assert found.texts["text"].count("layer 2") == len(MEASURES)
    assert not {"b", "i"} & set(found.tags)


def test_it_needs_no_network_and_no_script_and_takes_the_colours_of_the_page(found, text):
    assert not {"script", "img", "iframe", "object", "embed"} & set(found.tags)
    assert all(address.startswith(("#", "data:,")) for address in found.addresses)
    assert "@import" not in text
    targets = re.findall(r"url\(([^)]*)\)", text) + [one for one in found.addresses if one.startswith("#")]
    assert targets
    assert {target.removeprefix("#") for target in targets} <= set(found.ids)
    assert len(found.ids) == len(set(found.ids))
    assert not re.search(r"#(000000|ffffff)\b", text, re.IGNORECASE)


def test_the_command_replaces_what_is_there_and_the_same_runs_give_the_same_bytes(runs, text, tmp_path, capsys):
    out = tmp_path / "report.html"
    out.write_text("old")
    assert main(["report", str(runs), "--out", str(out)]) == 0
    content = out.read_bytes()
    assert capsys.readouterr().out == f"Written: {out} ({len(content) / 1000:.0f} kB)\n"
    assert content.decode() == text
    assert list(tmp_path.iterdir()) == [out]


def test_what_can_not_be_reported_is_named(tmp_path, runs, capsys):
    with pytest.raises(RunError, match="nothing: no such folder"):
        report(tmp_path / "nothing")
    leave(tmp_path / "bad", "il", 0, [], "non-finite")
    with pytest.raises(RunError, match=r"bad: no run has finished \(0 finished, 1 failed, 0 not ended\)"):
        report(tmp_path / "bad")
    assert main(["report", str(runs), "--out", str(tmp_path)]) == 2
    assert f"{tmp_path} is a folder: name a file with --out" in capsys.readouterr().err
    assert main(["report", str(runs), "--against", "copi-dfa", "--out", str(tmp_path / "new.html")]) == 2
    assert f"{runs}: there is no run of copi-dfa: needs one of" in capsys.readouterr().err
    assert not (tmp_path / "new.html").exists()
