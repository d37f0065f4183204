"""The shipped vectors: against the naive loops in exact arithmetic, their schema, their manifest, what they catch."""

import json
import shutil
from fractions import Fraction
from functools import cache

import naive
import numpy as np
import pytest

from copi_ref.cli.main import main
from copi_ref.oracle import VARIANTS, vectors
from copi_ref.oracle.vectors import MANIFEST, SCHEMA, SETS, SHIPPED, VectorsError, differences, load
from copi_ref.oracle.vectors.generate import MISTAKES_OF_V1

CASES = load()


@pytest.fixture(autouse=True, scope="module")
def computed_once():
    """To compute all vectors takes seconds, and six tests compare something with them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vectors, "texts", cache(vectors.texts))
        yield


def exact(value):
    """Hex floats as Fractions, through lists of any depth."""
    return [exact(one) for one in value] if isinstance(value, list) else Fraction(float.fromhex(value))


def nearest(value):
    """Exact numbers as the floats nearest to them."""
    return [nearest(one) for one in value] if isinstance(value, list) else float(value)


def as_floats(value):
    return [as_floats(one) for one in value] if isinstance(value, list) else float.fromhex(value)


def each(name):
    return pytest.mark.parametrize("case", CASES[name], ids=lambda case: case["name"])


def assert_nearest(stored, by_hand):
    assert as_floats(stored) == nearest(by_hand)


def arguments(case):
    return {name: exact(value) for name, value in case["arguments"].items()}


# --- every number, again, by the naive implementation -----------------------------------------------------------------


@each("copi_update")
def test_copi_update(case):
    given = arguments(case)
    assert_nearest(case["results"]["dW"], naive.copi_update(given["x"], given["z"], given["W"]))
    assert_nearest(case["intermediates"]["E[z xT]"], naive.sgd_update(given["x"], given["z"]))


@each("sgd_update")
def test_sgd_update(case):
    given = arguments(case)
    assert_nearest(case["results"]["dW"], naive.sgd_update(given["x"], given["delta"]))


@each("decorrelation_update")
def test_decorrelation_update(case):
    given, rule = arguments(case), case["conventions"].get("lateral_rule", "right")
    assert_nearest(case["results"]["dR"], naive.decorrelation_update(given["x"], given["R"], rule))
    assert_nearest(case["intermediates"]["C_off"], naive.off_diagonal(given["x"]))


@each("full_update")
def test_full_update(case):
    given = arguments(case)
    assert_nearest(case["results"]["dW"], naive.full_update(given["x"], given["z"], given["W"]))


@each("fixed_point")
def test_fixed_point(case):
    given = arguments(case)
    assert_nearest(case["results"]["W"], naive.fixed_point(given["x"], given["z"]))


@each("oja_update")
def test_oja_update(case):
    given = arguments(case)
    assert_nearest(case["results"]["dM"], naive.oja_update(given["x"], given["y"], given["M"]))


@each("forward")
def test_forward(case):
    given = arguments(case)
    found = naive.forward(given["W"], given["R"], given["y0"], "leaky_relu")
    for symbol, by_hand in zip("xay", found, strict=True):
        assert_nearest(case["results"][symbol], by_hand)


def naive_deltas(given, a, y, conventions):
    prediction = a[-1] if conventions.get("output") == "pre-activation" else y[-1]
    loss = "half_quadratic" if conventions.get("loss_factor") == 1 else "quadratic"
    delta_L = naive.output_perturbation(loss, prediction, a[-1], given["target"], "leaky_relu")
    delta_L = [[conventions.get("error_scale", 1) * one for one in row] for row in delta_L]
    credit = conventions.get("credit", "bp")
    if credit == "bp":
        return naive.backpropagation(given["W"], given["R"], a, delta_L, "leaky_relu")
    if credit == "fa":
        return naive.feedback_alignment(given["B"], a, delta_L, "leaky_relu")
    direct = [
        naive.feedback_alignment([B], [a_l, a[-1]], delta_L, "leaky_relu")[0]
        for B, a_l in zip(given["B"], a, strict=False)
    ]
    return [*direct, delta_L]


@each("perturbations")
def test_perturbations(case):
    given = arguments(case)
    assert_nearest(case["results"]["delta"], naive_deltas(given, given["a"], given["y"], case["conventions"]))


def check_step(case, conventions):
    given = arguments(case)
    x, a, y = naive.forward(given["W"], given["R"], given["y0"], "leaky_relu")
    deltas = naive_deltas(given, a, y, conventions)
    rule = conventions.get("lateral_rule", "right")
    for layer, (W, R) in enumerate(zip(given["W"], given["R"], strict=True)):
        z = [[p + q for p, q in zip(*rows, strict=True)] for rows in zip(a[layer], deltas[layer], strict=True)]
        dW = naive.copi_update(x[layer], z, W)
        dR = naive.decorrelation_update(x[layer], R, rule)
        for letter, before, update, eta in (("W", W, dW, "eta_w"), ("R", R, dR, "eta_r")):
            after = [
                [p + given[eta] * q for p, q in zip(*rows, strict=True)] for rows in zip(before, update, strict=True)
            ]
            assert_nearest(case["results"][letter][layer], after)
            assert_nearest(case["intermediates"][f"d{letter}"][layer], update)
    assert_nearest(case["intermediates"]["delta"], deltas)


@each("step")
def test_step(case):
    check_step(case, case["conventions"])


@each("trajectory")
def test_trajectory(case):
    assert len(case["steps"]) == 5
    for before, after in zip(case["steps"], case["steps"][1:], strict=False):
        for letter in "WR":
            assert after["arguments"][letter] == before["results"][letter], "from the rounded result of the one before"
    for step in case["steps"]:
        check_step(step, case["conventions"])


# --- the folder -------------------------------------------------------------------------------------------------------


def test_the_shipped_files_are_what_is_computed_now():
    found = differences()
    assert found.ok, "\n".join(found.lines)


def test_each_file_fits_the_schema():
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((SHIPPED / SCHEMA).read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    for name in json.loads((SHIPPED / MANIFEST).read_text())["files"]:
        jsonschema.validate(json.loads((SHIPPED / name).read_text()), schema)
    broken = json.loads((SHIPPED / "sgd_update.json").read_text())
    broken["cases"][0]["results"]["dW"][0][0] = 1.5
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken, schema)


def test_every_edge_has_a_case():
    names = {case["name"] for case in CASES["copi_update"]}
    for edge in (
        "one sample",
        "one unit, one input",
        "a dead input",
        "two identical inputs",
        "huge inputs",
        "tiny inputs",
    ):
        assert edge in names
    assert {case["conventions"].get("credit", "bp") for case in CASES["perturbations"]} == {"bp", "fa", "dfa"}


def test_inputs_fit_float32():
    for cases in (CASES["copi_update"], CASES["step"]):
        for case in cases:
            for number in flat([as_floats(value) for value in case["arguments"].values()]):
                assert float(np.float32(number)) == number


def flat(value):
    return [one for part in value for one in flat(part)] if isinstance(value, list) else [value]


def test_every_mistake_is_caught_by_a_case():
    """Of those that can show with the vectors' conventions: f′ at y is f′ at a for leaky ReLU."""
    assert set(MISTAKES_OF_V1) <= set(VARIANTS)
    caught = {name for cases in CASES.values() for case in cases for name in case["catches"]}
    of_curved_f = {"delta-slope-at-y", "delta-slope-at-y-at-output", "delta-slope-at-y-in-hidden"}
    assert set(MISTAKES_OF_V1) - caught == {*of_curved_f, "delta-slope-formula-at-a"}


def test_what_a_case_says_it_catches_it_does_catch():
    """By the naive loops: leaving the decay out changes the result by more than 10⁻⁶ of it where the case says so."""
    listed = [("weight-no-decay" in case["catches"]) for case in CASES["copi_update"]]
    changed = []
    for case in CASES["copi_update"]:
        given, right = arguments(case), flat(as_floats(case["results"]["dW"]))
        wrong = flat(nearest(naive.sgd_update(given["x"], given["z"])))
        error = max(abs(p - q) for p, q in zip(wrong, right, strict=True))
        changed.append(error > 1e-6 * max(map(abs, right)))
    assert listed == changed
    assert True in listed
    assert False in listed, "inputs so small that x² vanishes beside x"


@pytest.fixture
def copy(tmp_path):
    return shutil.copytree(SHIPPED, tmp_path / "vectors")


def test_emitted_files_are_the_shipped_ones(tmp_path, capsys):
    assert main(["vectors", "emit", str(tmp_path / "mine")]) == 0
    assert f"{sum(map(len, CASES.values()))} cases written" in capsys.readouterr().out
    for path in SHIPPED.iterdir():
        assert (tmp_path / "mine" / path.name).read_bytes() == path.read_bytes()


def test_verify_says_what_it_verified(capsys):
    assert main(["vectors", "verify"]) == 0
    printed = capsys.readouterr().out
    assert f"copi_update.json: {len(CASES['copi_update'])} cases, as computed now" in printed
    assert "all verified" in printed


def test_a_changed_number_is_shown(copy, capsys):
    path = copy / "copi_update.json"
    path.write_text(path.read_text().replace('"0x1p+2"', '"0x1.8p+2"', 1))
    with pytest.raises(VectorsError, match=r"copi_update\.json is not what the manifest says: its digest differs"):
        load(copy)
    assert main(["vectors", "verify", "--dir", str(copy)]) == 1
    printed = capsys.readouterr().out
    assert "FAILED: copi_update.json differs" in printed
    assert '-     ["0x1.8p+2"' in printed


def test_a_missing_case_is_noticed(copy):
    path = copy / "step.json"
    content = json.loads(path.read_text())
    content["cases"].pop()
    path.write_text(json.dumps(content))
    with pytest.raises(VectorsError, match=r"step\.json has 11 cases, but the manifest says 12"):
        load(copy)


@pytest.mark.parametrize("name", [MANIFEST, "forward.json"])
def test_a_missing_or_broken_file_is_an_error(copy, name, capsys):
    (copy / name).write_text('{"format": 1, ')
    with pytest.raises(VectorsError):
        load(copy)
    (copy / name).unlink()
    with pytest.raises(VectorsError):
        load(copy)
    assert main(["vectors", "verify", "--dir", str(copy)]) == 1
    assert f"FAILED: {name} can't be read" in capsys.readouterr().out


@pytest.mark.parametrize("name", SETS)
def test_the_schema_belongs_to_what_is_verified(tmp_path, name, capsys):
    """A bit that flipped, no content, and no file."""
    flags = ["--inference"] if name == "inference_v1" else []
    copy = shutil.copytree(SETS[name].folder, tmp_path / "vectors")
    schema = (copy / SCHEMA).read_bytes()
    for content in (schema.replace(b"minItems", b"minItemr", 1), b"", None):
        if content is None:
            (copy / SCHEMA).unlink()
        else:
            (copy / SCHEMA).write_bytes(content)
        with pytest.raises(VectorsError, match=SCHEMA):
            load(copy)
        assert main(["vectors", "verify", *flags, "--dir", str(copy)]) == 1
        printed = capsys.readouterr().out
        assert f"FAILED: {SCHEMA}" in printed
        assert "all verified" not in printed


def test_vectors_whose_manifest_says_nothing_of_the_schema_are_read_as_before(copy):
    manifest = json.loads((copy / MANIFEST).read_text())
    del manifest["schema"]
    (copy / MANIFEST).write_text(json.dumps(manifest))
    (copy / SCHEMA).unlink()
    assert load(copy) == CASES


@pytest.mark.parametrize("name", [MANIFEST, "step.json"])
def test_a_file_of_brackets_is_refused(copy, name, capsys):
    (copy / name).write_text("[" * 100_000)
    assert main(["vectors", "verify", "--dir", str(copy)]) == 1
    assert f"FAILED: {copy}: a file nests lists or objects too deeply" in capsys.readouterr().out


def test_another_format_is_refused(copy):
    (copy / MANIFEST).write_text('{"format": 2, "files": {}}')
    with pytest.raises(VectorsError, match="has format 2: needs 1"):
        load(copy)


def test_the_module_says_where_they_are():
    assert vectors.SHIPPED.is_dir()
