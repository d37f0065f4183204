"""The catalogue of mistakes in Inference Learning: each is rejected, named, and told from every other."""

import itertools

import numpy as np
import pytest

from copi_ref.oracle import INFERENCE_FUNCTIONS, INFERENCE_VARIANTS, PRECISIONS, InferenceConventions, check
from copi_ref.oracle.inference.inputs import draw_cases
from copi_ref.oracle.inference.right import right_rules
from inference.made import made

# Smooth, so that no two slopes coincide; with biases and precisions, so that every mistake has room.
CONVENTIONS = {
    form: InferenceConventions(form=form, activation="tanh", biases="inside", precisions=(1, 2, 0.5))
    for form in ("weights-after-activation", "activation-after-weights")
}
FUNCTIONS = {
    "predict": ("errors", "infer"),
    "error": ("errors",),
    "energy": ("energy",),
    "start": ("errors", "start"),
    "infer": ("infer",),
    "update": ("weight_update", "step"),
    "bias": ("weight_update",),
    "step": ("infer", "step"),
}
"""Functions in which a mistake shows, by the first word of its name."""

IS_A_CONVENTION = {
    "predict-activation-on-input": "input_activation=True",
    "predict-linear-output": "output_activation='identity'",
    "energy-without-half": "energy_factor=1",
    "energy-without-precisions": "precisions=()",
    "energy-negative": "energy_factor=-0.5",
    "infer-factor-2": "inference_factor=2",
    "infer-over-n": "inference_factor='1/N'",
    "update-sum": "reduction='sum'",
    "update-factor-2": "weight_factor=2",
}
"""Mistakes which another convention chooses: they are called by it."""


def shown_by(name):
    return FUNCTIONS[name.partition("-")[0]]


ELSEWHERE = {
    "infer-slope-negative-below-0": {"slope": 0.25},
    "infer-slope-of-absolute": {"slope": 0.25, "derivative_at_zero": 0},
    "infer-slope-in-float32": {},
}
"""Conventions for mistakes that tanh can't show: its slope is even, and has no float32 of its own."""


def possible():
    for (form, smooth), (name, variant) in itertools.product(CONVENTIONS.items(), INFERENCE_VARIANTS.items()):
        conventions = InferenceConventions(form=form, **ELSEWHERE[name]) if name in ELSEWHERE else smooth
        if variant.change(right_rules(conventions)) is not None:
            yield pytest.param(name, conventions, id=f"{name}-{form}")


@pytest.mark.parametrize(("name", "conventions"), [*possible()])
def test_a_mistake_is_rejected_and_named(name, conventions):
    functions = shown_by(name)
    with np.errstate(all="ignore"):
        wrong = made(conventions, INFERENCE_VARIANTS[name], functions)
        report = check(wrong, conventions=conventions, only=functions, xp=np)
    assert not report.ok
    assert report.variant in (name, IS_A_CONVENTION.get(name)), report.diagnosis


def results(variant, conventions):
    """All that a mistake gives on all cases of all functions, one array a function."""
    rules = variant.change(right_rules(conventions))
    if rules is None:
        return None
    found = []
    for function in INFERENCE_FUNCTIONS.values():
        if function.by_residual:
            continue
        cases = draw_cases(function, conventions, PRECISIONS["float64"], 0)
        with np.errstate(all="ignore"):
            arrays = [np.ravel(one) for case in cases for one in function.expected(rules, case.inputs, {}).values()]
        found.append(np.nan_to_num(np.concatenate(arrays), posinf=1e300, neginf=-1e300))
    return found


@pytest.mark.parametrize("form", CONVENTIONS)
def test_every_two_mistakes_differ_on_some_case(form):
    all_of = {name: results(variant, CONVENTIONS[form]) for name, variant in INFERENCE_VARIANTS.items()}
    all_of = {name: found for name, found in all_of.items() if found is not None}
    assert len(all_of) > 100
    same = []
    for (one, mine), (other, theirs) in itertools.combinations(all_of.items(), 2):
        sizes = [max(np.abs(a).max(), np.abs(b).max()) for a, b in zip(mine, theirs, strict=True)]
        apart = [np.abs(a - b).max() for a, b in zip(mine, theirs, strict=True)]
        if not any(gap > 1e-6 * min(size, 1e6) for gap, size in zip(apart, sizes, strict=True)):
            same.append((one, other))
    assert [pair for pair in same if not {*pair} & {*ELSEWHERE}] == []


def test_there_are_as_many_as_promised():
    assert len(INFERENCE_VARIANTS) >= 85
    for form, conventions in CONVENTIONS.items():
        possible = [name for name, one in INFERENCE_VARIANTS.items() if one.change(right_rules(conventions))]
        assert len(possible) >= 85, form
