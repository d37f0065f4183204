"""What a diagnosis is, and a candidate for one: a change of the right pieces, with its words."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

AnyPieces: TypeAlias = Any
"""The pieces that a function is made of, of either contract."""

Change = Callable[[AnyPieces], AnyPieces | None]
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
        seen: the part of the change that the function shows; None: all of it.
        changed: the fields of another choice.
    """

    name: str
    says: str
    change: Change
    is_convention: bool = False
    seen: Change | None = None
    changed: Mapping[str, Any] = field(default_factory=dict, compare=False)

    def diagnosis(self, more: str = "", everywhere: bool = True) -> Diagnosis:
        """As a diagnosis, with `more` behind its words."""
        change = (self.seen or self.change) if everywhere else None
        if self.is_convention:
            left_open = " (COPI's text gives no slope; 0.1 is its experiments')" if "slope=" in self.name else ""
            advice = (
                ": pass it in Conventions, if that is what you mean" if everywhere else ", and your choice elsewhere"
            )
            says = f"matches {self.says}{left_open}{more}{advice}"
            return Diagnosis(self.name, says, change)
        return Diagnosis(self.name, self.says + more, change, bracketed=self.name not in self.says)

    def __str__(self) -> str:
        return f"matches {self.name}" if self.is_convention else f"[{self.name}] {self.says}"


def in_turn(changes: Sequence[Change]) -> Change:
    """Return all changes as one, made one on top of the other."""

    def change(pieces: AnyPieces) -> AnyPieces | None:
        changed: AnyPieces | None = pieces
        for one in changes:
            changed = one(changed) if changed is not None else None
        return changed

    return change


def with_all(diagnoses: Sequence[Diagnosis], pieces: AnyPieces) -> AnyPieces | None:
    """Return pieces that make all mistakes whose change is known; a consequence of others has none."""
    return in_turn([one.change for one in diagnoses if one.change])(pieces)


def joined(
    first: Candidate, second: Candidate, wheres: tuple[str, str] = ("", ""), everywhere: bool = True
) -> Diagnosis:
    """Two that come together, each with where it shows."""
    says = f"{first}{wheres[0]}; and {second}{wheres[1]}"
    change = in_turn((first.seen or first.change, second.seen or second.change)) if everywhere else None
    return Diagnosis(f"{first.name} + {second.name}", says, change)
