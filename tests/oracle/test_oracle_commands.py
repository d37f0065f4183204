"""`copi-ref check` and `explain`, the pytest plugin and the strategies, as a user runs them."""

import json
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mutants import plain

import copi_ref as copi
from copi_ref.cli.main import main
from copi_ref.cli.oracle import in_options_of_check
from copi_ref.oracle import FUNCTIONS, Conventions, check
from copi_ref.oracle.calling.named import TargetError, conventions_from_text
from copi_ref.oracle.inputs import strategies
from copi_ref.oracle.report.explain import example, explain

TESTS = Path(__file__).parent


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A folder with a user's module in it, written in NumPy, as the working folder."""
    (tmp_path / "mine.py").write_text(
        f"import sys\nsys.path.insert(0, {str(TESTS)!r})\n"
        "from mutants.plain import *\n"
        "from mutants import plain\n"
        "class Broken:\n"
        "    copi_update = staticmethod(plain.copi_update)\n"
        "    @staticmethod\n"
        "    def decorrelation_update(x, R):\n"
        "        return -R @ (x.T @ x / len(x))\n"
        "class Space:\n    inner = Broken\n"
    )
    (tmp_path / "explodes.py").write_text("raise RuntimeError('at import')\n")
    (tmp_path / "exits.py").write_text("import sys\ncopi_update = print\nsys.exit(0)\n")
    (tmp_path / "talks.py").write_text(
        "print('hello')\ndef copi_update(x, z, W):\n    print(x)\n    return W * 1e400\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COPI_REF_BACKEND", "numpy")
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return tmp_path


def test_check_of_a_module(mine, capsys):
    assert main(["check", "mine"]) == 0
    assert capsys.readouterr().out.startswith("copi_ref: OK")


def test_check_in_a_process_of_its_own(mine):
    command = [sys.executable, "-m", "copi_ref", "check", "mine", "--precision", "float32"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "numpy float32" in done.stdout


@pytest.mark.parametrize("target", ["mine:Broken", "mine:Space.inner"])
def test_check_of_an_object_that_is_wrong(mine, capsys, target):
    assert main(["check", target]) == 1
    assert "[lateral-diagonal] the diagonal of E[x xᵀ] is left in" in capsys.readouterr().out.splitlines()[0]


def test_check_as_json(mine, capsys):
    assert main(["check", "mine:Broken", "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["variant"] == "lateral-diagonal"
    assert report["counts"]["not implemented"] == 4


def test_json_is_json_whatever_the_code_prints_or_returns(mine, capsys):
    assert main(["check", "talks", "--json"]) == 1
    printed = capsys.readouterr()

    def refuse(name):
        raise AssertionError(f"{name} is no JSON")

    report = json.loads(printed.out, parse_constant=refuse)
    assert report["results"][0]["catches"] is None
    assert "hello" in printed.err


def test_a_report_with_any_numbers_in_its_conventions_is_json():
    report = check(plain, conventions=Conventions(slope=Fraction(1, 10), loss_factor=np.float32(2)), xp=np)
    assert report.ok
    assert json.loads(json.dumps(report.as_dict(), allow_nan=False))["conventions"]["slope"] == 0.1


def test_a_time_out_has_to_be_one(mine, capsys):
    for wrong in ("inf", "-1", "soon"):
        with pytest.raises(SystemExit):
            main(["check", "mine", "--timeout", wrong])


def test_check_prints_code_that_reproduces(mine, capsys):
    assert main(["check", "mine:Broken", "--reproduce"]) == 1
    code = capsys.readouterr().out
    exec(code, {"implementation": __import__("mine").Broken})
    assert "array" in capsys.readouterr().out or "[[" in code


def test_check_takes_conventions_and_a_seed(mine, capsys):
    assert main(["check", "mine", "--lateral-rule", "left", "--slope", "0.01", "--seed", "3"]) == 1
    printed = capsys.readouterr().out
    assert "lateral_rule='left', slope=0.01" in printed
    assert "matches lateral_rule='right'" in printed


@pytest.mark.parametrize(
    ("python", "options"),
    [
        (
            "matches slope=0.01 (COPI's text gives no slope): pass it in Conventions, if that is what you mean",
            "matches slope=0.01 (COPI's text gives no slope): pass --slope 0.01, if that is what you mean",
        ),
        (
            "matches credit='dfa', slope=0.0 (here the same: x='y'): pass it in InferenceConventions (else)",
            "matches credit='dfa', slope=0.0 (here the same: x='y'): pass --credit dfa --slope 0.0 (else)",
        ),
        (
            "a: matches samples='rows'; b: matches kappa=(1.0, 0.5): pass it in Conventions",
            "a: matches samples='rows'; b: matches kappa=(1.0, 0.5): pass --kappa 1.0,0.5",
        ),
        (
            "(right where R is symmetric: then pass assumes_symmetric_R=True in Conventions)",
            "(right where R is symmetric: then pass --assumes-symmetric-R)",
        ),
        (
            "[x] it is y* − softmax(a_L): pass loss='cross-entropy', output_activation='identity' in Conventions, if",
            "[x] it is y* − softmax(a_L): pass --loss cross-entropy --output-activation identity, if",
        ),
        (
            "raised TypeError: no; pass xp=torch if it takes others",
            "raised TypeError: no; pass --backend torch if it takes others",
        ),
        ("passes: take it off expected_failures", "passes: leave out --expect-failure"),
        ("returned W = 5: pass it on", "returned W = 5: pass it on"),
    ],
)
def test_the_command_advises_in_its_own_words(python, options):
    assert in_options_of_check(python) == options


def test_check_says_which_option_to_pass(mine, capsys):
    """And with it all is right."""
    assert main(["check", "mine", "--slope", "0.01", "--only", "forward"]) == 1
    first = capsys.readouterr().out.splitlines()[0]
    assert first.endswith(": pass --slope 0.1, if that is what you mean")
    assert main(["check", "mine", "--slope", "0.1", "--only", "forward"]) == 0
    capsys.readouterr()
    assert main(["check", "mine", "--slope", "0.01", "--only", "forward", "--json"]) == 1
    assert "pass --slope 0.1" in json.loads(capsys.readouterr().out)["diagnosis"]


def test_check_only_some(mine, capsys):
    assert main(["check", "mine:Broken", "--only", "copi_update"]) == 0
    assert main(["check", "mine:Broken", "--only", "copi_update", "--only", "step"]) == 1
    assert "asked for, but did not run: step (not implemented)" in capsys.readouterr().out


def test_expected_failures_on_the_command_line(mine, capsys):
    expect = "decorrelation_update=to be rewritten"
    assert main(["check", "mine:Broken", "--expect-failure", expect]) == 0
    assert "expected failure" in capsys.readouterr().out
    assert main(["check", "mine", "--expect-failure", expect]) == 1
    assert "but passes: leave out --expect-failure" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["check"], "needs either PKG.MOD[:OBJ] or --command PROGRAM"),
        (["check", "mine", "--command", "x"], "needs either"),
        (["check", "no_such_module"], "no_such_module: ModuleNotFoundError"),
        (["check", "explodes"], "explodes: RuntimeError: at import"),
        (["check", "mine:nothing"], "mine:nothing: AttributeError"),
        (["check", "mine.py"], "needs the name of a module, as in an import: mine"),
        (["check", "exits"], "exits: SystemExit: 0"),
        (["check", "--command", ""], "can't be started: needs a program"),
        (["explain", "--error-scale", "1e308"], "delta2 (backward) leaves the range of float64"),
        (["check", "mine", "--precision", "bfloat16"], "no bfloat16"),
        (["check", "mine", "--backend", "numpie"], "backend 'numpie' is unknown"),
        (["check", "mine", "--expect-failure", "step"], "needs FUNCTION=REASON"),
        (["check", "mine", "--expect-failure", "steps=x"], "'steps': choose one of"),
        (["check", "mine", "--device", "nowhere"], "device 'nowhere' can't be used"),
        (["check", "mine", "--slope", "nan"], "slope is nan"),
    ],
)
def test_what_can_not_be_checked_exits_with_2(mine, capsys, arguments, says):
    assert main(arguments) == 2
    assert says in capsys.readouterr().err


def test_a_reader_that_stops_early_is_no_error(mine):
    command = f"{sys.executable} -m copi_ref explain | head -n 1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)
    assert done.stdout == "given\n"
    assert not done.stderr


@pytest.mark.needs("torch")
def test_check_with_torch_on_its_device(mine, capsys):
    (mine / "with_torch.py").write_text(
        "def copi_update(x, z, W):\n    return z.mT @ x / len(x) - W * (x * x).mean(0)\n"
    )
    flags = ["--backend", "torch", "--precision", "bfloat16", "--device", "cpu"]
    assert main(["check", "with_torch", *flags]) == 0
    assert "torch bfloat16" in capsys.readouterr().out


# --- explain ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", ["left", "right", "symmetric"])
def test_explain_shows_every_intermediate_of_a_step(rule, capsys):
    """Each number that it prints is that of the naive loops."""
    conventions = Conventions(lateral_rule=rule)
    given_, shown = example(conventions), explain(conventions)
    W, R = ([A.tolist() for A in given_[name]] for name in "WR")
    x, a, y = naive.forward(W, R, given_["y0"].tolist(), "leaky_relu")
    delta_L = naive.output_perturbation("quadratic", y[-1], a[-1], given_["target"].tolist(), "leaky_relu")
    deltas = naive.backpropagation(W, R, a, delta_L, "leaky_relu")
    for layer in (1, 2):
        forward, updates = shown[f"layer {layer}, forward"], shown[f"layer {layer}, updates"]
        for value, by_hand in zip(forward.values(), (x[layer - 1], a[layer - 1], y[layer - 1]), strict=True):
            np.testing.assert_allclose(value, by_hand, rtol=1e-12)
        np.testing.assert_allclose(shown["backward"][f"delta{layer}"], deltas[layer - 1], rtol=1e-12)
        z = np.array(a[layer - 1]) + np.array(deltas[layer - 1])
        dW = naive.copi_update(x[layer - 1], z.tolist(), W[layer - 1])
        dR = naive.decorrelation_update(x[layer - 1], R[layer - 1], rule)
        np.testing.assert_allclose(updates[f"ΔW{layer}"], dW, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(updates[f"ΔR{layer}"], dR, rtol=1e-12, atol=1e-14)
        new = np.array(W[layer - 1]) + given_["eta_w"] * np.array(dW)
        np.testing.assert_allclose(updates[f"W{layer} + η_W ΔW{layer}"], new, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(updates[f"C_off{layer}"], naive.off_diagonal(x[layer - 1]), rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(updates["E[z xᵀ]"], naive.sgd_update(x[layer - 1], z.tolist()), rtol=1e-12)
    assert main(["explain", "--lateral-rule", rule]) == 0
    assert "layer 2, updates" in capsys.readouterr().out


@pytest.mark.parametrize(
    "flags", [["--credit", "fa"], ["--credit", "dfa"], ["--samples", "columns"], ["--activation", "tanh"]]
)
def test_explain_under_other_conventions(flags, capsys):
    assert main(["explain", *flags, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert ("B2" in shown["given"]) == ("--credit" in flags)
    y0 = np.array(shown["given"]["y0"])
    assert (y0 == (example()["y0"].T if "columns" in flags else example()["y0"])).all()


def test_the_explained_network_has_differing_dimensions_and_both_signs():
    shown = explain()
    assert len({*example()["W"][0].shape}) == 2
    for layer in (1, 2):
        a = next(value for name, value in shown[f"layer {layer}, forward"].items() if name.startswith("a"))
        assert (a < 0).any()
        assert (a > 0).any()


# --- the pytest plugin ------------------------------------------------------------------------------------------------


def run_plugin(folder, *flags):
    command = [sys.executable, "-m", "pytest", "-p", "copi_ref.oracle.pytest_plugin", "-p", "no:cacheprovider", "-v"]
    environment = {**os.environ, "PYTEST_ADDOPTS": ""}
    return subprocess.run([*command, *flags], cwd=folder, capture_output=True, text=True, check=False, env=environment)


def test_the_plugin_makes_a_test_of_each_function(mine):
    done = run_plugin(mine, "--copi-target=mine")
    assert done.returncode == 0, done.stdout
    for name in FUNCTIONS:
        assert f"mine::{name} PASSED" in done.stdout
    assert f"{len(FUNCTIONS)} passed" in done.stdout


def test_the_plugin_shows_the_diagnosis_and_skips_what_is_missing(mine):
    done = run_plugin(mine, "--copi-target=mine:Broken", "--copi-precision=float32")
    assert done.returncode == 1
    assert "copi_ref: FAILED: decorrelation_update: [lateral-diagonal]" in done.stdout
    assert "checks.py" not in done.stdout, "no traceback of the oracle's own"
    assert "1 failed, 1 passed, 4 skipped" in done.stdout


def test_the_plugin_takes_conventions(mine):
    done = run_plugin(mine, "--copi-target=mine", "--copi-conventions=lateral_rule=left,slope=0.01")
    assert done.returncode == 1
    assert "matches lateral_rule='right'" in done.stdout


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--copi-target=nowhere"], "nowhere: ModuleNotFoundError"),
        (["--copi-target=mine:copi_update"], "has none of copi_update, sgd_update"),
        (
            ["--copi-target=mine", "--copi-conventions=rule=left"],
            "'rule' is no convention of COPI: choose among samples",
        ),
        (["--copi-target=mine", "--copi-conventions=credit=il"], "credit is 'il'"),
        (["--copi-target=mine", "--copi-conventions=slope=abc"], "--copi-conventions=slope=abc: slope is 'abc'"),
        (["--copi-target=mine", "--copi-backend=nosuch"], "--copi-backend=nosuch: backend 'nosuch' is unknown"),
    ],
)
def test_the_plugin_refuses_what_it_can_not_check(mine, flags, says):
    done = run_plugin(mine, *flags)
    assert done.returncode == 4
    assert says in done.stdout + done.stderr
    assert "INTERNALERROR" not in done.stdout + done.stderr


def test_the_plugin_takes_an_object_with_properties_that_raise(mine):
    (mine / "rude.py").write_text(
        "from mine import sgd_update as right\nclass Rude:\n    sgd_update = staticmethod(right)\n"
        "    @property\n    def step(self):\n        raise RuntimeError\nrude = Rude()\n"
    )
    assert "1 passed, 5 skipped" in run_plugin(mine, "--copi-target=rude:rude").stdout


def test_without_a_target_the_plugin_does_nothing(mine):
    (mine / "test_other.py").write_text("def test_other():\n    assert True\n")
    assert "1 passed" in run_plugin(mine).stdout


def test_conventions_as_text():
    text = "samples=columns, loss_factor=1,assumes_symmetric_R=true"
    assert conventions_from_text(text) == Conventions(samples="columns", loss_factor=1, assumes_symmetric_R=True)
    assert conventions_from_text("") == Conventions()
    with pytest.raises(TargetError, match="'colour' is no convention"):
        conventions_from_text("colour=red")
    with pytest.raises(TargetError, match="assumes_symmetric_R is 'on': needs true or false"):
        conventions_from_text("assumes_symmetric_R=on")


# --- strategies -------------------------------------------------------------------------------------------------------


@given(strategies.layers())
def test_layers_fit_together(layer):
    assert copi.copi_update(layer.x, layer.z, layer.W).shape == layer.W.shape
    assert copi.decorrelation_update(layer.x, layer.R).shape == layer.R.shape


@given(strategies.networks("float32"))
def test_networks_fit_together(network):
    trace = copi.forward(network.params, network.y0)
    assert trace.y[-1].shape == network.target.shape
    assert trace.y[-1].dtype == np.float32


@given(strategies.networks(symmetric_R=True), strategies.layers(symmetric_R=True))
def test_symmetric_R_is_symmetric(network, layer):
    for R in (*network.params.R, layer.R):
        np.testing.assert_array_equal(R, R.T)


@given(st.data(), st.sampled_from(strategies.KINDS))
def test_batches_are_what_their_kind_says(data, kind):
    x = data.draw(strategies.batches(5, 4, kind=kind))
    assert x.shape == (5, 4)
    assert np.isfinite(x).all()
    if kind == "whole":
        assert (x == np.rint(x)).all()
    if kind == "rank-deficient":
        assert np.linalg.matrix_rank(x) <= 1
    if kind == "a dead input":
        assert (x == 0).all(axis=0).any()
    if kind == "constant":
        assert (x == x[0]).all()


@given(st.data())
def test_an_unknown_kind_of_batch_lists_those_there_are(data):
    with pytest.raises(ValueError, match="kind is 'odd': choose one of 'ordinary'"):
        data.draw(strategies.batches(2, 2, kind="odd"))
