"""Several steps in a row, each compared from the implementation's own weights, so that errors don't compound."""

from dataclasses import dataclass

import numpy as np

from copi_ref.backend import HostArray
from copi_ref.oracle.calling import Caller
from copi_ref.oracle.cases import (
    ROUNDING,
    TRAJECTORY_STEPS,
    Case,
    first_weights,
    next_batch,
    undecided,
    with_tracked,
)
from copi_ref.oracle.comparison import Outcome, run_case
from copi_ref.oracle.functions import FUNCTIONS
from copi_ref.oracle.pieces import Inputs, right_pieces


@dataclass(frozen=True, eq=False)
class Trajectory:
    """What came of several steps: the outcomes of all calls, and how many steps were left out at a kink."""

    outcomes: list[tuple[str, Outcome]]
    skipped: int

    @property
    def failed(self) -> tuple[str, Outcome] | None:
        """The function and outcome that failed first, if one did."""
        return next(((name, outcome) for name, outcome in self.outcomes if outcome.failed), None)


def run_trajectory(caller: Caller, seed: int) -> Trajectory:
    """Take steps until one is wrong. `forward` and `perturbations`, where there, are called with the same weights."""
    weights, rng = first_weights(caller.conventions, caller.precision, seed)
    outcomes: list[tuple[str, Outcome]] = []
    skipped = 0
    for number in range(1, TRAJECTORY_STEPS + 1):
        inputs = next_batch(weights, caller.conventions, caller.precision, rng)
        if _at_a_kink(caller, inputs):
            skipped += 1
        else:
            for name, more in _calls(caller, inputs):
                outcomes.append((name, run_case(caller, FUNCTIONS[name], Case(f"step {number}", ROUNDING, more))))
                if outcomes[-1][1].failed:
                    return Trajectory(outcomes, skipped)
            weights = weights | _after(caller, inputs, outcomes[-1][1])
    return Trajectory(outcomes, skipped)


def _calls(caller: Caller, inputs: Inputs) -> list[tuple[str, Inputs]]:
    """The functions to call at this step with their inputs, the cause before the consequence."""
    calls = [("forward", inputs)] if caller.has("forward") else []
    if caller.has("perturbations"):
        found = FUNCTIONS["forward"].expected(right_pieces(caller.conventions), inputs, {})
        layers = range(1, len(inputs["W"]) + 1)
        trace = {
            name: tuple(caller.precision.representable(found[f"{name} of layer {layer}"]) for layer in layers)
            for name in "xay"
        }
        calls.append(("perturbations", {**inputs, **trace}))
    return [*calls, ("step", inputs)]


def _at_a_kink(caller: Caller, inputs: Inputs) -> bool:
    expected = FUNCTIONS["step"].expected(right_pieces(caller.conventions), with_tracked(inputs), {})
    return undecided(expected, caller.conventions, caller.precision) > 0


def _after(caller: Caller, inputs: Inputs, outcome: Outcome) -> Inputs:
    """Return the weights that the implementation returned: W + η ΔW undoes how ΔW was recovered."""
    assert outcome.observation is not None, "of a step that did not fail"
    updates = outcome.observation.actual

    def new(letter: str, eta: float) -> tuple[HostArray, ...]:
        arrays = (A + eta * updates[f"Δ{letter} of layer {layer}"] for layer, A in enumerate(inputs[letter], start=1))
        return tuple(caller.precision.representable(np.asarray(array)) for array in arrays)

    R = new("R", inputs["eta_r"])
    if caller.conventions.assumes_symmetric_R:
        R = tuple(caller.precision.representable((A + A.T) / 2) for A in R)
    return {"W": new("W", inputs["eta_w"]), "R": R}
