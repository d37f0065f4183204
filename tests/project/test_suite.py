"""The test suite itself: which warnings stop a run, and what is left out of one."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Warnings in the name of each module, as of a line in it.
WARNS = """
import warnings
import pytest

@pytest.mark.parametrize("category", [RuntimeWarning, UserWarning, SyntaxWarning, DeprecationWarning, FutureWarning])
@pytest.mark.parametrize("module", [__name__, "copi_ref", "copi_ref.training.fit", "docs", "copi_reference", "numpy"])
def test_warns(module, category):
    exec("warn('careful', category)", {"__name__": module, "warn": warnings.warn, "category": category})
"""


def run(folder, text, *flags):
    """Run pytest with the project's settings and conftest.py on one file, named as one of the project's own."""
    file = folder / "test_errors.py"
    file.write_text(text)
    settings = ["-c", ROOT / "pyproject.toml", "-p", "conftest", "-p", "no:cacheprovider", "-n", "0"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "tests"), "PYTEST_ADDOPTS": ""}
    command = [sys.executable, "-m", "pytest", *settings, *flags, file]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def test_warnings_of_ours_are_errors_and_those_of_others_are_not(tmp_path):
    done = run(tmp_path, WARNS, "-rf")
    failed = re.findall(r"^FAILED .*\[(.*)\]", done.stdout, re.MULTILINE)
    ours = ("test_errors", "copi_ref", "copi_ref.training.fit", "docs")
    now = ("RuntimeWarning", "UserWarning", "SyntaxWarning")
    assert sorted(failed) == sorted(f"{module}-{category}" for module in ours for category in now), done.stdout
    assert "18 passed" in done.stdout
    assert "FutureWarning: careful" in done.stdout, "shown"


def test_all_warnings_are_errors_where_that_is_asked_for(tmp_path):
    assert "30 failed" in run(tmp_path, WARNS, "-W", "error").stdout


def test_what_a_test_needs_has_to_be_known(tmp_path):
    done = run(tmp_path, 'import pytest\n@pytest.mark.needs("luck")\ndef test_it(): pass\n')
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "needs {'luck'}: conftest.py knows torch, jax" in done.stdout + done.stderr
