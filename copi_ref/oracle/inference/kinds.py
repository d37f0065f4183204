"""Kinds of cases for Inference Learning: sizes, numbers of steps and rates, and what is done to the numbers."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from copi_ref.arrays.backend import HostArray
from copi_ref.oracle.contract.pieces import Inputs
from copi_ref.oracle.inference.composition import started
from copi_ref.oracle.inference.conventions import InferenceConventions
from copi_ref.oracle.inference.functions import InferenceFunction, net_of
from copi_ref.oracle.inference.right import right_rules
from copi_ref.oracle.inputs.drawing import EXACT, LOOSE, ROUNDING
from copi_ref.oracle.rounding import Precision

TRIES = {EXACT: 60, ROUNDING: 15}
GAMMA = 0.375
SEVERAL = ("infer", "step")
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

    def representable(self, array: HostArray) -> HostArray:
        """An array as the precision under test has it, in the order of memory that arrays have by default."""
        return np.ascontiguousarray(self.precision.representable(array))

    @property
    def one_sided(self) -> bool:
        """Whether pre-activations have to be above 0, as a slope such as 1/10 makes no whole numbers below."""
        curve = self.conventions.curve
        return self.kind.tier == EXACT and curve.has_kink and not curve.slope_is_dyadic


def kinds(function: InferenceFunction, conventions: InferenceConventions) -> list[Kind]:
    """Return each kind of case of a function; the first is the one that a reproducer shows."""
    found = [kind for kind in _all_kinds(conventions) if not kind.only or function.name in kind.only]
    if function.name not in SEVERAL:  # the number of steps makes no difference
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
    yield Kind("two steps, whole numbers", EXACT, (3, 4, 2), 4, steps=2, looseness=LOOSE, only=SEVERAL)
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
        "two steps of three layers, sums that cancel little", ROUNDING, (2, 3, 2, 2), 1, 2, 1.0, shape=_far,
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
    yield Kind("a target that is met", ROUNDING, (3, 5, 2), 7, gamma=GAMMA, shape=_met, only=SEVERAL, looseness=np.inf)
    # The energy rises, which some stop at. One sample, so that γ/N is a rate as large.
    for name, sizes in ("two steps that overshoot", (3, 5, 2)), ("overshooting in three layers", (3, 5, 4, 2)):
        yield Kind(name, ROUNDING, sizes, 1, steps=2, gamma=4.0, only=("infer",), looseness=LOOSE)


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
