"""The command as a user runs it, in a process of its own where that matters."""

import csv
import errno
import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from npz_files import three_clusters

import copi_ref as copi
from copi_ref.analysis.diagnostics import MEASURES, layer_diagnostics
from copi_ref.arrays.backend import to_numpy
from copi_ref.cli import train as training_commands
from copi_ref.cli.main import main
from copi_ref.experiments import recorded, runner
from copi_ref.experiments.folder import read_run
from copi_ref.experiments.presets import LATERAL, METHODS, PAPER_METHODS, Experiment, experiment
from copi_ref.files import write_atomically

pytest.importorskip("matplotlib")


@pytest.fixture
def own_npz(tmp_path):
    return three_clusters(tmp_path / "own.npz", train=45)


def table(path):
    return list(csv.DictReader(path.read_text().splitlines()))


def config_of(out, method="copi-bp", seed=0):
    return json.loads((out / method / f"seed-{seed}" / "config.json").read_text())


def run(*arguments):
    return main([str(argument) for argument in arguments])


def at_home(params):
    return copi.Params(*(tuple(map(to_numpy, arrays)) for arrays in (params.W, params.R, params.mean)))


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
    assert all(method in printed for method in PAPER_METHODS)
    assert {path.name for path in out.iterdir() if path.is_dir()} == set(PAPER_METHODS)
    assert {path.name for path in (out / "copi-fa").iterdir()} == {"seed-0", "seed-1"}
    assert f"Written: {out}/summary.csv {out}/figure.png\n" in printed
    assert (out / "figure.png").read_bytes().startswith(b"\x89PNG")
    for method in PAPER_METHODS:
        for seed in (0, 1):
            rows = table(out / method / f"seed-{seed}" / "metrics.csv")
            assert list(rows[0]) == ["epoch", "train_accuracy", "train_loss", "test_accuracy", "test_loss", "seconds"]
            assert [row["epoch"] for row in rows] == ["0", "1", "2", "3", "4"]
    summary = {row["method"]: row for row in table(out / "summary.csv")}
    last = [float(table(out / "copi-bp" / f"seed-{seed}" / "metrics.csv")[-1]["test_accuracy"]) for seed in (0, 1)]
    assert float(summary["copi-bp"]["test_accuracy_mean"]) == np.mean(last)
    assert float(summary["copi-bp"]["test_accuracy_std"]) == np.std(last, ddof=1)
    config = config_of(out)
    assert config["recipe"]["lateral_rule"] == "symmetric"
    assert config["diagnostics"] is False
    assert config["environment"]["numpy"] == np.__version__
    assert not (out / "diagnostics.png").exists()
    assert not list(out.rglob(".*")), "a temporary file was left behind"


def test_the_demo_does_what_it_promises():
    """COPI-BP on digits: at least .95 test accuracy, and correlations fall at least tenfold, for each seed."""
    pytest.importorskip("sklearn")
    from copi_ref.data import load_digits

    dataset = load_digits()
    for seed in range(3):
        result = runner.run(experiment("demo", "copi-bp", "digits"), "copi-bp", seed, dataset, epochs=30)
        assert result.metrics[-1]["test_accuracy"] >= 0.95
        assert 3.5 < result.off_diagonal_before < 4.5
        assert result.off_diagonal_after < result.off_diagonal_before / 10


def test_train_on_ones_own_npz(own_npz, tmp_path, capsys):
    out = tmp_path / "out"
    assert run("train", own_npz, "--method", "copi-bp", "copi-fa", "--epochs", 4, "--hidden", "8,7", "--out", out) == 0
    assert (out / "copi-fa" / "seed-0" / "metrics.csv").is_file()
    assert config_of(out)["hidden"] == [8, 7]
    assert config_of(out)["preset"] == "demo"
    printed = capsys.readouterr().out
    assert "±" not in printed, "one seed has no deviation"
    assert "seed(s)" not in printed


def test_demo_measures_every_layer_if_asked(tmp_path):
    pytest.importorskip("sklearn")
    out = tmp_path / "out"
    assert run("demo", "--seeds", 1, "--epochs", 1, "--diagnostics", "--out", out) == 0
    assert (out / "diagnostics.png").read_bytes().startswith(b"\x89PNG")
    assert all("off_diagonal_3" in table(out / method / "seed-0" / "metrics.csv")[0] for method in PAPER_METHODS)


def test_train_measures_every_layer_if_asked(own_npz, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = ["train", own_npz, "--method", "copi-fa", "--epochs", 2, "--hidden", 5, "--out", out]
    assert run(*arguments, "--diagnostics") == 0
    assert (out / "diagnostics.png").read_bytes().startswith(b"\x89PNG")
    assert config_of(out, "copi-fa")["diagnostics"] is True
    rows = table(out / "copi-fa" / "seed-0" / "metrics.csv")
    plain = ["epoch", "train_accuracy", "train_loss", "test_accuracy", "test_loss", "seconds"]
    assert list(rows[0]) == plain + [f"{measure}_{layer}" for layer in (1, 2) for measure in MEASURES]

    from copi_ref.data import load_npz

    settings = experiment("demo", "copi-fa", "own")
    again = runner.run(
        Experiment((5,), settings.recipe), "copi-fa", 0, load_npz(own_npz), 2, diagnostics=layer_diagnostics
    )
    for row, expected in zip(rows, again.metrics, strict=True):
        assert {name: float(value) for name, value in row.items() if name != "seconds"} == {
            name: value for name, value in expected.items() if name != "seconds"
        }
    assert run(*arguments) == 2, "results with and without these columns don't mix"
    assert "holds another run: diagnostics is True there, and False was asked for" in capsys.readouterr().err


def test_an_ensemble_leaves_the_files_that_single_runs_leave(own_npz, tmp_path):
    """Of two methods and three seeds, one of which stops: the same accuracies, and losses up to the order of a sum."""
    outs, arguments = (
        {},
        ["train", own_npz, "--method", "copi-bp", "bp-adam", "--seeds", 3, "--epochs", 3, "--hidden", 5],
    )
    for mode in ([], ["--ensemble"]):
        outs[bool(mode)] = out = tmp_path / f"out{len(mode)}"
        assert run(*arguments, "--diagnostics", *mode, "--out", out) == 0
        assert config_of(out, "bp-adam")["ensemble"] is bool(mode)
    names = sorted(path.relative_to(outs[False]) for path in outs[False].rglob("*"))
    assert sorted(path.relative_to(outs[True]) for path in outs[True].rglob("*")) == names
    for file in (name for name in names if name.name == "metrics.csv"):
        rows, expected = (table(outs[mode] / file) for mode in (True, False))
        assert len(rows) == 3
        for row, single in zip(rows, expected, strict=True):
            assert list(row) == list(single)
            for name in set(row) - {"seconds"}:
                # In float32; log|det R| is near 0, where the rounding of R's entries, near 1, does not shrink, and the
                # smallest eigenvalue of C moves by as much as its entries do, 1e-5 of the largest eigenvalue.
                around_0 = 1e-5 if name.startswith("log_det") else 0
                relative = 1e-5 * (float(single[name]) if name.startswith("condition") else 1)
                assert float(row[name]) == pytest.approx(float(single[name]), rel=relative, abs=around_0), name


def test_networks_of_an_ensemble_that_explode_are_reported(own_npz, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = ["train", own_npz, "--method", "copi-bp", "bp-adam", "--seeds", 2, "--epochs", 2, "--eta-r", 1e20]
    assert run(*arguments, "--ensemble", "--out", out) == 1
    printed = capsys.readouterr().err
    for seed in (0, 1):
        assert f"copi-ref: {out}/copi-bp/seed-{seed}: training became non-finite in epoch 0" in printed
        assert len(table(out / "bp-adam" / f"seed-{seed}" / "metrics.csv")) == 2


def test_the_help_lists_the_methods_and_breaks_no_name(capsys):
    with pytest.raises(SystemExit) as exit:
        run("train", "--help")
    assert exit.value.code == 0
    usage, _, listed = capsys.readouterr().out.partition("the paper's methods:")
    assert {word.strip(",") for word in listed.split()} >= set(METHODS)
    assert "bp-adam" not in usage, "with all names in it, the usage would be a wall"


def test_train_records_rates_that_were_given_and_those_that_change(own_npz, tmp_path):
    arguments = ["train", own_npz, "--preset", "paper", "--epochs", 3, "--hidden", 5, "--out", tmp_path / "out"]
    assert run(*arguments, "--eta-r", 0.001) == 0
    config = config_of(tmp_path / "out")
    assert config["recipe"]["eta_w"] == [0.01, 0.1, 0.1]
    assert config["recipe"]["eta_r"] == 0.001
    assert config["overrides"] == {"eta_r": 0.001}


def test_R_that_learns_in_every_third_step_alone(own_npz, tmp_path):
    arguments = ["train", own_npz, "--epochs", 4, "--hidden", 5]
    assert run(*arguments, "--lateral-every", 3, "--out", tmp_path / "third") == 0
    assert config_of(tmp_path / "third")["recipe"]["lateral_every"] == 3
    assert run(*arguments, "--out", tmp_path / "each") == 0
    third, each = (read_run(tmp_path / out / "copi-bp" / "seed-0").params.R[0] for out in ("third", "each"))
    moved, at_most = (np.abs(R - np.eye(len(R))).max() for R in (third, each))
    assert 0 < moved < at_most


@pytest.mark.parametrize("rule", LATERAL)
def test_every_lateral_rule_trains(rule, own_npz, tmp_path):
    """And is on record, so that --resume knows the run again; what draws a part of the batch draws the same again."""
    arguments = ["train", own_npz, "--epochs", 2, "--hidden", 5, "--eta-r", 0.001, "--lateral", rule]
    assert run(*arguments, "--out", tmp_path / "out") == 0
    assert run(*arguments, "--out", tmp_path / "again") == 0
    config = config_of(tmp_path / "out")
    assert config["overrides"]["lateral_rule"] == rule
    assert rule.removesuffix("-subsampled") in config["recipe"]["lateral_rule"]
    one, other = (table(tmp_path / out / "copi-bp" / "seed-0" / "metrics.csv") for out in ("out", "again"))
    assert [row["train_loss"] for row in one] == [row["train_loss"] for row in other]


def test_a_run_that_explodes_is_reported_and_does_not_stop_the_others(own_npz, tmp_path, capsys):
    out = tmp_path / "out"
    code = run("train", own_npz, "--method", "copi-bp", "bp-adam", "--epochs", 5, "--eta-r", 1e20, "--out", out)
    assert code == 1
    assert f"copi-ref: {out}/copi-bp/seed-0: training became non-finite in epoch 0" in capsys.readouterr().err
    assert [row["method"] for row in table(out / "summary.csv")] == ["bp-adam"]
    assert {path.name for path in (out / "copi-bp" / "seed-0").iterdir()} == {"config.json", "outcome.json", "lock"}
    assert len(table(out / "bp-adam" / "seed-0" / "metrics.csv")) == 5


def test_when_every_run_explodes_there_is_no_summary(own_npz, tmp_path):
    assert run("train", own_npz, "--eta-r", 1e20, "--out", tmp_path / "out") == 1
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["copi-bp"]


def test_results_of_two_settings_never_mix(own_npz, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = ["train", own_npz, "--epochs", 2, "--out", out]
    assert run(*arguments) == 0
    before = {path: path.is_file() and path.read_bytes() for path in out.rglob("*")}
    assert run(*arguments) == 2
    folder = out / "copi-bp" / "seed-0"
    assert (
        f"{folder} holds this run already: go on with resume=True (--resume), name another" in capsys.readouterr().err
    )
    assert run(*arguments[:2], "--epochs", 1, "--resume", "--out", out) == 2
    assert f"{folder} holds a run of 2 epochs, and 1 were asked for" in capsys.readouterr().err
    assert {path: path.is_file() and path.read_bytes() for path in out.rglob("*")} == before
    (tmp_path / "photos" / "copi-bp" / "seed-0").mkdir(parents=True)
    (tmp_path / "photos" / "copi-bp" / "seed-0" / "cat.jpg").touch()
    assert run("train", own_npz, "--out", tmp_path / "photos") == 2
    assert "holds something else than a run" in capsys.readouterr().err


def test_a_finished_run_goes_on_to_more_epochs(own_npz, tmp_path):
    out, whole = tmp_path / "out", tmp_path / "whole"
    assert run("train", own_npz, "--epochs", 2, "--out", out) == 0
    first = table(out / "copi-bp" / "seed-0" / "metrics.csv")
    assert run("train", own_npz, "--epochs", 4, "--resume", "--out", out) == 0
    assert run("train", own_npz, "--epochs", 4, "--out", whole) == 0
    rows, expected = (table(folder / "copi-bp" / "seed-0" / "metrics.csv") for folder in (out, whole))
    assert rows[:2] == first
    for row in (*rows, *expected):
        del row["seconds"]
    assert rows == expected
    for name in ("metrics.csv", "checkpoint.npz"):
        assert (out / "copi-bp" / "seed-0" / name).is_file()


def test_runs_that_are_there_are_not_run_again(own_npz, tmp_path, capsys):
    """With --resume: more seeds join those that are there, and the summary is of all."""
    out = tmp_path / "out"
    arguments = ["train", own_npz, "--epochs", 2, "--out", out]
    assert run(*arguments) == 0
    first = {path: path.read_bytes() for path in (out / "copi-bp" / "seed-0").iterdir()}
    assert run(*arguments, "--seeds", 2, "--resume") == 0
    assert {path: path.read_bytes() for path in first} == first
    accuracies = [
        float(table(out / "copi-bp" / f"seed-{seed}" / "metrics.csv")[-1]["test_accuracy"]) for seed in (0, 1)
    ]
    assert float(table(out / "summary.csv")[0]["test_accuracy_mean"]) == np.mean(accuracies)


def test_a_run_that_failed_is_reported_again_and_not_run_again(own_npz, tmp_path, capsys):
    arguments = ["train", own_npz, "--eta-r", 1e20, "--out", tmp_path / "out"]
    assert run(*arguments) == 1
    message = capsys.readouterr().err
    assert run(*arguments, "--resume") == 1
    assert capsys.readouterr().err == message


def test_an_ensemble_that_has_ended_is_kept_and_what_is_missing_is_trained(own_npz, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = ["train", own_npz, "--ensemble", "--epochs", 2, "--out", out]
    assert run(*arguments, "--seeds", 2) == 0
    first = {path: path.read_bytes() for path in (out / "copi-bp").rglob("*") if path.is_file()}
    assert run(*arguments, "--seeds", 2) == 2
    assert "seed-0 holds this run already: go on with resume=True (--resume)" in capsys.readouterr().err
    assert run(*arguments, "--seeds", 3, "--resume") == 0, "as it says"
    assert {path: path.read_bytes() for path in first} == first
    assert len(table(out / "copi-bp" / "seed-2" / "metrics.csv")) == 2


def test_a_demo_of_ensembles_can_be_shown_again(tmp_path):
    pytest.importorskip("sklearn")
    arguments = ["demo", "--ensemble", "--seeds", 1, "--epochs", 1, "--out", tmp_path / "out"]
    assert run(*arguments) == 0
    before = (tmp_path / "out" / "copi-bp" / "seed-0" / "metrics.csv").read_bytes()
    assert run(*arguments) == 0
    assert (tmp_path / "out" / "copi-bp" / "seed-0" / "metrics.csv").read_bytes() == before


def test_an_interrupted_demo_says_what_a_demo_can(tmp_path, monkeypatch, capsys):
    def interrupted(*_, **options):
        raise KeyboardInterrupt

    pytest.importorskip("sklearn")
    monkeypatch.setattr(training_commands, "run_into", interrupted)
    assert run("demo", "--out", tmp_path / "out") == 130
    printed = capsys.readouterr().err
    assert "the same command again goes on" in printed
    assert "--resume" not in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--method", "il-proximal-plain", "--eta-w", "0"],
            "--eta-w, here α of proximal IL, is 0: needs a number above 0",
        ),
        (["--method", "bp-adam", "il", "--eta-r", "1"], "--eta-r is given, but there is no R in bp-adam, il"),
        (["--method", "bp-adam", "--lateral-every", "2"], "--lateral-every is given, but there is no R in bp-adam"),
        (["--method", "bp-adam", "--lateral", "left"], "--lateral is given, but there is no R in bp-adam"),
    ],
)
def test_settings_that_can_not_be_are_an_error_message(arguments, message, own_npz, tmp_path, capsys):
    assert run("train", own_npz, *arguments, "--out", tmp_path / "out") == 2
    assert f"copi-ref: {message}" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_samples_too_large_for_the_weights_are_an_error_message(tmp_path, capsys):
    x, y = np.full((8, 3), 1e308), np.arange(8) % 2
    np.savez(tmp_path / "own.npz", x_train=x, y_train=y, x_test=np.ones((2, 3)), y_test=y[:2])
    assert run("train", tmp_path / "own.npz", "--out", tmp_path / "out") == 2
    assert "own.npz: x_train has entries too large for float32: scale it down" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_network_too_large_for_memory_is_an_error_message(own_npz, tmp_path, monkeypatch, capsys):
    def too_large(*_, **options):
        raise MemoryError("Unable to allocate 7 TiB")

    monkeypatch.setattr(training_commands, "run_into", too_large)
    assert run("train", own_npz, "--out", tmp_path / "out") == 2
    assert "seed-0: needs more memory than there is (Unable to allocate 7 TiB)" in capsys.readouterr().err


def test_after_a_want_of_memory_the_folder_takes_a_smaller_network(own_npz, tmp_path, monkeypatch):
    def too_large(*_, **options):
        raise MemoryError("Unable to allocate 7 TiB")

    arguments = ("train", own_npz, "--epochs", 4, "--out", tmp_path / "out")
    with monkeypatch.context() as patch:
        patch.setattr(recorded, "init_state", too_large)
        assert run(*arguments, "--hidden", 1000000) == 2
    assert run(*arguments, "--hidden", 5) == 0


def test_a_full_disk_is_named_with_its_file(own_npz, tmp_path, monkeypatch, capsys):
    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    assert run("train", own_npz, "--out", tmp_path / "out") == 2
    error = capsys.readouterr().err
    assert f"copi-ref: [Errno 28] No space left on device: '{tmp_path}/out/copi-bp/seed-0/config.json'" in error


def test_names_may_have_the_signs_of_formulas(own_npz, tmp_path):
    path = own_npz.rename(tmp_path / "b$x_{1$[bold].npz")
    assert run("train", path, "--epochs", 4, "--diagnostics", "--out", tmp_path / "a[b]$y_{$") == 0
    assert {file.suffix for file in (tmp_path / "a[b]$y_{$").iterdir() if file.is_file()} == {".png", ".csv"}


def test_a_backend_that_matplotlib_does_not_know_costs_no_results(own_npz, tmp_path):
    """It refuses to be imported, so this is another process."""
    command = [sys.executable, "-m", "copi_ref", "train", own_npz, "--epochs", "4", "--out", tmp_path / "out"]
    done = subprocess.run(
        list(map(str, command)), env={**os.environ, "MPLBACKEND": "nosuch"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert "No figure: matplotlib can't be used: Key backend: 'nosuch' is not" in done.stdout
    assert "unset MPLBACKEND. Then the same command with --resume draws it" in done.stdout


def test_a_terminal_without_the_signs_costs_no_results(own_npz, tmp_path):
    command = [sys.executable, "-m", "copi_ref", "train", str(own_npz), "--out", str(tmp_path / "out")]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    subprocess.run(command, check=True, env=environment, capture_output=True)
    assert (tmp_path / "out" / "summary.csv").is_file()
    subprocess.run([*command[:4], "--help"], check=True, env=environment, capture_output=True)


def test_train_on_mnist_files(mnist_folder, tmp_path, monkeypatch):
    """Named with --data-dir or the environment variable, the folder itself or the one above; `tmlr` by default."""
    above = tmp_path / "data"
    above.mkdir()
    (above / "mnist").symlink_to(mnist_folder)
    for number, folder in enumerate((mnist_folder, above)):
        out = tmp_path / f"out{number}"
        arguments = ["train", "mnist", "--epochs", 2, "--hidden", 4, "--eta-w", 1e-6, "--out", out]
        if number:
            monkeypatch.setenv("COPI_REF_DATA", str(folder))
            assert run(*arguments) == 0
        else:
            assert run(*arguments, "--data-dir", folder) == 0
        assert config_of(out)["preset"] == "tmlr"
        assert config_of(out)["recipe"]["error_scale"] == 1000
        assert config_of(out)["recipe"]["eta_w"] == 1e-6


def test_an_output_folder_that_can_not_be_made(own_npz, tmp_path, capsys):
    (tmp_path / "file").touch()
    assert run("train", own_npz, "--out", tmp_path / "file" / "out") == 2
    assert "copi-ref: " in capsys.readouterr().err


def test_an_interrupt_ends_with_130(own_npz, tmp_path, monkeypatch, capsys):
    def interrupted(*_, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(training_commands, "run_into", interrupted)
    assert run("train", own_npz, "--out", tmp_path / "out") == 130
    assert "interrupted; finished runs are on disk, and --resume" in capsys.readouterr().err


def test_an_interrupt_of_what_has_nothing_to_go_on_with_promises_nothing(monkeypatch, capsys):
    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr("copi_ref.cli.compare.find_runs", interrupted)
    assert run("compare", "nothing") == 130
    assert capsys.readouterr().err == "copi-ref: interrupted\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "mnist"], "mnist needs a folder for its files: name it, as data_dir (--data-dir) or $COPI_REF_DATA"),
        (["train", "mnist", "--data-dir", "/nowhere"], "/nowhere: has no file train-images-idx3-ubyte"),
        (["train", "/nowhere/own.npz"], "/nowhere/own.npz: can't be read as .npz"),
        (["train", "minst"], "minst: unknown data set: needs digits, mnist, fashion-mnist, cifar10, or a path"),
    ],
)
def test_data_that_are_not_there(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("COPI_REF_DATA", raising=False)
    assert run(*arguments, "--out", tmp_path / "out") == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["train"],
        ["train", "digits", "--preset", "papre"],
        ["train", "digits", "--method", "copi-pb"],
        ["train", "digits", "--hidden", "5,x"],
        ["train", "digits", "--eta-r", "automatic"],
        ["train", "digits", "--eta-w", "auto"],
        ["train", "digits", "--eta-w", "-1"],
        ["train", "digits", "--eta-w", "nan"],
        ["train", "digits", "--eta-r", "inf"],
        ["train", "digits", "--hidden", "0"],
        ["train", "digits", "--hidden", "99999999999999999999"],
        ["train", "digits", "--preset", "paper", "--epochs", "99999999999"],
        ["train", "digits", "--seeds", "99999999999"],
        ["demo", "--seeds", "0"],
    ],
)
def test_wrong_usage_exits_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as exit:
        run(*arguments)
    assert exit.value.code == 2
    printed = capsys.readouterr().err
    assert "copi-ref" in printed
    assert " _" not in printed, "a name of the implementation in a message for users"


def test_hidden_layers_in_another_form_are_told_the_right_one(capsys):
    with pytest.raises(SystemExit):
        run("train", "digits", "--hidden", "200x200")
    assert "'200x200': needs whole numbers with commas between them, as 200,200" in capsys.readouterr().err


def test_the_demo_says_what_its_digits_need(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    assert run("demo", "--out", tmp_path / "out") == 2
    assert 'pip install "copi_ref[demo]"' in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


PLAIN = """
import sys
extras = ("matplotlib", "sklearn", "joblib", "threadpoolctl", "distributed", "tqdm", "pooch")
sys.modules.update(dict.fromkeys(extras))  # an import of one of them fails, as where it is not installed
from copi_ref.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def plainly(*arguments):
    """Run the command as on a plain install."""
    command = [sys.executable, "-c", PLAIN, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_plain_install_trains_and_says_what_draws_the_figure(own_npz, tmp_path):
    out = tmp_path / "out"
    done = plainly("train", own_npz, "--epochs", 4, "--diagnostics", "--out", out)
    assert done.returncode == 0, done.stderr
    assert len(table(out / "copi-bp" / "seed-0" / "metrics.csv")) == 4
    assert [row["method"] for row in table(out / "summary.csv")] == ["copi-bp"]
    assert (
        'No figure: matplotlib is not installed: pip install "copi_ref[demo]". Then the same command with --resume '
        in (done.stdout)
    )
    assert not list(out.glob("*.png"))
    metrics = (out / "copi-bp" / "seed-0" / "metrics.csv").read_bytes()
    assert run("train", own_npz, "--epochs", 4, "--diagnostics", "--out", out, "--resume") == 0, "as it says"
    assert {path.name for path in out.glob("*.png")} == {"figure.png", "diagnostics.png"}
    assert (out / "copi-bp" / "seed-0" / "metrics.csv").read_bytes() == metrics


# --- progress --------------------------------------------------------------------------------------------------------


def test_in_a_pipe_a_line_an_epoch_can_be_read_while_training_goes_on(own_npz, tmp_path):
    """The process waits before its third epoch until this one has read of two."""
    program = (
        "import sys\nsys.modules['matplotlib'] = None\n"
        "from copi_ref.cli.main import main\nfrom copi_ref.experiments import recorded\n"
        "append = recorded.append_metrics\n"
        "def waiting(folder, row):\n    append(folder, row)\n    row['epoch'] == 2 and sys.stdin.readline()\n"
        "recorded.append_metrics = waiting\nsys.exit(main(sys.argv[1:]))\n"
    )
    command = [sys.executable, "-c", program, "train", own_npz, "--epochs", "4", "--out", tmp_path / "out"]
    with subprocess.Popen(list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        read = [child.stdout.readline() for _ in range(2)]
        assert ["1/4 epochs" in read[0], "2/4 epochs" in read[1]] == [True, True], read
        rest, _ = child.communicate("\n")
    assert child.returncode == 0
    assert "4/4 epochs" in rest


def test_progress_says_which_runs_were_there_and_which_stopped(own_npz, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(training_commands, "_draw", lambda *_: [])
    arguments = ["train", own_npz, "--method", "copi-bp", "bp-adam", "--epochs", 2, "--eta-r", 1e20, "--out"]
    assert run(*arguments, tmp_path / "out") == 1
    printed = capsys.readouterr().out
    assert "copi-bp seed 0          0/2 epochs" in printed
    assert "stopped: non-finite" in printed
    assert run(*arguments, tmp_path / "out", "--resume") == 1
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[-1] for line in printed[:2]] == ["non-finite", "before"]
    assert printed[1].startswith("bp-adam seed 0          2/2 epochs")


def test_files_have_the_users_own_permissions(tmp_path):
    (tmp_path / "plain").touch()
    write_atomically(tmp_path / "ours", b"")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_the_umask_of_the_process_is_never_changed(tmp_path, monkeypatch):
    """It is of all threads: while one reads it by setting it, files of another get its value."""

    def changed(mask):
        raise AssertionError(f"the umask was set to {mask}")

    before = os.umask(0o027)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(os, "umask", changed)
            write_atomically(tmp_path / "ours", b"")
    finally:
        os.umask(before)
    assert (tmp_path / "ours").stat().st_mode & 0o777 == 0o640


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "figures.csv"
    write_atomically(path, b"old")

    def full(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="no space left"):
        write_atomically(path, b"new")
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
    assert adam.optimizer.bias_correction == "constant"
    assert recipe.batch_size == 50
    assert (adam.optimizer.beta1, adam.optimizer.beta2, adam.optimizer.epsilon) == (0.9, 0.999, 1e-8)
    assert (adam.eta_w, adam.error_scale, adam.lateral_only_epochs) == (1e-4, 1, 1)


@pytest.mark.parametrize(
    ("method", "credit", "weight_rule"),
    [("copi-bp", "bp", "copi"), ("copi-fa", "fa", "copi"), ("bp-decorrelated", "bp", "sgd"), ("bp-adam", "bp", "sgd")],
)
def test_methods(method, credit, weight_rule):
    for preset in ("paper", "tmlr", "demo"):
        recipe = experiment(preset, method, "mnist").recipe
        assert (recipe.credit, recipe.weight_rule, recipe.activation) == (credit, weight_rule, copi.leaky_relu)


def test_demo_preset():
    recipe = experiment("demo", "copi-bp", "digits").recipe
    assert (recipe.eta_w, recipe.eta_r, recipe.error_scale, recipe.lateral_only_epochs) == (0.02, 0.02, 20, 3)
    adam = experiment("demo", "bp-adam", "digits").recipe
    assert (adam.eta_w, adam.optimizer, adam.error_scale) == (1e-3, copi.adam, 1)


def test_unknown_names_list_those_there_are():
    with pytest.raises(ValueError, match="preset is 'x': choose one of 'demo', 'il', 'paper', 'tmlr'"):
        experiment("x", "copi-bp", "mnist")
    with pytest.raises(ValueError, match="method is 'x': choose one of 'copi-bp'"):
        experiment("paper", "x", "mnist")


def test_the_epoch_of_99_percent_counts_from_0():
    rows = tuple({"train_accuracy": value} for value in (0.1, 0.5, 0.9895, 0.99, 1.0))
    assert runner.epoch_of_99_percent(rows) == 3


def test_a_run_has_the_moments_of_the_first_layers_input(own_npz):
    """R is not symmetric under `left`, so R C Rᵀ and Rᵀ C R differ."""
    from copi_ref.data import load_npz

    dataset, states = load_npz(own_npz), []
    recipe = replace(experiment("demo", "copi-bp", "own").recipe, lateral_rule="left", eta_r=0.05)
    settings = Experiment((5,), recipe)
    done = runner.run(settings, "copi-bp", 0, dataset, 3, callback=lambda state, row: states.append(state))
    R = to_numpy(states[-1].params.R[0]).astype(float)
    assert not np.allclose(R, R.T, rtol=1e-3)
    x = dataset.x_train @ R.T
    np.testing.assert_allclose(done.moment_after, x.T @ x / len(x), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(done.moment_before, dataset.x_train.T @ dataset.x_train / len(x), rtol=1e-12)


@pytest.mark.parametrize("rule", ["left", "none"])
def test_with_centring_the_moment_is_of_what_the_layer_sees(rule, own_npz):
    from copi_ref.data import load_npz

    loaded, states = load_npz(own_npz), []
    dataset = replace(loaded, x_train=loaded.x_train + np.linspace(-2, 3, 6))
    recipe = replace(
        experiment("demo", "copi-bp", "own").recipe, lateral_rule=rule, centring=0.1, dtype="float64", batch_size=10
    )
    settings = Experiment((5,), recipe)
    done = runner.run(settings, "copi-bp", 0, dataset, 1, callback=lambda state, row: states.append(state))
    params, y = at_home(states[-1].params), dataset.x_train
    assert np.abs(y.mean(axis=0) - params.mean[0]).max() > 0.1, "a running mean lags behind"
    x = copi.forward(params, y).x[0]
    np.testing.assert_allclose(done.moment_after, x.T @ x / len(x), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(done.moment_before, y.T @ y / len(y), rtol=1e-12)


def example_runs():
    """Two seeds; the last epoch is not the best one."""
    before, after = np.array([[4.0, 1.0], [1.0, 1.0]]), np.array([[1.0, 0.5], [0.5, 4.0]])
    columns = ("train_accuracy", "test_accuracy", "train_loss", "test_loss")
    values = {
        0: [(0.1, 0.2, 3, 4), (1.0, 0.8, 1, 2), (0.9, 0.7, 1, 2)],
        1: [(0.3, 0.4, 5, 6), (0.7, 0.6, 3, 4), (0.5, 0.5, 3, 4)],
    }
    return [
        runner.Run("m", seed, tuple(dict(zip(columns, row, strict=True)) for row in rows), before, after)
        for seed, rows in values.items()
    ]


def test_summary_is_of_the_last_epoch():
    summary = runner.summarize(example_runs())
    off = np.sqrt(2)
    expected = {
        "train_accuracy": (0.7, np.std([0.9, 0.5], ddof=1)),
        "test_accuracy": (0.6, np.std([0.7, 0.5], ddof=1)),
        "epoch_of_99_percent": (1, 0),
        "off_diagonal_before": (off / np.sqrt(17), 0),
        "off_diagonal_after": (off / 2 / np.sqrt(17), 0),
    }
    assert list(summary) == list(expected)
    for name, (mean, std) in expected.items():
        np.testing.assert_allclose((summary[name].mean, summary[name].std), (mean, std), atol=1e-12)
    assert runner.summarize(example_runs()[:1])["train_accuracy"].std is None


def test_figure_shows_means_spread_and_both_correlations():
    from copi_ref.figures.training import correlation, training_figure

    figure = training_figure(example_runs(), "title")
    panels = {axes.get_ylabel(): axes for axes in figure.axes if axes.lines}
    assert set(panels) == {"train accuracy", "test accuracy", "train loss", "test loss"}
    assert figure.get_suptitle() == "title: mean ± standard deviation over 2 seeds"
    assert all(axes.get_title() == "" for axes in panels.values()), "what is the same for all stands above them once"
    (line,) = panels["train accuracy"].lines
    assert line.get_xdata().tolist() == [0, 1, 2], "as in metrics.csv"
    np.testing.assert_allclose(line.get_ydata(), [0.2, 0.85, 0.7])
    band = panels["train accuracy"].collections[0].get_paths()[0].get_extents()
    spread = np.std([[0.1, 1.0, 0.9], [0.3, 0.7, 0.5]], axis=0, ddof=1)
    np.testing.assert_allclose((band.y0, band.y1), ((0.2 - spread[0]), (0.85 + spread[1])))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["m"]
    shown = [axes.images[0].get_array() for axes in figure.axes if axes.images]
    np.testing.assert_allclose(shown[0], [[1, 0.5], [0.5, 1]])
    np.testing.assert_allclose(shown[1], [[1, 0.25], [0.25, 1]])
    assert correlation(np.array([[0.0, 0.0], [0.0, 9.0]])).tolist() == [[0, 0], [0, 1]]


def test_a_figure_of_one_seed_has_no_spread():
    from copi_ref.figures.training import training_figure

    figure = training_figure(example_runs()[:1], "title")
    assert figure.get_suptitle() == "title: one seed"
    assert not any(axes.collections for axes in figure.axes if axes.lines)


@pytest.mark.parametrize("epochs", [1, 2, 4, 30])
def test_figures_count_whole_epochs(epochs):
    from copi_ref.figures.training import diagnostics_figure, training_figure

    first = example_runs()[0]
    runs = [replace(first, metrics=(first.metrics * epochs)[:epochs])]
    figures = training_figure(runs, "title"), diagnostics_figure([measured_run("m", 0, epochs=epochs)], "title")
    for axes in (axes for figure in figures for axes in figure.axes if axes.lines):
        low, high = axes.get_xlim()
        ticks = [tick for tick in axes.get_xticks() if low <= tick <= high]
        assert ticks
        assert all(tick == round(tick) for tick in ticks)
        assert axes.get_xlabel() in ("", "epoch, from 0 (measured after it)")


def test_a_figure_shows_where_methods_differ_and_in_which_epochs_only_R_learned():
    from copi_ref.figures.training import training_figure

    def run_of(method, accuracies):
        rows = tuple(
            {f"{part}_{what}": value if what == "accuracy" else 1 - value
             for part in ("train", "test") for what in ("accuracy", "loss")}
            for value in accuracies
        )  # fmt: skip
        return runner.Run(method, 0, rows, np.eye(2), np.eye(2))

    # Of eight epochs, two without W and a quarter of the others: what follows epoch 2 sets the scale.
    runs = [
        run_of("a", [0.1, 0.1, 0.5, 0.96, 0.97, 0.98, 0.98, 0.98]),
        run_of("b", [0.1, 0.1, 0.6, 0.95, 0.96, 0.97, 0.97, 0.97]),
    ]
    figure = training_figure(runs, "title", idle=2)
    for axes in figure.axes[:4]:
        (text,) = axes.texts
        assert text.get_text() == "only R learns"
        (shade,) = axes.patches
        assert shade.get_extents().transformed(axes.transData.inverted()).intervalx == pytest.approx((-0.5, 1.5))
    for axes in figure.axes[:2]:
        assert axes.get_ylim() == pytest.approx((0.95 - 0.0015, 0.98 + 0.0015))
    for axes in figure.axes[2:4]:
        assert (axes.get_yscale(), axes.get_ylim()[1] > 0.9) == ("log", True)
    for accuracies in ([0.1], [0.1, 0.1], [0.1, 0.1, 0.5]):  # nothing sets a scale
        assert training_figure([run_of("a", accuracies)], "title", idle=2).axes[0].lines


def test_figure_of_more_methods_than_colours():
    from copi_ref.figures.training import training_figure

    runs = [replace(run, method=f"method {number}") for number in range(25) for run in example_runs()]
    figure = training_figure(runs, "title")
    lines = figure.axes[0].lines
    assert len({(line.get_color(), line.get_linestyle()) for line in lines}) == len(lines) == 25
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [f"method {number}" for number in range(25)]


# --- the figure of the diagnostics -----------------------------------------------------------------------------------

PANELS = ["off-diagonal", "asymmetry", "det R", "condition", "angle", "dead"]


def measured_run(method, seed, layers=2, epochs=3, **changed):
    """A run whose measures are epoch + layer + seed, but those in `changed`: a list over epochs."""
    rows = [
        {f"{measure}_{layer}": epoch + layer + seed for layer in range(1, layers + 1) for measure in MEASURES}
        for epoch in range(epochs)
    ]
    for name, values in changed.items():
        for row, value in zip(rows, values, strict=True):
            row[name] = value
    return runner.Run(method, seed, tuple(rows), np.eye(2), np.eye(2))


def panel(figure, heading):
    """The panels of a measure, one per method: those in the column of that heading."""
    headed = [axes for axes in figure.axes if axes.get_title()]
    (column,) = [number for number, axes in enumerate(headed) if heading in axes.get_title()]
    return figure.axes[column :: len(headed)]


def notes(axes):
    return "" if axes.get_legend() is None else axes.get_legend().get_texts()[0].get_text()


def test_diagnostics_figure_has_a_row_a_method_and_a_line_a_layer():
    from copi_ref.figures.training import diagnostics_figure

    figure = diagnostics_figure([measured_run(method, seed) for method in ("a", "b") for seed in (0, 4)], "title")
    assert len(figure.axes) == 2 * len(PANELS)
    assert [axes.get_ylabel() for axes in panel(figure, "off-diagonal")] == ["a", "b"]
    assert "mean over 2 seeds" in figure.get_suptitle()
    for heading in PANELS:
        for axes in panel(figure, heading):
            one, two = axes.lines
            assert one.get_xdata().tolist() == [0, 1, 2]
            assert (one.get_ydata().tolist(), two.get_ydata().tolist()) == ([3, 4, 5], [4, 5, 6])
            assert one.get_color() != two.get_color()
            assert one.get_linestyle() != two.get_linestyle()
            assert axes.get_yscale() == ("log" if heading == "condition" else "linear")
            assert notes(axes) == ""
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["layer 1", "layer 2"]


def test_each_panel_shows_the_measure_in_its_heading():
    from copi_ref.figures.training import diagnostics_figure

    values = {"off_diagonal": 1, "asymmetry": 2, "log_det": 3, "condition": 4, "angle": 5, "dead": 6}
    run = measured_run("m", 0, layers=1, **{f"{measure}_1": [value] * 3 for measure, value in values.items()})
    figure = diagnostics_figure([run], "title")
    assert figure.get_suptitle() == "m: title"
    for heading, value in zip(PANELS, values.values(), strict=True):
        (axes,) = panel(figure, heading)
        assert axes.lines[0].get_ydata().tolist() == [value] * 3


def test_values_that_are_not_finite_are_left_out_and_noted():
    from copi_ref.figures.training import diagnostics_figure

    inf, nan = np.inf, np.nan
    runs = [
        measured_run("m", 0, 3, condition_1=[inf] * 3, condition_2=[inf, 2, inf], angle_3=[nan, 1, 2]),
        measured_run("m", 1, 3, condition_1=[inf] * 3, log_det_3=[1, 2, -inf]),
        measured_run("other", 0, 3),
    ]
    figure = diagnostics_figure(runs, "title")
    condition, other = panel(figure, "condition")
    np.testing.assert_array_equal(condition.lines[1].get_ydata(), [nan, 3, nan])
    dots = [line for line in condition.lines if line.get_marker() == "."]
    assert [(line.get_xdata().tolist(), line.get_ydata().tolist()) for line in dots] == [([1], [3])]
    assert notes(condition) == "not drawn, C singular to rounding:\nlayer 1: all epochs\nlayer 2: 2 of 3 epochs"
    assert notes(other) == ""
    assert notes(panel(figure, "det R")[0]) == "not drawn, R singular:\nlayer 3: 1 of 3 epochs"
    assert notes(panel(figure, "angle")[0]) == "not drawn, no angle (δ = 0):\nlayer 3: 1 of 3 epochs"


def test_a_figure_without_a_finite_value_or_with_one_epoch_can_be_drawn(tmp_path):
    from copi_ref.figures.training import diagnostics_figure, save

    nothing = {f"{measure}_{layer}": [np.nan] for measure in MEASURES for layer in (1, 2)}
    save(diagnostics_figure([measured_run("m", 0, epochs=1, **nothing)], "title"), tmp_path / "nothing.png")
    figure = diagnostics_figure([measured_run("m", 0, epochs=1)], "title")
    save(figure, tmp_path / "one.png")
    assert [line.get_marker() for line in panel(figure, "off-diagonal")[0].lines] == ["None", ".", "None", "."]


def test_angles_are_seen_whole():
    from copi_ref.figures.training import diagnostics_figure

    for largest in (3, 94.5, 180):
        (axes,) = panel(diagnostics_figure([measured_run("m", 0, angle_2=[0, largest, 1])], "title"), "angle")
        bottom, top = axes.get_ylim()
        assert bottom < 0
        assert top > max(largest, 90)
        assert list(axes.get_yticks())[-1] == (180 if largest > 100 else 90)


def test_lines_at_0_and_those_of_other_methods_are_seen():
    from copi_ref.figures.training import diagnostics_figure

    high = {f"{measure}_1": [100] * 3 for measure in ("off_diagonal", "asymmetry", "dead")}
    runs = [measured_run("a", 0, 1, **{name: [0] * 3 for name in high}), measured_run("b", 0, 1, **high)]
    figure = diagnostics_figure(runs, "title")
    for heading in ("off-diagonal", "asymmetry", "dead"):
        for axes in panel(figure, heading):
            assert -10 < axes.get_ylim()[0] < 0
            assert axes.get_ylim()[1] > 100


def test_methods_of_different_depth_share_the_legend():
    from copi_ref.figures.training import diagnostics_figure

    figure = diagnostics_figure([measured_run("a", 0, 1), measured_run("b", 0, 9), measured_run("c", 0, 2)], "title")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [f"layer {number}" for number in range(1, 10)]


def test_a_run_without_diagnostics_can_not_be_drawn():
    from copi_ref.figures.training import diagnostics_figure

    with pytest.raises(ValueError, match="m, seed 0 has no diagnostics: train with diagnostics=layer_diagnostics"):
        diagnostics_figure(example_runs(), "title")


def test_the_command_says_its_version(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"copi_ref {copi.__version__}\n"
