"""A mistake in some places only, or two in different places: what explains every number that came, cell by cell."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from copi_ref.oracle.naming.evidence import Cell, Evidence, Fit, kind_of
from copi_ref.oracle.naming.explaining import AnyPieces, Candidate, Diagnosis, joined
from copi_ref.oracle.naming.places import EVERYWHERE, PLACES, Facts, Place, covering, separating


@dataclass(frozen=True)
class Partial:
    """A candidate that gives some of what is wrong.

    Args:
        candidate: itself.
        fit: with all observations.
    """

    candidate: Candidate
    fit: Fit

    def hits(self, evidence: Evidence) -> frozenset[Cell]:
        """Wrong cells that it gives."""
        return evidence.wrong & self.fit.explains

    def misses(self, evidence: Evidence) -> frozenset[Cell]:
        """Cells that it does not give, of the kinds of quantities that it changes."""
        kinds = {kind_of(cell) for cell in self.fit.changes}
        return frozenset(cell for cell in evidence.cells - self.fit.gives if kind_of(cell) in kinds)


def in_one_place(evidence: Evidence, known: dict[Cell, Facts], partials: Sequence[Partial]) -> Diagnosis | None:
    """Return a mistake that gives all that is wrong, with the place that tells it from what is right."""
    found: list[tuple[int, Partial, Place]] = []
    for partial in partials:
        if evidence.wrong <= partial.hits(evidence):
            place = separating(known, evidence.wrong, partial.misses(evidence))
            if place is not None:
                found.append((place.words.count(", ") * len(PLACES) + _rank(place), partial, place))
    if not found:
        return None
    _, best, place = min(found, key=lambda one: one[0])
    others = [one.candidate for _, one, at in found if one is not best and at.words == place.words]
    return best.candidate.diagnosis(_where(place) + same_as(others), everywhere=not place.words)


def in_two_places(evidence: Evidence, known: dict[Cell, Facts], partials: Sequence[Partial]) -> Diagnosis | None:
    """Return two mistakes that give all that is wrong between them, each everywhere in some place."""
    rules: dict[frozenset[Cell], tuple[int, Partial, Place]] = {}
    for order, partial in enumerate(partials):
        for place, covered in covering(known, partial.hits(evidence), partial.misses(evidence)):
            rank = _rank(place) * len(partials) + order
            if covered not in rules or rank < rules[covered][0]:
                rules[covered] = rank, partial, place
    best: tuple[int, frozenset[Cell], frozenset[Cell]] | None = None
    for first, second in itertools.combinations(rules, 2):
        if first | second == evidence.wrong and not (first <= second or second <= first):
            rank = rules[first][0] + rules[second][0]
            if best is None or rank < best[0]:
                best = rank, first, second
    if best is None:
        return None
    (_, one, its_place), (_, other, other_place) = sorted(
        (rules[best[1]], rules[best[2]]),
        key=lambda rule: min(_KINDS.index(kind_of(cell)) for cell in rule[1].hits(evidence)),
    )
    everywhere = its_place is other_place is EVERYWHERE
    return joined(one.candidate, other.candidate, (_where(its_place), _where(other_place)), everywhere)


def first_explaining(
    evidence: Evidence, base: AnyPieces, candidates: Iterable[Candidate], at_most: int | None = None
) -> Diagnosis | None:
    """The first of the candidates that explains everything, and which others would."""
    order = evidence.telling_first(base)
    found: list[Candidate] = []
    for candidate in candidates:
        pieces = candidate.change(base)
        if pieces is not None and evidence.explained_by(pieces, order):
            found.append(candidate)
            if len(found) == at_most:
                break
    return found[0].diagnosis(same_as(found[1:])) if found else None


def same_as(others: Sequence[Candidate]) -> str:
    """Say that others come to the same numbers."""
    if not others:
        return ""
    return f" ({', '.join(f'[{one.name}]' for one in others[:3])} would come to the same)"


def _where(place: Place) -> str:
    return f", {place.words}" if place.words else ""


def _rank(place: Place) -> int:
    return next((at for at, one in enumerate(PLACES) if one.words == place.words), len(PLACES))


_KINDS = ("x", "a", "y", "δ", "ΔW", "ΔR", "Δb")
