"""What a catalogued mistake is: a name, what it does in words, and the piece of COPI that it exchanges."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

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


def wrapping(name: str, says: str, **wrong: Callable[..., Any]) -> Variant:
    """A variant that exchanges pieces for functions which get all the pieces before the change, then the arguments."""

    def change(p: Pieces) -> Pieces:
        return p.with_changes(**{piece: _bound(function, p) for piece, function in wrong.items()})

    return Variant(name, says, change)


def _bound(function: Callable[..., Any], p: Pieces) -> Callable[..., Any]:
    return lambda *arguments: function(p, *arguments)
