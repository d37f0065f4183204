"""What a catalogued mistake is: a name, what it does in words, and the piece of COPI that it exchanges."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from copi_ref.oracle.contract.conventions import Conventions
from copi_ref.oracle.contract.pieces import Pieces


@dataclass(frozen=True)
class Variant:
    """A wrong variant.

    It builds on the pieces that it is given, so that ``B.change(A.change(right))`` makes both mistakes.

    Args:
        name: short and stable, for tables and tests.
        says: what the implementation does, as the diagnosis puts it.
        change: what it makes of the right pieces; None where the conventions leave it no meaning.
    """

    name: str
    says: str
    change: Callable[[Pieces], Pieces | None]


def known_as(table: Mapping[str, tuple[str, str]], name: str, says: str) -> tuple[str, str]:
    """Return the name and the sentence of a variant from a table of changes: those by which it is known, if it is."""
    known, better = table.get(name, (name, ""))
    return known, better or says


def placed(place: Callable[[Pieces, Any], Pieces], what: Any) -> Callable[[Pieces], Pieces]:
    """Return the change of pieces that makes something in a place."""
    return lambda p: place(p, what)


def meant_for(
    of: Callable[[Conventions], bool], name: str, says: str, change: Callable[[Pieces], Pieces | None]
) -> Variant:
    """A variant that has a meaning under some conventions only."""
    return Variant(name, says, lambda p: change(p) if of(p.conventions) else None)


def limited(of: Callable[[Conventions], bool], variant: Variant) -> Variant:
    """The same variant, with a meaning under some conventions only."""
    return meant_for(of, variant.name, variant.says, variant.change)


def by_rule(*rules: str) -> Callable[[Conventions], bool]:
    """Conventions with one of these lateral rules."""
    return lambda conventions: conventions.lateral_rule in rules


def draws(conventions: Conventions) -> bool:
    """Whether R learns from samples that are drawn."""
    return conventions.subsampled


def wrapping(name: str, says: str, **wrong: Callable[..., Any]) -> Variant:
    """A variant that exchanges pieces for functions which get all the pieces before the change, then the arguments."""

    def change(p: Pieces) -> Pieces:
        return p.with_changes(**{piece: _bound(function, p) for piece, function in wrong.items()})

    return Variant(name, says, change)


def _bound(function: Callable[..., Any], p: Pieces) -> Callable[..., Any]:
    return lambda *arguments: function(p, *arguments)
