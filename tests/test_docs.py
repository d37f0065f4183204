"""The documentation: code runs, tests that are named exist, and Algorithm 1's lines are marked in the code."""

import inspect
import re
from pathlib import Path

import pytest
from sybil import Sybil
from sybil.parsers.markdown import CodeBlockParser

import copi_ref as copi
from copi_ref.algorithm import algorithm_1

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def evaluate(example):
    """Run a block by itself: each can be copied alone."""
    exec(compile(example.parsed, example.path, "exec"), {"__name__": "docs"})


SYBIL = Sybil(parsers=[CodeBlockParser("python", evaluate)])
EXAMPLES = [
    pytest.param(example, id=f"{page.name}:{example.line}", marks=[pytest.mark.interop] * bool(needs))
    for page in PAGES
    for example in SYBIL.parse(page).examples()
    for needs in [re.findall(r"^(?:import|from) (torch|jax)\b", example.parsed, re.MULTILINE)]
]


@pytest.mark.parametrize("example", EXAMPLES)
def test_code_runs(example, tmp_path, monkeypatch, capsys):
    for library in ("torch", "jax", "sklearn"):
        if re.search(rf"\b{library}\b|load_digits" if library == "sklearn" else rf"import {library}\b", example.parsed):
            pytest.importorskip(library)
    monkeypatch.setenv("COPI_REF_BACKEND", "numpy")
    monkeypatch.chdir(tmp_path)
    example.evaluate()
    shown = re.match(r"```\n\n```text\n(.*?)```", example.document.text[example.region.end - 3 :], re.DOTALL)
    if shown is None:
        shown = re.match(r"\s*```text\n(.*?)```", example.document.text[example.region.end :], re.DOTALL)
    if shown:
        assert capsys.readouterr().out == shown[1]
    else:
        assert "```text" not in example.document.text[example.region.end :][:20], "its output was not compared"


def test_no_block_is_left_out():
    assert len(EXAMPLES) == sum(len(re.findall(r"^```python$", page.read_text(), re.MULTILINE)) for page in PAGES)


def test_tests_that_pages_name_exist():
    there = {
        name for path in (ROOT / "tests").rglob("*.py") for name in re.findall(r"def (test_\w+)", path.read_text())
    }
    for page in PAGES:
        for name in re.findall(r"(?:::|`)(test_\w+)`", page.read_text()):
            assert name in there, f"{page.name} names {name}"


def test_the_lines_of_algorithm_1_are_marked():
    source = inspect.getsource(algorithm_1)
    marks = re.findall(r"# lines? (\d+)(?: to (\d+))?", source)
    marked = {line for first, last in marks for line in range(int(first), int(last or first) + 1)}
    assert marked >= set(range(4, 16))


def test_links_of_the_readme_lead_somewhere():
    prose = re.sub(r"```.*?```", "", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    for link in re.findall(r"\]\((?!https?:)([^)#]+)", prose):
        assert (ROOT / link).exists(), link


def test_the_examples_of_the_readme_fit_a_glance():
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert len(blocks) == 3
    assert max(block.count("\n") for block in blocks) <= 15


def test_every_public_name_is_in_the_reference():
    """`automodule` takes classes and functions; what is neither has a line of its own."""
    reference = (ROOT / "docs" / "api.md").read_text()
    for name in copi.__all__:
        thing = getattr(copi, name)
        if not (inspect.isclass(thing) or inspect.isfunction(thing) or name == "__version__"):
            assert f".. py:data:: copi_ref.{name}\n" in reference, name
