"""What checks by a residual share: tolerances, a call, and a result from what failed."""

from dataclasses import replace
from typing import Any

from copi_ref.oracle.calling.calling import Caller
from copi_ref.oracle.calling.reading import VerdictError
from copi_ref.oracle.contract.pieces import Inputs
from copi_ref.oracle.inference.functions import InferenceFunction
from copi_ref.oracle.inputs.cases import Case
from copi_ref.oracle.judging.comparison import Outcome
from copi_ref.oracle.report.report import FAILED, NOT_CHECKED, PASSED, Result
from copi_ref.oracle.report.reproducer import reproducer
from copi_ref.oracle.rounding import Precision

TOLERANCES = {"float64": 1e-6, "float32": 1e-3}
"""Of the gradient that is left at a minimum, in units of that at the start; coarser formats have none."""

IMPLICIT = 1e-3
"""‖W⁺ − W + α ∇ℓ(W⁺)‖/‖W⁺ − W‖ that is let pass: the mildest known mistake has thirty times that for α ≥ 1/10."""


def result_of(found: list[tuple[Case, str, float]], function: InferenceFunction, caller: Caller, cases: int) -> Result:
    """Return a result: what failed, with how far off, or a pass, which needs a case."""
    if not cases:
        return Result(function.name, "", function.equation, NOT_CHECKED)
    result = Result(function.name, "residual", function.equation, PASSED, cases=cases)
    if not found:
        return result
    case, says, off = found[0]
    code = reproducer(caller, function, case, Outcome(case, VerdictError(says)))
    return replace(
        result, status=FAILED, worst=off, diagnosis=says, variant=_name_in(says), reproducer=code,
        where=f"On the case {case.name!r}: {says}",
    )  # fmt: skip


def _name_in(says: str) -> str:
    return says[1 : says.index("]")] if says.startswith("[") else ""


def called(caller: Caller, function: InferenceFunction, case: Case) -> Any:
    """What it returned, read; a text if it can't be, or None if it is a stub."""
    try:
        return caller.call(function, case.inputs).quantities
    except VerdictError as verdict:
        return None if verdict.is_stub else str(verdict)


def rounded(inputs: Inputs, precision: Precision) -> Inputs:
    """Arguments as the precision under test has them."""
    return {
        name: tuple(map(precision.representable, one)) if isinstance(one, tuple) else precision.representable(one)
        for name, one in inputs.items()
    }
