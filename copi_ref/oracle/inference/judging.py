"""Calling a function on a case and comparing: what comes of several steps is compared one step at a time.

Through T steps the allowance of every rounding would multiply: 20 steps of tanh allow anything. So infer(T) is held
against one step from the implementation's own infer(T − 1), and each such step is as sharp as the first.
"""

from dataclasses import replace

import numpy as np

from copi_ref.arrays.backend import HostArray
from copi_ref.oracle.calling.calling import Answer, Caller
from copi_ref.oracle.calling.reading import VerdictError
from copi_ref.oracle.contract.pieces import Inputs, Quantities
from copi_ref.oracle.inference.conventions import InferenceConventions
from copi_ref.oracle.inference.functions import InferenceFunction
from copi_ref.oracle.inference.inputs import undecided
from copi_ref.oracle.inference.right import right_rules
from copi_ref.oracle.inputs.cases import Case, with_tracked
from copi_ref.oracle.judging.comparison import Element, Observation, Outcome, worst_of
from copi_ref.oracle.rounding import Precision, Tracked


def run_case(
    caller: Caller, conventions: InferenceConventions, function: InferenceFunction, case: Case
) -> Outcome | None:
    """Call a function on a case and compare; None where rounding decides on which side of a kink a state is."""
    try:
        chain = _chain(caller, function, case)
        answer = caller.call(function, case.inputs)
    except VerdictError as verdict:
        return Outcome(case, verdict)
    case = replace(case, inputs={**case.inputs, "chain": chain})
    return compared(conventions, function, case, answer, caller.precision)


def compared(
    conventions: InferenceConventions, function: InferenceFunction, case: Case, answer: Answer, precision: Precision
) -> Outcome | None:
    """Compare what came; None where rounding decides on which side of a kink a state is."""
    seen: list[Tracked] = []
    rules, actual = right_rules(conventions, seen), answer.quantities
    tracked = {**with_tracked(case.inputs), "chain": with_tracked(case.inputs.get("chain", {}))}
    expected = function.expected(rules, tracked, with_tracked(actual))
    expected = {name: expected[name] for name in expected if name in actual}
    if conventions.curve.has_kink and undecided(seen, precision):
        return None
    worst = _worst(actual, expected, _same_bits(conventions, function, case.inputs), case, precision)
    return Outcome(case, None, Observation(case, actual, expected), worst, answer)


def _chain(caller: Caller, function: InferenceFunction, case: Case) -> Quantities:
    """The implementation's own states one and two steps before, as "now" and "before"."""
    if function.name != "infer" or case.inputs["steps"] < 2:
        return {}
    steps = case.inputs["steps"]
    chain: Quantities = {}
    for name, back in (("now", 1), ("before", 2)):
        if steps == back:
            continue  # these are the states that came in
        found = caller.call(function, {**case.inputs, "steps": steps - back}).quantities
        chain |= {f"{name}{key[1:]}": value for key, value in found.items()}
    return chain


def _same_bits(conventions: InferenceConventions, function: InferenceFunction, inputs: Inputs) -> dict[str, HostArray]:
    """Quantities that have to be what came in, bit for bit: clamped ones, and all where no step is made."""
    layers = len(inputs["W"])
    top = f"h of layer {layers}"
    if function.name == "infer":
        if inputs["steps"] == 0:
            return {f"h of layer {layer}": h for layer, h in enumerate(inputs["states"], start=1)}
        return {} if conventions.output == "pulled" else {top: inputs["states"][-1]}
    if function.name in ("start", "step") and conventions.output == "clamped":
        return {top: inputs["target"], f"start of layer {layers}": inputs["target"]}
    return {}


def _worst(
    actual: Quantities, expected: dict[str, Tracked], same: dict[str, HostArray], case: Case, precision: Precision
) -> Element | None:
    """Return the worst element of the first quantity that diverges, or of all if none does."""
    worst: Element | None = None
    for name, value in expected.items():
        element = worst_of(name, actual[name], value, precision, case.tier)
        if name in same and not np.array_equal(actual[name], same[name]):
            index = np.unravel_index(int(np.argmax(np.abs(actual[name] - same[name]))), same[name].shape)
            numbers = float(actual[name][index]), float(same[name][index])
            element = Element(name, tuple(map(int, index)), *numbers, abs(numbers[0] - numbers[1]), 0.0)
        if element.failed:
            return element
        if worst is None or element.ratio > worst.ratio:
            worst = element
    return worst
