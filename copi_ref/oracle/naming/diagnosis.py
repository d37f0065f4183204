"""Which mistake is it: what explains every number that came, the simplest first."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from copi_ref.oracle.contract.conventions import Conventions
from copi_ref.oracle.contract.functions import Function
from copi_ref.oracle.contract.pieces import Pieces, batch_of, right_pieces
from copi_ref.oracle.judging.comparison import Observation
from copi_ref.oracle.naming.candidates import concerns, several_conventions, singles, with_fitted_kappa
from copi_ref.oracle.naming.catalogue.errors import with_error_of_y
from copi_ref.oracle.naming.catalogue.forward import with_backward_pass
from copi_ref.oracle.naming.catalogue.slopes import with_slope_of_y
from copi_ref.oracle.naming.coarse import coarser
from copi_ref.oracle.naming.evidence import Cell, Evidence, kind_of
from copi_ref.oracle.naming.explaining import Candidate, Diagnosis, joined, with_all
from copi_ref.oracle.naming.factors import FAMILIES, fitted
from copi_ref.oracle.naming.locating import located
from copi_ref.oracle.naming.pairs import Tried, alive, looked_at, two_at_once
from copi_ref.oracle.naming.places import Facts, facts
from copi_ref.oracle.naming.reusing import may_change, reusing
from copi_ref.oracle.naming.rules import Partial, first_explaining, in_one_place, in_two_places
from copi_ref.oracle.naming.terms import as_terms
from copi_ref.oracle.rounding import Precision


def diagnose(
    function: Function,
    conventions: Conventions,
    precision: Precision,
    observations: list[Observation],
    before: Sequence[Diagnosis] = (),
) -> Diagnosis:
    """Return what reproduces all observations, given in the order of the calls; a nameless one if nothing does.

    `before` are the diagnoses of functions that were called before: what is wrong there may be all, or be in it too.
    """
    evidence = Evidence(function, precision, observations)
    found = _found(evidence, conventions, before)
    ours = "a fault of copi_ref itself, in trying mistakes; please report it"
    faults = tuple(f"{ours}: {fault}" for fault in sorted(evidence.faults))
    return replace(found, notes=(*found.notes, *faults))


def _found(evidence: Evidence, conventions: Conventions, before: Sequence[Diagnosis]) -> Diagnosis:
    function, precision, observations = evidence.function, evidence.precision, evidence.observations
    right = reusing(right_pieces(conventions), observations)
    candidates = list(singles(function, conventions))
    above = _before(evidence, right, before)
    found = (above and _consequence(evidence, above)) or first_explaining(
        evidence, right, _able(evidence, right, candidates)
    )
    if found:
        return found
    if evidence.largest > _FITTABLE:
        return Diagnosis("", "", notes=(f"numbers as large as {evidence.largest:.1e} came: what grows without bound?",))
    families = _families(evidence, right)
    found = (
        first_explaining(evidence, right, with_fitted_kappa(evidence, conventions), at_most=1)
        or first_explaining(evidence, right, families, at_most=1)
        or next(coarser(precision, observations), None)
        or first_explaining(evidence, right, several_conventions(evidence, conventions), at_most=1)
        or (above and _besides(evidence, above, candidates))
        or _but_for_tiny_inputs(evidence, right, candidates)
    )
    if found:
        return found
    known = facts(evidence)
    found = in_one_place(evidence, known, _giving_all_wrong(evidence, right, [*candidates, *families]))
    if found:
        return found
    tried = looked_at(evidence, right, candidates)
    partials = list(_partials(evidence, [*tried, *looked_at(evidence, right, families)]))
    found = in_two_places(evidence, known, partials)
    if found:
        return found
    one_of_two = alive(evidence, tried)
    return (
        two_at_once(evidence, one_of_two)
        or _with_formulas(evidence, right, known, partials)
        or _with_numbers(evidence, one_of_two)
        or Diagnosis("", "", notes=located(evidence, partials))
    )


def _able(evidence: Evidence, right: Pieces, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
    """Those that may change every kind of quantity that the right ones don't give: of a step most candidates can't.

    A cell may be wrong and given all the same, as one may be right and not given: what is right has an allowance for
    each entry, what a mistake gives one for the whole array.
    """
    if evidence.function.name != "step" or None in (evidence.evaluated(right, at) for at in evidence.order):
        return candidates
    asked = {kind_of(cell) for cell in evidence.cells - evidence.fit(right, evidence.order).gives}

    def is_able(candidate: Candidate) -> bool:
        pieces = candidate.change(right)
        return pieces is not None and (pieces.step is not right.step or asked <= may_change(pieces, right))

    return [candidate for candidate in candidates if is_able(candidate)]


_FITTABLE = 2.0**500
"""Numbers beyond this have no squares, and nothing is fitted to them."""

_FITTED = 6
"""Observations, the smallest that fail, to which numbers are fitted: then they have to fit all."""


def _families(evidence: Evidence, base: Pieces) -> list[Candidate]:
    return [one for family in FAMILIES for one in fitted(family, evidence, base, evidence.failing[:_FITTED])]


_TINY = 2.0**-20
"""Inputs below this show a small number that is added somewhere, and others don't."""


def _but_for_tiny_inputs(evidence: Evidence, right: Pieces, candidates: Sequence[Candidate]) -> Diagnosis | None:
    """What explains all but tiny inputs."""
    rest = [one for one in evidence.observations if np.max(np.abs(batch_of(one.case.inputs))) > _TINY]
    if len(rest) in (0, len(evidence.observations)):
        return None
    without = Evidence(evidence.function, evidence.precision, rest)
    found = first_explaining(without, right, candidates) if without.wrong else None
    return replace(found, says=f"{found.says}, but not for tiny inputs: an epsilon besides?") if found else None


# --- with what is known of the functions before -----------------------------------------------------------------------


@dataclass(frozen=True)
class _Before:
    """What is wrong in functions before and concerns this one too, and the pieces that make all of it."""

    diagnoses: list[Diagnosis]
    pieces: Pieces


def _before(evidence: Evidence, right: Pieces, before: Sequence[Diagnosis]) -> _Before | None:
    diagnoses = [
        one for one in before if one.change is not None and concerns(evidence.function, one.change(right), right)
    ]
    pieces = with_all(diagnoses, right) if diagnoses else None
    return _Before(diagnoses, pieces) if pieces is not None else None


def _consequence(evidence: Evidence, before: _Before) -> Diagnosis | None:
    """What was found before comes to all of it."""
    made = before.pieces
    others = (way(made) for way in (with_slope_of_y, with_error_of_y, with_backward_pass))
    if not any(map(evidence.explained_by, (made, *(one for one in others if one is not made)))):
        return None
    name = " + ".join(one.name for one in before.diagnoses)
    says = f"comes of what is above: {'; '.join(map(str, before.diagnoses))}"
    return Diagnosis(name, says, is_consequence=True)


def _besides(evidence: Evidence, before: _Before, candidates: Sequence[Candidate]) -> Diagnosis | None:
    """Another mistake besides what was found before."""
    base = before.pieces
    mistakes = [candidate for candidate in candidates if not candidate.is_convention]
    found = (
        first_explaining(evidence, base, mistakes)
        or first_explaining(evidence, base, _families(evidence, base), at_most=1)
        or in_one_place(evidence, facts(evidence), _giving_all_wrong(evidence, base, mistakes))
    )
    if found is None:
        return None
    return Diagnosis(found.name, f"{found}, besides what is above", found.change)


# --- in some places, and two at once ----------------------------------------------------------------------------------


def _with_formulas(
    evidence: Evidence, right: Pieces, known: dict[Cell, Facts], partials: Sequence[Partial]
) -> Diagnosis | None:
    """A wrong ΔW or ΔR as a sum of terms, or that and a mistake that has its place elsewhere."""
    kinds = {kind_of(cell) for cell in evidence.wrong}
    formulas = [partial for kind in ("ΔW", "ΔR") if kind in kinds for partial in as_terms(evidence, right, kind)]
    everywhere = next((one for one in formulas if evidence.wrong <= one.hits(evidence)), None)
    if everywhere is not None:
        return everywhere.candidate.diagnosis(everywhere=False)
    return in_two_places(evidence, known, [*partials, *formulas]) if formulas else None


def _giving_all_wrong(evidence: Evidence, base: Pieces, candidates: Sequence[Candidate]) -> list[Partial]:
    """Those that give everything that is wrong, whatever they make of the rest."""
    order = evidence.telling_first(base)
    made = ((candidate, candidate.change(base)) for candidate in candidates)
    return [
        Partial(candidate, evidence.fit(pieces, evidence.order))
        for candidate, pieces in made
        if pieces is not None and evidence.gives_all_wrong(pieces, order)
    ]


def _partials(evidence: Evidence, tried: Sequence[Tried]) -> Iterator[Partial]:
    """Those that give something wrong, looked at on all observations."""
    for one in tried:
        if evidence.wrong & one.fit.explains:
            yield Partial(one.candidate, evidence.fit(one.pieces, evidence.order))


def _with_numbers(evidence: Evidence, candidates: Sequence[Tried]) -> Diagnosis | None:
    """Two at once, of which the second has fitted numbers: the first gives something, or a multiple of it."""
    for one in candidates:
        if not (one.fit.explains or one.fit.scaled):
            continue
        for family in FAMILIES:
            for other in fitted(family, evidence, one.pieces, evidence.failing[:2]):
                pieces = other.change(one.pieces)
                if pieces is not None and evidence.explained_by(pieces):
                    return joined(one.candidate, other)
    return None
