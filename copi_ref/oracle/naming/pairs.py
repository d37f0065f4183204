"""Two mistakes at once, one made on top of the other: tried for pairs that change nothing that is right."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from copi_ref.oracle.contract.pieces import Pieces
from copi_ref.oracle.naming.evidence import Evidence, Fit
from copi_ref.oracle.naming.explaining import Candidate, Diagnosis, joined

_MOST = 4_000
"""Pairs that are tried at most, those first of which one gives something alone, or a multiple of it."""


@dataclass(frozen=True)
class Tried:
    """A candidate with what it gives in the few observations that are looked at first.

    Args:
        candidate: itself.
        pieces: that it makes of the right ones.
        fit: with those of them that fail.
    """

    candidate: Candidate
    pieces: Pieces
    fit: Fit


def looked_at(evidence: Evidence, right: Pieces, candidates: Sequence[Candidate]) -> list[Tried]:
    """Try candidates on a few observations that fail."""
    made = ((candidate, candidate.change(right)) for candidate in candidates)
    return [
        Tried(candidate, pieces, evidence.fit(pieces, evidence.few_failing))
        for candidate, pieces in made
        if pieces is not None
    ]


def alive(evidence: Evidence, tried: Sequence[Tried]) -> list[Tried]:
    """Return those that may be one of two, likely ones first: they change something, and nothing that is right."""
    possible = [
        one
        for one in tried
        if one.fit.changes
        and one.fit.changes <= evidence.wrong
        and not any(evidence.fit(one.pieces, [at]).changes for at in evidence.few_passing)
    ]
    return sorted(
        possible,
        key=lambda one: not (one.candidate.is_convention or one.fit.explains or one.fit.scaled),
    )


def two_at_once(evidence: Evidence, candidates: Sequence[Tried]) -> Diagnosis | None:
    """Return two mistakes that give everything when one is made on top of the other."""
    for first, second in itertools.islice(_possible(evidence, candidates), _MOST):
        pieces = second.candidate.change(first.pieces)
        if pieces is not None and evidence.explained_by(pieces):
            return joined(first.candidate, second.candidate)
    return None


def _possible(evidence: Evidence, candidates: Sequence[Tried]) -> Iterator[tuple[Tried, Tried]]:
    """Yield pairs, in both orders, that are not refuted by what each does where the other does nothing."""
    wrong = evidence.wrong & evidence.of(evidence.few_failing)
    for one, other in itertools.combinations(candidates, 2):
        its, others = one.fit, other.fit
        neither = wrong - its.changes - others.changes
        alone = (its.changes - others.changes - its.gives) | (others.changes - its.changes - others.gives)
        if not neither and not alone:
            # Conventions replace all pieces, so they come first.
            if not other.candidate.is_convention:
                yield one, other
            if not one.candidate.is_convention:
                yield other, one
