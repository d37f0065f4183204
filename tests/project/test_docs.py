"""The documentation: code runs, tests that are named exist, and Algorithm 1's lines are marked in the code."""

import importlib
import inspect
import re
import shlex
from pathlib import Path

import pytest
from sybil import Sybil
from sybil.parsers.markdown import CodeBlockParser

import copi_ref as copi
from copi_ref.cli.main import _parser
from copi_ref.decorrelation import LATERAL_RULES
from copi_ref.experiments.sweep import read_sweep

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts)]


def evaluate(example):
    """Run a block by itself, as each can be copied alone; those of a lesson run in order, in one namespace."""
    lesson = Path(example.path).parent == DOCS / "learn"
    exec(compile(example.parsed, example.path, "exec"), example.namespace if lesson else {"__name__": "docs"})


SYBIL = Sybil(parsers=[CodeBlockParser("python", evaluate)])
EXAMPLES = [
    pytest.param(example, id=f"{page.relative_to(ROOT)}:{example.line}", marks=[pytest.mark.needs(*needs)])
    for page in PAGES
    for example in SYBIL.parse(page).examples()
    for needs in [re.findall(r"^(?:import|from) (torch|jax)\b", example.parsed, re.MULTILINE)]
]


@pytest.mark.parametrize("example", EXAMPLES)
def test_code_runs(example, tmp_path, monkeypatch, capsys):
    if re.search(r"\bsklearn\b|load_digits", example.parsed):
        pytest.importorskip("sklearn")
    monkeypatch.setenv("COPI_REF_BACKEND", "numpy")
    monkeypatch.chdir(tmp_path)
    example.parsed = "\n" * example.line + example.parsed  # lines are numbered as on the page
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


def blocks(language):
    return [
        pytest.param(text, id=f"{page.name}-{number}")
        for page in [*PAGES, ROOT / "CONTRIBUTING.md"]
        for number, text in enumerate(
            re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
        )
    ]


@pytest.mark.parametrize("text", blocks("sh"))
def test_commands_are_ones_that_the_parser_knows(text):
    """The parser ends the program, with what it does not know, where a command is wrong."""
    for command in re.findall(r"^(?:\w+=\S+ |.*&& )?copi-ref (.*)", text, re.MULTILINE):
        assert _parser().parse_args(shlex.split(command, comments=True)).command


@pytest.mark.parametrize("text", blocks("toml"))
def test_sweeps_can_be_read(text, tmp_path):
    if text.startswith("[tool.pytest"):
        return  # no sweep: tests/oracle/test_in_your_ci.py runs pytest with it
    (tmp_path / "sweep.toml").write_text(text)
    assert read_sweep(tmp_path / "sweep.toml").plans()


def test_tests_that_pages_name_exist():
    there = {
        name for path in (ROOT / "tests").rglob("*.py") for name in re.findall(r"def (test_\w+)", path.read_text())
    }
    for page in PAGES:
        for name in re.findall(r"(?:::|`)(test_\w+)`", page.read_text()):
            assert name in there, f"{page.name} names {name}"


SOURCE = {path: path.read_text() for path in (ROOT / "copi_ref").rglob("*.py")}


def test_the_lines_of_algorithm_1_stand_beside_their_code():
    """Each line from 3 to 16 is printed, and code follows it that has its number in a comment, word for word."""
    page = (DOCS / "learn" / "algorithm.md").read_text()
    quoted = re.findall(r"^```py\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    for code in quoted:
        assert any(code in text for text in SOURCE.values()), f"copi_ref has no such lines:\n{code}"
    printed = {int(number) for number in re.findall(r"^> (\d+): ", page, re.MULTILINE)}
    marked = set()
    for first, last in re.findall(r"# lines? (\d+)(?: to (\d+))?", "".join(quoted)):
        marked |= set(range(int(first), int(last or first) + 1))
    ends = {8, 12, 16}  # `end for`
    assert printed | ends == set(range(1, 17))
    assert marked >= set(range(4, 17))


def test_algorithm_1_s_updates_are_on_its_page():
    """What lines 14 and 15 add is shown, and not only that something is added."""
    page = (DOCS / "learn" / "algorithm.md").read_text()
    for function in (copi.copi_update, LATERAL_RULES["right"], LATERAL_RULES["symmetric"]):
        assert inspect.getsource(function).rstrip().splitlines()[-1] in page, function.__name__


def test_links_of_the_readme_lead_somewhere():
    prose = re.sub(r"```.*?```", "", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    for link in re.findall(r"\]\((?!https?:)([^)#]+)", prose):
        assert (ROOT / link).exists(), link


def test_the_examples_of_the_readme_fit_a_glance():
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert len(blocks) == 3
    assert max(block.count("\n") for block in blocks) <= 15


REFERENCE = "".join(page.read_text() for page in sorted((DOCS / "api").glob("*.md")))
MODULES = re.findall(r"^\.\. automodule:: (\S+)\n((?: +\S.*\n)*)", REFERENCE, re.MULTILINE)
NAMED = re.findall(r"^\.\. (?:py:data|auto(?:function|class|exception)):: copi_ref\.(\w+)$", REFERENCE, re.MULTILINE)


def public_names(module):
    if hasattr(module, "__all__"):
        return set(module.__all__)
    return {
        name
        for name, thing in vars(module).items()
        if (inspect.isclass(thing) or inspect.isfunction(thing)) and thing.__module__ == module.__name__
        if thing.__doc__ and not name.startswith("_")
    }


def test_every_name_of_the_package_has_its_entry_on_one_page():
    assert sorted(NAMED) == sorted(set(copi.__all__) - {"__version__"})


@pytest.mark.parametrize(("name", "options"), MODULES, ids=[name for name, _ in MODULES])
def test_every_public_name_of_a_module_is_in_the_reference(name, options):
    """`automodule` takes classes and functions that have a docstring; what is neither has a line of its own."""
    assert re.search(r":members:\n", options), "a list of members leaves out what is added to the module"
    excluded = re.split(r"[,\s]+", options.partition(":exclude-members:")[2])
    module = importlib.import_module(name)
    for member in public_names(module):
        thing = getattr(module, member)
        taken = (inspect.isclass(thing) or inspect.isfunction(thing)) and thing.__doc__ and member not in excluded
        elsewhere = getattr(copi, member, None) is thing
        assert taken or elsewhere or f".. py:data:: {name}.{member}\n" in REFERENCE, f"{name}.{member}"
