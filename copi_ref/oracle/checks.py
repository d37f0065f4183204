"""`check`: run an implementation on every case, compare, and say what is wrong."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from copi_ref.arrays import checks
from copi_ref.arrays.backend import BackendError, Namespace, default_namespace, from_numpy
from copi_ref.oracle.calling.calling import Caller
from copi_ref.oracle.calling.fresh import fresh_copies
from copi_ref.oracle.contract.asked import conventions_of, of_kind
from copi_ref.oracle.contract.conventions import AS_PRINTED, Conventions
from copi_ref.oracle.contract.functions import FUNCTIONS, Function, FunctionName
from copi_ref.oracle.inference.checks import check_functions
from copi_ref.oracle.inference.conventions import InferenceConventions
from copi_ref.oracle.inference.functions import INFERENCE_FUNCTIONS, InferenceFunctionName
from copi_ref.oracle.inference.reading import InferenceReader
from copi_ref.oracle.inputs.cases import draw_cases, kinds
from copi_ref.oracle.inputs.drawing import EXACT, ROUNDING, is_narrow
from copi_ref.oracle.judging.comparison import Outcome, run_case
from copi_ref.oracle.judging.replaying import Replay, size
from copi_ref.oracle.judging.trajectory import run_trajectory
from copi_ref.oracle.naming.explaining import Diagnosis
from copi_ref.oracle.naming.named import named
from copi_ref.oracle.naming.state.leaks import Finding, leak, shown_by_copies
from copi_ref.oracle.report.report import EXPECTED_FAILURE, FAILED, NOT_CHECKED, NOT_IMPLEMENTED, PASSED, Report, Result
from copi_ref.oracle.report.reproducer import library_name, overwriting
from copi_ref.oracle.report.results import as_passed, if_sharp, with_failure
from copi_ref.oracle.rounding import PRECISIONS, Precision, PrecisionName


def check(
    implementation: Any,
    *,
    conventions: Conventions | InferenceConventions = AS_PRINTED,
    precision: PrecisionName = "float64",
    expected_failures: Mapping[str, str] | None = None,
    only: tuple[FunctionName | InferenceFunctionName, ...] = (),
    xp: Namespace | None = None,
    device: Any = None,
    seed: int = 0,
) -> Report:
    """Say whether an implementation is COPI, and if not, which mistake it is.

    Args:
        implementation: any object or module (not its name) that has some of ``copi_update(x, z, W)``,
            ``sgd_update(x, delta)``, ``decorrelation_update(x, R)``, ``forward(W, R, y0) -> (x, a, y)``,
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
        The report. Nothing that the implementation does raises here, it becomes a verdict.

    Its code runs in this process: what ends that, or never returns, is not caught. ``copi-ref check`` has one for it.

    Raises:
        TypeError, ValueError: an argument of `check` itself is wrong; the message names it.
        BackendError: the array library can't be used, or lacks the precision.
    """
    format_ = _checked(implementation, conventions, precision, expected_failures, only, seed)
    expected, only = dict(expected_failures or {}), tuple(only)
    if isinstance(conventions, InferenceConventions):
        return _of_inference(
            implementation, conventions, format_, expected, only, _usable(xp, format_, device), device, seed
        )
    conventions = replace(conventions, slope=float(conventions.slope))  # a Fraction is for exact vectors alone
    fresh = fresh_copies(implementation)
    caller = Caller(implementation, conventions, format_, _usable(xp, format_, device), device, fresh)
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
    implementation: Any,
    conventions: Conventions | InferenceConventions,
    precision: str,
    expected_failures: Mapping[str, str] | None,
    only: Collection[str],
    seed: int,
) -> Precision:
    """Check what `check` was told, and return the precision."""
    if implementation is None or isinstance(implementation, (str, bytes, int, float)):
        of_kind("implementation", implementation, (), "an object or a module with some of the functions")
    conventions_of(conventions, Conventions, InferenceConventions)
    of_kind("expected_failures", expected_failures, (Mapping, type(None)), "a dict of reasons by functions' names")
    of_kind("only", only, (tuple, list, set, frozenset), "a tuple of names of functions, as ('step',)")
    table: Mapping[str, Any] = INFERENCE_FUNCTIONS if isinstance(conventions, InferenceConventions) else FUNCTIONS
    for argument, names in (("expected_failures", expected_failures or {}), ("only", only)):
        for name in names:
            checks.choice(f"a function's name in {argument}", name, table)
    for name, reason in (expected_failures or {}).items():
        if not (isinstance(reason, str) and reason.strip()):
            raise ValueError(f"expected_failures[{name!r}] is {reason!r}: needs the reason")
    checks.whole_number("seed", seed, minimum=0)
    found: Precision = checks.choice("precision", precision, PRECISIONS)
    return found


def _of_inference(
    implementation: Any,
    conventions: InferenceConventions,
    precision: Precision,
    expected: dict[str, str],
    only: tuple[str, ...],
    xp: Namespace,
    device: Any,
    seed: int,
) -> Report:
    """Say whether an implementation is Inference Learning by its conventions."""
    fresh = fresh_copies(implementation)
    caller = Caller(implementation, conventions, precision, xp, device, fresh, read_by=InferenceReader)
    found = check_functions(caller, conventions, only, seed)
    by_name = {name: [result for result in found if result.check == name] for name in INFERENCE_FUNCTIONS}
    results = [one for name, mine in by_name.items() for one in _as_expected(mine, expected.get(name))]
    return Report(tuple(results), conventions, precision.name, library_name(caller), only)


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
    caller: Caller, function: Function, seed: int, passed: set[str], known: list[Diagnosis]
) -> list[Result]:
    """Return a result for each tier that has cases, the exact one first.

    `passed` are functions found to be right, `known` the diagnoses of the others, to which this one's is added.
    """
    if not caller.has(function.name):
        return [Result(function.name, "", function.equation, NOT_IMPLEMENTED)]
    cases = draw_cases(function, caller.conventions, caller.precision, seed)
    if not cases or _is_ruled_out(function, caller.conventions):
        return [Result(function.name, "", function.equation, NOT_CHECKED)]
    start = len(caller.history)
    outcomes = [run_case(caller, function, case) for case in cases]
    if all(outcome.is_stub for outcome in outcomes):
        return [Result(function.name, "", function.equation, NOT_IMPLEMENTED)]
    before = [*range(start, start + len(outcomes))]
    found = leak(caller, function, outcomes, before, known) or named(caller, function, outcomes, before, known)
    if found is not None:
        known.append(found.diagnosis)
    tiers = {tier: [one for one in outcomes if one.case.tier == tier] for tier in (EXACT, ROUNDING)}
    planned = Counter(kind.tier for kind in kinds(function, caller.precision, caller.conventions))
    results = [
        replace(_result(caller, function, tier, mine, found), skipped=planned[tier] - len(mine))
        for tier, mine in tiers.items()
        if mine
    ]
    if found and not any(outcome.failed for outcome in outcomes):
        results[0] = _with_leak(results[0], caller, function, found)
    if function.name == "step" and tiers[ROUNDING] and not is_narrow(caller.precision):
        results.append(_steps(caller, seed, passed, known, found))
    return results


def _is_ruled_out(function: Function, conventions: Conventions) -> bool:
    """Whether the equation is none of what was chosen."""
    ruled_out = {"decorrelation_update": not conventions.has_R, "copi_update": conventions.weight_rule != "copi"}
    return ruled_out.get(function.name, False)


# --- results ----------------------------------------------------------------------------------------------------------


def _result(caller: Caller, function: Function, tier: str, outcomes: list[Outcome], found: Finding | None) -> Result:
    result = as_passed(caller, function, tier, outcomes, outcomes)
    failed = [outcome for outcome in outcomes if outcome.failed]
    if not failed:
        return if_sharp(result, _promised(result, caller))
    shown = _smallest(function, failed, found)
    return with_failure(result, caller, function, shown, found.diagnosis if found else None)


def _smallest(function: Function, failed: list[Outcome], found: Finding | None) -> Replay:
    """Return the failure of the fewest numbers, with the earlier calls that it takes where these are known.

    Where a mistake has a name, its numbers say more than the infinity that it makes of one sample.
    """
    mine = {id(outcome.case) for outcome in failed}
    shown = [one for one in (found.replays if found else ()) if id(one.case) in mine]
    shown = shown or [Replay((), outcome) for outcome in failed]
    if not (found and found.diagnosis.name == "verdict"):
        shown = [one for one in shown if one.outcome.worst] or shown
    return min(shown, key=lambda one: size(function, one.case.inputs))


def _with_leak(result: Result, caller: Caller, function: Function, found: Finding) -> Result:
    """Fail a check all of whose results were right when they came."""
    if found.overwritten_by is None and found.replays:
        return with_failure(result, caller, function, found.replays[0], found.diagnosis)
    code = overwriting(caller, function, found.replays[0], found.overwritten_by) if found.overwritten_by else ""
    diagnosis = found.diagnosis
    return replace(result, status=FAILED, diagnosis=str(diagnosis), variant=diagnosis.name, reproducer=code)


def _promised(result: Result, caller: Caller) -> float | None:
    """The smallest relative error that this project promises to catch, if it promises one.

    Several steps with a gain and a smooth f make no promise: norms of outputs near 0 are not sharp. Single ones do.
    """
    conventions = caller.conventions
    if result.tier == "steps" and conventions.lateral_gain != "none" and conventions.is_smooth:
        return None
    return caller.precision.limit


def _steps(caller: Caller, seed: int, passed: set[str], known: list[Diagnosis], of_one: Finding | None) -> Result:
    """Return the result of several steps in a row, each from the implementation's own weights.

    `of_one` is what was found of single ones: several say no more then.
    """
    start = len(caller.history)
    trajectory = run_trajectory(caller, seed, passed)
    step = FUNCTIONS["step"]
    outcomes = [outcome for name, outcome in trajectory.outcomes if name == "step"]
    failed = trajectory.failed
    if failed is None:
        result = _result(caller, step, "steps", outcomes, None)
        return replace(result, skipped=trajectory.skipped)
    name, outcome = failed
    mine = {at: one for at, (of, one) in enumerate(trajectory.outcomes, start=start) if of == name}
    found = of_one if name == "step" else None
    found = found or shown_by_copies(caller, FUNCTIONS[name], [*mine.values()], [*mine])
    found = found or named(caller, FUNCTIONS[name], [*mine.values()], [*mine], known)
    result = _result(caller, FUNCTIONS[name], "steps", [*mine.values()], found)
    at = f"{outcome.worst.quantity} at {outcome.case.name}" if outcome.worst else f"{name} at {outcome.case.name}"
    says = f"{result.diagnosis}; first in {at}"
    return replace(result, check="step", diagnosis=says, skipped=trajectory.skipped)
