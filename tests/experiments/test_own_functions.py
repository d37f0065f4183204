"""Credit methods and lateral rules of one's own in runs: trained, resumed, swept, compared, and read again."""

import itertools
import json
import sys

import numpy as np
import pytest
from npz_files import three_clusters

import copi_ref as copi
from copi_ref.cli import train as train_commands
from copi_ref.cli.main import main
from copi_ref.data import load_npz
from copi_ref.experiments import recorded
from copi_ref.experiments.config import Plan, plan_of, surroundings
from copi_ref.experiments.folder import RunError, find_runs, read_run
from copi_ref.experiments.presets import LATERAL, METHODS, PRESETS

NUMBERS = itertools.count()

CODE = """
from dataclasses import dataclass
import copi_ref as copi

def credit(params, trace, task):  # halved
    return tuple(delta / 2 for delta in copi.backpropagation(params, trace, task))

@dataclass(frozen=True)
class Scaled:
    factor: float

    def __call__(self, params, trace, task):
        return tuple(self.factor * delta for delta in copi.backpropagation(params, trace, task))

third = Scaled(1 / 3)

def rule(x, R):
    return copi.decorrelation_update(x, R, "left") / 2

number = 3
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """The name of a module in the working folder, new for each test: Python keeps what it has imported."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # a file of the same length and second counts as unchanged
    name = f"mine_{next(NUMBERS)}"
    (tmp_path / f"{name}.py").write_text(CODE)
    return name


@pytest.fixture(autouse=True)
def no_figures(monkeypatch):
    """They take most of the time, and are the same as of other methods."""
    monkeypatch.setattr(train_commands, "_draw", lambda *_: [])


@pytest.fixture
def own_npz(tmp_path):
    return three_clusters(tmp_path / "own.npz", train=45)


def changed(mine, tmp_path, old, new):
    """Change the module as an editor would, and forget it, as the next process has."""
    text = (tmp_path / f"{mine}.py").read_text()
    assert old in text
    (tmp_path / f"{mine}.py").write_text(text.replace(old, new))
    sys.modules.pop(mine, None)


def train(own_npz, *arguments):
    return main(["train", str(own_npz), "--epochs", "5", "--hidden", "5", "--out", "out", *map(str, arguments)])


def bits(run):
    return [array.tobytes() for array in (*run.params.W, *run.params.R)]


def test_they_train_as_in_a_recipe(mine, own_npz, tmp_path):
    assert train(own_npz, "--method", f"copi-{mine}:credit", f"sgd-{mine}:third", "--lateral", f"{mine}:rule") == 0
    module = sys.modules[mine]
    for folder, credit, rule in (
        (f"copi-{mine}.credit", module.credit, "copi"),
        (f"sgd-{mine}.third", module.third, "sgd"),
    ):
        run = read_run(tmp_path / "out" / folder / "seed-0")
        recipe = copi.Recipe(
            eta_w=0.02, eta_r=0.02, lateral_only_epochs=3, error_scale=20,
            credit=credit, weight_rule=rule, lateral_rule=module.rule,
        )  # fmt: skip
        state = copi.init_state(recipe, (6, 5, 3), np.random.default_rng(0))
        expected = copi.fit(recipe, state, load_npz(own_npz), 5).state.params
        assert bits(run) == [array.tobytes() for array in (*expected.W, *expected.R)]
        assert run.recipe == recipe


def test_a_run_says_which_they_are(mine, own_npz, tmp_path):
    assert train(own_npz, "--method", f"copi-{mine}:third", "--lateral", f"{mine}:rule") == 0
    config = read_run(tmp_path / "out" / f"copi-{mine}.third" / "seed-0").config
    assert config["method"] == f"copi-{mine}:third"
    assert config["recipe"]["credit"] == "Scaled(factor=0.3333333333333333)"
    assert config["recipe"]["lateral_rule"] == f"{mine}:rule"
    assert config["rules"]["credit"].startswith("Scaled(factor=0.3333333333333333), code sha256:")
    assert config["rules"]["lateral_rule"].startswith(f"{mine}:rule, code sha256:")
    assert " at 0x" not in json.dumps(config)


def test_a_changed_function_is_another_run(mine, own_npz, tmp_path, capsys):
    arguments = ["--method", f"copi-{mine}:credit", f"copi-{mine}:third", "--lateral", f"{mine}:rule", "--resume"]
    assert train(own_npz, *arguments) == 0
    changed(mine, tmp_path, "# halved", "# divided by two")
    assert train(own_npz, *arguments) == 0, "a comment changes nothing"
    for old, new, what in (
        ("delta / 2", "delta / 4", "rules.credit"),
        ("Scaled(1 / 3)", "Scaled(1 / 5)", "recipe.credit"),
        ("self.factor * delta", "delta / self.factor", "rules.credit"),
        ('"left") / 2', '"left")', "rules.lateral_rule"),
    ):
        changed(mine, tmp_path, old, new)
        capsys.readouterr()
        assert train(own_npz, *arguments) == 2
        assert f"holds another run: {what} is " in capsys.readouterr().err
        changed(mine, tmp_path, new, old)


def test_interrupted_and_resumed_it_has_the_same_bits(mine, own_npz, tmp_path):
    def stop(state, row):
        raise KeyboardInterrupt

    dataset = load_npz(own_npz)
    plan = Plan(
        dataset="own", preset="demo", method=f"copi-{mine}:credit", seed=0, epochs=5, hidden=(5,),
        overrides={"lateral_rule": f"{mine}:rule"},
    )  # fmt: skip
    facts = surroundings(dataset)
    with pytest.raises(KeyboardInterrupt):
        recorded.run_into(tmp_path / "stopped", plan, dataset, facts, callback=stop)
    again = recorded.run_into(tmp_path / "stopped", plan, dataset, facts, resume=True)
    assert bits(again) == bits(recorded.run_into(tmp_path / "whole", plan, dataset, facts))


@pytest.mark.parametrize("jobs", [1, 2])
def test_sweeps_and_comparisons_take_them(jobs, mine, own_npz, tmp_path, capsys):
    pytest.importorskip("joblib")
    (tmp_path / "sweep.toml").write_text(
        f'dataset = "{own_npz}"\npreset = "demo"\nmethods = ["copi-bp", "copi-{mine}:credit"]\nseeds = 2\nepochs = 4\n'
        f'hidden = [5]\nlateral_rule = "{mine}:rule"\n'
    )
    assert main(["sweep", "sweep.toml", "--out", "out", "--jobs", str(jobs)]) == 0
    assert len(find_runs("out")) == 4
    capsys.readouterr()
    assert main(["compare", "out", "--against", f"copi-{mine}:credit"]) == 0
    assert f"less copi-{mine}:credit, paired by seed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--method", "copi-{mine}:nothing"], "{mine}:nothing: AttributeError: module"),
        (["--method", "copi-nowhere:credit"], "nowhere:credit: ModuleNotFoundError: No module named 'nowhere'"),
        (["--method", "copi-{mine}:number"], "credit is {mine}:number, a int: needs a function, or an instance"),
        (["--method", "copi-{mine}:Scaled"], "credit is {mine}:Scaled, a class: needs a function, or an instance"),
        (["--method", "il-{mine}:credit"], "rule of il-{mine}:credit is 'il': choose one of 'copi', 'sgd'"),
        (["--lateral", "{mine}:number"], "--lateral is {mine}:number, a int: needs a function, or an instance"),
        (["--method", "bp-adam", "--lateral", "{mine}:rule"], "--lateral is given, but there is no R in bp-adam"),
    ],
)
def test_what_is_not_there_is_named_before_anything_is_written(arguments, message, mine, own_npz, tmp_path, capsys):
    assert train(own_npz, *(one.format(mine=mine) for one in arguments)) == 2
    assert message.format(mine=mine) in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("option", "hint"), [("--method", "copi-MODULE:OBJECT"), ("--lateral", "MODULE:OBJECT")])
def test_an_unknown_name_lists_those_there_are(option, hint, own_npz, capsys):
    with pytest.raises(SystemExit):
        train(own_npz, option, "copi-pb")
    printed = capsys.readouterr().err
    assert f"{option}: 'copi-pb': choose one of {'copi-bp' if option == '--method' else 'symmetric'}, " in printed
    assert hint in printed


# --- the recipe of a run ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("preset", PRESETS)
def test_every_recipe_can_be_made_again_from_what_is_recorded(preset, method, tmp_path):
    plan = Plan(dataset="cifar10", preset=preset, method=method, seed=3, epochs=4, hidden=(5, 4), diagnostics=True)
    config = json.loads(json.dumps(plan.config({})))
    assert plan_of(config) == plan
    (tmp_path / "config.json").write_text(json.dumps({**config, "data": "", "environment": {}}))
    (tmp_path / "outcome.json").write_text('{"status": "finished"}')
    (tmp_path / "metrics.csv").write_text(
        "epoch,train_accuracy,train_loss,test_accuracy,test_loss,seconds\n"
        + "".join(f"{epoch},0.5,0.1,0.5,0.1,1.5\n" for epoch in range(4))
    )
    assert read_run(tmp_path).recipe == plan.experiment().recipe
    assert read_run(str(tmp_path)).recipe == plan.experiment().recipe


@pytest.mark.parametrize("rule", LATERAL)
def test_overrides_are_in_it(rule):
    overrides = {"eta_w": 0.5, "eta_r": 0.25, "error_scale": 7, "lateral_rule": rule, "lateral_every": 3}
    plan = Plan(dataset="digits", preset="paper", method="copi-fa", seed=0, epochs=2, overrides=overrides)
    recipe = plan_of(json.loads(json.dumps(plan.config({})))).experiment().recipe
    assert (recipe.eta_w, recipe.eta_r, recipe.error_scale) == (0.5, 0.25, 7)
    assert (recipe.lateral_rule, recipe.lateral_every) == (LATERAL[rule], 3)


def test_what_can_not_be_made_again_is_named(mine, own_npz, tmp_path):
    assert train(own_npz, "--method", f"copi-{mine}:credit") == 0
    folder = tmp_path / "out" / f"copi-{mine}.credit" / "seed-0"
    changed(mine, tmp_path, "delta / 2", "delta / 4")
    with pytest.raises(RunError, match=r"seed-0: its recipe can't be made again: rules\.credit is .* is meant by its"):
        read_run(folder).recipe  # noqa: B018
    (tmp_path / f"{mine}.py").unlink()
    sys.modules.pop(mine, None)
    with pytest.raises(RunError, match=rf"seed-0: its recipe can't be made again: {mine}:credit: ModuleNotFoundError"):
        read_run(folder).recipe  # noqa: B018
    assert read_run(folder).params.W, "the weights can be read all the same"
    config = json.loads((folder / "config.json").read_text())
    for changes, message in (
        ({"method": "copi-bq"}, "method is 'copi-bq': choose one of"),
        ({"method": "copi-bp", "rules": {}, "recipe": {"eta_w": 0.5}},
         "recipe.eta_w is 0.5 there, and 0.02 is meant by its name now"),
        ({"method": "copi-gait", "rules": None, "recipe": {"credit": "gait"}}, "may have meant RenormalizedGaitProp"),
    ):  # fmt: skip
        written = {key: value for key, value in {**config, **changes}.items() if value is not None or key == "held_out"}
        (folder / "config.json").write_text(json.dumps(written))
        with pytest.raises(RunError, match=message):
            read_run(folder).recipe  # noqa: B018


def test_a_run_from_before_a_field_was_recorded_has_a_recipe(own_npz, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert train(own_npz) == 0
    folder = tmp_path / "out" / "copi-bp" / "seed-0"
    config = json.loads((folder / "config.json").read_text())
    del config["rules"], config["ensemble"], config["recipe"]["lateral_gain"]
    (folder / "config.json").write_text(json.dumps(config))
    assert read_run(folder).recipe.lateral_gain == "none"
    del config["recipe"]["error_scale"]  # the preset's is 20, and the default 1: which the run had is not known
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(RunError, match=r"recipe\.error_scale is None there, and 20 is meant by its name now"):
        read_run(folder).recipe  # noqa: B018
