"""`check`: run an implementation on every case, compare, and say what is wrong."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from copi_ref.arrays import checks
from copi_ref.arrays.backend import BackendError, Namespace, default_namespace, from_numpy
from copi_ref.oracle.calling.calling import REARRANGED, Caller, Rearranged
from copi_ref.oracle.contract.conventions import AS_PRINTED, SAMPLES, Conventions
from copi_ref.oracle.contract.functions import FUNCTIONS, Function, FunctionName
from copi_ref.oracle.inputs.cases import draw_cases, kinds
from copi_ref.oracle.inputs.drawing import EXACT, ROUNDING, is_narrow
from copi_ref.oracle.judging.comparison import Outcome, catches, run_case
from copi_ref.oracle.judging.trajectory import run_trajectory
from copi_ref.oracle.naming.diagnosis import diagnose
from copi_ref.oracle.naming.explaining import Diagnosis
from copi_ref.oracle.report.report import EXPECTED_FAILURE, FAILED, NOT_CHECKED, NOT_IMPLEMENTED, PASSED, Report, Result
from copi_ref.oracle.report.reproducer import library_name, reproducer
from copi_ref.oracle.rounding import PRECISIONS, Precision, PrecisionName


def check(
    implementation: Any,
    *,
    conventions: Conventions = AS_PRINTED,
    precision: PrecisionName = "float64",
    expected_failures: Mapping[str, str] | None = None,
    only: tuple[FunctionName, ...] = (),
    xp: Namespace | None = None,
    device: Any = None,
    seed: int = 0,
) -> Report:
    """Say whether an implementation is COPI, and if not, which mistake it is.

    Args:
        implementation: any object or module that has some of ``copi_update(x, z, W)``, ``sgd_update(x, delta)``,
            ``decorrelation_update(x, R)``, ``forward(W, R, y0) -> (x, a, y)``,
            ``perturbations(W, R, x, a, y, target) -> deltas`` and ``step(W, R, y0, target, eta_w, eta_r) -> (W, R)``,
            on arrays and lists of them per layer. `step` may return a dict with some of x, a, y and delta third.
        conventions: what it chose where COPI leaves a choice.
        precision: what it computes in: "float64", "float32", "tf32", "float16" or "bfloat16".
        expected_failures: names of functions that are known to fail, each with the reason. One that passes fails.
        only: names of functions to check; all of these have to be there. By default, those that are there.
        xp: the array library of its arguments and results (``torch``, ``jax.numpy``, ``cupy`` …); by default the
            chosen backend.
        device: where its arrays have to lie; by default where that library puts them.
        seed: another seed draws other inputs.

    Returns:
        The report. Nothing that the implementation does raises here: it becomes a verdict.

    Raises:
        TypeError, ValueError: an argument of `check` itself is wrong.
        BackendError: the array library can't be used, or lacks the precision.
    """
    expected = dict(expected_failures or {})
    format_ = _checked(conventions, precision, expected, only, seed)
    caller = Caller(implementation, conventions, format_, _usable(xp, format_, device), device)
    results: list[Result] = []
    diagnoses: list[Diagnosis] = []
    # Whatever somebody's numbers do to the reference is a verdict; and code that overflows on its way may be right.
    with np.errstate(all="ignore"):
        for function in FUNCTIONS.values():
            if not only or function.name in only:
                passed = {name for name in FUNCTIONS if {r.status for r in results if r.check == name} == {PASSED}}
                found = _check_function(caller, function, seed, passed, diagnoses)
                results += _as_expected(found, expected.get(function.name))
    return Report(tuple(results), conventions, precision, library_name(caller), only)


def _checked(
    conventions: Conventions, precision: str, expected: dict[str, str], only: tuple[str, ...], seed: int
) -> Precision:
    """Check what `check` was told, and return the precision."""
    if not isinstance(conventions, Conventions):
        raise TypeError(f"conventions is {conventions!r}: needs a copi_ref.oracle.Conventions")
    if isinstance(only, str):
        raise TypeError(f"only is {only!r}: needs a tuple of names, as ({only!r},)")
    for name in (*expected, *only):
        checks.choice("a function's name", name, FUNCTIONS)
    for name, reason in expected.items():
        if not (isinstance(reason, str) and reason.strip()):
            raise ValueError(f"expected_failures[{name!r}] is {reason!r}: needs the reason")
    checks.whole_number("seed", seed, minimum=0)
    found: Precision = checks.choice("precision", precision, PRECISIONS)
    return found


def _usable(xp: Namespace | None, precision: Precision, device: Any) -> Namespace:
    """Return the array library, after making an array of that precision with it, where it has to lie."""
    xp = default_namespace(xp)
    from_numpy(np.ones(1), xp, precision.dtype)
    try:
        from_numpy(np.ones(1), xp, precision.dtype, device)
    except Exception as error:
        raise BackendError(f"device {device!r} can't be used: {error}") from error
    return xp


def _as_expected(results: list[Result], reason: str | None) -> list[Result]:
    if reason is None:
        return results
    if all(result.status in (NOT_IMPLEMENTED, NOT_CHECKED) for result in results):
        return results
    if any(result.status == FAILED for result in results):
        return [
            replace(result, status=EXPECTED_FAILURE, diagnosis=f"{reason} ({result.diagnosis})")
            if result.status == FAILED
            else result
            for result in results
        ]
    says = f"was expected to fail ({reason}), but passes: take it off expected_failures"
    return [replace(result, status=FAILED, diagnosis=says) for result in results]


# --- one function -----------------------------------------------------------------------------------------------------


def _check_function(
    caller: Caller, function: Function, seed: int, passed: set[str], diagnoses: list[Diagnosis]
) -> list[Result]:
    """Return a result for each tier that has cases, the exact one first.

    `passed` are functions found to be right, `diagnoses` those of the others, to which this one's is added.
    """
    if not caller.has(function.name):
        return [Result(function.name, "", function.equation, NOT_IMPLEMENTED)]
    cases = draw_cases(function, caller.conventions, caller.precision, seed)
    if not cases:
        return [Result(function.name, "", function.equation, NOT_CHECKED)]
    outcomes = [run_case(caller, function, case) for case in cases]
    leak = _leak(caller, function, outcomes[0])
    diagnosis = leak or _diagnosis(caller, function, outcomes, diagnoses)
    if diagnosis is not None:
        diagnoses.append(diagnosis)
    tiers = {tier: [one for one in outcomes if one.case.tier == tier] for tier in (EXACT, ROUNDING)}
    planned = Counter(kind.tier for kind in kinds(function, caller.precision))
    results = [
        replace(_result(caller, function, tier, mine, diagnosis), skipped=planned[tier] - len(mine))
        for tier, mine in tiers.items()
        if mine
    ]
    if leak:
        results[0] = replace(results[0], status=FAILED, diagnosis=leak.says, variant=leak.name)
    if function.name == "step" and tiers[ROUNDING] and not is_narrow(caller.precision):
        results.append(_steps(caller, seed, passed, diagnoses))
    return results


def _leak(caller: Caller, function: Function, first: Outcome) -> Diagnosis | None:
    """Say that the first call shows something else after others, though it was right."""
    if first.failed or first.answer is None:
        return None
    if not caller.still_says(function, first.case.inputs, first.answer):
        return Diagnosis("state-leak", "state leaks between calls: a later call overwrites what an earlier returned")
    if run_case(caller, function, first.case).failed:
        says = "state leaks between calls: the first inputs, given again after others, have another result"
        return Diagnosis("state-leak", says)
    return None


def _diagnosis(
    caller: Caller, function: Function, outcomes: list[Outcome], before: Sequence[Diagnosis]
) -> Diagnosis | None:
    """Name the variant that explains every value that came, unless the first failure is a verdict already."""
    failed = [outcome for outcome in outcomes if outcome.failed]
    if not failed:
        return None
    if failed[0].verdict is not None:
        return Diagnosis("verdict", _with_hint(caller, function, failed[0]))
    if _differs_from_itself(caller, function, failed[0]):
        return Diagnosis("not-deterministic", "not deterministic: two calls with the same arguments have two results")
    observations = [outcome.observation for outcome in outcomes if outcome.observation is not None]
    found = diagnose(function, caller.conventions, caller.precision, observations, before)
    return _if_symmetric(caller, function, found)


def _if_symmetric(caller: Caller, function: Function, found: Diagnosis) -> Diagnosis:
    """Say so if all is right where R is symmetric."""
    uses_R = "R" in function.arguments
    if caller.conventions.assumes_symmetric_R or not uses_R or found.is_consequence:
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


def _differs_from_itself(caller: Caller, function: Function, failed: Outcome) -> bool:
    """Whether two more calls, one after the other, have results that differ by more than rounding."""
    twice = [run_case(caller, function, failed.case).observation for _ in range(2)]
    if twice[0] is None or twice[1] is None:
        return False
    return any(
        bool(np.any(np.abs(twice[0].actual[name] - twice[1].actual[name]) > expected.allowance(caller.precision)))
        for name, expected in twice[0].expected.items()
    )


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


# --- results ----------------------------------------------------------------------------------------------------------


def _result(
    caller: Caller, function: Function, tier: str, outcomes: list[Outcome], diagnosis: Diagnosis | None
) -> Result:
    elements = [outcome.worst for outcome in outcomes if outcome.worst is not None]
    worst = max(elements, key=lambda element: element.ratio, default=None)
    result = Result(
        check=function.name,
        tier=tier,
        equation=function.equation,
        status=PASSED,
        cases=len(outcomes),
        worst=worst.error if worst else 0.0,
        allowed=worst.allowed if worst else 0.0,
        catches=catches(outcomes, caller.precision),
    )
    failed = next((outcome for outcome in outcomes if outcome.failed), None)
    return _with_failure(result, caller, function, failed, diagnosis) if failed else _if_sharp(result, caller.precision)


def _with_failure(
    result: Result, caller: Caller, function: Function, failed: Outcome, diagnosis: Diagnosis | None
) -> Result:
    if diagnosis is None or not diagnosis.name:
        says = f"matches no catalogued variant; {failed.verdict or failed.worst}"
        diagnosis = replace(diagnosis or Diagnosis("", ""), says=says)
    element = f": {failed.worst}" if failed.worst else ""
    return replace(
        result,
        status=FAILED,
        worst=failed.worst.error if failed.worst else result.worst,
        allowed=failed.worst.allowed if failed.worst else result.allowed,
        diagnosis=str(diagnosis),
        variant=diagnosis.name,
        notes=diagnosis.notes,
        is_consequence=diagnosis.is_consequence,
        where=f"On the case {failed.case.name!r}{element}",
        reproducer=reproducer(caller, function, failed.case, failed.worst),
    )


def _if_sharp(result: Result, precision: Precision) -> Result:
    """Fail a check that would miss a relative error that this project promises to catch."""
    if precision.limit is None or result.catches <= precision.limit:
        return result
    return replace(
        result, status=FAILED, diagnosis=f"not sharp enough: would miss a relative error of {result.catches:.1e}"
    )


def _steps(caller: Caller, seed: int, passed: set[str], diagnoses: list[Diagnosis]) -> Result:
    """Return the result of several steps in a row, each from the implementation's own weights."""
    trajectory = run_trajectory(caller, seed, passed)
    step = FUNCTIONS["step"]
    outcomes = [outcome for name, outcome in trajectory.outcomes if name == "step"]
    failed = trajectory.failed
    if failed is None:
        result = _result(caller, step, "steps", outcomes, None)
        return replace(result, skipped=trajectory.skipped)
    name, outcome = failed
    mine = [one for of, one in trajectory.outcomes if of == name]
    diagnosis = _diagnosis(caller, FUNCTIONS[name], mine, diagnoses)
    result = _result(caller, FUNCTIONS[name], "steps", mine, diagnosis)
    at = f"{outcome.worst.quantity} at {outcome.case.name}" if outcome.worst else f"{name} at {outcome.case.name}"
    says = f"{result.diagnosis}; first in {at}"
    return replace(result, check="step", diagnosis=says, skipped=trajectory.skipped)
