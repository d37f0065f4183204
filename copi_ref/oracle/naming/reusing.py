"""A step of pieces that are the right ones but for a few: what those do not change is not computed again.

Of all mistakes that are tried on a step three in five leave x, a, y and δ as they are.
"""

from collections.abc import Sequence
from dataclasses import fields

from copi_ref.oracle.contract.pieces import (
    OF_FORWARD,
    OF_LATERAL,
    OF_PERTURBATIONS,
    Inputs,
    Pieces,
    Quantities,
    of_symbols,
    whole_step,
)
from copi_ref.oracle.judging.comparison import Observation

_BELOW = OF_FORWARD | OF_PERTURBATIONS

MADE_OF = {
    **dict.fromkeys(("x", "a", "y"), OF_FORWARD),
    **dict.fromkeys(("δ", "error"), _BELOW),
    "ΔW": _BELOW | {"target_state", "copi"},
    "ΔR": OF_FORWARD | OF_LATERAL,
    "Δb": _BELOW | {"bias"},
}
"""The pieces whose exchange may change a quantity, by its symbol."""

_NAMES = tuple(field.name for field in fields(Pieces) if field.name not in ("conventions", "step"))


def reusing(right: Pieces, observations: Sequence[Observation]) -> Pieces:
    """Return the same pieces with a step that knows what they give for the inputs of some observations.

    Args:
        right: pieces whose step is `whole_step`.
        observations: the inputs, and the states returned, that will be looked at again and again. They must not change.
    """
    asked = {id(one.case.inputs): one for one in observations}
    known: dict[int, Quantities] = {}

    def step(pieces: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
        one = asked.get(id(inputs))
        if one is None or one.actual is not own:
            return whole_step(pieces, inputs, own)
        if id(inputs) not in known:
            known[id(inputs)] = whole_step(right, inputs, own)
        same = MADE_OF.keys() - may_change(pieces, right)
        return whole_step(pieces, inputs, own, of_symbols(same, known[id(inputs)]))

    return right.with_changes(step=step)


def may_change(pieces: Pieces, right: Pieces) -> set[str]:
    """Return the symbols of what may come out otherwise in a step that is put together as `whole_step`."""
    if pieces.conventions is not right.conventions:
        return {*MADE_OF}
    changed = {name for name in _NAMES if getattr(pieces, name) is not getattr(right, name)}
    return {symbol for symbol, made_of in MADE_OF.items() if not made_of.isdisjoint(changed)}
