"""Run folders: killed at any moment and resumed, a run ends as one that was left alone; runs never mix."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import killed_run
import numpy as np
import pytest

from copi_ref.arrays.backend import to_numpy
from copi_ref.data import Dataset, load_npz
from copi_ref.experiments import config as configs
from copi_ref.experiments import recorded
from copi_ref.experiments.config import Plan, fingerprint, surroundings
from copi_ref.experiments.folder import FinishedRun, RunError, RunFailedError, find_runs, read_run
from copi_ref.experiments.lock import locked
from copi_ref.training.checkpoint import CheckpointError, load_params

KILLS = int(os.environ.get("COPI_REF_KILLS", "3"))
"""Kills at random moments; 20 of them are for when this code changes."""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A third of the digits, in a file: a process that reads it needs no scikit-learn."""
    load_digits = pytest.importorskip("sklearn.datasets").load_digits
    x, y = load_digits(return_X_y=True)
    x, path = (x / 16).astype(np.float32), tmp_path_factory.mktemp("data") / "digits.npz"
    np.savez(path, x_train=x[:600], y_train=y[:600], x_test=x[600:700], y_test=y[600:700])
    return path


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """Runs that were left alone, by method, and how long they took."""
    known = {}

    def run(method):
        if method not in known:
            start = time.perf_counter()
            folder = tmp_path_factory.mktemp("whole") / method
            known[method] = killed_run.train(data, folder, method), time.perf_counter() - start
        return known[method]

    return run


def process(data, folder, method, point="none", count=1):
    command = [sys.executable, killed_run.__file__, data, folder, method, point, count]
    return subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE)


def arrays_in(folder):
    """Everything in the checkpoint but how long an epoch took: arrays, and the header with generators and counts."""
    with np.load(folder / "checkpoint.npz") as file:
        return {name: (file[name].dtype, file[name].shape, file[name].tobytes()) for name in file}


def without_seconds(folder):
    """The lines of the metrics, as text, without the last column."""
    return [line.rpartition(",")[0] for line in (folder / "metrics.csv").read_text().splitlines()]


def assert_ended_alike(folder, expected):
    assert arrays_in(folder) == arrays_in(expected)
    assert without_seconds(folder) == without_seconds(expected)
    assert {path.name for path in folder.iterdir()} == {path.name for path in expected.iterdir()}


POINTS = [
    ("before config.json", 1),
    ("after config.json", 1),
    ("before checkpoint.npz", 1),
    ("before checkpoint.npz", 2),
    ("before within_epoch.npz", 1),
    ("after within_epoch.npz", 15),
    ("after checkpoint.npz", 2),
    ("after checkpoint.npz", 1),
    ("before append_metrics", 2),
    ("no line", 1),
    ("half line", 1),
    ("half line", 2),
    ("more line", 3),
    ("after append_metrics", 1),
    ("after append_metrics", 3),
    ("before write_outcome", 1),
    ("before outcome.json", 1),
    ("after outcome.json", 1),
]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
@pytest.mark.parametrize(("point", "count"), POINTS)
def test_killed_at_a_point_and_resumed_a_run_ends_as_if_left_alone(point, count, data, whole, tmp_path):
    folder, (expected, _) = tmp_path / "run", whole("copi-bp")
    with process(data, folder, "copi-bp", point, count) as child:
        assert child.wait() == -signal.SIGKILL, "the point was never reached"
    killed_run.train(data, folder, "copi-bp", resume=True)
    assert_ended_alike(folder, expected.folder)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
@pytest.mark.parametrize("kill", range(KILLS))
def test_killed_at_a_random_moment_and_resumed_a_run_ends_as_if_left_alone(kill, data, whole, tmp_path):
    """The method draws from the state's generator in each step, and its optimizer has a memory."""
    method = ("copi-node", "il", "copi-fa")[kill % 3]
    folder, (expected, seconds) = tmp_path / "run", whole(method)
    with process(data, folder, method) as child:
        child.stdout.readline()
        time.sleep(np.random.default_rng(kill).uniform(0, seconds))
        child.kill()
    killed_run.train(data, folder, method, resume=True)
    assert_ended_alike(folder, expected.folder)


def small():
    rng = np.random.default_rng(0)
    centres, labels = rng.normal(size=(3, 6)), np.arange(60) % 3
    x = centres[labels] + 0.2 * rng.normal(size=(60, 6))
    return Dataset(x[:45], labels[:45], x[45:], labels[45:])


def run_small(folder, *, resume=False, dataset=None, plan=None, **changes):
    dataset = small() if dataset is None else dataset
    settings = {"dataset": "own", "preset": "demo", "method": "copi-bp", "seed": 0, "epochs": 2, "hidden": (5,)}
    plan = Plan(**{**settings, **changes})
    return recorded.run_into(folder, plan, dataset, surroundings(dataset), resume=resume)


def test_a_finished_run_can_be_read(tmp_path):
    folder, dataset, rows, states = tmp_path / "run", small(), [], []
    plan = Plan(
        dataset="own", preset="paper", method="copi-bp", seed=7, epochs=3, hidden=(5, 4), overrides={"eta_r": 0.25}
    )

    def keep(state, row):
        rows.append(row)
        states.append(state)

    done = recorded.run_into(folder, plan, dataset, surroundings(dataset), callback=keep)
    assert isinstance(done, FinishedRun)
    read = read_run(folder)
    assert read.metrics == tuple(rows), "floats come back to the last bit"
    assert [type(row["epoch"]) for row in read.metrics] == [int] * 3
    for name in ("W", "R"):
        for ours, expected in zip(getattr(read.params, name), getattr(states[-1].params, name), strict=True):
            assert to_numpy(expected).tobytes() == ours.tobytes()
    config = read.config
    known = {"dataset": "own", "held_out": None, "preset": "paper", "method": "copi-bp", "seed": 7, "epochs": 3}
    assert {key: config[key] for key in known} == known
    assert config["hidden"] == [5, 4]
    assert config["recipe"]["eta_w"] == [0.01, 0.1, 0.1]
    assert config["recipe"]["eta_r"] == 0.25
    assert config["recipe"]["loss"] == "quadratic"
    assert config["overrides"] == {"eta_r": 0.25}
    assert config["environment"]["numpy"] == np.__version__
    assert config["data"].startswith("sha256:")


def test_finished_runs_are_found_and_others_are_not(tmp_path, monkeypatch):
    for seed in (10, 2, 0):
        run_small(tmp_path / "runs" / "b" / f"seed-{seed}", seed=seed)
    run_small(tmp_path / "runs" / "a" / "seed-0", method="copi-fa")
    with pytest.raises(RunFailedError):
        run_small(tmp_path / "runs" / "a" / "seed-1", method="copi-fa", seed=1, overrides={"eta_r": 1e20})
    unfinished = tmp_path / "runs" / "a" / "seed-2"
    run_small(unfinished, method="copi-fa", seed=2)
    (unfinished / "outcome.json").unlink()
    (tmp_path / "runs" / "config.json").write_text('{"of": "something else"}')
    found = find_runs(tmp_path / "runs")
    assert [(run.config["method"], run.config["seed"]) for run in found] == [
        ("copi-fa", 0), ("copi-bp", 0), ("copi-bp", 2), ("copi-bp", 10),
    ]  # fmt: skip
    with pytest.raises(RunError, match=r"seed-2: has not finished: go on with resume=True \(--resume\)"):
        read_run(unfinished)
    with pytest.raises(RunError, match=r"nothing: holds no run: has no config\.json"):
        read_run(tmp_path / "nothing")
    with pytest.raises(RunError, match=r"config\.json: is not of a run of copi_ref"):
        read_run(tmp_path / "runs")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 1}, "seed is 0 there, and 1 was asked for"),
        ({"hidden": (6,)}, r"hidden is \[5\] there, and \[6\] was asked for"),
        ({"overrides": {"eta_w": 0.5}}, r"recipe\.eta_w is 0\.02 there, and 0\.5 was asked for"),
        ({"diagnostics": True}, "diagnostics is False there, and True was asked for"),
        ({"held_out": 7}, "held_out is None there, and 7 was asked for"),
    ],
)
def test_a_folder_with_another_run_is_refused(changes, message, tmp_path):
    folder = tmp_path / "run"
    run_small(folder)
    before = {path: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(RunError, match=rf"run holds another run: .*{message}"):
        run_small(folder, resume=True, **changes)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def assert_the_same_run(folder, expected):
    """All that a run leaves, but for the time that it took, and who resumed it."""
    assert_ended_alike(folder, expected)
    one, other = (json.loads((path / "config.json").read_text()) for path in (folder, expected))
    assert {**one, "resumed_by": None} == {**other, "resumed_by": None}
    assert (folder / "outcome.json").read_bytes() == (expected / "outcome.json").read_bytes()


@pytest.mark.parametrize(("preset", "method"), [("paper", "copi-bp"), ("demo", "copi-node"), ("demo", "il")])
def test_a_finished_run_goes_on_to_more_epochs(preset, method, tmp_path):
    """With the bits of one that had them from the start: rates that change, random credit, an optimizer's memory."""
    longer, whole, settings = tmp_path / "longer", tmp_path / "whole", {"preset": preset, "method": method}
    if preset == "paper":
        settings["overrides"] = {"eta_r": 0.01}
    run_small(longer, **settings)
    rows = read_run(longer).metrics
    assert len(run_small(longer, resume=True, epochs=5, **settings).metrics) == 5
    assert read_run(longer).metrics[:2] == rows, "with the seconds that they took then"
    run_small(whole, epochs=5, **settings)
    assert_the_same_run(longer, whole)
    assert len(run_small(longer, resume=True, epochs=5, **settings).config["resumed_by"]) == 1, "it was run again"


@pytest.mark.parametrize("place", ["open_again", "write_config", "append_metrics", "write_outcome"])
def test_a_run_that_is_killed_on_its_way_to_more_epochs_goes_on(place, tmp_path, monkeypatch):
    folder, whole, real = tmp_path / "run", tmp_path / "whole", getattr(recorded, place)

    def killed(*arguments):
        real(*arguments)
        raise KeyboardInterrupt

    run_small(folder)
    with monkeypatch.context() as patch:
        patch.setattr(recorded, place, killed)
        with pytest.raises(KeyboardInterrupt):
            run_small(folder, resume=True, epochs=4)
    run_small(folder, resume=True, epochs=4)
    run_small(whole, epochs=4)
    assert_the_same_run(folder, whole)


def test_a_run_that_was_to_be_longer_can_stay_as_it_is(tmp_path, monkeypatch):
    """Killed before its configuration says that it is longer."""
    folder, whole = tmp_path / "run", tmp_path / "whole"
    run_small(folder)
    (folder / "outcome.json").unlink()
    run_small(folder, resume=True)
    run_small(whole)
    assert_the_same_run(folder, whole)


def test_fewer_epochs_than_there_are_are_refused(tmp_path):
    folder = tmp_path / "run"
    run_small(folder, epochs=3)
    before = {path: path.read_bytes() for path in folder.iterdir()}
    for resume in (True, False):
        with pytest.raises(
            RunError, match="run holds a run of 3 epochs, and 2 were asked for: ask for as many or more, name another"
        ):
            run_small(folder, resume=resume)
    with pytest.raises(RunError, match="run holds another run: seed is 0 there, and 1 was asked for: name"):
        run_small(folder, resume=True, seed=1)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_more_epochs_need_resume(tmp_path):
    run_small(tmp_path / "run")
    with pytest.raises(RunError, match=r"holds this run already: go on with resume=True \(--resume\)"):
        run_small(tmp_path / "run", epochs=5)


def test_a_schedule_that_was_another_at_the_beginning_is_another_run(tmp_path, monkeypatch):
    folder = tmp_path / "run"
    run_small(folder, preset="paper", overrides={"eta_r": 0.01})
    path = folder / "config.json"
    config = json.loads(path.read_text())
    assert config["recipe"]["eta_w"] == [0.01, 0.1]
    config["recipe"]["eta_w"] = [0.02, 0.1]
    path.write_text(json.dumps(config))
    with pytest.raises(RunError, match=r"another run: recipe\.eta_w is \[0\.02, 0\.1\] there, and \[0\.01, 0\.1\] was"):
        run_small(folder, resume=True, preset="paper", overrides={"eta_r": 0.01}, epochs=5)


def test_where_bits_would_differ_a_finished_run_does_not_go_on(tmp_path, monkeypatch):
    run_small(tmp_path / "run")
    facts = surroundings(small())
    monkeypatch.setattr(configs, "environment", lambda: {**facts["environment"], "numpy": "1.0"})
    run_small(tmp_path / "run", resume=True)
    with pytest.raises(RunError, match=r"can't be resumed with the same bits: numpy is "):
        run_small(tmp_path / "run", resume=True, epochs=3)


def test_a_run_that_failed_does_not_go_on(tmp_path):
    """It would fail in the same place."""
    settings = {"overrides": {"eta_r": 1e20}}
    for epochs in (2, 4):
        with pytest.raises(RunFailedError, match="run: training became non-finite in epoch 0"):
            run_small(tmp_path / "run", resume=True, epochs=epochs, **settings)
    assert json.loads((tmp_path / "run" / "config.json").read_text())["epochs"] == 2


def test_an_ensemble_goes_on_to_more_epochs(tmp_path):
    """Beside a seed that begins; each has the bits of one that had them at once."""

    def together(out, seeds, epochs):
        plans = [
            Plan(dataset="own", preset="demo", method="copi-node", seed=seed, epochs=epochs, hidden=(5,), ensemble=True)
            for seed in seeds
        ]
        facts = surroundings(small())
        return recorded.run_ensemble_into(
            [tmp_path / out / f"{plan.seed}" for plan in plans], plans, small(), facts, resume=True
        )

    together("longer", (0, 1), 2)
    assert [len(run.metrics) for run in together("longer", (0, 1, 2), 5)] == [5, 5, 5]
    together("whole", (0, 1, 2), 5)
    for seed in ("0", "1", "2"):
        assert_the_same_run(tmp_path / "longer" / seed, tmp_path / "whole" / seed)


@pytest.mark.parametrize("method", ["copi-il-prox", "copi-gait", "sgd-dtp"])
def test_a_run_whose_method_meant_another_rule_is_not_resumed(method, tmp_path):
    """Its recipe has the same words today: before runs recorded their rules, these names stood for others."""
    folder = tmp_path / "run"
    run_small(folder, method=method)
    path = folder / "config.json"
    there = json.loads(path.read_text())
    assert run_small(folder, resume=True, method=method).config == there
    path.write_text(json.dumps({**there, "rules": {"credit": "AnotherRule(gamma=1)"}}))
    with pytest.raises(RunError, match=r"another run: rules\.credit is 'AnotherRule\(gamma=1\)' there, and "):
        run_small(folder, resume=True, method=method)
    path.write_text(json.dumps({key: value for key, value in there.items() if key != "rules"}))
    with pytest.raises(
        RunError, match=r"another run: credit '.*' may have meant .*, now '.*', as the run does not rec"
    ):
        run_small(folder, resume=True, method=method)


def test_a_run_from_before_rules_were_recorded_is_resumed_where_its_names_mean_the_same(tmp_path):
    folder = tmp_path / "run"
    run_small(folder)
    path = folder / "config.json"
    there = {key: value for key, value in json.loads(path.read_text()).items() if key != "rules"}
    path.write_text(json.dumps(there))
    assert run_small(folder, resume=True).config == there


def test_a_run_from_before_a_setting_was_there_is_resumed_with_its_default_alone(tmp_path):
    folder = tmp_path / "run"
    run_small(folder)
    path = folder / "config.json"
    there = json.loads(path.read_text())
    del there["recipe"]["lateral_every"]
    path.write_text(json.dumps(there))
    assert run_small(folder, resume=True).config == there
    del there["recipe"]["error_scale"]  # the preset's is 20, and the default 1
    path.write_text(json.dumps(there))
    with pytest.raises(RunError, match=r"another run: recipe\.error_scale is None there, and 20 was"):
        run_small(folder, resume=True)


def test_a_run_on_other_samples_is_another_run(tmp_path):
    run_small(tmp_path / "run")
    dataset = small()
    y_train = dataset.y_train.copy()
    y_train[0] = (y_train[0] + 1) % 3
    with pytest.raises(RunError, match="holds another run: data is 'sha256:"):
        run_small(tmp_path / "run", resume=True, dataset=replace(dataset, y_train=y_train))


def test_the_fingerprint_is_of_values_types_and_shapes():
    dataset = small()
    half = replace(dataset, x_train=dataset.x_train.astype(np.float32))
    turned = replace(dataset, x_train=np.asfortranarray(dataset.x_train))
    assert fingerprint(small()) == fingerprint(dataset) == fingerprint(turned)
    assert fingerprint(half) != fingerprint(dataset)
    other_type = replace(dataset, y_test=dataset.y_test.astype(np.uint64))  # of the same bytes
    assert fingerprint(other_type) != fingerprint(dataset)


def interrupted(folder, monkeypatch, epochs=1, **changes):
    """Begin a run of two epochs that stops after some."""

    def stop(state, row):
        if state.epoch == epochs:
            raise KeyboardInterrupt

    dataset, plan = small(), Plan(dataset="own", preset="demo", method="copi-bp", seed=0, epochs=2, hidden=(5,))
    with pytest.raises(KeyboardInterrupt):
        recorded.run_into(folder, plan, dataset, surroundings(dataset), callback=stop)


@pytest.mark.parametrize(
    "change",
    [
        {"blas threads": "77 (openblas)"}, {"numpy": "1.0"}, {"copi_ref": "0.0"}, {"backend": "torch"},
        {"gpu graph": "on (COPI_REF_CUDA_GRAPH)"},
    ],
)  # fmt: skip
def test_where_bits_would_differ_a_run_is_not_resumed(change, tmp_path, monkeypatch):
    interrupted(tmp_path / "run", monkeypatch)
    facts = surroundings(small())
    monkeypatch.setattr(configs, "environment", lambda: {**facts["environment"], **change})
    (name,) = change
    with pytest.raises(RunError, match=f"can't be resumed with the same bits: .*{name} is "):
        run_small(tmp_path / "run", resume=True)


def test_other_facts_are_recorded_alone(tmp_path, monkeypatch):
    """Also a BLAS that is loaded twice, as SciPy does once something imports it."""
    interrupted(tmp_path / "run", monkeypatch)
    facts = surroundings(small())["environment"]
    doubled = f"{facts['blas threads']}, {facts['blas threads']}"
    monkeypatch.setattr(
        configs,
        "environment",
        lambda: {
            **facts, "machine": "another", "python": "3.99", "blas threads": doubled,
            "gpu graph": "off (COPI_REF_CUDA_GRAPH)", "torch": "1.0",
        },
    )  # fmt: skip
    monkeypatch.setattr(configs, "revision", lambda: "another")
    done = run_small(tmp_path / "run", resume=True)
    assert done.config["environment"] == facts
    assert done.config["resumed_by"] == ["another"]


def test_pytorch_counts_where_it_records_the_steps():
    of_torch = [{"backend": "cupy", "gpu graph": "on (COPI_REF_CUDA_GRAPH)", "torch": one} for one in ("2.11", "2.13")]
    (found,) = configs.different_bits(*({"environment": one} for one in of_torch))
    assert found == "gpu graph is 'PyTorch 2.11' there, and 'PyTorch 2.13' was asked for"


def test_one_process_at_a_time(tmp_path):
    program = (
        "import sys, pathlib, copi_ref.experiments.lock as lock\n"
        "with lock.locked(pathlib.Path(sys.argv[1])):\n    print('held', flush=True)\n    sys.stdin.read()"
    )
    folder = tmp_path / "run"
    command = [sys.executable, "-c", program, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        with pytest.raises(BlockingIOError, match=r"run is being written by another process: wait for it, or stop it"):
            run_small(folder)
        child.kill()
    run_small(folder)  # a dead process blocks nobody
    with locked(folder), pytest.raises(BlockingIOError):
        run_small(folder, resume=True)


def test_a_run_that_explodes_keeps_its_last_good_checkpoint(tmp_path, monkeypatch):
    """With a checkpoint after every batch, the last of which fall into the epoch that explodes."""
    folder, dataset, saves, save = tmp_path / "run", small(), [], recorded.save_checkpoint
    experiment = Plan.experiment

    def exploding(plan):
        settings = experiment(plan)
        recipe = replace(settings.recipe, batch_size=5, eta_r=lambda epoch: 0.01 if epoch == 0 else 0.5 * 10.0**epoch)
        return replace(settings, recipe=recipe)

    def counted(*arguments):
        saves.append(arguments)
        save(*arguments)

    monkeypatch.setattr(Plan, "experiment", exploding)
    monkeypatch.setattr(recorded, "save_checkpoint", counted)
    plan = Plan(dataset="own", preset="demo", method="copi-bp", seed=0, epochs=6, hidden=(5,))
    with pytest.raises(RunFailedError, match=r"run: training became non-finite in epoch \d, batch"):
        recorded.run_into(folder, plan, dataset, surroundings(dataset), checkpoint_seconds=0)
    outcome = json.loads((folder / "outcome.json").read_text())
    assert outcome["status"] == "failed"
    assert "training became non-finite" in outcome["error"]
    params = load_params(folder / "checkpoint.npz")
    assert all(np.isfinite(array).all() for array in (*params.W, *params.R))
    assert len((folder / "metrics.csv").read_text().splitlines()) == 1 + int(outcome["error"].split("epoch ")[1][0])
    count = len(saves)
    with pytest.raises(RunFailedError, match="run: training became non-finite"):
        recorded.run_into(folder, plan, dataset, surroundings(dataset), resume=True)
    assert len(saves) == count, "it was run again"


def test_damaged_folders_are_refused(tmp_path, monkeypatch):
    folder = tmp_path / "run"
    interrupted(folder, monkeypatch)
    (folder / "metrics.csv").write_text("epoch,train_accuracy\n")
    with pytest.raises(RunError, match=r"metrics\.csv: has 0 epochs, but the checkpoint is of epoch 1"):
        run_small(folder, resume=True)
    (folder / "config.json").write_text("{")
    with pytest.raises(RunError, match=r"config\.json: can't be read as JSON"):
        run_small(folder, resume=True)
    done = run_small(tmp_path / "done")
    metrics = (done.folder / "metrics.csv").read_text()
    (done.folder / "checkpoint.npz").write_bytes(b"PK")
    with pytest.raises(CheckpointError, match=r"done/checkpoint\.npz: can't be read as a checkpoint"):
        read_run(done.folder).params  # noqa: B018
    (done.folder / "metrics.csv").write_text("epoch,train_accuracy\n0,x\n")
    with pytest.raises(RunError, match=r"metrics\.csv: can't be read as metrics"):
        read_run(done.folder)
    lines = metrics.splitlines(keepends=True)
    (done.folder / "metrics.csv").write_text("".join(lines[:2]))
    with pytest.raises(RunError, match=r"metrics\.csv: has 1 epochs, but the run had 2"):
        read_run(done.folder)


@pytest.mark.needs("git")
def test_a_run_names_its_revision(tmp_path, monkeypatch):
    """In a checkout that of git, elsewhere nothing; another project's repository around it does not count."""
    root = Path(configs.__file__).parents[2]
    found = configs.revision()
    if (root / ".git").exists():
        assert len(found.split()[0]) == 40
    package = tmp_path / "env" / "copi_ref" / "experiments"
    package.mkdir(parents=True)
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    monkeypatch.setattr(configs, "__file__", str(package / "config.py"))
    configs.revision.cache_clear()
    assert configs.revision() is None
    configs.revision.cache_clear()


def test_the_same_data_from_a_file(data):
    assert fingerprint(load_npz(data)) == fingerprint(load_npz(data))
