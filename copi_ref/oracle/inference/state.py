"""Whether results are a matter of earlier calls, or of chance."""

from dataclasses import replace

import numpy as np

from copi_ref.arrays.backend import HostArray
from copi_ref.oracle.calling.calling import Caller
from copi_ref.oracle.inference.conventions import InferenceConventions
from copi_ref.oracle.inference.functions import InferenceFunction
from copi_ref.oracle.inference.judging import run_case
from copi_ref.oracle.judging.comparison import Outcome
from copi_ref.oracle.naming.explaining import Diagnosis
from copi_ref.oracle.rounding import Precision


def kept_between_calls(
    caller: Caller, conventions: InferenceConventions, function: InferenceFunction, outcomes: list[Outcome]
) -> Diagnosis | None:
    """Say what of earlier calls, or of chance, is in results; None if that explains nothing."""
    first = outcomes[0] if outcomes else None
    if first is None or caller.has_ended:
        return None
    if first.answer and not caller.still_says(function, first.case.inputs, first.answer):
        return Diagnosis("state-leak", "state leaks between calls: a later call overwrites what an earlier returned")
    failed = [outcome for outcome in outcomes if outcome.failed]
    shown = failed[0] if failed else first
    again = run_case(caller, conventions, function, shown.case)
    if not shown.failed and again is not None and again.verdict is not None:
        return Diagnosis("verdict", f"right at first; the same arguments, given again: {again.verdict}")
    if again is not None and again.answer and shown.answer and not _same(caller, shown, again):
        third = run_case(caller, conventions, function, shown.case)
        if (
            third is not None
            and not _same(caller, again, third)
            and not _steady_when_new(caller, conventions, function, shown)
        ):
            return Diagnosis("not-deterministic", "not deterministic: the same arguments have other results each time")
        return Diagnosis("state-leak", "state is kept from call to call: the same arguments have another result later")
    return _in_a_new_copy(caller, conventions, function, failed) if failed else None


def _steady_when_new(
    caller: Caller, conventions: InferenceConventions, function: InferenceFunction, shown: Outcome
) -> bool:
    """Whether two new copies agree on a first call: then it is no chance, but what earlier calls have left."""
    found: list[Outcome] = []
    for _ in range(2):
        with caller.fresh.opened() as implementation:
            if implementation is None:
                return False
            its = replace(caller, implementation=implementation, history=[])
            alone = run_case(its, conventions, function, shown.case)
            found += [alone] if alone is not None and alone.answer is not None else []
    return len(found) == 2 and _same(caller, *found)


def _same(caller: Caller, one: Outcome, other: Outcome) -> bool:
    assert one.answer is not None
    assert other.answer is not None
    pairs = zip(one.answer.quantities.values(), other.answer.quantities.values(), strict=True)
    return all(_near(first, again, caller.precision) for first, again in pairs)


def _near(first: HostArray, again: HostArray, precision: Precision) -> bool:
    """Whether two results are the same but for the order of sums: threads may add in another one each time."""
    return bool(np.abs(first - again).max() <= precision.unit**0.5 * max(float(np.abs(first).max()), precision.tiny))


def _in_a_new_copy(
    caller: Caller, conventions: InferenceConventions, function: InferenceFunction, failed: list[Outcome]
) -> Diagnosis | None:
    """Say so if a new copy of the implementation gets right what failed."""
    with caller.fresh.opened() as implementation:
        if implementation is None:
            return None
        its = replace(caller, implementation=implementation, history=[])
        alone = run_case(its, conventions, function, failed[-1].case)
    if alone is None or alone.failed:
        return None
    says = f"state is kept from call to call: what is wrong here is right {caller.fresh.words}"
    return Diagnosis("state-leak", says)
