"""States where inference has converged: judged by the gradient of the energy that is left there.

Different minimisers end in different minima, so they are never held against others.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np

from copi_ref.arrays.backend import HostArray
from copi_ref.oracle.calling.calling import Caller
from copi_ref.oracle.contract.pieces import Inputs
from copi_ref.oracle.inference.basins import with_one_minimum
from copi_ref.oracle.inference.conventions import InferenceConventions
from copi_ref.oracle.inference.energy import energies, gradients, largest
from copi_ref.oracle.inference.functions import InferenceFunction, states_from
from copi_ref.oracle.inference.kinks import arguments_at_kinks, nearest_to_zero
from copi_ref.oracle.inference.residual import TOLERANCES, called, result_of, rounded
from copi_ref.oracle.inference.right import right_rules
from copi_ref.oracle.inference.rules import Rules, States
from copi_ref.oracle.inputs.cases import Case, with_tracked
from copi_ref.oracle.inputs.drawing import ROUNDING
from copi_ref.oracle.report.report import NOT_CHECKED, NOT_IMPLEMENTED, Result
from copi_ref.oracle.rounding import Precision

_NETWORKS = (
    ("two layers", (3, 5, 2), 4),
    ("three layers", (3, 5, 4, 2), 7),
    ("one sample", (3, 4, 2), 1),
    ("many samples", (3, 5, 2), 64),
)


_SMALL = ((3, 2, 2), (3, 1, 1, 1))
"""Networks with at most two units that have a kink: four combinations of sides."""

_TRIES = 20  # networks of a size


def _cases_of_states(
    rules: Rules, conventions: InferenceConventions, precision: Precision, seed: int
) -> Iterator[tuple[Case, bool]]:
    """Networks, and whether a minimum is asked for: with kinks where there is one only, which is clear of them.

    In others good minimisers stop beside kinks.
    """
    for number, (name, sizes, N) in enumerate(_NETWORKS):
        if conventions.depth is not None:
            sizes = tuple((3, 5, 4, 2, 3)[at % 5] for at in range(conventions.depth + 1))
        inputs = _drawn(conventions, sizes, N, np.random.default_rng([seed, number, 5]))
        has_kinks = conventions.curve.has_kink and arguments_at_kinks(rules, inputs, inputs["states"]).size > 0
        yield Case(name, ROUNDING, rounded(inputs, precision)), not has_kinks
    if not conventions.curve.has_kink:
        return
    depth = conventions.depth
    for number, sizes in enumerate(_SMALL if depth is None else ((3, *(1,) * depth),)):
        rng = np.random.default_rng([seed, number, 6])
        networks = (_drawn(conventions, sizes, 50, rng) for _ in range(_TRIES))
        found = next(filter(None, (with_one_minimum(rules, inputs, rng, 4) for inputs in networks)), None)
        if found is not None:
            yield Case(f"one minimum, {len(sizes) - 1} layers", ROUNDING, rounded(found, precision)), True


def _drawn(conventions: InferenceConventions, sizes: tuple[int, ...], N: int, rng: np.random.Generator) -> Inputs:
    inputs: Inputs = {
        "W": tuple(rng.normal(size=(units, inputs)) / np.sqrt(inputs) for inputs, units in pairwise(sizes)),
        "y0": rng.normal(size=(N, sizes[0])),
    }
    if conventions.biases != "none":
        inputs["b"] = tuple(rng.normal(size=units) / 4 for units in sizes[1:])
    inputs["states"] = tuple(rng.normal(size=(N, units)) for units in sizes[1:])
    if conventions.output == "pulled":
        inputs["target"] = rng.normal(size=(N, sizes[-1]))
    return inputs


def check_converge(
    caller: Caller, conventions: InferenceConventions, function: InferenceFunction, seed: int
) -> list[Result]:
    """Judge states where inference has converged, each sample by the gradient that is left there."""
    if caller.precision.name not in TOLERANCES:
        return [Result(function.name, "", function.equation, NOT_CHECKED)]
    tolerance, found, minima, samples, cases = TOLERANCES[caller.precision.name], [], 0, 0, 0
    # The gradient as it stands in the dynamics may have a factor: what has to vanish is that of the energy.
    rules = right_rules(replace(conventions, inference_factor=1, predictions="current", momentum=0))
    for case, asked in _cases_of_states(rules, conventions, caller.precision, seed):
        cases += 1
        told = called(caller, function, case)
        if told is None:
            return [Result(function.name, "", function.equation, NOT_IMPLEMENTED)]
        if isinstance(told, str):
            found.append((case, told, np.inf))
            continue
        states = states_from(told, "h", len(case.inputs["W"]))
        says, off = _fault(rules, conventions, case.inputs, states, caller.precision)
        if asked and not says:
            says, off = _short_of_minimum(rules, case.inputs, states, tolerance, caller.precision)
        if says:
            found.append((case, says + _worse_with_samples(caller, function, case, says), off))
        left = nearest_to_zero(rules, case.inputs, states)
        minima += int(np.sum(left <= tolerance * np.maximum(1, _largest(rules, case.inputs, case.inputs["states"]))))
        samples += len(case.inputs["y0"])
    result = result_of(found, function, caller, cases)
    kinks = " (a unit at a kink may have any slope between those of both sides)" if conventions.curve.has_kink else ""
    return [replace(result, notes=(*result.notes, f"{minima} of {samples} samples are at a minimum{kinks}"))]


def _fault(
    rules: Rules,
    conventions: InferenceConventions,
    inputs: Inputs,
    states: States,
    precision: Precision,
) -> tuple[str, float]:
    """Say what no descent does, and by how much: the output moves, or the energy rises."""
    if conventions.output != "pulled" and not np.array_equal(states[-1], inputs["states"][-1]):
        return "[output-moves] the clamped output has moved", float(np.abs(states[-1] - inputs["states"][-1]).max())
    before, after = (energies(rules, inputs, one) for one in (inputs["states"], states))
    slack = 1e3 * precision.unit * (np.abs(before) + 1)
    if np.any(after > before + slack):
        sample = int(np.argmax(after - before))
        return (
            f"[energy-rises] the energy of sample {sample} is {after[sample]:.4g}, and was {before[sample]:.4g}",
            np.inf,
        )
    return "", 0.0


def _short_of_minimum(
    rules: Rules, inputs: Inputs, states: States, tolerance: float, precision: Precision
) -> tuple[str, float]:
    """Say by how much states are not at a minimum."""
    left, at_start = gradients(rules, inputs, states), _largest(rules, inputs, inputs["states"])
    tracked = {**with_tracked(inputs), "states": with_tracked({"states": states})["states"]}
    allowed = gradients(rules, tracked, tracked["states"])
    for layer, gradient in left.items():
        excess = np.abs(gradient) - allowed[layer].allowance(precision)
        off = np.max(excess, axis=-1) / np.maximum(1, at_start)
        if np.any(off > tolerance):
            sample = int(np.argmax(off))
            size = float(np.max(np.abs(gradient[sample])))
            says = (
                f"[not-converged] not converged: |∂F/∂h| of layer {layer} is {size:.2g} in sample {sample}, needs at "
                f"most {tolerance:.0e} times max(1, {at_start[sample]:.2g}), that of the start"
            )
            return says, float(off[sample] / tolerance)
    return "", 0.0


def _largest(rules: Rules, inputs: Inputs, states: States) -> HostArray:
    return largest(gradients(rules, inputs, states), len(inputs["y0"]))


def _worse_with_samples(caller: Caller, function: InferenceFunction, case: Case, says: str) -> str:
    """Whether the same sample alone comes nearer to its minimum: then there is a 1/N in the dynamics."""
    if not says.startswith("[not-converged]") or len(case.inputs["y0"]) == 1:
        return ""
    samples = {"y0", "target", "states"}
    alone: Inputs = {
        name: (tuple(one[:1] for one in value) if isinstance(value, tuple) else value[:1]) if name in samples else value
        for name, value in case.inputs.items()
    }
    told = called(caller, function, replace(case, inputs=alone))
    both = called(caller, function, case)
    if not isinstance(told, dict) or not isinstance(both, dict):
        return ""
    rules, layers = right_rules(replace(caller_conventions(caller), inference_factor=1)), len(alone["W"])
    one = float(_largest(rules, alone, states_from(told, "h", layers))[0])
    many = float(_largest(rules, case.inputs, states_from(both, "h", layers))[0])
    return f"; alone the same sample has {one:.2g}: 1/N in the dynamics?" if one < many / 4 else ""


def caller_conventions(caller: Caller) -> InferenceConventions:
    """The conventions of a caller, which are those of Inference Learning here."""
    assert isinstance(caller.conventions, InferenceConventions)
    return caller.conventions
