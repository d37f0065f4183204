"""The command as a user runs it, in a process of its own where that matters."""

import csv
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from copi_ref import cli
from copi_ref.experiments import results, runner
from copi_ref.experiments.presets import METHODS, experiment

pytest.importorskip("rich")
pytest.importorskip("matplotlib")


@pytest.fixture
def own_npz(tmp_path):
    rng = np.random.default_rng(0)
    centres, labels = rng.normal(size=(3, 6)), np.arange(60) % 3
    x = centres[labels] + 0.2 * rng.normal(size=(60, 6))
    path = tmp_path / "own.npz"
    np.savez(path, x_train=x[:45], y_train=labels[:45], x_test=x[45:], y_test=labels[45:])
    return path


def table(path):
    return list(csv.DictReader(path.read_text().splitlines()))


def run(*arguments):
    return cli.main([str(argument) for argument in arguments])


def test_info_prints_the_backend_and_versions(capsys, monkeypatch):
    monkeypatch.setenv("COPI_REF_BACKEND", "numpy")
    assert run("info") == 0
    printed = capsys.readouterr().out
    assert "backend            numpy" in printed
    assert np.__version__ in printed


def test_a_backend_that_can_not_be_used_is_an_error_message(capsys, monkeypatch):
    monkeypatch.setenv("COPI_REF_BACKEND", "cuda")
    assert run("info") == 2
    assert "copi-ref: backend 'cuda' is unknown" in capsys.readouterr().err


def test_python_m_is_the_command():
    done = subprocess.run([sys.executable, "-m", "copi_ref", "info"], capture_output=True, text=True, check=True)
    assert "copi_ref" in done.stdout


def test_demo_writes_table_metrics_and_figure(tmp_path, capsys):
    pytest.importorskip("sklearn")
    out = tmp_path / "results"
    assert run("demo", "--seeds", 2, "--epochs", 5, "--out", out) == 0
    printed = capsys.readouterr().out
    assert all(method in printed for method in METHODS)
    assert (out / "figure.png").read_bytes().startswith(b"\x89PNG")
    for method in METHODS:
        for seed in (0, 1):
            rows = table(out / f"{method}-seed{seed}" / "metrics.csv")
            assert list(rows[0]) == list(results.METRICS)
            assert [row["epoch"] for row in rows] == ["0", "1", "2", "3", "4"]
    summary = {row["method"]: row for row in table(out / "summary.csv")}
    last = [float(table(out / f"copi-bp-seed{seed}" / "metrics.csv")[-1]["test_accuracy"]) for seed in (0, 1)]
    assert float(summary["copi-bp"]["test_accuracy_mean"]) == np.mean(last)
    assert float(summary["copi-bp"]["test_accuracy_std"]) == np.std(last, ddof=1)
    record = json.loads((out / "run.json").read_text())
    assert record["methods"]["copi-bp"]["lateral_rule"] == "symmetric"
    assert record["environment"]["numpy"] == np.__version__
    assert not list(out.rglob(".*")), "a temporary file was left behind"


def test_the_demo_does_what_it_promises():
    """COPI-BP on digits: at least .95 test accuracy, and correlations fall at least tenfold, for each seed."""
    pytest.importorskip("sklearn")
    from copi_ref.data import load_digits

    dataset = load_digits()
    for seed in range(3):
        result = runner.run(experiment("demo", "copi-bp", "digits"), "copi-bp", seed, dataset, epochs=30)
        assert result.metrics[-1]["test_accuracy"] >= 0.95
        assert 3.5 < result.energy_before < 4.5
        assert result.energy_after < result.energy_before / 10


def test_train_on_ones_own_npz(own_npz, tmp_path, capsys):
    out = tmp_path / "out"
    assert run("train", own_npz, "--method", "copi-bp", "copi-fa", "--epochs", 4, "--hidden", "8,7", "--out", out) == 0
    assert (out / "copi-fa-seed0" / "metrics.csv").is_file()
    record = json.loads((out / "run.json").read_text())
    assert record["methods"]["copi-bp"]["hidden"] == [8, 7]
    assert record["preset"] == "demo"
    assert "±" not in capsys.readouterr().out.splitlines()[5], "one seed has no deviation"


def test_train_records_rates_that_were_given_and_those_that_change(own_npz, tmp_path):
    arguments = ["train", own_npz, "--preset", "paper", "--epochs", 3, "--hidden", 5, "--out", tmp_path / "out"]
    assert run(*arguments, "--eta-r", 0.001) == 0
    recipe = json.loads((tmp_path / "out" / "run.json").read_text())["methods"]["copi-bp"]
    assert recipe["eta_w"] == [0.01, 0.1, 0.1]
    assert recipe["eta_r"] == 0.001


def test_training_that_explodes_ends_with_a_message_and_code_1(own_npz, tmp_path, capsys):
    code = run("train", own_npz, "--epochs", 5, "--eta-r", 1e20, "--out", tmp_path / "out")
    assert code == 1
    assert "training became non-finite in epoch 0" in capsys.readouterr().err
    assert list((tmp_path / "out").rglob("*")) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "mnist"], "mnist needs its four files: name their folder with --data-dir or $COPI_REF_DATA"),
        (["train", "mnist", "--data-dir", "/nowhere"], "/nowhere: has no file train-images-idx3-ubyte"),
        (["train", "/nowhere/own.npz"], "/nowhere/own.npz: can't be read as .npz"),
        (["train", "minst"], "minst: unknown data set: needs digits, mnist, or a path that ends in .npz"),
    ],
)
def test_data_that_are_not_there(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("COPI_REF_DATA", raising=False)
    assert run(*arguments, "--out", tmp_path / "out") == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["train"],
        ["train", "digits", "--preset", "papre"],
        ["train", "digits", "--hidden", "5,x"],
        ["train", "digits", "--eta-w", "-1"],
        ["demo", "--seeds", "0"],
    ],
)
def test_wrong_usage_exits_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as exit:
        run(*arguments)
    assert exit.value.code == 2
    assert "copi-ref" in capsys.readouterr().err


def test_a_missing_extra_says_how_to_install_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "rich", None)
    assert run("demo", "--out", tmp_path / "out") == 2
    assert 'pip install "copi_ref[demo]"' in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "figures.csv"
    results.write_atomically(path, b"old")

    def full(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="no space left"):
        results.write_atomically(path, b"new")
    assert [p.name for p in tmp_path.iterdir()] == ["figures.csv"]
    assert path.read_bytes() == b"old"


# --- presets: the published experiments --------------------------------------------------------------------------


def test_paper_preset_is_that_of_section_3_1():
    mnist, cifar = (experiment("paper", "copi-bp", dataset) for dataset in ("mnist", "cifar10"))
    assert mnist.hidden == (500, 500, 500)
    assert cifar.hidden == (1000, 1000)
    for name in ("eta_w", "eta_r"):
        assert [getattr(mnist.recipe, name)(epoch) for epoch in (0, 1, 99)] == [1e-2, 1e-1, 1e-1]
        assert [getattr(cifar.recipe, name)(epoch) for epoch in (0, 1, 99)] == [1e-3, 1e-2, 1e-2]
    recipe = mnist.recipe
    assert (recipe.loss.name, recipe.lateral_rule, recipe.output) == ("quadratic", "right", "activation")
    assert (recipe.batch_size, recipe.error_scale, recipe.lateral_only_epochs) == (50, 1, 0)
    adam = experiment("paper", "bp-adam", "mnist").recipe
    assert (adam.eta_w, adam.optimizer.beta1, adam.optimizer.beta2) == (1e-4, 0.9, 0.99)
    assert adam.lateral_rule == "none"


def test_tmlr_preset():
    settings = experiment("tmlr", "copi-bp", "mnist")
    assert settings.hidden == (500,) * 6
    assert experiment("tmlr", "copi-bp", "cifar10").hidden == (1000,) * 4
    recipe = settings.recipe
    assert (recipe.eta_w, recipe.eta_r, recipe.error_scale, recipe.lateral_only_epochs) == (1e-3, 1e-3, 1000, 1)
    assert (recipe.loss.name, recipe.lateral_rule, recipe.output) == ("half_quadratic", "left", "pre-activation")
    adam = experiment("tmlr", "bp-adam", "mnist").recipe
    assert type(adam.optimizer).__name__ == "AdamTMLR"
    assert (adam.optimizer.beta1, adam.optimizer.beta2, adam.optimizer.epsilon) == (0.9, 0.999, 1e-8)
    assert (adam.eta_w, adam.error_scale, adam.lateral_only_epochs) == (1e-4, 1, 1)


@pytest.mark.parametrize(
    ("method", "credit", "weight_rule"),
    [("copi-bp", "bp", "copi"), ("copi-fa", "fa", "copi"), ("bp-decorrelated", "bp", "sgd"), ("bp-adam", "bp", "sgd")],
)
def test_methods(method, credit, weight_rule):
    for preset in ("paper", "tmlr", "demo"):
        recipe = experiment(preset, method, "mnist").recipe
        assert (recipe.credit, recipe.weight_rule) == (credit, weight_rule)


def test_unknown_names_list_those_there_are():
    with pytest.raises(ValueError, match="preset is 'x': choose one of 'demo', 'paper', 'tmlr'"):
        experiment("x", "copi-bp", "mnist")
    with pytest.raises(ValueError, match="method is 'x': choose one of 'copi-bp'"):
        experiment("paper", "x", "mnist")


def test_epochs_to_99_percent_counts_finished_epochs():
    rows = tuple({"train_accuracy": value} for value in (0.1, 0.5, 0.9895, 0.991, 1.0))
    assert runner.epochs_to_99_percent(runner.Run("m", 0, rows, np.eye(2), np.eye(2))) == 4
