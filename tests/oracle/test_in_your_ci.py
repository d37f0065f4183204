"""The workflow and the settings of pytest that docs/check/index.md has to copy, run on the adapter there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "check" / "index.md").read_text(encoding="utf-8")


def block(language):
    """Return the page's first block in a language."""
    return re.search(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)[1]


def run_as_copied(folder, adapter):
    """Run the command of the workflow's last step where the adapter and the settings have been copied to."""
    (folder / "tests").mkdir()
    (folder / "tests" / "test_mine.py").write_text("def test_mine(): pass\n", encoding="utf-8")
    theirs = folder / "vendor" / "copi_ref" / "tests"  # where the workflow has a copy of this project
    theirs.mkdir(parents=True)
    (theirs / "test_theirs.py").write_text("import what_you_lack\n", encoding="utf-8")
    (folder / "my_copi.py").write_text(adapter, encoding="utf-8")
    (folder / "pyproject.toml").write_text(block("toml"), encoding="utf-8")
    environment = {**os.environ, "PYTEST_ADDOPTS": "-v -p no:cacheprovider"}
    return subprocess.run(
        [sys.executable, "-m", "pytest"], cwd=folder, capture_output=True, text=True, check=False, env=environment
    )


ADAPTER = re.search(r"class .*\nadapter = .*?\n", block("python"), re.DOTALL)[0]


def test_the_settings_make_a_test_of_the_adapter(tmp_path):
    done = run_as_copied(tmp_path, ADAPTER)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "my_copi:adapter::copi_update PASSED" in done.stdout
    assert "2 passed, 5 skipped" in done.stdout


def test_they_fail_where_the_adapter_is_wrong(tmp_path):
    done = run_as_copied(tmp_path, ADAPTER.replace("(x**2).mean(axis=0)", "x.var(axis=0)"))
    assert done.returncode == 1, done.stdout + done.stderr
    assert "[weight-decay-variance]" in done.stdout


def test_the_workflow_runs_pytest_on_every_push():
    yaml = pytest.importorskip("yaml")
    workflow = yaml.safe_load(block("yaml"))
    assert "push" in workflow[True], "YAML 1.1 reads the key `on` as true, and so does the code host"
    (job,) = workflow["jobs"].values()
    assert job["runs-on"]
    steps = job["steps"]
    assert all(("uses" in step) != ("run" in step) for step in steps)
    assert all(re.fullmatch(r"actions/[\w-]+@v\d+", step["uses"]) for step in steps if "uses" in step)
    assert [step["run"].split()[0] for step in steps if "run" in step] == ["pip", "pytest"]
    assert steps[-1]["run"] == "pytest"
