"""What a catalogued mistake is: a name, what it does in words, and the piece of COPI that it exchanges."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from copi_ref.oracle.contract.pieces import Pieces


@dataclass(frozen=True)
class Variant:
    """A wrong variant.

    Args:
        name: short and stable, for tables and tests.
        says: what the implementation does, as the diagnosis puts it.
        change: what it makes of the right pieces; None where the conventions leave it no meaning.
    """

    name: str
    says: str
    change: Callable[[Pieces], Pieces | None]


def exchanging(name: str, says: str, **wrong: Callable[..., Any]) -> Variant:
    """A variant that exchanges pieces for the same functions under all conventions."""
    return Variant(name, says, lambda p: p.with_changes(**wrong))
