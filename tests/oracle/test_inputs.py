"""What the inputs of the oracle have: every sign, relation of shapes and size, for every function and convention.

Each line of the tables says what holds in at least one case. Where a convention rules it out, the line says so and why.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from copi_ref.oracle import FUNCTIONS, PRECISIONS, Conventions
from copi_ref.oracle.contract.pieces import right_pieces
from copi_ref.oracle.inputs.cases import draw_cases
from copi_ref.oracle.judging.trajectory import BATCHES

EQUATIONS = ("copi_update", "sgd_update", "decorrelation_update")
NETWORKS = ("forward", "perturbations", "step")
CONVENTIONS = [
    {},
    {"slope": 0.01, "samples": "columns", "loss_factor": 1, "derivative_at_zero": 0.01},
    {"slope": 0.25, "credit": "fa", "reduction": "sum"},
    {"slope": 0, "lateral_rule": "left", "credit": "dfa"},
    {"lateral_rule": "symmetric", "assumes_symmetric_R": True},
    {"loss_factor": 1, "output": "pre-activation", "lateral_rule": "left", "error_scale": 1000},
    {"activation": "relu", "derivative_at_zero": 0},
    {"activation": "identity", "loss_factor": 0.5},
    {"activation": "tanh", "credit": "fa"},
    {"activation": "sigmoid", "credit": "dfa"},
]


@dataclass(frozen=True)
class Seen:
    """A case of a function: its inputs, and the right pre-activations, outputs and errors."""

    inputs: dict
    a: tuple = ()
    y: tuple = ()
    delta: tuple = ()

    @property
    def sizes(self):
        return (self.inputs["W"][0].shape[1], *(len(W) for W in self.inputs["W"]))

    @property
    def samples(self):
        return len(self.inputs["y0"])


@cache
def seen(function, conventions, precision, seed):
    found = []
    for case in draw_cases(FUNCTIONS[function], conventions, PRECISIONS[precision], seed):
        if function in EQUATIONS:
            found.append(Seen(case.inputs))
            continue
        states = FUNCTIONS["step"].expected(right_pieces(conventions), {**case.inputs, "eta_w": 1.0, "eta_r": 1.0}, {})
        if function == "perturbations":  # from a and y as they are given
            states |= FUNCTIONS[function].expected(right_pieces(conventions), case.inputs, {})
        layers = range(1, len(case.inputs["W"]) + 1)
        found.append(Seen(case.inputs, *(tuple(states[f"{s} of layer {at}"] for at in layers) for s in "ayδ")))
    return found


def both_signs(array, axis=None):
    return np.any(array > 0, axis=axis) & np.any(array < 0, axis=axis)


def relation(smaller, larger):
    return (smaller > larger) - (smaller < larger)


SMOOTH = (
    "tanh and the sigmoid are never exact: what is 0 in the reference is not in other code. (forward has no errors.)"
)
FLAT = "what rounding may do to tanh near 0, or where it is flat, is larger than a step's updates"


def never(conventions, function, precision):
    return ""


def in_a_smooth_step(conventions, function, precision):
    return SMOOTH if conventions.is_smooth and function != "perturbations" else ""


def where_it_is_flat(conventions, function, precision):
    return FLAT if conventions.is_smooth and function != "forward" else ""


def in_a_sum(conventions, function, precision):
    return "a sum multiplies with N what a mean loses" if conventions.reduction == "sum" else ""


def without_negative_outputs(conventions, function, precision):
    flat = conventions.activation in ("relu", "sigmoid") or conventions.slope == 0
    return "no output is below 0" if flat else ""


@dataclass(frozen=True)
class Line:
    """What holds in some case, and the reason where a convention rules it out."""

    holds: Callable[[Seen], bool]
    ruled_out: Callable[..., str] = never


OF_EQUATIONS = {
    **{
        f"N {sign} K": Line(lambda s, of=of: relation(*s.inputs["x"].shape) == of)
        for sign, of in (("<", -1), ("=", 0), (">", 1))
    },
    **{
        f"units {sign} inputs": Line(lambda s, of=of: relation(*s.inputs["W"].shape) == of)
        for sign, of in (("<", -1), ("=", 0), (">", 1))
    },
    "one sample": Line(lambda s: len(s.inputs["x"]) == 1),
    "more than 128 samples": Line(lambda s: len(s.inputs["x"]) > 128),
    "more than 32 inputs and units": Line(lambda s: min(s.inputs["W"].shape) > 32),
    "one input": Line(lambda s: s.inputs["x"].shape[1] == 1),
    "one unit": Line(lambda s: len(s.inputs["W"]) == 1),
    "one input and one unit": Line(lambda s: s.inputs["W"].shape == (1, 1)),
    "N is no power of two": Line(lambda s: len(s.inputs["x"]) & (len(s.inputs["x"]) - 1) != 0),
    "a sample with both signs": Line(lambda s: both_signs(s.inputs["x"], 1).any()),
    "an input with both signs": Line(lambda s: both_signs(s.inputs["x"], 0).any()),
    "a row of W with both signs": Line(lambda s: both_signs(s.inputs["W"], 1).any()),
    "R below 0 beside the diagonal": Line(lambda s: (s.inputs["R"] - np.diag(np.diag(s.inputs["R"]))).min() < 0),
    "a dead input": Line(lambda s: (s.inputs["x"] == 0).all(axis=0).any() and s.inputs["x"].any()),
    "a sample of zeros in z and δ": Line(
        lambda s: ((s.inputs["z"] == 0).all(axis=1) & s.inputs["x"].any(axis=1)).any()
    ),
    "a unit of zeros in z and δ": Line(lambda s: (s.inputs["z"] == 0).all(axis=0).any() and s.inputs["W"].any()),
    "more than 1000": Line(lambda s: abs(s.inputs["x"]).max() > 1000),
    "less than 10⁻¹⁰": Line(lambda s: 0 < abs(s.inputs["x"]).max() < 1e-10),
    "squares that underflow": Line(lambda s: 0 < abs(s.inputs["x"]).max() < 1e-17, in_a_sum),
}

OF_NETWORKS = {
    **{f"{n} layers": Line(lambda s, n=n: len(s.inputs["W"]) == n) for n in range(1, 9)},
    **{
        f"N {sign} features": Line(lambda s, of=of: relation(s.samples, s.sizes[0]) == of)
        for sign, of in (("<", -1), ("=", 0), (">", 1))
    },
    "one sample": Line(lambda s: s.samples == 1),
    "more than 64 samples": Line(lambda s: 64 < s.samples < 128),
    "more than 128 samples": Line(lambda s: s.samples > 128),
    "more than 32 units in each layer": Line(lambda s: min(s.sizes) > 32),
    "N is no power of two": Line(lambda s: s.samples & (s.samples - 1) != 0),
    "one output below several units": Line(lambda s: s.sizes[-1] == 1 and s.samples > 1 and max(s.sizes) > 1),
    "one hidden unit": Line(lambda s: 1 in s.sizes[1:-1]),
    "three outputs or more": Line(lambda s: s.sizes[-1] > 2),
    "equal widths, several layers": Line(lambda s: len(set(s.sizes)) == 1 and len(s.sizes) > 3 and s.sizes[0] > 1),
    "as many samples as units": Line(lambda s: {s.samples} == set(s.sizes) and s.samples > 1),
    "a layer that is not square": Line(lambda s: len(set(s.sizes)) > 1),
    "a sample with both signs": Line(lambda s: both_signs(s.inputs["y0"], 1).any()),
    "a row of W with both signs, in each layer": Line(
        lambda s: all(both_signs(W, 1).any() for W in s.inputs["W"]) and len(s.sizes) > 2
    ),
    "R below 0 beside the diagonal, in each layer": Line(
        lambda s: all((R - np.diag(np.diag(R))).min() < 0 for R in s.inputs["R"]) and len(s.sizes) > 2
    ),
    "pre-activations of both signs, in each layer": Line(lambda s: len(s.a) > 2 and all(map(both_signs, s.a))),
    "outputs of a unit with both signs": Line(lambda s: both_signs(s.y[-1], 0).any(), without_negative_outputs),
    "errors of both signs, in each layer": Line(lambda s: len(s.a) > 2 and all(map(both_signs, s.delta))),
    "a dead feature": Line(lambda s: (s.inputs["y0"] == 0).all(axis=0).any() and s.inputs["y0"].any()),
    "a dead x above": Line(lambda s: any((R == 0).all(axis=1).any() for R in s.inputs["R"][1:])),
    "a sample without error": Line(
        lambda s: ((s.delta[-1] == 0).all(axis=1) & (s.a[-1] != 0).any(axis=1)).any() and s.delta[-1].any(),
        in_a_smooth_step,
    ),
    "an output without error": Line(
        lambda s: (s.delta[-1] == 0).all(axis=0).any() and s.delta[-1].any(), in_a_smooth_step
    ),
    "a pre-activation of 0": Line(lambda s: any((a == 0).all(axis=0).any() for a in s.a)),
    "more than 8": Line(lambda s: abs(s.inputs["y0"]).max() > 8),
    "more than 1000": Line(lambda s: abs(s.inputs["y0"]).max() > 1000, where_it_is_flat),
    "less than 10⁻¹⁰": Line(lambda s: 0 < abs(s.inputs["y0"]).max() < 1e-10),
    "squares that underflow": Line(lambda s: 0 < abs(s.inputs["y0"]).max() < 1e-17, in_a_sum),
}

OF_STEPS = {
    "equal rates": Line(lambda s: s.inputs["eta_w"] == s.inputs["eta_r"]),
    "different rates": Line(lambda s: s.inputs["eta_w"] != s.inputs["eta_r"]),
    "rates above 1": Line(lambda s: min(s.inputs["eta_w"], s.inputs["eta_r"]) > 1),
    "rates below 1/1000": Line(lambda s: max(s.inputs["eta_w"], s.inputs["eta_r"]) < 1e-3),
}

OF_FEEDBACK = {
    "fa could be dfa": Line(lambda s: len(s.sizes) > 3 and {B.shape[1] for B in s.inputs["B"]} == {s.sizes[-1]}),
    "B with both signs": Line(lambda s: any(both_signs(B) for B in s.inputs["B"])),
}


def lines(function, conventions):
    table = OF_EQUATIONS if function in EQUATIONS else OF_NETWORKS
    table = {**table, **OF_STEPS} if function == "step" else table
    feedback = function != "forward" and function in NETWORKS and conventions.credit != "bp"
    return {**table, **OF_FEEDBACK} if feedback else table


def ids(conventions):
    return ", ".join(f"{name}={value}" for name, value in conventions.items()) or "as printed"


@pytest.mark.parametrize("conventions", CONVENTIONS, ids=ids)
@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_sign_shape_and_size_occurs(function, precision, conventions):
    settings = Conventions(**conventions)
    cases = seen(function, settings, precision, 0)
    missing = {
        name
        for name, line in lines(function, settings).items()
        if not line.ruled_out(settings, function, precision) and not any(line.holds(case) for case in cases)
    }
    assert not missing


@pytest.mark.parametrize("function", FUNCTIONS)
def test_shapes_come_back_with_more_and_fewer_samples_in_between(function):
    """A, A′, B, A″; and widths with more samples later, and with fewer."""
    shapes, widths = [], {}
    for case in draw_cases(FUNCTIONS[function], Conventions(), PRECISIONS["float32"], 0):
        y0 = case.inputs["x"] if function in EQUATIONS else case.inputs["y0"]
        W = case.inputs["W"]
        sizes = W.shape if function in EQUATIONS else tuple(one.shape for one in W)
        shapes.append((len(y0), sizes))
        widths.setdefault(sizes, []).append(len(y0))
    first, again, *rest = shapes
    assert first == again
    assert rest[0] != first
    assert first in rest
    assert any(np.diff(of).max() > 0 > np.diff(of).min() for of in widths.values() if len(of) > 2)


# --- the table in docs/check/coverage.md ----------------------------------------------------------------------------

PAGE = Path(__file__).parents[2] / "docs" / "check" / "coverage.md"
HEAD = "| function | calls | samples | layers | units in a layer | largest inputs | smallest inputs |"


def figures(function):
    """Return what the page says of a function: of Algorithm 1 as printed, in float64."""
    cases = seen(function, Conventions(), "float64", 0)
    first = "x" if function in EQUATIONS else "y0"
    samples = [len(case.inputs[first]) for case in cases]
    layers = [1] if function in EQUATIONS else sorted({len(case.inputs["W"]) for case in cases})
    if function not in EQUATIONS:
        assert layers == [*range(1, max(layers) + 1)]
    widths = [
        width
        for case in cases
        for width in ((case.inputs["x"].shape[1], len(case.inputs["W"])) if function in EQUATIONS else case.sizes)
    ]
    sizes = [abs(case.inputs[first]).max() for case in cases]
    exponents = (int(np.floor(np.log10(of(sizes)))) for of in (max, min))
    spans = (f"1 to {max(of)}" if max(of) > 1 else "1" for of in (samples, layers, widths))
    return [f"`{function}`", str(len(cases)), *spans, *(f"10^{exponent}" for exponent in exponents)]


def test_the_page_says_what_the_inputs_are():
    text = PAGE.read_text(encoding="utf-8")
    rows = [
        [re.sub(r"10([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)", lambda found: f"10^{found[1].translate(RAISED)}", cell.strip())
         for cell in row.strip("|").split("|")]
        for row in text[text.index(HEAD) :].splitlines()[2:8]
    ]  # fmt: skip
    assert rows == [figures(function) for function in FUNCTIONS]
    rates = [case.inputs[eta] for case in seen("step", Conventions(), "float64", 0) for eta in ("eta_w", "eta_r")]
    assert (min(rates), max(rates)) == (2.0**-22, 2.0**81)
    assert "from 2⁻²² to 2⁸¹" in text
    assert f"batches of {', '.join(map(str, BATCHES[:-1]))} and {BATCHES[-1]} samples" in " ".join(text.split())


RAISED = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
