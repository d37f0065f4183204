"""Several steps in a row, each compared from the implementation's own weights, so that errors don't compound."""

from dataclasses import dataclass

import numpy as np

from copi_ref.arrays.backend import HostArray
from copi_ref.oracle.calling.calling import Caller
from copi_ref.oracle.contract.conventions import Conventions
from copi_ref.oracle.contract.functions import FUNCTIONS
from copi_ref.oracle.contract.pieces import Inputs, Quantities, right_pieces
from copi_ref.oracle.inputs.cases import Case, sharpness, undecided, with_tracked, without_gain
from copi_ref.oracle.inputs.drawing import ROUNDING, Drawing
from copi_ref.oracle.inputs.networks import completed, one_hot, real_network, rounded_trace
from copi_ref.oracle.judging.comparison import Outcome, run_case
from copi_ref.oracle.rounding import Precision, Tracked

BATCHES = (7, 7, 12, 3, 7)
"""Samples at each step: more, and fewer, than before, so that a number that is kept from an earlier step shows."""

EQUAL_RATES = 3
"""The step at which both rates are the same, as the paper has them."""

FIRST_SIGNED = 3
"""The step from which on inputs have both signs, in float64 and float32: those before are as sharp as can be."""

_DRAWS = 8

SHARES = {"W": 2, "R": 4}
"""Of the largest weight of a layer, that an update may be: at most ½ and ¼."""


@dataclass(frozen=True, eq=False)
class Trajectory:
    """What came of several steps: the outcomes of all calls, and how many steps were left out at a kink."""

    outcomes: list[tuple[str, Outcome]]
    skipped: int

    @property
    def failed(self) -> tuple[str, Outcome] | None:
        """The function and outcome that failed first, if one did."""
        return next(((name, outcome) for name, outcome in self.outcomes if outcome.failed), None)


def run_trajectory(caller: Caller, seed: int, passed: set[str]) -> Trajectory:
    """Take steps until one is wrong; of `forward` and `perturbations` those that passed, with the same weights."""
    weights, rng = _first_weights(caller.conventions, caller.precision, seed)
    outcomes: list[tuple[str, Outcome]] = []
    skipped = 0
    for number, samples in enumerate(BATCHES, start=1):
        signed = number >= FIRST_SIGNED and caller.precision.limit is not None
        inputs = _next_batch(weights, samples, signed, number == EQUAL_RATES, caller, rng)
        if _at_a_kink(caller, inputs):
            skipped += 1
        else:
            for name, more in _calls(caller, inputs, passed):
                outcomes.append((name, run_case(caller, FUNCTIONS[name], Case(f"step {number}", ROUNDING, more))))
                if outcomes[-1][1].failed:
                    return Trajectory(outcomes, skipped)
            weights = weights | _after(caller, inputs, outcomes[-1][1])
    return Trajectory(outcomes, skipped)


def _calls(caller: Caller, inputs: Inputs, passed: set[str]) -> list[tuple[str, Inputs]]:
    """The functions to call at this step with their inputs, the cause before the consequence."""
    calls = [("forward", inputs)] if "forward" in passed else []
    if "perturbations" in passed:
        trace = rounded_trace(caller.conventions, caller.precision, inputs)
        calls.append(("perturbations", inputs | trace))
    return [*calls, ("step", inputs)]


def _at_a_kink(caller: Caller, inputs: Inputs) -> bool:
    expected = _expected(caller, inputs)
    kinks = undecided(expected, caller.conventions, caller.precision)
    return kinks > 0 or without_gain(inputs, expected, caller.conventions)


def _expected(caller: Caller, inputs: Inputs) -> dict[str, Tracked]:
    return FUNCTIONS["step"].expected(right_pieces(caller.conventions), with_tracked(inputs), {})


def _after(caller: Caller, inputs: Inputs, outcome: Outcome) -> Inputs:
    """Return the weights that the implementation returned: W + η ΔW undoes how ΔW was recovered."""
    assert outcome.observation is not None, "of a step that did not fail"
    updates = outcome.observation.actual

    def new(letter: str, eta: float) -> tuple[HostArray, ...]:
        arrays = (A + eta * updates[f"Δ{letter} of layer {layer}"] for layer, A in enumerate(inputs[letter], start=1))
        return tuple(caller.precision.representable(np.asarray(array)) for array in arrays)

    b = {"b": new("b", inputs["eta_w"])} if "b" in inputs else {}
    R = new("R", inputs["eta_r"]) if caller.conventions.has_R else inputs["R"]
    if caller.conventions.assumes_symmetric_R:
        R = tuple(caller.precision.representable((A + A.T) / 2) for A in R)
    return {"W": new("W", inputs["eta_w"]), "R": R, **b}


def _first_weights(conventions: Conventions, precision: Precision, seed: int) -> tuple[Inputs, np.random.Generator]:
    """Return the weights with which several steps start, and the generator that draws their batches."""
    rng = np.random.default_rng([seed, 77])
    drawing = Drawing(rng, conventions, precision, ROUNDING, 0)
    first = completed(
        drawing, FUNCTIONS["step"], real_network(drawing, (3, 5, 2), 7, deep=precision.limit is not None), (1.0, 1.0)
    )
    return {name: first[name] for name in ("W", "R", "B", "b") if name in first}, rng


def _next_batch(
    weights: Inputs, samples: int, signed: bool, equal_rates: bool, caller: Caller, rng: np.random.Generator
) -> Inputs:
    """Return weights with a batch and rates: the sharpest of some, away from kinks."""
    drawn: list[tuple[int, float, int, Inputs]] = []
    for _ in range(_DRAWS):
        inputs = _drawn_batch(weights, samples, signed, equal_rates, caller, rng)
        expected = _expected(caller, inputs)
        kinks = undecided(expected, caller.conventions, caller.precision)
        if not kinks and sharpness(expected, caller.precision) <= (caller.precision.limit or 0.5) / 2:
            return inputs
        drawn.append((kinks, sharpness(expected, caller.precision), len(drawn), inputs))
    return min(drawn)[-1]


def _drawn_batch(
    weights: Inputs, samples: int, signed: bool, equal_rates: bool, caller: Caller, rng: np.random.Generator
) -> Inputs:
    """Return weights with a batch and rates, so that updates are as large as they may be and steps don't run away.

    Rates are powers of two for which no update is more than half of the largest W or a quarter of the largest R. With
    less, what N additions to W or R itself may round would be more of an update than is promised: of W above all, as
    one rate is for all layers, and with a sigmoid the upper one learns much faster.
    """
    precision = caller.precision
    y0 = rng.uniform(0.25, 1.5, size=(samples, 3))
    if signed:
        y0[::2, 1] *= -1 / 4
        y0[1::3] *= -1
    inputs = weights | {
        "y0": precision.representable(y0),
        "target": precision.representable(rng.uniform(2, 4, size=(samples, 2))),  # far from y: y* − y cancels little
        "eta_w": 1.0,
        "eta_r": 1.0,
    }
    if caller.conventions.loss == "cross-entropy":
        inputs["target"] = np.tile(one_hot(rng, 1, 2), (samples, 1))  # one label: else errors cancel over the batch
    if caller.conventions.subsampled:
        drawing = Drawing(rng, caller.conventions, precision, ROUNDING, 0)
        inputs["indices"] = tuple(drawing.indices(samples) for _ in inputs["W"])
    found = FUNCTIONS["step"].expected(right_pieces(caller.conventions), inputs, {})
    eta_w, eta_r = (_rate(letter, inputs, found, share) for letter, share in SHARES.items())
    if caller.conventions.lateral_gain != "none":
        eta_r = _rate_beside_a_gain(caller, inputs)
    if equal_rates:
        eta_w = eta_r = min(eta_w, eta_r)
    elif eta_w == eta_r:
        eta_r /= 2  # so that a swap shows
    return inputs | {"eta_w": eta_w, "eta_r": eta_r}


_BESIDE_A_GAIN = tuple(2.0**exponent for exponent in range(-6, 4))


def _rate_beside_a_gain(caller: Caller, inputs: Inputs) -> float:
    """The power of two with which R moves most in the layer where it moves least: a gain may undo what its step does.

    In no layer R moves by more than twice itself, if that can be had.
    """
    pieces = right_pieces(caller.conventions)

    def worth(eta: float) -> tuple[bool, float]:
        found = FUNCTIONS["step"].expected(pieces, inputs | {"eta_r": eta}, {})
        moved = [
            eta * float(np.max(np.abs(found[f"ΔR of layer {layer}"])) / np.max(np.abs(R)))
            for layer, R in enumerate(inputs["R"], start=1)
        ]
        return max(moved) <= 2, min(moved)

    return max(_BESIDE_A_GAIN, key=worth)


def _rate(letter: str, inputs: Inputs, found: Quantities, share: int) -> float:
    """The smallest ratio of a layer's largest weight and its largest update, over `share`, down to a power of two."""
    ratios = (
        float(np.max(np.abs(A)) / (np.max(np.abs(found[f"Δ{letter} of layer {layer}"])) or 1))
        for layer, A in enumerate(inputs[letter], start=1)
    )
    return float(2.0 ** np.floor(np.log2(min(ratios) / share)))
