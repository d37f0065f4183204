"""The result of a function in one tier: where all outcomes are right, and where one is not."""

from dataclasses import replace

from copi_ref.oracle.calling.calling import Caller
from copi_ref.oracle.contract.functions import AnyFunction
from copi_ref.oracle.judging.comparison import Outcome, catches
from copi_ref.oracle.judging.replaying import Replay
from copi_ref.oracle.naming.explaining import Diagnosis
from copi_ref.oracle.report.report import FAILED, PASSED, Result
from copi_ref.oracle.report.reproducer import element_shown, reproducer


def as_passed(
    caller: Caller, function: AnyFunction, tier: str, outcomes: list[Outcome], telling: list[Outcome]
) -> Result:
    """Return the result if none of the outcomes failed; `telling` are those that it is as sharp as."""
    elements = [outcome.worst for outcome in outcomes if outcome.worst is not None]
    worst = max(elements, key=lambda element: element.ratio, default=None)
    return Result(
        check=function.name,
        tier=tier,
        equation=function.equation,
        status=PASSED,
        cases=len(outcomes),
        worst=worst.error if worst else 0.0,
        allowed=worst.allowed if worst else 0.0,
        catches=catches(telling, caller.precision),
    )


def if_sharp(result: Result, limit: float | None) -> Result:
    """Fail a check that would miss a relative error that this project promises to catch."""
    if limit is None or result.catches <= limit:
        return result
    says = f"not sharp enough: would miss a relative error of {result.catches:.1e}"
    return replace(result, status=FAILED, diagnosis=says)


def with_failure(
    result: Result, caller: Caller, function: AnyFunction, shown: Replay, diagnosis: Diagnosis | None
) -> Result:
    """Return the result with an outcome that failed, and what is wrong in all that did."""
    failed, found = shown.outcome, diagnosis or Diagnosis("", "")
    what = element_shown(caller, failed.case, failed.worst) if failed.worst else str(failed.verdict)
    if not found.name:
        found = replace(found, says=f"matches no catalogued variant; {what}")
    return replace(
        result,
        status=FAILED,
        worst=failed.worst.error if failed.worst else result.worst,
        allowed=failed.worst.allowed if failed.worst else result.allowed,
        diagnosis=str(found),
        variant=found.name,
        notes=found.notes,
        is_consequence=found.is_consequence,
        where=f"On the case {failed.case.name!r}: {what}",
        reproducer=reproducer(caller, function, failed.case, failed, shown.earlier),
    )
