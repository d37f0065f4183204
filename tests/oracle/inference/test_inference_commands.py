"""The oracle for Inference Learning as a user runs it: the command, the plugin, a program, vectors, explain."""

import itertools
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given

from copi_ref.cli.main import main
from copi_ref.oracle import InferenceConventions, check
from copi_ref.oracle.calling.named import TargetError, conventions_from_text
from copi_ref.oracle.calling.program import Program
from copi_ref.oracle.inference.explain import explain_inference
from copi_ref.oracle.inference.functions import INFERENCE_FUNCTIONS
from copi_ref.oracle.inputs import strategies
from copi_ref.oracle.vectors import SETS, differences, emit, load

TESTS = Path(__file__).parents[1]
SETTLES = f"{shlex.quote(sys.executable)} {shlex.quote(str(TESTS / 'programs' / 'settles.py'))}"


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A folder with a user's module in it as the working folder."""
    (tmp_path / "settling.py").write_text(
        f"import sys\nsys.path.insert(0, {str(TESTS)!r})\n"
        "from inference.loops import Loops\n"
        "from copi_ref.oracle import InferenceConventions\n"
        "after = Loops(InferenceConventions(form='activation-after-weights', precisions=(1, 2)))\n"
        "class Energy:\n"
        "    def energy(self, W, y0, states):\n"
        "        return 2 * Loops(InferenceConventions()).energy(W, y0, states)\n"
        "energy = Energy()\n"
        "from copi_ref.oracle.inference.functions import INFERENCE_FUNCTIONS\n"
        "def to_come(*arguments):\n"
        "    raise NotImplementedError\n"
        "stub = type('Stub', (), {name: staticmethod(to_come) for name in INFERENCE_FUNCTIONS})\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COPI_REF_BACKEND", "numpy")
    monkeypatch.delitem(sys.modules, "settling", raising=False)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return tmp_path


def test_the_functions_that_are_there_say_what_it_is(mine, capsys):
    assert main(["check", "settling:energy"]) == 1
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("copi_ref: FAILED: energy: matches energy_factor=1")
    assert "Inference Learning as in copi_ref" in said[1]
    assert ": pass --energy-factor 1" in said[0]
    assert main(["check", "settling:energy", "--energy-factor", "1"]) == 0


def test_functions_to_come_are_not_implemented_and_not_wrong(mine, capsys):
    assert main(["check", "settling:stub", "--inference"]) == 1
    said = capsys.readouterr().out
    assert said.count("not implemented") == len(INFERENCE_FUNCTIONS)
    assert "nothing was checked" in said.splitlines()[0]


def test_a_list_of_numbers_and_a_word(mine, capsys):
    flags = ["--inference", "--form", "activation-after-weights", "--precisions", "1,2", "--only", "infer"]
    assert main(["check", "settling:after", *flags]) == 0
    assert main(["check", "settling:after", *flags, "--inference-factor", "1/N"]) == 1
    assert "matches inference_factor=1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--form", "sideways"], "form is 'sideways': choose one of 'weights-after-activation'"),
        (["--lateral-rule", "left"], "'lateral_rule' is no convention of Inference Learning"),
        (["--inference-factor", "many"], "inference_factor is 'many': needs a number or '1/N'"),
        (["--only", "copi_update"], "copi_update"),
    ],
)
def test_what_is_none_ends_with_code_2(mine, capsys, flags, says):
    assert main(["check", "settling:after", "--inference", *flags]) == 2
    assert says in capsys.readouterr().err


def test_a_program(capsys):
    conventions = InferenceConventions(biases="inside", activation="tanh", form="activation-after-weights")
    with Program(SETTLES, conventions) as program:
        assert check(program, conventions=conventions).ok
    assert main(["check", "--command", f"{SETTLES} ascends", "--inference", "--only", "infer"]) == 1
    assert "[infer-ascends]" in capsys.readouterr().out


def test_the_plugin(mine):
    command = [sys.executable, "-m", "pytest", "-p", "copi_ref.oracle.pytest_plugin", "-p", "no:cacheprovider", "-v"]
    flags = ["--copi-target=settling:after", "--copi-inference"]
    flags += ["--copi-conventions=form=activation-after-weights,precisions=1:2"]
    done = subprocess.run([*command, "-n0", *flags], cwd=mine, capture_output=True, text=True, check=False)
    assert "settling:after::infer PASSED" in done.stdout, done.stdout + done.stderr
    assert "settling:after::converge SKIPPED (converge is not implemented)" in done.stdout
    assert " 8 passed" in done.stdout


def test_conventions_as_text():
    read = conventions_from_text("precisions=1:0.5,derivative_at_zero=slope,input_activation=true", inference=True)
    assert read == InferenceConventions(precisions=(1.0, 0.5), derivative_at_zero="slope", input_activation=True)
    with pytest.raises(TargetError, match="input_activation is 'perhaps': needs true or false"):
        conventions_from_text("input_activation=perhaps", inference=True)


def test_vectors_are_as_computed_now_and_can_be_emitted(tmp_path, capsys):
    found = differences(SETS["inference_v1"].folder, of=SETS["inference_v1"])
    assert found.ok, found.lines
    assert emit(tmp_path / "new", SETS["inference_v1"]) == sum(map(len, load(SETS["inference_v1"].folder).values()))
    assert main(["vectors", "verify", "--inference", "--dir", str(tmp_path / "new")]) == 0
    (tmp_path / "new" / "infer.json").write_text("{}")
    assert main(["vectors", "verify", "--inference", "--dir", str(tmp_path / "new")]) == 1
    assert "FAILED" in capsys.readouterr().out


def test_vectors_fit_their_schema():
    import json

    jsonschema = pytest.importorskip("jsonschema")
    folder = SETS["inference_v1"].folder
    schema = json.loads((folder / "schema.json").read_text())
    for name in load(folder):
        jsonschema.validate(json.loads((folder / f"{name}.json").read_text()), schema)


def test_a_vector_by_hand():
    """One layer: e = h − W y₀, and ΔW = E[e y₀ᵀ], from the numbers in the files."""

    def read(value):
        return [read(one) for one in value] if isinstance(value, list) else float.fromhex(value)

    case = load(SETS["inference_v1"].folder)["weight_update"][0]
    W, y0, h = (np.array(read(case["arguments"][name])) for name in ("W", "y0", "states"))
    e = h[0] - y0 @ W[0].T
    expected = sum(np.outer(one, y) for one, y in zip(e, y0, strict=True)) / len(y0)
    np.testing.assert_allclose(np.array(read(case["results"]["dW"][0])), expected, rtol=1e-14)


def test_explain_by_hand(capsys):
    """With weights after activation, W₁ and W₂ of the example: its first errors and one step of its first state."""
    start = explain_inference()["start"]
    y0, W1, W2 = (explain_inference()["given"][name] for name in ("y0", "W1", "W2"))
    h1 = [sum(w * y for w, y in zip(row, y0[0], strict=True)) for row in W1]
    assert start["h1"][0].tolist() == h1
    x2 = [a if a >= 0 else a / 10 for a in h1]
    e2 = [1 - sum(W2[0][j] * x2[j] for j in range(3)), 0 - sum(W2[1][j] * x2[j] for j in range(3))]
    np.testing.assert_allclose(start["e2"][0], e2, rtol=1e-14)
    pulled = h1[1] - 0.25 * (0 - 1 * (W2[0][1] * e2[0] + W2[1][1] * e2[1]))  # f′(4.5) = 1, and e₁ = 0
    np.testing.assert_allclose(explain_inference()["after 1 step of inference"]["h1"][0][1], pulled, rtol=1e-14)
    assert main(["explain", "--inference", "--form", "activation-after-weights", "--json"]) == 0
    assert '"updates"' in capsys.readouterr().out


@given(strategies.settlings())
def test_settlings_fit_together(drawn):
    assert len(drawn.states) == len(drawn.W)
    widths = [drawn.y0.shape[1], *(h.shape[1] for h in drawn.states)]
    assert [W.shape for W in drawn.W] == [(units, below) for below, units in itertools.pairwise(widths)]
    assert drawn.target.shape == drawn.states[-1].shape
