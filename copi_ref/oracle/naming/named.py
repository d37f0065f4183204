"""What is said of a function that failed: a verdict, state, a mistake with a name, or another convention."""

from dataclasses import replace

from copi_ref.oracle.calling.calling import REARRANGED, Caller, Rearranged
from copi_ref.oracle.contract.conventions import SAMPLES
from copi_ref.oracle.contract.functions import Function
from copi_ref.oracle.inputs.cases import draw_cases
from copi_ref.oracle.judging.comparison import Outcome, run_case
from copi_ref.oracle.naming.diagnosis import diagnose
from copi_ref.oracle.naming.explaining import Diagnosis
from copi_ref.oracle.naming.state.leaks import (
    Finding,
    after_all,
    by_chance,
    named_in_copies,
    not_steady,
    without_copies,
)


def named(
    caller: Caller, function: Function, outcomes: list[Outcome], before: list[int], known: list[Diagnosis]
) -> Finding | None:
    """Name the variant that explains every value that came, unless the first failure is a verdict already.

    `before` has, for each outcome, how many calls had been made; `known` are diagnoses of functions called before.
    """
    failed = [outcome for outcome in outcomes if outcome.failed]
    if not failed:
        return None
    if failed[0].verdict is not None and (
        failed[0].verdict.shape_or_raised or not any(one.observation for one in failed)
    ):
        return Finding(Diagnosis("verdict", _with_hint(caller, function, failed[0])))
    observations = [outcome.observation for outcome in outcomes if outcome.observation is not None]
    verdicts = [str(one.verdict) for one in failed if one.verdict is not None]
    if caller.has_ended and verdicts:  # there is no asking it once more, whether it is chance
        catalogued = diagnose(function, caller.conventions, caller.precision, observations, known)
        return Finding(of_what_ended(catalogued, verdicts[-1]))
    failed = [one for one in failed if one.observation] or failed  # infinity comes of what shows elsewhere
    if unsteady := not_steady(caller, function, failed[0]):
        kept = named_in_copies(caller, function, outcomes, unsteady, known)
        kept = kept or without_copies(caller, function, outcomes, before, known)
        return kept or Finding(unsteady, after_all(caller, outcomes, before))
    catalogued = diagnose(function, caller.conventions, caller.precision, observations, known)
    if catalogued.name and not _is_made_up(catalogued):
        return Finding(_if_symmetric(caller, function, catalogued))
    kept = without_copies(caller, function, outcomes, before, known)
    if not catalogued.name:
        kept = kept or by_chance(caller, function, failed[0])
    return kept or Finding(_if_symmetric(caller, function, catalogued))


def of_what_ended(found: Diagnosis, how: str) -> Diagnosis:
    """Say how a program ended, besides what was wrong before if that has a name."""
    return replace(found, notes=(*found.notes, f"besides, {how}")) if found.name else Diagnosis("verdict", how)


def _is_made_up(found: Diagnosis) -> bool:
    """Whether it is of two parts, or a formula with fitted numbers: what was kept of an earlier call is likelier."""
    return not found.is_consequence and (found.name == "terms" or " + " in found.name)


def _if_symmetric(caller: Caller, function: Function, found: Diagnosis) -> Diagnosis:
    """Say so if all is right where R is symmetric."""
    concerned = "R" in function.arguments and (not found.name or "R" in found.says)
    if caller.conventions.assumes_symmetric_R or not caller.conventions.has_R or not concerned or found.is_consequence:
        return found
    symmetric = replace(caller.conventions, assumes_symmetric_R=True)
    cases = draw_cases(function, symmetric, caller.precision, seed=0)
    if any(run_case(replace(caller, conventions=symmetric), function, case).failed for case in cases):
        return found
    text = "assumes_symmetric_R=True"
    if not found.name:
        says = f"matches {text}: pass it in Conventions, if your R is symmetric"
        return Diagnosis(text, says)
    return replace(found, says=f"{found.says} (right where R is symmetric: then pass {text} in Conventions)")


def _with_hint(caller: Caller, function: Function, failed: Outcome) -> str:
    """Return the verdict; where samples on the other axis would explain it, say so."""
    assert failed.verdict is not None
    if failed.verdict.shape_or_raised:
        for says, rearranged in REARRANGED.get(function.name, {}).items():
            shim = Rearranged(caller.implementation, function.name, rearranged)
            if not run_case(replace(caller, implementation=shim), function, failed.case).failed:
                return says
        (other,) = SAMPLES.keys() - {caller.conventions.samples}
        turned = replace(caller, conventions=replace(caller.conventions, samples=other))
        if not run_case(turned, function, failed.case).failed:
            return f"matches samples={other!r}: pass it in Conventions (else: {failed.verdict})"
    return str(failed.verdict)
