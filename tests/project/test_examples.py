"""The examples: each runs without a warning, its own asserts hold, and it prints what it is about."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
NEEDS = {"test_your_own_torch": "torch", "vectors_with_torch": "torch", "test_your_own_jax": "jax"}
SHOWS = {
    "one_step_by_hand": "the same fractions, in all 25 weights",  # 6 + 6 + 4 + 9
    "decorrelate_a_gaussian": "two inputs: the three rules give the same R",
    "plot_correlated_inputs": "COPI without R",
    "plot_receptive_fields": "epoch 9: test accuracy",
    "plot_compress": "pseudo-inverse",
    "plot_feedback_alignment": "(degrees; test accuracy)",
    "stability_of_implicit_sgd": "diverges",
    "a_credit_method_of_your_own": "sign ",
    "switch_to_cupy": "choose one of numpy, cupy",
    "test_your_own_torch": "FAILED: decorrelation_update: [lateral-diagonal]",
    "test_your_own_jax": "FAILED: copi_update",
    "vectors_with_torch": "cases right",
}


def test_every_example_is_here():
    assert {path.stem for path in EXAMPLES.glob("*.py")} == set(SHOWS)


@pytest.mark.parametrize("name", SHOWS)
def test_example_runs(name):
    for library in ("sklearn", "matplotlib", *filter(None, [NEEDS.get(name)])):
        if find_spec(library) is None:
            pytest.skip(f"{library} is not installed")
    # Warnings are errors, but for two that only say that no window is open.
    quiet = ["-W", "error", "-W", "ignore:FigureCanvasAgg", "-W", "ignore:Animation was deleted"]
    command = [sys.executable, *(quiet if name not in NEEDS else []), EXAMPLES / f"{name}.py"]
    environment = {**os.environ, "MPLBACKEND": "Agg", "COPI_REF_BACKEND": "numpy"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    assert SHOWS[name] in done.stdout
