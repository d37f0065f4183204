"""Where a mistake shows: named properties of a case, a layer and a quantity, to tell wrong cells from right ones."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from copi_ref.oracle.contract.pieces import batch_of
from copi_ref.oracle.inputs.drawing import EXACT
from copi_ref.oracle.naming.evidence import Cell, Evidence


@dataclass(frozen=True)
class Facts:
    """What is known of a cell.

    Args:
        kind: of the quantity: "ΔW", "δ" …
        layer: from 1; 1 for the equations.
        layers: of the network; 1 for the equations.
        N: samples.
        K: inputs of the layer.
        M: its units.
        widths: of all layers of the network, the inputs first.
        earlier: shapes, as (N, widths), of the calls before.
        exact: whether the case is one of whole numbers.
        inputs: of the case.
    """

    kind: str
    layer: int
    layers: int
    N: int
    K: int
    M: int
    widths: tuple[int, ...]
    earlier: frozenset[tuple[int, tuple[int, ...]]]
    exact: bool
    inputs: dict[str, Any]

    @property
    def below_last(self) -> int:
        """How many layers the layer lies below the last."""
        return self.layers - self.layer


@dataclass(frozen=True)
class Place:
    """A property of cells, in words that end a sentence: "where N = 1"; the empty one holds everywhere."""

    words: str
    holds: Callable[[Facts], bool]


EVERYWHERE = Place("", lambda cell: True)


def _is_power_of_two(number: int) -> bool:
    return number & (number - 1) == 0


def _has_dead_input(cell: Facts) -> bool:
    return bool(np.any(np.all(batch_of(cell.inputs) == 0, axis=0)))


def _has_no_error(cell: Facts) -> bool:
    return "delta" in cell.inputs and bool(np.any(np.asarray(cell.inputs["delta"]) == 0))


def _over(what: str, least: int) -> Callable[[Facts], bool]:
    return lambda cell: getattr(cell, what) > least


def _no_multiple(number: int, beyond: bool = False) -> Callable[[Facts], bool]:
    return lambda cell: cell.N % number != 0 and not (beyond and number > cell.N)


def _of_kind(kind: str) -> Callable[[Facts], bool]:
    return lambda cell: cell.kind == kind


_ORDINALS = {2: "second", 3: "third", 4: "fourth", 5: "fifth", 6: "sixth"}
_NUMBERS = {1: "one layer", 2: "two layers", 3: "three layers", 4: "four layers", 5: "five layers", 6: "six layers"}


PLACES: tuple[Place, ...] = (
    EVERYWHERE,
    Place("where N = 1", lambda c: c.N == 1),
    Place("where N > 1", lambda c: c.N > 1),
    Place("in the last layer", lambda c: c.layer == c.layers),
    Place("below the last layer", lambda c: c.layer < c.layers),
    Place("in the first layer", lambda c: c.layer == 1),
    Place("above the first layer", lambda c: c.layer > 1),
    Place("in layers between the first and the last", lambda c: 1 < c.layer < c.layers),
    Place("in the layer just below the last", lambda c: c.below_last == 1),
    Place("in the second layer", lambda c: c.layer == 2),
    *(Place(f"in layers above the {_ORDINALS[k]}", _over("layer", k)) for k in range(2, 7)),
    *(Place(f"more than {k} layers below the last", _over("below_last", k)) for k in range(1, 7)),
    Place("where there is one output", lambda c: c.widths[-1] == 1),
    Place("where there is one output and N > 1", lambda c: c.widths[-1] == 1 and c.N > 1),
    Place("where there is more than one output", lambda c: c.widths[-1] > 1),
    Place("where W is square", lambda c: c.M == c.K),
    Place("where W is not square", lambda c: c.M != c.K),
    Place("where N = K, as many samples as inputs", lambda c: c.N == c.K),
    Place("where N = M, as many samples as units", lambda c: c.N == c.M),
    Place("where N = K = M", lambda c: c.N == c.K == c.M),
    Place("where N ≠ K", lambda c: c.N != c.K),
    Place("where N < K, fewer samples than inputs", lambda c: c.N < c.K),
    Place("where N > K, more samples than inputs", lambda c: c.N > c.K),
    Place("where there is one input", lambda c: c.K == 1),
    Place("where there is more than one input", lambda c: c.K > 1),
    Place("where there is one unit", lambda c: c.M == 1),
    Place("where there is more than one unit", lambda c: c.M > 1),
    Place("where M > K, more units than inputs", lambda c: c.M > c.K),
    Place("where M < K, fewer units than inputs", lambda c: c.M < c.K),
    *(Place(f"where N > {k}", _over("N", k)) for k in (2, 4, 7, 8, 10, 16, 20, 32, 50, 64, 100, 128)),
    *(Place(f"where N is no multiple of {k}", _no_multiple(k)) for k in (2, 4, 8, 16, 32, 50, 64)),
    *(
        Place(f"where N > {k} and no multiple of it", _no_multiple(k, beyond=True))
        for k in (2, 4, 8, 10, 16, 20, 32, 50, 64)
    ),
    Place("where N is no power of two", lambda c: not _is_power_of_two(c.N)),
    Place("where two layers are equally wide", lambda c: len({*c.widths[1:]}) < len(c.widths) - 1),
    Place("where all layers are equally wide", lambda c: len({*c.widths}) == 1),
    Place("where another layer is as wide", lambda c: c.widths[1:].count(c.M) > 1),
    Place("where a layer above is as wide", lambda c: c.M in c.widths[c.layer + 1 :]),
    Place("in networks of one layer", lambda c: c.layers == 1),
    *(Place(f"in networks of more than {_NUMBERS[k]}", _over("layers", k)) for k in range(1, 7)),
    Place("where the shapes are those of an earlier call", lambda c: (c.N, c.widths) in c.earlier),
    Place("in the first call with some shapes", lambda c: (c.N, c.widths) not in c.earlier),
    Place("after a call with more samples", lambda c: any(N > c.N for N, _ in c.earlier)),
    Place("in every call but the first", lambda c: bool(c.earlier)),
    Place("where η_W = η_R", lambda c: c.inputs.get("eta_w") == c.inputs.get("eta_r", 0)),
    Place("where η_W ≠ η_R", lambda c: c.inputs.get("eta_w", 0) != c.inputs.get("eta_r", 0)),
    Place("where there is a dead input", _has_dead_input),
    Place("where some δ is 0", _has_no_error),
    Place("where inputs are whole numbers", lambda c: c.exact),
    Place("where inputs are no whole numbers", lambda c: not c.exact),
    *(Place(f"in {kind}", _of_kind(kind)) for kind in ("x", "a", "y", "δ", "ΔW", "ΔR", "Δb")),
)
"""The simplest first. A layer's own shapes count, not those of its network, but for outputs."""


def facts(evidence: Evidence) -> dict[Cell, Facts]:
    """Return what is known of every cell."""
    found: dict[Cell, Facts] = {}
    earlier: set[tuple[int, tuple[int, ...]]] = set()
    for at, one in enumerate(evidence.observations):
        inputs = one.case.inputs
        N, widths = shapes(inputs)
        for name in one.actual:
            kind, _, layer = name.partition(" of layer ")
            number = int(layer or 1)
            found[at, name] = Facts(
                kind, number, len(widths) - 1, N, widths[number - 1], widths[number], widths,
                frozenset(earlier), one.case.tier == EXACT, inputs,
            )  # fmt: skip
        earlier.add((N, widths))
    return found


def shapes(inputs: dict[str, Any]) -> tuple[int, tuple[int, ...]]:
    """Return the number of samples, and the widths of all layers."""
    W = inputs["W"] if isinstance(inputs["W"], (tuple, list)) else (inputs["W"],)
    return len(batch_of(inputs)), (W[0].shape[1], *(one.shape[0] for one in W))


def separating(
    known: dict[Cell, Facts], inside: frozenset[Cell], outside: frozenset[Cell], most: int = 2
) -> Place | None:
    """Return the simplest place, of up to `most` properties, in which all of some cells lie, and none of others."""
    for count in range(1, most + 1):
        for places in itertools.combinations(_true_of(known, inside), count):
            if count > 1 and sum(" N " in place.words for place in places) > 1:
                continue  # two properties of one number: any few numbers have some in common
            if not any(all(place.holds(known[cell]) for place in places) for cell in outside):
                return _all_of(places)
    return None


def _all_of(places: tuple[Place, ...]) -> Place:
    return Place(", ".join(place.words for place in places), lambda cell: all(place.holds(cell) for place in places))


def _true_of(known: dict[Cell, Facts], cells: frozenset[Cell]) -> list[Place]:
    return [place for place in PLACES if all(place.holds(known[cell]) for cell in cells)]


def covering(
    known: dict[Cell, Facts], wanted: frozenset[Cell], outside: frozenset[Cell]
) -> Iterator[tuple[Place, frozenset[Cell]]]:
    """Yield places that have none of the cells outside, with the wanted cells in them; each set of these once."""
    seen: set[frozenset[Cell]] = set()
    for place in PLACES:
        if not any(place.holds(known[cell]) for cell in outside):
            covered = frozenset(cell for cell in wanted if place.holds(known[cell]))
            if covered and covered not in seen:
                seen.add(covered)
                yield place, covered
