"""The catalogue of mistakes: each shows, no two are one, none breaks, and two in a row are two mistakes."""

import itertools
from functools import cache

import numpy as np
import pytest

import copi_ref as copi
from copi_ref.oracle import FUNCTIONS, PRECISIONS, VARIANTS, Conventions
from copi_ref.oracle.contract.pieces import right_pieces
from copi_ref.oracle.inputs.cases import draw_cases, with_tracked
from copi_ref.oracle.naming.catalogue.parts_of_batch import PARTIAL_VARIANTS
from copi_ref.oracle.naming.catalogue.whitening import WHITENING_VARIANTS

LEVEL = {
    "weight": "copi_update", "sgd": "sgd_update", "lateral": "decorrelation_update", "forward": "forward",
    "delta": "perturbations", "step": "step",
}  # fmt: skip
CONVENTIONS = (
    Conventions(slope=0.25),  # whole numbers of both signs, as it is a dyadic fraction
    Conventions(lateral_rule="symmetric", reduction="sum", activation="sigmoid"),
    Conventions(lateral_rule="left", activation="tanh", credit="fa"),
    Conventions(credit="dfa", error_scale=1000, output="pre-activation", loss_factor=1),
)
OF_OTHER_NETWORKS = (
    Conventions(credit="sdfa", dfa_error="output"),
    Conventions(credit="drtp"),
    Conventions(credit="sign-symmetric", loss="cross-entropy"),
    Conventions(credit="sign-symmetric-magnitudes"),
    Conventions(lateral_rule="none", weight_rule="sgd", biases=True),
    Conventions(lateral_rule="left", subsampled=True, share=0.5),
)
"""What mistakes show in that have no meaning elsewhere: on a few cases."""
FEW = (
    "three layers",
    "inputs of both signs",
    "one sample of order 1",
    "equal widths",
    "lateral weights that turn signs",
)
OF_OTHER_RULES = {variant.name for variant in (*WHITENING_VARIANTS, *PARTIAL_VARIANTS)}
"""They have no meaning under these conventions, and are compared with all others in test_lateral_rules.py."""
NO_MEANING = (np.linalg.LinAlgError, ValueError, ZeroDivisionError, FloatingPointError)


@cache
def cases_of(name, conventions):
    cases = draw_cases(FUNCTIONS[name], conventions, PRECISIONS["float64"], seed=0)
    if conventions in OF_OTHER_NETWORKS:
        return [case for case in cases if case.name in FEW]
    # Where squares underflow every formula is about right; what wide layers alone show, they show once.
    once = conventions == CONVENTIONS[0]
    return [
        case
        for case in cases
        if "underflow" not in case.name and (once or ("wide" not in case.name and "units and" not in case.name))
    ]


@cache
def right_quantities(conventions, name, case):
    found = FUNCTIONS[name].expected(right_pieces(conventions), case.inputs, {})
    return {quantity: right for quantity, right in found.items() if not quantity.startswith("error")}


def evaluated(pieces, name, case):
    """What pieces give, in units of what is right; None where they have no meaning."""
    expected = right_quantities(pieces.conventions, name, case)
    with np.errstate(all="ignore"):
        try:
            found = FUNCTIONS[name].expected(pieces, case.inputs, {})
        except NO_MEANING:
            return None
    assert set(expected) <= set(found)
    parts = []
    for quantity, right in expected.items():
        assert np.shape(found[quantity]) == right.shape, quantity
        with np.errstate(over="ignore"):  # a wrong number may be huge beside a tiny right one
            parts.append(np.ravel(found[quantity]) / (np.max(np.abs(right)) or 1))
    return np.concatenate(parts).astype(float)


def pieces_of(conventions, *names):
    """Pieces with some mistakes, the first one made first; None where the conventions leave one no meaning."""
    pieces = right_pieces(conventions)
    for name in names:
        pieces = pieces and VARIANTS[name].change(pieces)
    return pieces


@cache
def results(name):
    """Of a variant, or of "", the right one: results on all cases of its function."""
    found = []
    function = LEVEL[name.partition("-")[0]]
    for conventions in (*CONVENTIONS, *OF_OTHER_NETWORKS):
        pieces = pieces_of(conventions, name)
        found += [pieces and evaluated(pieces, function, case) for case in cases_of(function, conventions)]
    return found


@cache
def right_results(function):
    return [
        evaluated(right_pieces(conventions), function, case)
        for conventions in (*CONVENTIONS, *OF_OTHER_NETWORKS)
        for case in cases_of(function, conventions)
    ]


def same(some, others):
    return all(
        (one is None) == (other is None)
        and (one is None or np.allclose(one, other, rtol=1e-10, atol=1e-12, equal_nan=True))
        for one, other in zip(some, others, strict=True)
    )


@pytest.mark.parametrize("family", LEVEL)
def test_each_mistake_shows_on_some_case_and_is_no_other(family):
    """And it has the right shapes, or no meaning, on every case of its function."""
    names = [name for name in VARIANTS if name.partition("-")[0] == family and name not in OF_OTHER_RULES]
    right = right_results(LEVEL[family])
    assert {name for name in names if same(results(name), right)} == set()
    one_number = {name: projected(results(name)) for name in names}
    near = sorted(one_number, key=lambda name: one_number[name])
    assert not {
        frozenset(pair)
        for pair in itertools.combinations(near, 2)
        if abs(one_number[pair[0]] - one_number[pair[1]]) < 1e-6 * (1 + abs(one_number[pair[0]]))
        and same(*(results(name) for name in pair))
    }


def projected(found):
    """One number that is another where results are others: so that not all pairs have to be compared."""
    rng = np.random.default_rng(0)
    total = 0.0
    for one in found:
        weights = rng.uniform(1, 2, size=200)
        if one is not None:
            usable = np.where(np.isfinite(one) & (np.abs(one) < 1e6), one, 3.0)
            total += float(usable @ np.resize(weights, len(usable)))
    return total


SHAPES = ("four layers of whole numbers", "square layers", "as many samples as units", "one sample", "three layers")


def cases_with_shapes(conventions):
    return [case for case in cases_of("step", conventions) if case.name in SHAPES]


@pytest.mark.parametrize("conventions", [*CONVENTIONS, *OF_OTHER_NETWORKS])
def test_each_mistake_has_the_right_shapes_in_a_step(conventions):
    for name in VARIANTS:
        pieces = pieces_of(conventions, name)
        for case in cases_with_shapes(conventions) if pieces else ():
            evaluated(pieces, "step", case)


@pytest.mark.parametrize("conventions", CONVENTIONS)
def test_two_mistakes_have_the_right_shapes_in_a_step(conventions):
    rng = np.random.default_rng(1)
    names = list(VARIANTS)
    for _ in range(300):
        first, second = (names[at] for at in rng.integers(len(names), size=2))
        for pair in ((first, second), (second, first)):
            if pieces := pieces_of(conventions, *pair):
                evaluated(pieces, "step", rng.choice(cases_with_shapes(conventions)))


IN_DIFFERENT_PLACES = [
    "weight-hebb-n-plus-1", "weight-decay-over-inputs", "weight-covariance",
    "lateral-product-sum", "lateral-diagonal-sign",
    "lateral-n-plus-1", "lateral-R-transposed", "forward-R-transposed", "forward-a-negated", "forward-f-mirrored",
    "delta-sign", "delta-no-slope-in-hidden", "delta-slope-twice-at-output", "delta-no-R", "delta-target-shifted",
    "delta-over-outputs", "step-z-from-y", "step-rates-swapped", "step-R-symmetrised", "step-updated-on-the-way",
    "step-weight-sum", "step-lateral-from-y", "step-first-R-frozen", "step-in-batches-of-2",
]  # fmt: skip


@pytest.mark.parametrize("pair", list(itertools.combinations(IN_DIFFERENT_PLACES, 2)), ids=" and ".join)
def test_two_in_a_row_make_both(pair):
    """In one order at least: other than right, and other than each alone."""
    conventions = CONVENTIONS[0]
    case = next(case for case in cases_of("step", conventions) if case.name == "inputs of both signs")
    alone = [evaluated(pieces_of(conventions, *names), "step", case) for names in ((), pair[:1], pair[1:])]
    together = [evaluated(pieces_of(conventions, *names), "step", case) for names in (pair, pair[::-1])]
    assert any(all(not np.allclose(found, one, rtol=1e-9, atol=0) for one in alone) for found in together)


def test_two_in_one_update_make_both(rng):
    x, z, W, R = (rng.normal(size=shape) for shape in ((7, 5), (7, 3), (3, 5), (5, 5)))
    power = np.mean(x * x, axis=0)
    for pair in itertools.permutations(("weight-hebb-n-plus-1", "weight-decay-over-n-again")):
        found = pieces_of(Conventions(), *pair).copi(x, z, W)
        np.testing.assert_allclose(found, z.T @ x / 8 - W * power / 7)
    for pair in itertools.permutations(("lateral-product-n-plus-1", "lateral-decay-over-n-again")):
        found = pieces_of(Conventions(), *pair).lateral(x, R)
        np.testing.assert_allclose(found, -(R @ x.T @ x / 8 - R * power / 7))
    for pair in itertools.permutations(("lateral-transposed", "lateral-diagonal-sign")):
        found = pieces_of(Conventions(), *pair).lateral(x, R)
        np.testing.assert_allclose(found, -(R @ x.T @ x / 7 + R * power).T)
    for pair in itertools.permutations(("delta-no-slope-at-output", "delta-clipped-at-output")):
        found = pieces_of(Conventions(), *pair).output_delta(z, z, 2 * z)
        np.testing.assert_allclose(found, np.clip(2 * z, -1, 1))


# --- the right pieces -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", ["left", "right", "symmetric"])
def test_the_terms_of_the_lateral_rule_are_the_librarys_to_the_last_bit(rule, rng):
    x, R = rng.normal(size=(7, 5)), rng.normal(size=(5, 5))
    lateral = right_pieces(Conventions(lateral_rule=rule)).lateral
    np.testing.assert_array_equal(lateral(x, R), copi.decorrelation_update(x, R, rule))
    tracked = with_tracked({"x": x, "R": R})
    found, expected = lateral(**tracked), copi.decorrelation_update(tracked["x"], tracked["R"], rule)
    assert (found.roundings, found.products, found.quantum) == (expected.roundings, expected.products, expected.quantum)
    np.testing.assert_array_equal(found.magnitude, expected.magnitude)


@pytest.mark.parametrize("credit", ["bp", "fa"])
def test_the_parts_of_delta_are_the_librarys_to_the_last_bit(credit, rng):
    conventions = Conventions(activation="tanh", credit=credit)
    pieces, f = right_pieces(conventions), copi.ACTIVATIONS["tanh"]
    shapes = ((7, 5), (7, 5), (7, 3), (3, 5), (5, 5), (5, 3), (7, 3))
    a, target, above, W, R, B, a_above = (rng.normal(size=shape) for shape in shapes)
    expected = copi.quadratic.perturbation(f(a), a, target, f)
    np.testing.assert_array_equal(pieces.output_delta(a, f(a), target), expected)
    carried = (R.T @ (W.T @ above.T)).T if credit == "bp" else (B @ above.T).T
    np.testing.assert_array_equal(
        pieces.hidden_delta(above, a, f(a), W, R, B, a_above, True), f.derivative(a) * carried
    )
