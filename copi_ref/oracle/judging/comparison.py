"""Comparing what came with what is right, element by element, in units of what rounding allows."""

from dataclasses import dataclass

import numpy as np

from copi_ref.arrays.backend import HostArray
from copi_ref.oracle.calling.calling import Answer, Caller
from copi_ref.oracle.calling.reading import VerdictError
from copi_ref.oracle.contract.functions import Function
from copi_ref.oracle.contract.pieces import Quantities, right_pieces
from copi_ref.oracle.inputs.cases import Case, relative_allowance, with_tracked
from copi_ref.oracle.inputs.drawing import EXACT
from copi_ref.oracle.rounding import Precision, Tracked


@dataclass(frozen=True)
class Element:
    """The element whose error is largest in units of its allowance, in the first quantity that diverges."""

    quantity: str
    index: tuple[int, ...]
    actual: float
    expected: float
    error: float
    allowed: float

    @property
    def failed(self) -> bool:
        """Whether the error is more than rounding; what can't be compared, beyond the numbers, is."""
        return not self.error <= self.allowed

    @property
    def ratio(self) -> float:
        """The error in units of its allowance."""
        if self.error == 0:
            return 0.0
        return self.error / self.allowed if self.allowed else np.inf

    def __str__(self) -> str:
        times = f", {self.ratio:.3g} times what rounding allows" if self.allowed else ", where nothing is rounded"
        place = f"{self.quantity}{list(self.index)}"
        return f"{place} is {self.actual!r}, expected {self.expected!r}: off by {self.error:.3g}{times}"


@dataclass(frozen=True, eq=False)
class Observation:
    """What an implementation returned for a case, beside what is right."""

    case: Case
    actual: Quantities
    expected: dict[str, Tracked]


@dataclass(frozen=True, eq=False)
class Outcome:
    """What came of one case: a verdict in words, or values and the worst of them."""

    case: Case
    verdict: VerdictError | None = None
    observation: Observation | None = None
    worst: Element | None = None
    answer: Answer | None = None

    @property
    def failed(self) -> bool:
        """Whether it is wrong."""
        return self.verdict is not None or (self.worst is not None and self.worst.failed)

    @property
    def is_stub(self) -> bool:
        """Whether it says that it is not implemented."""
        return self.verdict is not None and self.verdict.is_stub


def run_case(caller: Caller, function: Function, case: Case) -> Outcome:
    """Call a function on a case and compare."""
    try:
        answer = caller.call(function, case.inputs, case.strided)
    except VerdictError as verdict:
        return Outcome(case, verdict)
    actual = answer.quantities
    pieces = right_pieces(caller.conventions)
    expected = function.expected(pieces, with_tracked(case.inputs), with_tracked(actual))
    expected = {name: expected[name] for name in expected if name in actual}
    worst = _worst(actual, expected, caller.precision, case.tier)
    return Outcome(case, None, Observation(case, actual, expected), worst, answer)


def catches(outcomes: list[Outcome], precision: Precision) -> float:
    """Return the smallest error, relative to a quantity's largest entry, that would fail anywhere in some case.

    Networks of one layer don't count: they have no δ that came down.
    """
    deep = [outcome for outcome in outcomes if _layers(outcome.case) != 1]
    return min((_catches(outcome, precision) for outcome in deep or outcomes), default=np.inf)


def _layers(case: Case) -> int:
    return len(case.inputs["W"]) if isinstance(case.inputs["W"], tuple) else 0


def _catches(outcome: Outcome, precision: Precision) -> float:
    if outcome.observation is None:
        return np.inf
    if by_equality(outcome.case.tier, precision):
        return 0.0
    expected = [quantity for quantity in outcome.observation.expected.values() if np.any(quantity.value)]
    return max((relative_allowance(quantity, precision) for quantity in expected), default=0.0)


def by_equality(tier: str, precision: Precision) -> bool:
    """Whether only equality passes: where the format is so coarse that its allowance would hide a wrong formula.

    In float32 and float64 a correct implementation is equal too, unless it takes a root or a factor such as 1/3 on
    its way; that is no mistake, and the allowance, far below every catalogued one, lets it pass.
    """
    return tier == EXACT and precision.limit is None


def _worst(actual: Quantities, expected: dict[str, Tracked], precision: Precision, tier: str) -> Element | None:
    """Return the worst element of the first quantity that diverges, or of all if none does."""
    worst: Element | None = None
    for name, value in expected.items():
        element = worst_of(name, actual[name], value, precision, tier)
        if element.failed:
            return element
        if worst is None or element.ratio > worst.ratio:
            worst = element
    return worst


def worst_of(name: str, actual: HostArray, expected: Tracked, precision: Precision, tier: str) -> Element:
    """Return the element of a quantity whose error is largest in units of its allowance."""
    error = np.abs(actual - expected.value)
    allowed = expected.allowance(precision)
    if by_equality(tier, precision) and expected.is_exact(precision.bits):
        allowed = 0 * error
    ratio = np.where(error == 0, 0.0, error / allowed)
    index = np.unravel_index(int(np.argmax(ratio)), ratio.shape)
    values = (float(array[index]) for array in (actual, expected.value, error, allowed))
    return Element(name, tuple(int(i) for i in index), *values)
