"""The shape of the package: who imports whom, what `import copi_ref` costs, the public names, the README."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import copi_ref as copi
import copi_ref.oracle

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "copi_ref"

# From the ground up: a room, or a file of the mathematics, imports only from lines above its own. The mathematics
# ends with `algorithm`: it knows nothing of training, the oracle, experiments, figures and the command. Some files
# have a floor of their own: what Inference Learning's contract says is known below its checks.
FLOORS = """
    arrays files
    activations whitening kept_diagonal
    losses decorrelation learning_rules optimizers
    network
    task
    subsampling
    inference_learning
    credit
    to_convergence
    recipe
    state
    algorithm
    data oracle
    training
    analysis
    experiments
    figures
    lectures
    cli
    __init__ __main__
"""
ORACLE_FLOORS = """
    rounding
    contract
    inference.conventions
    inference.rules
    inference.composition
    inference.right
    inference.functions
    inputs calling
    judging
    naming
    report vectors.text vectors.inputs
    inference
    vectors
    checks
    __init__ pytest_plugin
"""


def numbered(floors):
    return {room: floor for floor, line in enumerate(floors.strip().splitlines()) for room in line.split()}


def imports_of(path):
    """Full names of what a file imports, inside its functions too."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        yield from names


FILES = sorted(PACKAGE.rglob("*.py"))


by_file = pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))


def assert_stands_on_lower_floors(path, within, floors):
    """Check the imports of a file from rooms of `within`, a package's dotted name."""
    floor_of = numbered(floors)

    def room_of(parts):
        return ".".join(parts[:2]) if ".".join(parts[:2]) in floor_of else parts[0]

    folder = PACKAGE.parent.joinpath(*within.split("."))
    room = room_of(path.relative_to(folder).with_suffix("").parts)
    for name in imports_of(path):
        if name.startswith(f"{within}."):
            imported = room_of(name.removeprefix(f"{within}.").split("."))
            if imported in floor_of and imported != room:  # else a name of the package itself
                assert floor_of[imported] < floor_of[room], f"{path.name} imports {name}, which stands no lower"


@by_file
def test_imports_point_down(path):
    assert_stands_on_lower_floors(path, "copi_ref", FLOORS)


@pytest.mark.parametrize("path", sorted((PACKAGE / "oracle").rglob("*.py")), ids=lambda path: path.stem)
def test_imports_within_the_oracle_point_down(path):
    assert_stands_on_lower_floors(path, "copi_ref.oracle", ORACLE_FLOORS)


def test_every_room_has_a_floor():
    def rooms(folder):
        return {path.stem for path in folder.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}

    assert rooms(PACKAGE) == set(numbered(FLOORS))
    assert rooms(PACKAGE / "oracle") == {room.split(".")[0] for room in numbered(ORACLE_FLOORS)}


def test_no_circles_between_files():
    module_of = {path: ".".join(path.relative_to(ROOT).with_suffix("").parts) for path in FILES}
    module_of = {path: name.removesuffix(".__init__") for path, name in module_of.items()}
    packages = {name for path, name in module_of.items() if path.stem == "__init__"}
    graph = {
        name: {other for other in imports_of(path) if other in module_of.values() and other not in packages}
        for path, name in module_of.items()
        if name not in packages
    }
    assert len(list(TopologicalSorter(graph).static_order())) >= len(graph)  # raises CycleError


def test_the_top_is_the_mathematics():
    """What stands at the top is Algorithm 1 and what it is made of, in the order of the paper, and as little else."""
    files = {path.name for path in PACKAGE.iterdir() if path.is_file()}
    assert files == {
        *(f"{name}.py" for name in MATHEMATICS),
        *("network.py", "task.py", "subsampling.py", "recipe.py", "state.py", "algorithm.py"),
        *("__init__.py", "__main__.py", "py.typed"),
    }


@by_file
def test_who_knows_array_libraries_matplotlib_and_marimo(path):
    tops = {name.split(".")[0] for name in imports_of(path)}
    place = path.relative_to(PACKAGE)
    if place != Path("arrays/backend.py"):
        assert not tops & {"cupy", "torch", "jax", "array_api_compat", "array_api_strict"}
    if place.parts[0] not in ("figures", "lectures"):
        assert "matplotlib" not in tops
    if place.parts[0] != "lectures":  # the command starts marimo as a program of its own
        assert "marimo" not in tops


MATHEMATICS = ["activations", "losses", "decorrelation", "whitening", "kept_diagonal", "learning_rules", "optimizers"]


@pytest.mark.parametrize("name", [*MATHEMATICS, "arrays/moments", "arrays/products"])
def test_the_mathematics_does_not_name_numpy(name):
    """Equations are written against `xp`: NumPy's name does not occur in them."""
    assert "numpy" not in {name.split(".")[0] for name in imports_of(PACKAGE / f"{name}.py")}


def test_import_loads_nothing_heavy():
    program = "import sys, copi_ref; print(*sys.modules)"
    environment = {**os.environ, "COPI_REF_BACKEND": ""}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert not loaded & {"matplotlib", "sklearn", "cupy", "torch", "jax", "scipy", "pooch", "requests", "tqdm"}


PUBLIC = """
    Params Trace init_params forward fuse fused_forward Fused ACTIVATIONS Activation identity relu leaky_relu
    leaky_relu_with tanh sigmoid LATERAL_RULES decorrelation_update Whitening
    NormalizedWhitening TriangularWhitening RowWhitening whitening_loss KeptDiagonal NormGain BatchCentring Subsampled
    safe_eta_r
    LATERAL_GAINS
    preserving_gain WEIGHT_RULES copi_update full_update scaled_copi_update sgd_update nlms_update
    batch_nlms_update oja_update
    fixed_point LOSSES Loss quadratic half_quadratic softmax_cross_entropy CREDIT Task backpropagation
    backpropagation_through_batch_means
    feedback_alignment direct_feedback_alignment sign_direct_feedback_alignment direct_random_target_projection
    sign_symmetric_feedback sign_symmetric_feedback_with_magnitudes target_propagation_as_printed TargetPropagation
    DifferenceTargetPropagation PreActivationDifferenceTargetPropagation GaitProp RenormalizedGaitProp
    NodePerturbation AlonsoInferenceLearning AlonsoProx InferenceLearning ProximalInferenceLearning
    init_feedback
    Weights Form Settled predictions forward_states held_predictions Energy il_energy il_gradient il_update
    il_bias_update infer incremental_il prox_energy prox_gradient il_prox_update infer_prox
    infer_to_convergence infer_prox_to_convergence NotConvergedError implicit_sgd_layer
    implicit_sgd_step OPTIMIZERS Plain Momentum Adam plain momentum adam adam_tmlr Recipe State init_state step
    stack member Dataset fit FitResult evaluate Evaluation scores predict NonFiniteError use_backend
    BackendError __version__
"""
OF_THE_ORACLE = """
    FUNCTIONS INFERENCE_FUNCTIONS INFERENCE_VARIANTS PRECISIONS VARIANTS Conventions InferenceConventions OracleError
    Report Result Variant check
"""


def test_public_names_are_what_people_import():
    """A name that goes, or comes, is a change that users read about: in CHANGELOG.md, and here."""
    assert copi.__all__ == PUBLIC.split()
    assert set(copi.oracle.__all__) == set(OF_THE_ORACLE.split())


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


def test_on_a_package_index_no_link_of_the_readme_leads_nowhere():
    """What a build makes of README.md: text in the place of links to files, no picture from a file, the same code."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["metadata"]["hooks"]
    text = README
    for one in settings["fancy-pypi-readme"]["substitutions"]:
        text = re.sub(one["pattern"], one["replacement"], text)
    code = re.compile(r"```.*?```", re.DOTALL)
    assert code.findall(text) == code.findall(README)
    assert "](docs/" in README
    assert re.findall(r"\]\((?!https://)", code.sub("", text)) == []
    assert "| learn what COPI is | the course: eight lessons" in text


def test_the_lowest_versions_are_made_of_the_lower_bounds():
    done = subprocess.run([sys.executable, ROOT / ".ci" / "lowest.py"], capture_output=True, text=True, check=True)
    assert {"numpy==2.1", "scipy==1.14", "array-api-compat==1.12"} <= set(done.stdout.split())
    assert ">" not in done.stdout


def test_the_changelog_has_this_version():
    assert f"## {copi.__version__}" in (ROOT / "CHANGELOG.md").read_text()
