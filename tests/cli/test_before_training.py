"""What `copi-ref train` says of data and settings before it starts, and of the scale of the data when it diverges."""

import csv
import json

import numpy as np
import pytest
from npz_files import three_clusters

from copi_ref.cli.before_training import remarks_on_scale
from copi_ref.cli.main import main
from copi_ref.data import Dataset, load_npz
from copi_ref.experiments.config import Plan

pytest.importorskip("matplotlib")


@pytest.fixture
def train(tmp_path, monkeypatch, capsys):
    """Run the command on three small clusters in float32, or changed ones; return its status and what it says."""
    monkeypatch.setattr(
        "copi_ref.figures.training.save", lambda figure, path: None
    )  # what takes longest, and is no word
    plain = load_npz(three_clusters(tmp_path / "clusters.npz", train=45))
    # so that E‖x‖² = 6, as of standardised features, and the demo's η_R = 0.02 is below 2/18
    scale = np.sqrt(6 / np.square(plain.x_train).sum(axis=1).mean())
    arrays = {
        "x_train": (scale * plain.x_train).astype("float32"), "y_train": plain.y_train,
        "x_test": (scale * plain.x_test).astype("float32"), "y_test": plain.y_test,
    }  # fmt: skip

    def command(*options, factor=1, epochs=4, **changes):
        x = {name: np.float32(factor) * arrays[name] for name in ("x_train", "x_test")}
        np.savez(tmp_path / "own.npz", **{**arrays, **x, **changes})
        out = tmp_path / "out"
        words = ["train", tmp_path / "own.npz", "--epochs", epochs, "--hidden", 5, "--out", out, *options]
        status = main([str(word) for word in words])
        return status, capsys.readouterr().err

    command.arrays, command.out = arrays, tmp_path / "out"
    return command


def test_nothing_is_said_of_what_is_as_it_should_be(train):
    assert train() == (0, "")


def test_epochs_in_which_W_never_learns_are_a_warning(train):
    status, said = train(epochs=3)
    assert status == 0
    assert said == (
        "copi-ref: warning: W never learns: lateral_only_epochs of the preset demo is 3, and epochs is 3: in these R "
        "alone learns; needs 4 or more\n"
    )


@pytest.mark.parametrize(
    ("labels", "options", "said"),
    [
        (lambda y: y + 1, (), "has the label 0 (1 of 4 classes): labels count from 0, and the network has an output"),
        (
            lambda y: np.where(y == 2, 30, y),
            ("--classes", 31),
            "has the label 2, 3, 4, …, 29 (28 of 31 classes): labels count from 0",
        ),
    ],
)
def test_classes_without_a_sample_are_a_warning(labels, options, said, train):
    changes = {name: labels(train.arrays[name]) for name in ("y_train", "y_test")}
    status, err = train(*options, **changes)
    assert status == 0
    assert f"copi-ref: warning: no training sample {said}" in err


def test_more_classes_without_a_sample_than_with_one_are_refused_unless_they_are_asked_for(train):
    status, err = train(
        **{name: np.where(train.arrays[name] == 2, 30, train.arrays[name]) for name in ("y_train", "y_test")}
    )
    assert status == 2
    assert "--classes 31" in err


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_a_cast_is_said_once(dtype, train):
    changes = {name: train.arrays[name].astype(dtype) for name in ("x_train", "x_test")}
    status, said = train("--seeds", 2, **changes)
    assert status == 0
    assert said == f"copi-ref: note: the samples are {dtype}, and are cast to float32, in which the network is\n"


def test_samples_too_large_are_a_warning_whose_advice_works(train):
    """η_R = 0.02 and E‖x‖² = 6·100²; the factor that is named leaves room for half as much again."""
    status, said = train(factor=100)
    assert status == 1
    before, after = said.splitlines()
    assert "warning: the samples are too large, and training may diverge: multiply the samples by 0.017" in before
    assert "(E‖x‖² is 6e+04, and" in before
    assert "--eta-r 0.02 is above 2/(3 E‖x‖²) = 1.11e-05, proved safe for the rule left in layer 1" in before
    assert "; or pass --eta-r auto, which is 1.11e-05, and lower --eta-w, with which W learns slowly. (E" in before
    assert "the samples are too large: multiply them by 0.017, or lower --eta-r and --eta-w" in after
    assert train("--out", train.out / "again", factor=100 * 0.017) == (0, "")


def test_rates_too_high_are_told_from_samples_too_large(train):
    status, said = train("--eta-r", 1e5)
    assert status == 1
    assert "copi-ref: warning: the rate of R is high, and training may diverge: pass --eta-r auto" in said
    assert "(E‖x‖² is 6, and --eta-r 1e+05 is above" in said
    assert ": the rate is too high: lower --eta-r, and --eta-w likewise (--eta-r 1e+05 is above" in said
    assert "eta_" not in said.replace(str(train.out), ""), "the command's words are its options"


def test_samples_of_which_all_are_0_are_not_too_large(train):
    assert train(factor=0) == (0, "")


def test_the_safe_rate_is_taken_if_asked_for_and_goes_on_record(train):
    status, said = train("--eta-r", "auto")
    assert status == 0
    # 2/(3·6) = 0.1111: less half a percent, so that three digits are never above it
    assert said == (
        "copi-ref: note: --eta-r auto is 0.111, 2/(3 E‖x‖²): proved safe for the rule left in layer 1, on the same "
        "samples in every step; not for layers above\n"
    )
    config = json.loads((train.out / "copi-bp" / "seed-0" / "config.json").read_text())
    assert config["overrides"] == {"eta_r": 0.111}
    assert train("--eta-r", "auto", "--resume") == (0, said)


@pytest.mark.parametrize(
    ("dataset", "method", "overrides", "said"),
    [
        ("mnist", "copi-bp", {}, 0),  # both are as they were published
        ("mnist", "copi-bp", {"eta_r": 0.1}, 1),
        ("own.npz", "copi-bp", {}, 1),
        ("own.npz", "copi-bp", {"eta_r": 0.006}, 0),
        ("own.npz", "bp-adam", {}, 0),  # which has no R
    ],
)
def test_whose_scale_is_looked_at(dataset, method, overrides, said):
    """The preset `paper` ends with η_R = 0.1; E‖x‖² = 100 has the safe rate 1/150."""
    x, y = np.full((4, 100), 1.0), np.arange(4) % 2
    plan = Plan(dataset=dataset, preset="paper", method=method, seed=0, epochs=2, overrides=overrides)
    texts = list(remarks_on_scale([plan], Dataset(x, y, x, y)))
    assert len(texts) == said
    assert all("E‖x‖² is 100, and --eta-r 0.1 is above 2/(3 E‖x‖²) = 0.00667" in text for text in texts)


def test_metrics_count_epochs_from_0_and_so_does_what_is_said(train):
    train(epochs=2)
    rows = list(csv.DictReader((train.out / "copi-bp" / "seed-0" / "metrics.csv").read_text().splitlines()))
    assert [row["epoch"] for row in rows] == ["0", "1"]


def test_a_tilde_is_the_home_folder_also_where_no_shell_sees_it(train, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert train("--out=~/runs") == (0, "")
    assert (tmp_path / "runs" / "summary.csv").is_file()
    assert main(["compare", "~/runs"]) == 0
    assert "| copi-bp | 1 |" in capsys.readouterr().out
    assert main(["figure", "2a", "--runs=~/nothing"]) == 2
    assert f"copi-ref: {tmp_path}/nothing: no such folder" in capsys.readouterr().err
    keys = 'dataset = "~/own.npz"\npreset = "demo"\nmethods = ["copi-bp"]\nseeds = 1\nepochs = 4\nhidden = [5]\n'
    (tmp_path / "sweep.toml").write_text(keys)
    assert main(["sweep", "~/sweep.toml", "--out=~/swept"]) == 0
    assert (tmp_path / "swept" / "copi-bp" / "seed-0" / "outcome.json").is_file()
    assert not (tmp_path / "~").exists()


def test_what_is_fetched_goes_to_the_home_folder_too(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setattr("copi_ref.cli.data.fetch", lambda name, folder: asked.append(folder) or [])
    assert main(["data", "fetch", "mnist", "--data-dir=~/sets"]) == 0
    monkeypatch.setenv("COPI_REF_DATA", "~/others")
    assert main(["data", "fetch", "mnist"]) == 0
    assert asked == [tmp_path / "sets", tmp_path / "others"]
