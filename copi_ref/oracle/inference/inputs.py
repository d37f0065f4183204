"""The inputs on which Inference Learning is checked, drawn from a seed: exact ones first, then ones that round.

States are not those of a forward pass: from there every hidden error is 0, the output's comes down one layer a step,
and the lower layers' ΔW is 0 until it has arrived. So `infer` gets states that are near nothing in particular, and
`step` more steps than the network has layers.
"""

from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np

from copi_ref.oracle.contract.pieces import Inputs
from copi_ref.oracle.inference.conventions import InferenceConventions
from copi_ref.oracle.inference.functions import InferenceFunction, place_of
from copi_ref.oracle.inference.kinds import SEVERAL, TRIES, Drawing, Kind, kinds
from copi_ref.oracle.inference.right import right_rules
from copi_ref.oracle.inference.rules import Quantities
from copi_ref.oracle.inputs.cases import Case, relative_allowance, with_tracked
from copi_ref.oracle.inputs.drawing import EXACT
from copi_ref.oracle.rounding import Precision, Tracked


@lru_cache(maxsize=256)  # tests check many implementations against the same conventions
def draw_cases(
    function: InferenceFunction, conventions: InferenceConventions, precision: Precision, seed: int
) -> tuple[Case, ...]:
    """Return all cases of a function; a tier without any is one that the conventions or the precision don't allow."""
    cases = []
    for number, kind in enumerate(kinds(function, conventions)):
        if kind.fine and precision.limit is None:
            continue
        rng = np.random.default_rng([seed, number, sum(map(ord, function.name))])
        drawn = (
            _drawn(Drawing(rng, conventions, precision, kind, attempt), function) for attempt in range(TRIES[kind.tier])
        )
        found = next((one for one in drawn if _is_good(function, conventions, precision, kind, one)), None)
        if found is not None:
            cases.append(Case(kind.name, kind.tier, found))
    return tuple(cases)


def _drawn(d: Drawing, function: InferenceFunction) -> Inputs:
    kind, conventions = d.kind, d.conventions
    inputs: Inputs = {
        "y0": d.entries(kind.N, kind.sizes[0]),
        "W": tuple(d.weights(units, inputs) for inputs, units in pairwise(kind.sizes)),
        "states": tuple(d.entries(kind.N, units) for units in kind.sizes[1:]),
        "target": d.entries(kind.N, kind.sizes[-1]),
    }
    if d.one_sided:
        _turn_to_one_side(d, inputs)
    if conventions.biases != "none" and function.takes_biases:
        inputs["b"] = tuple(d.entries(units, largest=1) for units in kind.sizes[1:])
        if d.one_sided:
            inputs["b"] = tuple(map(np.abs, inputs["b"]))
    if kind.shape is not None:
        kind.shape(d, inputs)
    rounded: Inputs = {
        name: tuple(map(d.representable, value)) if isinstance(value, tuple) else d.representable(value)
        for name, value in inputs.items()
    }
    if function.name in SEVERAL:
        rates = [kind.gamma * 2.0 ** -(at % 3) for at in range(len(kind.sizes) - 1)]
        rounded["gamma"] = rates if conventions.inference_rate == "per-layer" else kind.gamma
        rounded["steps"] = kind.steps
        if kind.steps is None:
            rounded["steps"] = max(2, len(kind.sizes) - 1) if function.name == "step" else 1
    if function.name == "step":
        rounded["eta"] = kind.eta
    kept = function.arguments_given(conventions)
    return {name: value for name, value in rounded.items() if name in kept}


def _turn_to_one_side(d: Drawing, inputs: Inputs) -> None:
    """Make what f is taken of positive: states and inputs; with activation after weights W too."""
    inputs["states"] = tuple(map(np.abs, inputs["states"]))
    inputs["y0"] = np.abs(inputs["y0"])
    if not d.conventions.weights_last or (d.kind.steps or 1) > 1:
        inputs["W"] = tuple(map(np.abs, inputs["W"]))


def _is_good(
    function: InferenceFunction, conventions: InferenceConventions, precision: Precision, kind: Kind, inputs: Inputs
) -> bool:
    if function.by_residual:
        return True
    seen: list[Tracked] = []
    rules = right_rules(conventions, seen)
    with np.errstate(all="ignore"):
        if function.name == "prox_update" and _has_silent_sample(rules, inputs):
            return False
        expected: Quantities = function.expected(rules, with_tracked(inputs), {})
    if any(float(np.max(one.magnitude)) * 4 * len(inputs["y0"]) > precision.most for one in expected.values()):
        return False
    if conventions.curve.has_kink and undecided(seen, precision):
        return False
    if kind.tier == EXACT:
        on_kink = conventions.curve.has_kink and any(bool(np.any(a.value == 0)) for a in seen)
        if on_kink or not all(one.is_exact(precision.bits) for one in expected.values()):
            return False
    limit = kind.looseness * (limit_of(function, precision) or (np.inf if kind.tier == EXACT else 0.5))
    if function.name == "step" and precision.limit is not None and kind.looseness < np.inf:
        limit = limit_of(function, precision) or limit
    judged = [one for name, one in expected.items() if np.any(one.value)]
    return bool(judged) and max(relative_allowance(one, precision) for one in judged) <= limit


def limit_of(function: InferenceFunction, precision: Precision) -> float | None:
    """The smallest relative error that a function's sharpest case may miss; None where nothing is promised.

    What rounding does grows from step to step: of a whole `step`, which need not tell its states, less is promised.
    """
    if precision.limit is None:
        return None
    return min(_OF_A_STEP * precision.limit, 0.05) if function.name == "step" else precision.limit


_OF_A_STEP = 5e4


def says_little(case: Case) -> bool:
    """Whether states and weights stay as they are, so that equality is all that is asked for."""
    return case.name in _STILL


def is_met(case: Case) -> bool:
    """Whether predictions are met, so that nothing has to move but by rounding."""
    return case.name == "a target that is met"


_STILL = ("no step", "no step, whole numbers", "a rate of 0", "a target that is met")


def _has_silent_sample(rules: Any, inputs: Inputs) -> bool:
    at = place_of(rules, inputs)
    return any(
        bool(np.any(np.sum(np.asarray(at.x(layer)) ** 2, axis=-1) == 0)) for layer in range(1, at.net.layers + 1)
    )


def undecided(seen: list[Tracked], precision: Precision) -> int:
    """Return how many arguments of f′ lie so near to the kink that rounding decides on which side they are."""
    computed = [a for a in seen if a.roundings]
    return sum(int(np.sum((np.abs(a.value) <= a.allowance(precision)) & (a.magnitude > 0))) for a in computed)
