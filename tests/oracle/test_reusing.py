"""What a step of nearly right pieces reuses, while mistakes are tried on it, is what it would compute."""

from dataclasses import fields, replace

import numpy as np
import pytest

from copi_ref.oracle import FUNCTIONS, PRECISIONS, VARIANTS, Conventions
from copi_ref.oracle.contract.conventions import CREDITS, LATERAL_RULES, combined
from copi_ref.oracle.contract.pieces import (
    OF_FORWARD,
    OF_LATERAL,
    OF_PERTURBATIONS,
    Pieces,
    after_forward,
    forward,
    perturbations,
    right_pieces,
    symbol_of,
)
from copi_ref.oracle.inputs.cases import draw_cases, with_tracked
from copi_ref.oracle.judging.comparison import Observation
from copi_ref.oracle.naming.candidates import FIELDS_OF, can_be, singles
from copi_ref.oracle.naming.diagnosis import diagnose
from copi_ref.oracle.naming.reusing import MADE_OF, reusing

STEP = FUNCTIONS["step"]


def case_of(conventions):
    return next(
        case for case in draw_cases(STEP, conventions, PRECISIONS["float64"], seed=0) if case.name == "three layers"
    )


@pytest.mark.parametrize(
    "conventions",
    [Conventions(lateral_rule="left", activation="tanh", credit="fa", reduction="sum"),
     Conventions(lateral_rule="none", weight_rule="sgd", biases=True, credit="sdfa", dfa_error="output")],
    ids=["tanh, fa", "biases, sdfa"],
)  # fmt: skip
def test_it_is_the_same_for_every_candidate(conventions):
    """Also from states that an implementation returned, which are not the right ones."""
    right, case = right_pieces(conventions), case_of(conventions)
    returned = {name: 1.25 * value for name, value in STEP.expected(right, case.inputs, {}).items()}
    reused = reusing(right, [Observation(case, returned, {})])

    def given(pieces):
        with np.errstate(all="ignore"):
            try:
                return STEP.expected(pieces, case.inputs, returned)
            except (np.linalg.LinAlgError, ValueError, ZeroDivisionError, FloatingPointError) as error:
                return type(error)

    for candidate in singles(STEP, conventions):
        if (plain := candidate.change(right)) is not None:
            np.testing.assert_equal(given(candidate.change(reused)), given(plain), err_msg=candidate.name)


def test_what_is_not_changed_is_not_computed_again():
    conventions, called = Conventions(), []
    right, case = right_pieces(conventions), case_of(conventions)

    def decorrelate(y, R, layer):
        called.append(layer)
        return right.decorrelate(y, R, layer)

    own = {}
    watched = right.with_changes(decorrelate=decorrelate)
    reused = reusing(watched, [Observation(case, own, {})])
    for pieces in (reused, reused.with_changes(copi=lambda x, z, W: 0 * W), reused):
        STEP.expected(pieces, case.inputs, own)
    assert called == [1, 2, 3]
    STEP.expected(reused, {**case.inputs}, own)  # other inputs
    assert called == [1, 2, 3, 1, 2, 3]


@pytest.mark.parametrize("name", ["weight-no-decay", "delta-slope-of-tanh-at-output"])
def test_a_mistake_beside_what_rounds_a_little_too_much_keeps_its_name(name):
    """ΔR is off by twice its largest allowance: wrong, and still given by every candidate that leaves it right."""
    conventions, precision = Conventions(), PRECISIONS["float64"]
    right, observations = right_pieces(conventions), []
    for case in draw_cases(STEP, conventions, precision, seed=0)[:8]:
        found = STEP.expected(VARIANTS[name].change(right), case.inputs, {})
        actual = {quantity: value for quantity, value in found.items() if quantity.startswith("Δ")}
        expected = STEP.expected(right, with_tracked(case.inputs), with_tracked(actual))
        expected = {quantity: expected[quantity] for quantity in actual}
        for quantity in actual:
            if quantity.startswith("ΔR"):
                actual[quantity] = actual[quantity] + 2 * np.max(expected[quantity].allowance(precision))
        observations.append(Observation(case, actual, expected))
    assert diagnose(STEP, conventions, precision, observations).name == name


class Watched(Pieces):
    """Pieces that write down which of them are asked for."""

    def __getattribute__(self, name):
        if name in NAMES:
            ASKED.add(name)
        return super().__getattribute__(name)


NAMES = {field.name for field in fields(Pieces)} - {"conventions"}
ASKED = set()


def asked_by(call, pieces, *arguments):
    ASKED.clear()
    return call(pieces, *arguments), set(ASKED)


of_many_choices = pytest.mark.parametrize(
    "choices",
    [
        *({"credit": credit} for credit in CREDITS),
        *({"lateral_rule": rule, "kappa": 0.5} for rule in LATERAL_RULES),
        {"lateral_rule": "left", "subsampled": True},
        {"lateral_rule": "kept-diagonal", "lateral_gain": "norms"},
        {"credit": "sdfa", "dfa_error": "output"},
        {"loss": "cross-entropy"},
        {"output_activation": "identity"},
        {"lateral_rule": "none", "weight_rule": "sgd", "biases": True},
    ],
    ids=str,
)


@of_many_choices
def test_each_part_asks_for_the_pieces_that_it_is_said_to_be_made_of_and_no_other(choices):
    conventions = Conventions(**choices)
    inputs = case_of(conventions).inputs
    watched = object.__new__(Watched)
    vars(watched).update(vars(right_pieces(conventions)))

    states, of_forward = asked_by(forward, watched, inputs, {})
    given = {symbol: [states[f"{symbol} of layer {at}"] for at in (1, 2, 3)] for symbol in "ay"}
    deltas, of_deltas = asked_by(perturbations, watched, {**inputs, **given}, {})
    assert of_forward <= OF_FORWARD
    assert of_deltas <= OF_PERTURBATIONS

    everything = after_forward(watched, inputs, states, {})
    for symbol in {symbol_of(name) for name in everything} - {"δ", "error"}:
        others = {name: value for name, value in everything.items() if not name.startswith(symbol)}
        _, of_update = asked_by(after_forward, watched, inputs, states, {}, others)
        made_of = MADE_OF[symbol] if symbol != "ΔR" else OF_LATERAL
        assert of_update
        assert of_update <= made_of, symbol
    assert {symbol_of(name) for name in (*states, *deltas, *everything)} <= MADE_OF.keys()


@of_many_choices
def test_each_kind_of_quantity_depends_on_no_convention_but_those_that_are_said_to_concern_it(choices):
    conventions = Conventions(**choices)
    inputs, differed = case_of(conventions).inputs, set()

    def given(changed):
        with np.errstate(all="ignore"):
            return STEP.expected(right_pieces(replace(conventions, **changed)), inputs, {})

    right = given({})
    for changed in filter(lambda changed: can_be(conventions, changed), combined(conventions, 1)):
        found = given(changed)
        for name in (name for name in right if symbol_of(name) in FIELDS_OF):
            if FIELDS_OF[symbol_of(name)].isdisjoint(changed):
                np.testing.assert_array_equal(found[name], right[name], err_msg=f"{name}, {changed}")
            elif not np.array_equal(found[name], right[name]):
                differed.add(symbol_of(name))
    assert differed >= {"y", "δ", "ΔW"}
