"""The examples: each runs without a warning of its own, its own asserts hold, and it prints what it is about."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
NEEDS = {"test_your_own_torch": "torch", "vectors_with_torch": "torch", "test_your_own_jax": "jax"}
SHOWS = {
    "copi_on_one_page": "epoch 24: accuracy 0.98",
    "one_step_by_hand": "the same fractions, in all 25 weights",  # 6 + 6 + 4 + 9
    "decorrelate_a_gaussian": "two inputs: the three rules give the same R",
    "plot_correlated_inputs": "COPI without R",
    "plot_receptive_fields": "epoch 9: test accuracy",
    "plot_compress": "pseudo-inverse",
    "plot_two_forms_of_inference": "angle 54° to 20°",
    "plot_feedback_alignment": "(degrees; test accuracy)",
    "stability_of_implicit_sgd": "diverges",
    "a_credit_method_of_your_own": "sign ",
    "switch_to_cupy": "choose one of numpy, cupy",
    "test_your_own_torch": "FAILED: decorrelation_update: [lateral-diagonal]",
    "test_your_own_jax": "FAILED: copi_update",
    "vectors_with_torch": "cases right",
}
EACH = [pytest.param(name, marks=[pytest.mark.needs(NEEDS[name])] if name in NEEDS else []) for name in SHOWS]

# As conftest.py has it for tests: what the example itself or NumPy's numbers give rise to is an error, and what other
# libraries say about tomorrow is none. The last that fits counts.
OURS = ["ignore", "error:::__main__", "ignore::DeprecationWarning", "ignore::FutureWarning", "error::RuntimeWarning"]
NO_WINDOW = ["ignore:FigureCanvasAgg", "ignore:Animation was deleted"]  # these only say that no window is open


def test_every_example_is_here():
    assert {path.stem for path in EXAMPLES.glob("*.py")} == set(SHOWS)


@pytest.mark.parametrize("name", EACH)
def test_example_runs(name, pytestconfig):
    strict = "error" in (pytestconfig.getoption("pythonwarnings") or []) and name not in NEEDS
    warnings = [f"-W{one}" for one in (*(["error"] if strict else OURS), *NO_WINDOW)]
    environment = {**os.environ, "MPLBACKEND": "Agg", "COPI_REF_BACKEND": "numpy"}
    command = [sys.executable, *warnings, EXAMPLES / f"{name}.py"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    assert SHOWS[name] in done.stdout
