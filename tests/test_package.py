"""The shape of the package: who imports whom, what `import copi_ref` costs, the public names, the README."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import copi_ref as copi

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "copi_ref"

# Each may import from the lines above its own, and from its own line.
ORDER = [
    ["backend", "_checks", "files"],
    ["moments", "products", "activations", "losses", "minimise"],
    ["network", "data"],
    ["credit", "decorrelation", "learning_rules", "optimizers", "inference_learning", "convergence"],
    ["implicit_sgd"],
    ["recipe"],
    ["state"],
    ["finiteness"],
    ["batches"],
    ["evaluation"],
    ["algorithm"],
    ["in_place"],
    ["cuda_graph"],
    ["epoch"],
    ["training", "checkpoint"],
    ["analysis", "experiments"],
    ["plots"],
    ["paper_plots", "training_report"],
    ["oracle", "data_commands", "compare_commands", "figure_commands", "training_commands"],
    ["sweep_commands"],
    ["cli"],
    ["__init__", "__main__"],
]
RANK = {name: rank for rank, names in enumerate(ORDER) for name in names}


def part_of(path):
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imports_of(path):
    """Full names of what a file imports, inside its functions too."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = (
                [f"{node.module}.{alias.name}" for alias in node.names] if node.module == "copi_ref" else [node.module]
            )
        else:
            continue
        yield from names


FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_one_way(path):
    for name in imports_of(path):
        if name.startswith("copi_ref."):
            imported = name.split(".")[1]
            assert RANK[imported] <= RANK[part_of(path)], f"{path.name} imports {name}, which stands above it"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_backend_knows_array_libraries_and_only_plots_matplotlib(path):
    tops = {name.split(".")[0] for name in imports_of(path)}
    if part_of(path) != "backend":
        assert not tops & {"cupy", "torch", "jax", "array_api_compat", "array_api_strict"}
    # The commands only ask whether it is installed.
    if part_of(path) not in ("plots", "paper_plots", "training_commands", "figure_commands"):
        assert "matplotlib" not in tops


MATHEMATICS = ["moments", "products", "activations", "losses", "decorrelation", "learning_rules", "optimizers"]


@pytest.mark.parametrize("name", MATHEMATICS)
def test_the_mathematics_does_not_name_numpy(name):
    """Equations are written against `xp`: NumPy's name does not occur in them."""
    assert "numpy" not in {name.split(".")[0] for name in imports_of(PACKAGE / f"{name}.py")}


def test_import_loads_nothing_heavy():
    program = "import sys, copi_ref; print(*sys.modules)"
    environment = {**os.environ, "COPI_REF_BACKEND": ""}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert not loaded & {"matplotlib", "sklearn", "cupy", "torch", "jax", "scipy", "rich", "pooch", "requests", "tqdm"}


def test_all_names_exist_and_nothing_public_is_missing():
    assert len(set(copi.__all__)) == len(copi.__all__)
    for name in copi.__all__:
        assert hasattr(copi, name)
    modules = {path.stem for path in PACKAGE.iterdir()}
    public = {name for name in vars(copi) if not name.startswith("_")} - modules
    assert public == set(copi.__all__) - {"__version__"}


def test_public_names_say_what_they_are():
    for name in copi.__all__:
        thing = getattr(copi, name)
        if callable(thing) and not isinstance(
            thing, (copi.Activation, copi.Loss, copi.Plain, copi.Momentum, copi.Adam)
        ):
            assert thing.__doc__, name
            assert not thing.__doc__.startswith(f"{thing.__name__}("), f"{name} has only its dataclass signature"


def test_no_file_is_called_after_a_pattern():
    assert not {path.stem for path in FILES} & {"utils", "helpers", "common", "misc"}


# --- the README -------------------------------------------------------------------------------------------------------

README = (ROOT / "README.md").read_text()


def test_ci_runs_the_commands_of_the_readme():
    """CI takes them out of the README, so that they can't drift apart; here: they are there, as it looks for them."""
    commands = re.findall(r"^pip install -e .*$", README, re.MULTILINE)
    assert commands == ['pip install -e ".[demo]" && copi-ref demo', 'pip install -e ".[test]" && pytest']


def test_the_changelog_has_this_version():
    assert f"## {copi.__version__}" in (ROOT / "CHANGELOG.md").read_text()
