"""The inputs on which Inference Learning is checked, drawn from a seed: exact ones first, then ones that round.

States are not those of a forward pass: from there every hidden error is 0, the output's comes down one layer a step,
and the lower layers' ΔW is 0 until it has arrived. So `infer` gets states that are near nothing in particular, and
`step` more steps than the network has layers.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np

from copi_ref.arrays.backend import HostArray
from copi_ref.oracle.contract.pieces import Inputs
from copi_ref.oracle.inference.conventions import InferenceConventions
from copi_ref.oracle.inference.functions import InferenceFunction, net_of, place_of
from copi_ref.oracle.inference.rules import Quantities, right_rules, started
from copi_ref.oracle.inputs.cases import Case, relative_allowance, with_tracked
from copi_ref.oracle.inputs.drawing import EXACT, LOOSE, ROUNDING
from copi_ref.oracle.rounding import PRECISIONS, Precision, Tracked

_TRIES = {EXACT: 60, ROUNDING: 15}
GAMMA = 0.375
_SEVERAL = ("infer", "step")
"""Functions with a number of steps."""


@dataclass(frozen=True)
class Kind:
    """A kind of case.

    Args:
        name: what a user reads in a report.
        tier: `EXACT` or `ROUNDING`.
        sizes: of the layers, the inputs first.
        N: how many samples.
        steps: T; None: as many as it takes until every layer's weights learn, and two at least.
        gamma: γ.
        eta: η.
        shape: what is done to the numbers that were drawn.
        only: functions that it is for; () for all.
        looseness: by how much it may miss the promised sharpness.
        fine: only for float64 and float32.
    """

    name: str
    tier: str
    sizes: tuple[int, ...]
    N: int
    steps: int | None = None
    gamma: float = 0.5
    eta: float = 4.0
    shape: Callable[["Drawing", Inputs], None] | None = None
    only: tuple[str, ...] = ()
    looseness: float = 1.0
    fine: bool = False


@dataclass(frozen=True)
class Drawing:
    """How to draw: the size of whole numbers shrinks from try to try until they fit the precision."""

    rng: np.random.Generator
    conventions: InferenceConventions
    precision: Precision
    kind: Kind
    attempt: int

    def entries(self, *shape: int, largest: int = 2) -> HostArray:
        """Whole numbers up to `largest`, or numbers of order 1 that are not near 0; both signs."""
        signs = self.rng.choice([-1.0, 1.0], size=shape)
        if self.kind.tier == EXACT:
            top = max(1, largest - self.attempt // 20)
            return np.asarray(self.rng.integers(1, top + 1, size=shape) * signs)
        return np.asarray(self.rng.uniform(0.25, largest, size=shape) * signs)

    def weights(self, units: int, inputs: int) -> HostArray:
        """W of a layer: whole numbers with zeros among them, or such that sums stay of order 1."""
        if self.kind.tier == EXACT:
            kept = self.rng.random((units, inputs)) < min(1.0, 2.2 / inputs)
            drawn = np.where(kept, self.rng.choice([-1.0, 1.0], size=(units, inputs)), 0.0)
            drawn[np.arange(units), self.rng.integers(0, inputs, size=units)] = 1.0  # no unit without an input
            return drawn
        return np.asarray(self.entries(units, inputs) / np.sqrt(inputs))

    @property
    def one_sided(self) -> bool:
        """Whether pre-activations have to be above 0, as a slope such as 1/10 makes no whole numbers below."""
        curve = self.conventions.curve
        return self.kind.tier == EXACT and curve.has_kink and not curve.slope_is_dyadic


def kinds(function: InferenceFunction, conventions: InferenceConventions) -> list[Kind]:
    """Return each kind of case of a function; the first is the one that a reproducer shows."""
    found = [kind for kind in _all_kinds(conventions) if not kind.only or function.name in kind.only]
    if function.name not in _SEVERAL:  # the number of steps makes no difference
        return list({(kind.sizes, kind.N, kind.shape, kind.tier): kind for kind in reversed(found)}.values())[::-1]
    return found


_WIDTHS = (3, 5, 4, 2, 6, 3)


def _all_kinds(conventions: InferenceConventions) -> Iterator[Kind]:
    for kind in (*_whole_kinds(), *_real_kinds()):
        if conventions.depth is None or len(kind.sizes) - 1 == conventions.depth:
            yield kind
    if conventions.depth is not None and conventions.depth not in (1, 2, 3):
        for kind in _real_kinds():
            if len(kind.sizes) == 4:
                sizes = tuple(_WIDTHS[at % len(_WIDTHS)] for at in range(conventions.depth + 1))
                yield Kind(**{**vars(kind), "sizes": sizes, "looseness": LOOSE, "fine": True})


def _whole_kinds() -> Iterator[Kind]:
    yield Kind("two layers of whole numbers", EXACT, (3, 4, 2), 4)
    yield Kind("no step, whole numbers", EXACT, (3, 4, 2), 4, steps=0, only=("infer",))
    yield Kind("two steps, whole numbers", EXACT, (3, 4, 2), 4, steps=2, looseness=LOOSE, only=_SEVERAL)
    yield Kind("one layer of whole numbers", EXACT, (3, 2), 4)
    yield Kind("one sample", EXACT, (2, 3, 4), 1)
    yield Kind("three layers of whole numbers", EXACT, (3, 5, 4, 2), 8, looseness=LOOSE)
    yield Kind("squares that are powers of two", EXACT, (4, 4, 2), 4, shape=_dyadic_squares, only=("prox_update",))


def _real_kinds() -> Iterator[Kind]:
    yield Kind("numbers of order 1", ROUNDING, (3, 5, 2), 7, gamma=GAMMA)
    yield Kind("three layers", ROUNDING, (3, 5, 4, 2), 7, gamma=0.1, looseness=LOOSE)
    yield Kind("two steps", ROUNDING, (3, 5, 4, 2), 7, steps=2, gamma=GAMMA, looseness=LOOSE, only=("infer",))
    yield Kind("three steps", ROUNDING, (3, 5, 4, 2), 7, steps=3, gamma=0.25, looseness=LOOSE, only=("infer",))
    yield Kind("three steps of two layers", ROUNDING, (3, 5, 2), 7, steps=3, looseness=LOOSE, only=("step",))
    yield Kind("no step", ROUNDING, (3, 5, 4, 2), 7, steps=0, only=("infer",))
    yield Kind("a rate of 0", ROUNDING, (3, 5, 4, 2), 7, gamma=0.0, only=("infer",))
    yield Kind(
        "one step of three layers, sums that cancel little", ROUNDING, (2, 3, 2, 2), 1, 1, 1.0, shape=_far,
        only=("step",),
        looseness=LOOSE,
    )  # fmt: skip
    yield Kind("sums that cancel little", ROUNDING, (3, 5, 2), 4, shape=_of_one_sign, only=("step",), looseness=LOOSE)
    yield Kind(
        "one step, sums that cancel little", ROUNDING, (2, 2, 2), 1, 1, 1.0, shape=_far, only=("step",), looseness=LOOSE
    )
    yield Kind("one layer", ROUNDING, (3, 2), 7, gamma=GAMMA)
    yield Kind("one sample of order 1", ROUNDING, (3, 5, 2), 1, gamma=GAMMA)
    yield Kind("equal widths", ROUNDING, (4, 4, 4, 4), 4, gamma=GAMMA, looseness=LOOSE, fine=True)
    yield Kind("large states", ROUNDING, (3, 5, 4, 2), 7, gamma=GAMMA, shape=_large, looseness=LOOSE, fine=True)
    yield Kind(
        "states that differ in size from layer to layer", ROUNDING, (3, 5, 4, 2), 7, gamma=GAMMA, shape=_scaled,
        looseness=LOOSE, fine=True,
    )  # fmt: skip
    yield Kind("many samples", ROUNDING, (3, 5, 2), 93, gamma=GAMMA, looseness=LOOSE, fine=True)
    yield Kind("four layers", ROUNDING, (3, 4, 2, 5, 3), 5, gamma=GAMMA, looseness=LOOSE, fine=True)
    yield Kind("zeros in states and weights", ROUNDING, (3, 5, 4, 2), 8, gamma=GAMMA, shape=_zeros, looseness=LOOSE)
    yield Kind("a target that is met", ROUNDING, (3, 5, 2), 7, gamma=GAMMA, shape=_met, only=_SEVERAL, looseness=np.inf)


def _dyadic_squares(d: Drawing, inputs: Inputs) -> None:
    """Samples with a ‖x‖² of 1, 2 or 4: as many entries of ±1, and 1 alone where f would change what is below 0."""

    def samples(N: int, K: int) -> HostArray:
        drawn = np.zeros((N, K))
        for row in drawn:
            places = d.rng.choice(K, size=min(K, int(d.rng.choice([1, 2, 4]))), replace=False)
            row[places] = 1.0 if d.conventions.weights_last else d.rng.choice([-1.0, 1.0], size=len(places))
        return drawn

    N = d.kind.N
    inputs["y0"] = samples(N, inputs["y0"].shape[1])
    inputs["states"] = tuple(
        samples(N, h.shape[1]) if at < len(inputs["states"]) - 1 else h for at, h in enumerate(inputs["states"])
    )


def _of_one_sign(d: Drawing, inputs: Inputs) -> None:
    """Weights and inputs above 0 but for one, and targets far off: a whole step is as sharp as it can be."""
    inputs["y0"], inputs["target"] = np.abs(inputs["y0"]), -4 * np.abs(inputs["target"])
    inputs["W"] = tuple(np.abs(W) * np.where(np.arange(W.size).reshape(W.shape) == 1, -0.25, 1.0) for W in inputs["W"])


def _far(d: Drawing, inputs: Inputs) -> None:
    _of_one_sign(d, inputs)
    inputs["target"] = inputs["target"] * 8


def _large(d: Drawing, inputs: Inputs) -> None:
    inputs["states"] = tuple(h * 2.0**8 for h in inputs["states"])
    inputs["target"] = inputs["target"] * 2.0**8


def _scaled(d: Drawing, inputs: Inputs) -> None:
    inputs["states"] = tuple(h * 2.0 ** (4 * (at % 2) - 2) for at, h in enumerate(inputs["states"]))
    inputs["y0"] = inputs["y0"] * 2.0**-2


def _zeros(d: Drawing, inputs: Inputs) -> None:
    """A row of W of zeros, a sample of zeros, a state that is 0, and an input that is 0 in all samples."""
    inputs["W"] = tuple(np.where(np.arange(len(W))[:, None] == 1, 0.0, W) for W in inputs["W"])
    inputs["y0"][0, :], inputs["y0"][:, 1] = 0.0, 0.0
    for h in inputs["states"][:-1]:
        h[1, :], h[2:4, 0] = 0.0, 0.0


def _met(d: Drawing, inputs: Inputs) -> None:
    """States that are predicted, and a target that is: nothing may move."""
    rules = right_rules(d.conventions)
    forward = rules.with_changes(
        begin=lambda at, layer: d.precision.representable(at.p(layer)), start_order=lambda layers: range(1, layers),
        top=lambda net, rules, predict: predict(),
    )  # fmt: skip
    states = tuple(map(d.precision.representable, started(forward, net_of(inputs))))
    inputs["states"], inputs["target"] = states, states[-1]


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
            _drawn(Drawing(rng, conventions, precision, kind, attempt), function)
            for attempt in range(_TRIES[kind.tier])
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
        name: tuple(map(d.precision.representable, value))
        if isinstance(value, tuple)
        else d.precision.representable(value)
        for name, value in inputs.items()
    }
    if function.name in _SEVERAL:
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
        limit = min(limit, _OF_A_STEP * (PRECISIONS["float32"].limit or 1))
    judged = [one for name, one in expected.items() if np.any(one.value)]
    return bool(judged) and max(relative_allowance(one, precision) for one in judged) <= limit


def limit_of(function: InferenceFunction, precision: Precision) -> float | None:
    """The smallest relative error that a function's sharpest case may miss; None where nothing is promised.

    What rounding does grows from step to step: of a whole `step`, which need not tell its states, less is promised.
    """
    if precision.limit is None:
        return None
    return precision.limit * (_OF_A_STEP if function.name == "step" else 1)


_OF_A_STEP = 500


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
