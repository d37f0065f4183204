"""Running an implementation of Inference Learning on every case, and saying what is wrong."""

from collections import Counter
from dataclasses import dataclass, field, replace

import numpy as np

from copi_ref.oracle.calling.calling import Caller
from copi_ref.oracle.inference.conventions import InferenceConventions
from copi_ref.oracle.inference.functions import INFERENCE_FUNCTIONS, ONE_OF_TWO, InferenceFunction
from copi_ref.oracle.inference.inputs import draw_cases, is_met, limit_of, says_little
from copi_ref.oracle.inference.judging import run_case
from copi_ref.oracle.inference.kinds import kinds
from copi_ref.oracle.inference.naming import chosen, consequence, diagnose, explaining
from copi_ref.oracle.inference.residuals import RESIDUALS
from copi_ref.oracle.inference.right import right_rules
from copi_ref.oracle.inference.state import kept_between_calls
from copi_ref.oracle.inference.verdicts import hinted
from copi_ref.oracle.inputs.drawing import EXACT, ROUNDING
from copi_ref.oracle.judging.comparison import Observation, Outcome
from copi_ref.oracle.judging.replaying import Replay, size
from copi_ref.oracle.naming.evidence import Evidence
from copi_ref.oracle.naming.explaining import Diagnosis
from copi_ref.oracle.naming.named import of_what_ended
from copi_ref.oracle.report.report import FAILED, NOT_CHECKED, NOT_IMPLEMENTED, Result
from copi_ref.oracle.report.results import as_passed, if_sharp, with_failure


def check_functions(
    caller: Caller, conventions: InferenceConventions, only: tuple[str, ...], seed: int
) -> list[Result]:
    """Return the results of every function, in the order of the contract."""
    with np.errstate(all="ignore"):  # whatever somebody's numbers do to the reference is a verdict
        ran = [
            _ran(caller, conventions, function, seed)
            for function in INFERENCE_FUNCTIONS.values()
            if _is_asked_for(caller, function, only)
        ]
        _name_all(ran, caller, conventions)
    return [result for one in ran for result in one.results(caller)]


def _is_asked_for(caller: Caller, function: InferenceFunction, only: tuple[str, ...]) -> bool:
    if only:
        return function.name in only
    other = ONE_OF_TWO.get(function.name)
    return caller.has(function.name) or other is None or not caller.has(other)  # one of the two is enough


@dataclass(eq=False)
class _Ran:
    """A function on all its cases: how it came out, and what is wrong with it.

    Args:
        function: that was called.
        outcomes: of each case that could be judged.
        planned: how many cases each tier has.
        done: results that need no naming.
        found: what is wrong.
        evidence: from which a name can be found.
    """

    function: InferenceFunction
    outcomes: list[Outcome] = field(default_factory=list)
    planned: Counter[str] = field(default_factory=Counter)
    done: list[Result] | None = None
    found: Diagnosis | None = None
    evidence: Evidence | None = None

    def results(self, caller: Caller) -> list[Result]:
        """Return a result for each tier that has cases, the exact one first."""
        if self.done is not None:
            return self.done
        results = []
        for tier in (EXACT, ROUNDING):
            mine = [outcome for outcome in self.outcomes if outcome.case.tier == tier]
            still = all(says_little(outcome.case) and not outcome.failed for outcome in mine)
            if mine and not (still and self.function.name == "step"):  # a step is known by what it moves
                result = _result(caller, self.function, tier, mine, self.found)
                results.append(replace(result, skipped=self.planned[tier] - len(mine)))
        if not results:
            return [Result(self.function.name, "", self.function.equation, NOT_CHECKED)]
        if self.found is not None and not any(outcome.failed for outcome in self.outcomes):  # state alone
            results[0] = replace(results[0], status=FAILED, diagnosis=str(self.found), variant=self.found.name)
        return results


def _ran(caller: Caller, conventions: InferenceConventions, function: InferenceFunction, seed: int) -> _Ran:
    """Run a function on its cases, and say what needs no search for names."""

    def at_once(status: str) -> _Ran:
        return _Ran(function, done=[Result(function.name, "", function.equation, status)])

    if not caller.has(function.name):
        return at_once(NOT_IMPLEMENTED)
    if function.by_residual:
        return _Ran(function, done=RESIDUALS[function.name](caller, conventions, function, seed))
    cases = draw_cases(function, conventions, caller.precision, seed)
    outcomes = [one for one in (run_case(caller, conventions, function, case) for case in cases) if one is not None]
    if not outcomes:
        return at_once(NOT_CHECKED)
    if all(outcome.is_stub for outcome in outcomes):
        return at_once(NOT_IMPLEMENTED)
    ran = _Ran(function, outcomes, Counter(kind.tier for kind in kinds(function, conventions)))
    failed = [outcome for outcome in outcomes if outcome.failed]
    ran.found = kept_between_calls(caller, conventions, function, outcomes)
    if ran.found is not None or not failed:
        return ran
    verdict = failed[0].verdict
    if verdict is not None and (verdict.shape_or_raised or not any(one.observation for one in failed)):
        ran.found = Diagnosis("verdict", hinted(caller, conventions, function, failed[0]))
        return ran
    ran.evidence = _evidence(ran, caller)
    return ran


def _evidence(ran: _Ran, caller: Caller) -> Evidence:
    told = [outcome for outcome in ran.outcomes if outcome.observation is not None]
    # Where nothing has to move, a wrong formula multiplies what rounding left: that tells formulas apart by chance.
    loud = [outcome for outcome in told if not is_met(outcome.case)]
    told = loud if any(outcome.failed for outcome in loud) else told
    return Evidence(ran.function, caller.precision, [one.observation for one in told if one.observation is not None])


def _name_all(ran: list[_Ran], caller: Caller, conventions: InferenceConventions) -> None:
    """Name what is wrong with every function, alike where one mistake explains several."""
    unnamed = [one for one in ran if one.evidence is not None]
    candidates = [explaining(one.evidence, conventions) for one in unnamed if one.evidence is not None]
    passed = [_evidence(one, caller) for one in ran if one.done is None and one.found is None and one not in unnamed]
    names = chosen(candidates, right_rules(conventions), passed if candidates else [])
    known: list[Diagnosis] = [one.found for one in ran if one.found is not None and one.found.change is not None]
    for one, name in zip(unnamed, names, strict=True):
        assert one.evidence is not None
        if name is None or name.name not in [other.name for other in known]:
            # What starts wrong may end as another update does: one mistake in two functions is likelier than two.
            name = consequence(one.evidence, conventions, known) or name
        one.found = name or diagnose(one.evidence, conventions, caller.precision, known)
        verdicts = [str(outcome.verdict) for outcome in one.outcomes if outcome.verdict is not None]
        if caller.has_ended and verdicts:
            one.found = of_what_ended(one.found, verdicts[-1])
        if not one.found.is_consequence and one.found not in known:
            known.append(one.found)


def _result(
    caller: Caller, function: InferenceFunction, tier: str, outcomes: list[Outcome], found: Diagnosis | None
) -> Result:
    result = as_passed(caller, function, tier, outcomes, _telling(outcomes))
    failed = [outcome for outcome in outcomes if outcome.failed]
    if not failed:
        return if_sharp(result, limit_of(function, caller.precision))
    numbers = [one for one in failed if one.worst]
    first = min(numbers, key=lambda one: size(function, one.case.inputs), default=failed[0])
    return with_failure(result, caller, function, Replay((), first), found)


def _telling(outcomes: list[Outcome]) -> list[Outcome]:
    """What a check is as sharp as: cases in which something moves, and of a step its updates.

    Errors that a step tells are near 0 in layers that the output's has not reached.
    """
    moving = [one for one in outcomes if not says_little(one.case)] or outcomes
    return [replace(one, observation=_updates(one.observation)) for one in moving]


def _updates(observation: Observation | None) -> Observation | None:
    updates = {name: one for name, one in observation.expected.items() if name[0] == "Δ"} if observation else {}
    return replace(observation, expected=updates) if observation is not None and updates else observation
