"""Whether a mistake explains what came: its pieces have to give every observation, but for rounding."""

from dataclasses import dataclass

import numpy as np

from copi_ref.arrays.backend import HostArray
from copi_ref.oracle.contract.functions import Function
from copi_ref.oracle.contract.pieces import Pieces, Quantities
from copi_ref.oracle.judging.comparison import Observation
from copi_ref.oracle.rounding import Precision, Tracked


@dataclass(frozen=True)
class Diagnosis:
    """A mistake that explains what came: its name, what it is in words, and the pieces that make it, if any do."""

    name: str
    says: str
    pieces: Pieces | None = None

    def __str__(self) -> str:
        named = self.pieces is not None and self.name not in self.says
        return f"[{self.name}] {self.says}" if named else self.says


def explains(function: Function, pieces: Pieces, precision: Precision, observations: list[Observation]) -> bool:
    """Whether the pieces give what was observed, on every case, but for rounding."""
    return all(fits(function, pieces, precision, one) for one in observations)


def differs(function: Function, pieces: Pieces, precision: Precision, observations: list[Observation]) -> bool:
    """Whether the pieces give something else than the right ones in what was observed to be wrong."""
    for one in observations:
        found = evaluated(function, pieces, one) or {}
        for name, actual in one.actual.items():
            expected = one.expected[name]
            allowed = expected.allowance(precision)
            wrong = np.abs(actual - expected.value) > allowed
            if name in found and np.any(wrong & (np.abs(found[name] - expected.value) > allowed)):
                return True
    return False


def fits(function: Function, pieces: Pieces, precision: Precision, one: Observation) -> bool:
    """Whether the pieces give one observation."""
    found = evaluated(function, pieces, one)
    return found is not None and agrees(found, one, precision)


def agrees(found: Quantities, one: Observation, precision: Precision) -> bool:
    """Whether quantities are those that were observed, but for rounding."""
    for name, actual in one.actual.items():
        value = found.get(name)
        if value is None or np.shape(value) != actual.shape:
            return False
        if not np.all(np.abs(actual - value) <= _allowed(one.expected[name], value, precision)):
            return False
    return True


def evaluated(function: Function, pieces: Pieces, one: Observation) -> dict[str, HostArray] | None:
    """Return what the pieces give for the inputs of an observation; None where they have no meaning."""
    try:
        return function.expected(pieces, one.case.inputs, one.actual)
    except (np.linalg.LinAlgError, ValueError, ZeroDivisionError, FloatingPointError):
        return None  # a variant that has no meaning here


def _allowed(expected: Tracked, value: HostArray, precision: Precision) -> float:
    """Return how far a variant's own rounding may be: its magnitude is not known, so that of the right one scales."""
    size = float(np.max(expected.magnitude))
    relative = float(np.max(expected.allowance(precision))) / size if size else precision.unit
    if relative > 2.0**-6:  # too coarse to tell variants apart: one rounding of an exact result
        return 2 * precision.unit * float(np.max(np.abs(value)))
    return 4 * relative * (size + float(np.max(np.abs(value))))
