"""Examples and lessons as notebooks: each runs from its first cell to its last, and an example prints what it is about.

A notebook runs cell by cell and has no `__file__`: an example that runs so runs as a script too. A lesson's has not all
code of its page, as solutions stay folded: its other cells have to do without.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import jupytext
import pytest
import run_cells

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
LESSONS = [page for page in sorted((ROOT / "docs" / "learn").glob("*.md")) if "\n```python\n" in page.read_text()]
NEEDS = {"test_your_own_torch": "torch", "vectors_with_torch": "torch", "test_your_own_jax": "jax"}
SHOWS = {
    "copi_on_one_page": "epoch 24: accuracy, test accuracy, off-diagonal [0.9",
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
def test_example_runs(name, pytestconfig, tmp_path):
    """Without a warning of its own, and its own asserts hold."""
    notebook = tmp_path / f"{name}.ipynb"
    jupytext.write(jupytext.read(EXAMPLES / f"{name}.py", fmt="py:percent"), notebook)
    strict = "error" in (pytestconfig.getoption("pythonwarnings") or []) and name not in NEEDS
    warnings = [f"-W{one}" for one in (*(["error"] if strict else OURS), *NO_WINDOW)]
    environment = {**os.environ, "MPLBACKEND": "Agg", "COPI_REF_BACKEND": "numpy"}
    command = [sys.executable, *warnings, run_cells.__file__, notebook]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    assert SHOWS[name] in done.stdout


@pytest.mark.parametrize("page", [pytest.param(page, id=page.stem) for page in LESSONS])
def test_lesson_runs(page, tmp_path, monkeypatch):
    """What it prints is compared where all blocks of a page are run (test_docs.py)."""
    monkeypatch.setenv("COPI_REF_BACKEND", "numpy")
    monkeypatch.chdir(tmp_path)
    cells = jupytext.read(page).cells
    run_cells.run(cells, {"__name__": "__main__"})
    blocks = re.findall(r"^```python\n(.*?)\n```$", page.read_text(), re.DOTALL | re.MULTILINE)
    assert {cell.source for cell in cells if cell.cell_type == "code"} <= set(blocks), "a cell is no block of the page"
