"""Two mistakes at once, one made on top of the other: tried for pairs that change nothing that is right."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from copi_ref.oracle.contract.pieces import Pieces
from copi_ref.oracle.naming.evidence import Cell, Evidence
from copi_ref.oracle.naming.explaining import Candidate, Diagnosis, joined

_MOST = 40_000
"""Pairs that are tried at most, in the order of their likelihood: some seconds."""


@dataclass(frozen=True)
class Alive:
    """A candidate that changes something, and nothing that is right.

    Args:
        candidate: itself.
        pieces: that it makes of the right ones.
        gives: cells, among the few observations looked at, where it gives what came.
        changes: cells there where it does not give what is right.
    """

    candidate: Candidate
    pieces: Pieces
    gives: frozenset[Cell]
    changes: frozenset[Cell]


def alive(evidence: Evidence, right: Pieces, candidates: Sequence[Candidate]) -> list[Alive]:
    """Return the candidates that may be one of two."""
    found = []
    for candidate in candidates:
        pieces = candidate.change(right)
        if pieces is not None:
            fit = evidence.fit(pieces, evidence.few)
            if fit.changes and fit.changes <= evidence.wrong:
                found.append(Alive(candidate, pieces, fit.gives, fit.changes))
    return found


def two_at_once(evidence: Evidence, candidates: Sequence[Alive]) -> Diagnosis | None:
    """Return two mistakes that give everything when one is made on top of the other."""
    for first, second in itertools.islice(_possible(evidence, candidates), _MOST):
        pieces = second.candidate.change(first.pieces)
        if pieces is not None and evidence.explained_by(pieces):
            return joined(first.candidate, second.candidate)
    return None


def _possible(evidence: Evidence, candidates: Sequence[Alive]) -> Iterator[tuple[Alive, Alive]]:
    """Yield pairs, in both orders, that are not refuted by what each does where the other does nothing."""
    wrong = evidence.wrong & evidence.of(evidence.few)
    for one, other in itertools.combinations(candidates, 2):
        neither = wrong - one.changes - other.changes
        alone = (one.changes - other.changes - one.gives) | (other.changes - one.changes - other.gives)
        if not neither and not alone:
            # Conventions replace all pieces, so they come first.
            if not other.candidate.is_convention:
                yield one, other
            if not one.candidate.is_convention:
                yield other, one
