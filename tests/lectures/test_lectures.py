"""The lectures: what they show is what the library gives when it is called directly."""

import importlib
import re
from dataclasses import replace
from fractions import Fraction
from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest

import copi_ref as copi
from copi_ref.analysis.diagnostics import layer_diagnostics
from copi_ref.analysis.receptive_fields import receptive_fields
from copi_ref.data import load_digits
from copi_ref.experiments.presets import experiment
from copi_ref.lectures import LECTURES
from copi_ref.oracle.report.explain import example, explain

pytestmark = pytest.mark.needs("marimo")


def run(name, **values):
    """Run a lecture with some of its widgets set; return what its cells show as one text, and what they define."""
    app, defaults = lecture(name)
    assert values.keys() <= defaults.keys()
    widgets = {**defaults, **{widget: SimpleNamespace(value=value) for widget, value in values.items()}}
    outputs, defined = app.run(defs=widgets if values else None)
    return " ".join(output.text for output in outputs if hasattr(output, "text")), defined


@cache
def lecture(name):
    """Return a lecture's app, and its widgets as they are at the start: a cell that makes some defines nothing else."""
    from marimo._plugins.ui._core.ui_element import UIElement

    app = importlib.import_module(f"copi_ref.lectures.{name}").app
    _, defined = app.run()
    return app, {widget: thing for widget, thing in defined.items() if isinstance(thing, UIElement)}


def off_diagonal(x):
    C = x.T @ x / len(x)
    return C - np.diag(np.diag(C))


@pytest.mark.parametrize("name", ["index", *LECTURES])
def test_every_lecture_runs_and_says_what_to_try(name):
    shown, _ = run(name)
    assert "<h1" in shown
    if name in LECTURES:
        assert "What to try" in shown
        tries = shown[shown.index("What to try") :]
        assert len(re.findall(r"<li>", tries)) == 3


# --- decorrelation ----------------------------------------------------------------------------------------------------


def test_inputs_have_the_correlation_scale_and_mean_that_were_chosen():
    _, cells = run("decorrelation", inputs=3, correlation=-0.5, ratio=4, mean=0.25)
    np.testing.assert_allclose(np.std(cells["y"], axis=0), [1, 2, 4])
    np.testing.assert_allclose(np.corrcoef(cells["y"].T)[0], [1, -0.5, 0.25], atol=1e-12)
    np.testing.assert_allclose(np.mean(cells["y"], axis=0), 0.25)


@pytest.mark.parametrize("rule", ["left", "right", "symmetric"])
def test_R_learns_by_the_library_step_by_step(rule):
    _, cells = run("decorrelation", inputs=3, rule=rule, rate=2)
    y, R = cells["y"], np.eye(3)
    for found, C in zip(cells["Rs"][:5], cells["Cs"], strict=False):
        np.testing.assert_allclose(found, R, rtol=1e-12)
        np.testing.assert_allclose(C, (y @ R.T).T @ (y @ R.T) / len(y), rtol=1e-12, atol=1e-12)
        R = R + 2 * copi.safe_eta_r(y) * copi.decorrelation_update(y @ R.T, R, rule)


@pytest.mark.parametrize(
    ("rule", "inputs", "rate", "says"),
    [
        ("left", 3, 1, "Safe for ever"),
        ("left", 3, 1.1, "This step descends"),
        ("left", 3, 4, "No theorem"),
        ("right", 3, 0.25, "No theorem"),
        ("symmetric", 3, 0.25, "No theorem"),
        ("right", 2, 1, "Safe for ever"),
    ],
)
def test_the_theorem_that_applies_is_named(rule, inputs, rate, says):
    shown, cells = run("decorrelation", rule=rule, inputs=inputs, rate=rate)
    assert says in cells["says"]
    assert says in shown


@pytest.mark.parametrize("rate", [0.5, 1, 1.1, 2, 4, 8])
def test_where_a_theorem_is_named_the_step_descends(rate):
    _, cells = run("decorrelation", inputs=3, correlation=0.9, ratio=3, mean=1, rate=rate)
    Cs, Rs, sizes = cells["Cs"], cells["Rs"], cells["sizes"]
    for at in range(len(Rs) - 1):
        says = cells["theorem"]("left", cells["eta"], Cs[0], Cs[at], Rs[at])
        assert "No theorem" in says or sizes[at + 1] <= sizes[at] * (1 + 1e-12)
        assert "Safe" not in says or rate <= 1


@pytest.mark.parametrize("rule", ["left", "right", "symmetric"])
@pytest.mark.parametrize("correlation", [-0.95, 0, 0.95])
def test_at_the_ends_of_the_sliders_there_are_numbers_too(rule, correlation):
    _, cells = run("decorrelation", inputs=3, rule=rule, correlation=correlation, ratio=4, mean=-2, rate=8)
    assert np.all(np.isfinite(cells["Rs"]))
    assert len(cells["Rs"]) == len(cells["sizes"])


def test_the_rule_as_printed_leaves_every_bound_and_left_does_not():
    shown, cells = run("decorrelation", fraction=0.5)
    assert cells["printed"]["right"].max() > 1e6 * cells["printed"]["right"][0]
    assert np.all(np.diff(cells["printed"]["left"]) <= 0)
    # docs/results/proofs.md: a hundred times its start at η n tr C₀ = 216; 3 n / 2 of those at the whole safe rate
    steps = int(re.search(r"<b>(\d+) steps", shown)[1])
    assert 600 < steps < 660


# --- one step ---------------------------------------------------------------------------------------------------------


def test_one_step_is_that_of_the_library():
    _, cells = run("one_step", eta_w=0.5, eta_r=0.25, rule="left")
    given = example()
    recipe = copi.Recipe(eta_w=0.5, eta_r=0.25, lateral_rule="left", dtype="float64")
    state = copi.init_state(recipe, (2, 3, 2), np.random.default_rng(0), np)
    state = replace(state, params=copi.Params(given["W"], given["R"]))
    after = copi.step(recipe, state, given["y0"], given["target"]).params
    for found, expected in zip(cells["new_W"] + cells["new_R"], after.W + after.R, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-14)


def test_one_step_in_fractions_has_the_numbers_of_explain():
    shown, cells = run("one_step", arithmetic="fractions")
    told = explain()["layer 1, updates"]["ΔW1"]
    assert all(isinstance(one, Fraction) for one in cells["dW"][0].flat)
    np.testing.assert_allclose(cells["dW"][0].astype(float), told, rtol=1e-14)
    assert str(cells["dW"][0][0, 0]).replace("-", "−") in shown


def test_without_an_error_copi_moves_by_W_C_off_and_gradient_descent_does_not():
    _, cells = run("one_step", no_error=True)
    for at in (0, 1):
        assert not cells["descent"][at].any()
        np.testing.assert_allclose(cells["dW"][at], cells["W"][at] @ off_diagonal(cells["trace"].x[at]), atol=1e-12)
        assert cells["dW"][at].any()


@pytest.mark.parametrize(
    ("mistake", "wrong", "function"),
    [
        ("weight-hebb-sum", {"ΔW of layer 2", "ΔW of layer 1"}, "copi_update"),
        ("lateral-diagonal", {"ΔR of layer 2", "ΔR of layer 1"}, "decorrelation_update"),
        ("step-z-from-y", {"ΔW of layer 2", "ΔW of layer 1"}, "step"),
    ],
)
def test_a_mistake_marks_what_it_changes_and_the_oracle_names_it(mistake, wrong, function):
    shown, cells = run("one_step", mistake=mistake)
    assert set(cells["changed"]) == wrong
    assert f"{function}: [{mistake}]" in shown
    entries = sum(np.sum(cells["found"][name] != cells["expected"][name]) for name in wrong)
    assert shown.count("data-changed") == entries


# --- credit -----------------------------------------------------------------------------------------------------------


def credit_recipe(cells, name):
    recipe = cells["recipes"][name]
    return recipe, copi.init_state(recipe, (64, 16, 12, 10), np.random.default_rng(3), np)


@pytest.mark.parametrize("name", ["bp", "fa", "dfa", "tp", "node", "il"])
def test_perturbations_are_those_of_the_credit_method(name):
    _, cells = run("credit", method=name, seed=3)
    _, state = credit_recipe(cells, name)
    digits = load_digits()
    target = np.eye(10, dtype="float32")[digits.y_train[:50]]
    trace = copi.forward(state.params, digits.x_train[:50])
    task = copi.Task(target, feedback=state.feedback, rng=np.random.default_rng(0))
    for found, expected in zip(cells["deltas"], copi.CREDIT[name](state.params, trace, task), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_tick_trains_all_six_by_an_epoch_and_measures_their_angles():
    _, cells = run("credit", seed=3, going=True)
    runs = cells["get_runs"]()
    for name in ("bp", "dfa"):
        recipe, state = credit_recipe(cells, name)
        expected = copi.fit(recipe, state, load_digits(), 1, diagnostics=layer_diagnostics)
        (_, _), (found, angles) = runs[name]
        np.testing.assert_array_equal(found.params.W[0], expected.state.params.W[0])
        assert angles == [expected.metrics[0][f"angle_{layer}"] for layer in (1, 2, 3)]


# --- train ------------------------------------------------------------------------------------------------------------


def test_a_tick_trains_an_epoch_of_the_preset_with_the_chosen_rates():
    _, cells = run("train", method="copi-fa", rule="left", eta_w=0.05, eta_r=0.1, seed=2, going=True)
    recipe = replace(experiment("demo", "copi-fa", "digits").recipe, eta_w=0.05, eta_r=0.1, lateral_rule="left")
    state = copi.init_state(recipe, (64, 100, 100, 10), np.random.default_rng(2), np)
    expected = copi.fit(recipe, state, load_digits(), 1)
    states, rows, why = cells["get_runs"]()["copi-fa"]
    np.testing.assert_array_equal(states[-1].params.R[0], expected.state.params.R[0])
    assert (len(rows), rows[0]["test_accuracy"], why) == (1, expected.metrics[0]["test_accuracy"], "")
    assert len(cells["get_runs"]()["bp-adam"][1]) == 1


def test_what_diverges_says_why_and_stays():
    _, cells = run("train", eta_r=2, going=True)
    run_ = cells["get_runs"]()["copi-bp"]
    for _ in range(4):
        run_ = cells["one_more"]("copi-bp", run_)
    assert "training became non-finite in epoch" in run_[2]
    assert cells["one_more"]("copi-bp", run_) is run_


def test_the_inside_is_that_of_the_library():
    _, cells = run("train", seed=1)
    digits = load_digits()
    fields = receptive_fields(cells["params"], digits.x_test)
    np.testing.assert_array_equal(cells["fields"][0], fields[0])
    C = digits.x_train.T.astype(float) @ digits.x_train / len(digits.x_train)
    off = np.linalg.norm(C - np.diag(np.diag(C))) / np.linalg.norm(np.diag(C))
    np.testing.assert_allclose(cells["off_diagonals"][0], off, rtol=1e-5)


# --- Inference Learning -----------------------------------------------------------------------------------------------


def test_states_settle_as_infer_has_them():
    _, cells = run("inference_learning", gamma=0.05, steps=40, sample=3, seed=1)
    states = copi.infer(cells["params"], cells["y0"], cells["start"], copi.leaky_relu, 40, 0.05)
    for found, expected in zip(cells["settling"][-1], states, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12)
    energy = copi.il_energy(copi.predictions(cells["params"], cells["y0"], states, copi.leaky_relu))
    np.testing.assert_allclose(cells["energies"][-1], energy[0], rtol=1e-12)
    assert np.all(np.diff(cells["energies"]) <= 0)


def test_energy_that_rises_is_said_so():
    shown, cells = run("inference_learning", gamma=1, steps=100)
    assert np.any(np.diff(cells["energies"]) > 0)
    assert "γ is too large" in shown


def test_a_large_step_of_il_harms_and_a_proximal_one_does_not():
    _, cells = run("inference_learning")
    assert cells["explicit"][-1] > cells["before"]
    assert all(loss < cells["before"] for loss in cells["proximal"])
    assert np.all(np.diff(cells["proximal"]) < 0), "a larger α leads nearer to the target"


def test_a_hundred_digits_are_those_of_fit():
    _, cells = run("inference_learning", rate=10, train=True)
    assert "non-finite" in cells["reached"]["backpropagation"]
    assert "non-finite" in cells["reached"]["IL"]
    assert re.fullmatch(r"test accuracy 0\.\d+", cells["reached"]["proximal IL"])


# --- is it COPI? ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("beginning", "rule", "variant"),
    [
        ("a right one", "right", ""),
        ("the diagonal left in", "right", "lateral-diagonal"),
        ("a sum for a mean", "right", "weight-hebb-sum"),
        ("the other line of Eq. 4", "left", ""),
        ("a covariance", "right", "lateral-sample-covariance"),
    ],
)
def test_the_oracle_says_live_what_check_says(beginning, rule, variant):
    beginnings = run("is_it_copi")[1]["BEGINNINGS"]
    shown, cells = run("is_it_copi", code=beginnings[beginning], rule=rule)
    assert cells["report"].ok == (variant == "")
    assert cells["report"].variant == variant
    assert set(cells["report"].asked) == {"copi_update", "decorrelation_update"}
    assert (f"[{variant}]" in shown) == (variant != "")


def test_the_other_line_is_suggested_as_a_convention():
    beginnings = run("is_it_copi")[1]["BEGINNINGS"]
    shown, cells = run("is_it_copi", code=beginnings["the other line of Eq. 4"], rule="right")
    assert "matches lateral_rule='left'" in cells["report"].diagnosis
    assert "matches lateral_rule=" in shown


@pytest.mark.parametrize(
    ("code", "says"),
    [("x = (", "SyntaxError"), ("1 / 0", "ZeroDivisionError"), ("y = 1", "There is no function to check")],
)
def test_code_that_cannot_be_checked_is_said_so(code, says):
    assert says in run("is_it_copi", code=code)[0]


def test_the_button_checks_everything():
    _, cells = run("is_it_copi", everything=True)
    assert cells["full"].ok
    assert {one.check for one in cells["full"].results if one.status == "passed"} == {
        "copi_update",
        "decorrelation_update",
        "forward",
    }
