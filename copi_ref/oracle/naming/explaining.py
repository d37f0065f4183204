"""What a diagnosis is, and a candidate for one: a change of the right pieces, with its words."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from copi_ref.arrays.backend import HostArray
from copi_ref.oracle.contract.functions import Function
from copi_ref.oracle.contract.pieces import Pieces, Quantities
from copi_ref.oracle.judging.comparison import Observation
from copi_ref.oracle.rounding import Precision, Tracked

Change = Callable[[Pieces], Pieces | None]
"""What a mistake makes of pieces; None where it has no meaning."""


@dataclass(frozen=True)
class Diagnosis:
    """What explains what came, or what is known of it.

    Args:
        name: of the mistake, or of the two that come together, joined by " + "; "" if none fits.
        says: what it is, in words.
        change: that makes it everywhere; None if it shows in some places only, or can't be made of pieces.
        bracketed: whether the name is shown in front of the words.
        notes: where it is wrong, a sentence each, if no name fits.
        is_consequence: whether mistakes of functions looked at before come to all of it.
    """

    name: str
    says: str
    change: Change | None = None
    bracketed: bool = False
    notes: tuple[str, ...] = ()
    is_consequence: bool = False

    def __str__(self) -> str:
        return f"[{self.name}] {self.says}" if self.bracketed else self.says


@dataclass(frozen=True)
class Candidate:
    """What may explain it.

    Args:
        name: of the mistake, or the conventions.
        says: what it is, in words.
        change: what it makes of pieces.
        is_convention: no mistake, but another choice: it comes before any mistake, since it replaces all pieces.
    """

    name: str
    says: str
    change: Change
    is_convention: bool = False

    def diagnosis(self, more: str = "", everywhere: bool = True) -> Diagnosis:
        """As a diagnosis, with `more` behind its words."""
        change = self.change if everywhere else None
        if self.is_convention:
            says = f"matches {self.name}{more}: pass it in Conventions, if that is what you mean"
            return Diagnosis(self.name, says, change)
        return Diagnosis(self.name, self.says + more, change, bracketed=self.name not in self.says)

    def __str__(self) -> str:
        return f"matches {self.name}" if self.is_convention else f"[{self.name}] {self.says}"


def in_turn(changes: Sequence[Change]) -> Change:
    """Return all changes as one, made one on top of the other."""

    def change(pieces: Pieces) -> Pieces | None:
        changed: Pieces | None = pieces
        for one in changes:
            changed = one(changed) if changed is not None else None
        return changed

    return change


def joined(
    first: Candidate, second: Candidate, wheres: tuple[str, str] = ("", ""), everywhere: bool = True
) -> Diagnosis:
    """Two that come together, each with where it shows."""
    says = f"{first}{wheres[0]}; and {second}{wheres[1]}"
    change = in_turn((first.change, second.change)) if everywhere else None
    return Diagnosis(f"{first.name} + {second.name}", says, change)


# --- for leaks, until merged ---


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
