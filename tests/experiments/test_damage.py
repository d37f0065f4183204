"""Run folders whose files are damaged, or another run's: every change is found, or changes nothing that is read."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_runs import interrupted, run_small, small

from copi_ref import Recipe, init_state
from copi_ref.cli.main import main
from copi_ref.experiments import recorded
from copi_ref.experiments.admission import check
from copi_ref.experiments.config import Plan, surroundings
from copi_ref.experiments.folder import RunError, RunFailedError, find_runs, read_run
from copi_ref.training.checkpoint import CheckpointError, load_checkpoint


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr("os.fsync", lambda handle: None)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("done") / "seed-0"
    run_small(folder, epochs=3)
    return folder


@pytest.fixture
def folder(done, tmp_path):
    return Path(shutil.copytree(done, tmp_path / "run"))


def without_seconds(rows):
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def test_a_flipped_bit_in_metrics_is_found(folder):
    """In a finished run; `seconds`, which change with the clock, are held against nothing."""
    path, expected, found = folder / "metrics.csv", without_seconds(read_run(folder).metrics), 0
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    for place in rng.permutation(len(whole))[:150]:
        path.write_bytes(whole[:place] + bytes([whole[place] ^ (1 << rng.integers(8))]) + whole[place + 1 :])
        try:
            rows = read_run(folder).metrics
        except RunError:
            found += 1
        else:
            assert without_seconds(rows) == expected
    assert found > 100


def test_a_flipped_bit_in_metrics_is_found_when_a_run_goes_on(tmp_path, monkeypatch):
    interrupted(tmp_path / "run", monkeypatch)
    path = tmp_path / "run" / "metrics.csv"
    names, row = path.read_text().splitlines()
    cells = row.split(",")
    cells[1] = str(float(cells[1]) / 2)
    path.write_text(f"{names}\n{','.join(cells)}\n")
    with pytest.raises(RunError, match=r"metrics\.csv: is damaged: its rows are not those that the checkpoint was "):
        run_small(tmp_path / "run", resume=True)
    path.write_text(f"{names.replace('test_accuracy', 'test_accurbcy')}\n{row}\n")
    with pytest.raises(RunError, match=r"metrics\.csv: lacks test_accuracy"):
        run_small(tmp_path / "run", resume=True)


def test_another_runs_checkpoint_is_refused(tmp_path, monkeypatch):
    interrupted(tmp_path / "0", monkeypatch)
    run_small(tmp_path / "1", seed=1)
    shutil.copy(tmp_path / "1" / "checkpoint.npz", tmp_path / "0" / "checkpoint.npz")
    with pytest.raises(CheckpointError, match=r"0/checkpoint\.npz: is of another run: seed is 1 there, not 0"):
        run_small(tmp_path / "0", resume=True)
    run_small(tmp_path / "2", seed=2)
    shutil.copy(tmp_path / "1" / "checkpoint.npz", tmp_path / "2" / "checkpoint.npz")
    with pytest.raises(CheckpointError, match="seed is 1 there, not 2"):
        read_run(tmp_path / "2").params  # noqa: B018


def made_older(folder):
    """Make of a folder what versions left before metrics had a digest, and checkpoints said what they are of."""
    if (folder / "outcome.json").exists():
        (folder / "outcome.json").write_text('{\n  "status": "finished"\n}\n')
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({name: config[name] for name in config if name != "rules"}))
    with np.load(folder / "checkpoint.npz") as file:
        arrays = dict(file)
    header = json.loads(str(arrays.pop("header")))
    del header["run"]
    np.savez(folder / "checkpoint.npz", header=np.array(json.dumps(header)), **arrays)


def test_a_finished_run_of_before_is_read_and_goes_on(folder, tmp_path):
    made_older(folder)
    assert len(read_run(folder).metrics) == len(find_runs(tmp_path)[0].metrics) == 3
    assert len(read_run(folder).params.W) == 2
    longer, whole = run_small(folder, epochs=5, resume=True), run_small(tmp_path / "whole", epochs=5)
    assert without_seconds(longer.metrics) == without_seconds(whole.metrics)
    assert (folder / "checkpoint.npz").read_bytes() == (tmp_path / "whole" / "checkpoint.npz").read_bytes()


def test_a_run_of_before_goes_on_within_its_epoch(tmp_path, monkeypatch):
    """Then the checkpoint within an epoch had the name that is now of the last epoch's end."""
    begun, whole = tmp_path / "begun", tmp_path / "whole"
    stopped_within(begun, monkeypatch, epochs=3)
    (begun / "within_epoch.npz").replace(begun / "checkpoint.npz")
    made_older(begun)
    run_small(begun, resume=True, epochs=3)
    run_small(whole, epochs=3)
    assert (begun / "checkpoint.npz").read_bytes() == (whole / "checkpoint.npz").read_bytes()


def stopped_within(folder, monkeypatch, after=2, **settings):
    """Begin a run that is stopped in its second epoch, after so many batches, with a checkpoint after each batch."""
    real = recorded._Recorder.after_batch

    def stop(self, state, begun):
        self.seconds = 0
        real(self, state, begun)
        if state.epoch == 1 and begun.batches == after:
            raise KeyboardInterrupt

    monkeypatch.setattr(Plan, "experiment", in_small_batches(Plan.experiment))
    with monkeypatch.context() as patch:
        patch.setattr(recorded._Recorder, "after_batch", stop)
        with pytest.raises(KeyboardInterrupt):
            run_small(folder, **settings)


def in_small_batches(experiment):
    def small_batches(plan):
        settings = experiment(plan)
        return replace(settings, recipe=replace(settings.recipe, batch_size=5))

    return small_batches


@pytest.mark.parametrize("after", [1, 2, 3])
def test_what_a_diverged_run_leaves_does_not_depend_on_the_clock(after, tmp_path, monkeypatch):
    """Resumed from different batches of the epoch that explodes, and left alone: the same checkpoint."""
    settings = {"epochs": 4, "preset": "paper", "overrides": {"eta_r": 0.0}}
    exploding = in_small_batches(explode_in_epoch_1(Plan.experiment))
    monkeypatch.setattr(Plan, "experiment", exploding)
    with pytest.raises(RunFailedError, match="epoch 1"):
        run_small(tmp_path / "whole", **settings)
    stopped_within(tmp_path / "resumed", monkeypatch, after, **settings)
    assert load_within(tmp_path / "resumed").begun.batches == after
    with pytest.raises(RunFailedError, match="epoch 1"):
        run_small(tmp_path / "resumed", resume=True, **settings)
    whole, resumed = ({path.name: path for path in (tmp_path / name).iterdir()} for name in ("whole", "resumed"))
    assert set(whole) == set(resumed) == {"config.json", "metrics.csv", "checkpoint.npz", "outcome.json", "lock"}
    for name in ("checkpoint.npz", "outcome.json"):
        assert whole[name].read_bytes() == resumed[name].read_bytes()


def explode_in_epoch_1(experiment):
    def exploding(plan):
        settings = experiment(plan)
        return replace(settings, recipe=replace(settings.recipe, eta_w=lambda epoch: 0.01 if epoch == 0 else 1e3))

    return exploding


def load_within(folder):
    recipe = Recipe(eta_w=0.01, eta_r=0.01)
    like = init_state(recipe, (6, 5, 3), np.random.default_rng(0))
    return load_checkpoint(folder / "within_epoch.npz", like)


KEYS = [
    "format", "dataset", "held_out", "preset", "method", "seed", "epochs", "hidden", "overrides", "recipe", "data",
    "environment", "diagnostics", "ensemble", "rules", "revision", "resumed_by",
]  # fmt: skip


@pytest.mark.parametrize("key", KEYS)
def test_a_config_that_is_not_as_declared_is_refused(key, folder):
    """Whatever stands in the place of a value: read_run, find_runs and a run that goes on say RunError."""
    path, plan_of_now = folder / "config.json", asked()
    config = json.loads(path.read_text())
    for junk in ([[]], 1.5, {"a": [[1]]}, [None, 3], 10**400, {"a": {"b": 1}}, float("nan")):
        path.write_text(json.dumps({**config, key: junk}))
        for read in (lambda: read_run(folder), lambda: check(folder, plan_of_now, True)):
            with pytest.raises(RunError, match=r"config\.json: "):
                read()
    path.write_text(json.dumps({**config, f"{key}_": 1}))
    with pytest.raises(RunError, match=rf"config\.json: has {key}_, which is no key"):
        read_run(folder)


def asked():
    plan = Plan(dataset="own", preset="demo", method="copi-bp", seed=0, epochs=3, hidden=(5,))
    return plan.config(surroundings(small()))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("config.json", "[" * 100_000),
        ("outcome.json", "[" * 100_000),
        ("outcome.json", '{"status": "finished", "error": "no"}'),
        ("outcome.json", '{"status": "failed"}'),
        ("outcome.json", '{"statut": "finished"}'),
        ("outcome.json", '{"status": ["finished"]}'),
        ("outcome.json", "[]"),
        ("metrics.csv", ""),
        ("metrics.csv", "epoch,epoch\n0,0\n"),
        ("metrics.csv", "epoch,train_accuracy,train_loss,test_accuracy,test_loss,seconds\n1,1,1,1,1,1\n"),
        ("metrics.csv", "epoch,train_accuracy,train_loss,test_accuracy,test_loss,seconds\n0,nan,1,1,1,1\n"),
        ("metrics.csv", "epoch,train_accuracy,train_loss,test_accuracy,test_loss,seconds\n0,1,1,1,1,1" + "0" * 200_000),
    ],
)
def test_the_command_names_a_damaged_file(name, text, folder, capsys):
    (folder / name).write_text(text)
    assert main(["compare", str(folder.parent)]) == 2
    assert f"{name}: " in capsys.readouterr().err
