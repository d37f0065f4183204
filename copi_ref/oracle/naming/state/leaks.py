"""State that leaks between calls: which results are a matter of it, after which calls, and what was kept."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from copi_ref.oracle.calling.calling import Call, Caller
from copi_ref.oracle.contract.functions import Function
from copi_ref.oracle.contract.pieces import right_pieces
from copi_ref.oracle.inputs.cases import Case, relative_allowance
from copi_ref.oracle.judging.comparison import Outcome, run_case
from copi_ref.oracle.judging.replaying import Replay, replay, shortest, size
from copi_ref.oracle.naming.diagnosis import diagnose
from copi_ref.oracle.naming.explaining import Diagnosis, with_all
from copi_ref.oracle.naming.state.earlier_calls import CHOICES, after_words, shared_by
from copi_ref.oracle.naming.state.kept import what_was_kept
from copi_ref.oracle.naming.state.kept_terms import Pair

_ENOUGH = 6
"""Wrong results of which the earlier calls are looked for: what explains them all is no chance."""

_NAME, _RANDOM = "state-leak", "not-deterministic"
_KEPT = "state is kept from call to call"
_AT_CHANCE = "not deterministic"


@dataclass(frozen=True, eq=False)
class Finding:
    """What is wrong, and which calls show it where it takes several.

    Args:
        diagnosis: what it is in words.
        replays: failures with the earlier calls that they take.
        overwritten_by: a call that writes over what the replay before it returned.
    """

    diagnosis: Diagnosis
    replays: tuple[Replay, ...] = ()
    overwritten_by: Call | None = None


def leak(
    caller: Caller, function: Function, outcomes: list[Outcome], before: list[int], known: Sequence[Diagnosis] = ()
) -> Finding | None:
    """Say which state explains results; where no new copy shows it, by what a later call does to the first result.

    `before` has, for each outcome, how many calls had been made; `known` are diagnoses of functions called before.
    """
    # Before there are copies: they may share the state, and then change it.
    overwritten = _overwritten(caller, function, outcomes)
    again = None if caller.has_ended else _some_again(caller, function, outcomes)
    if found := shown_by_copies(caller, function, outcomes, before):
        return named_in_copies(caller, function, outcomes, found.diagnosis, known) or found
    if overwritten:
        return overwritten
    return _another_again(caller, function, again, outcomes, before) if again else None


_AGAIN = (0, 2)
"""Numbers of the cases that are given again. The last is of two layers, where networks are: what is kept of it for the
next function, which begins with such cases, does not fit the weights that come there."""


def _some_again(caller: Caller, function: Function, outcomes: list[Outcome]) -> Outcome | None:
    """Give some inputs again, after all others; return what came if that was right, and is not now."""
    were_right = [outcomes[at] for at in _AGAIN if at < len(outcomes) and not outcomes[at].failed]
    now = [run_case(caller, function, one.case) for one in were_right]
    return next((one for one in now if one.failed), None)


def shown_by_copies(caller: Caller, function: Function, outcomes: list[Outcome], before: list[int]) -> Finding | None:
    """Say which state explains wrong results that a new copy gets right; None if none does, or no copy can be had."""
    replays: list[Replay] = []
    for tried, number in enumerate(_small_of_each_tier_first(outcomes, function)):
        if len(replays) == _ENOUGH or (tried == _ENOUGH / 2 and not replays) or caller.has_ended:
            break
        found = shortest(caller, function, outcomes[number].case, tuple(caller.history[: before[number]]))
        replays += [found] if found else []
    if not replays or _is_random(caller, function, replays[0]):
        return None
    return Finding(_diagnosis(caller, function, replays, outcomes), tuple(replays))


def _overwritten(caller: Caller, function: Function, outcomes: list[Outcome]) -> Finding | None:
    """Say that a later call writes over what the first has returned."""
    first = outcomes[0]
    if first.answer is None or first.failed or caller.still_says(function, first.case.inputs, first.answer):
        return None
    says = "state leaks between calls: a later call overwrites what an earlier returned"
    again = run_case(caller, function, first.case)
    for other in outcomes[1:]:
        run_case(caller, function, other.case)
        if again.answer and not caller.still_says(function, first.case.inputs, again.answer):
            later = Call(function, other.case.inputs, other.case.strided)
            return Finding(Diagnosis(_NAME, says), (Replay((), again),), overwritten_by=later)
    return Finding(Diagnosis(_NAME, says), ())


def _another_again(
    caller: Caller, function: Function, again: Outcome, outcomes: list[Outcome], before: list[int]
) -> Finding:
    """Say why the first call, which was right, is not when it is made again after the others."""
    if again.verdict and caller.has_ended:
        return Finding(Diagnosis("verdict", str(again.verdict)), (Replay((), again),))
    earlier = tuple(caller.history[: before[-1] + 1])
    if found := shortest(caller, function, again.case, earlier):
        return Finding(_diagnosis(caller, function, [found], []), (found,))
    if kept := without_copies(caller, function, outcomes, before):
        return kept
    says = f"{_KEPT}: the first inputs, given again after others, have another result; {_outside(caller)}"
    shown = after_all(caller, outcomes, before) or (Replay(earlier[before[0] :], again),)
    return Finding(Diagnosis(_NAME, says), shown)


def after_all(caller: Caller, outcomes: list[Outcome], before: list[int]) -> tuple[Replay, ...]:
    """Return the first failure of each tier after all calls of the function: which of them it takes is not known."""
    first = {
        one.case.tier: Replay(tuple(caller.history[before[0] : start]), one)
        for one, start in reversed([*zip(outcomes, before, strict=True)])
        if one.failed
    }
    return tuple(first.values())


def _outside(caller: Caller) -> str:
    if caller.fresh.make is None:
        return "no new copy could be made to try it on"
    return f"it is so {caller.fresh.words} too: it is kept in a module, a class or a closure"


def without_copies(
    caller: Caller, function: Function, outcomes: list[Outcome], before: list[int], known: Sequence[Diagnosis] = ()
) -> Finding | None:
    """Say what was kept if that explains all that is wrong, where copies share the state or there are none.

    `known` are diagnoses of functions called before: what is wrong there is in the numbers too.
    """
    right = right_pieces(caller.conventions)
    right = with_all(known, right) or right
    if any(one.failed and one.observation is None for one in outcomes):
        return None
    seen = [
        (one, one.observation, [call for call in caller.history[:start] if call.function is function])
        for one, start in zip(outcomes, before, strict=True)
        if one.observation
    ]
    for choose in CHOICES:
        after = [(one, now, choose(earlier, one.case.inputs)) for one, now, earlier in seen]
        if any(one.failed and call is None for one, _, call in after):
            continue
        pairs = {one.case.name: Pair(call.inputs, now) for one, now, call in after if call}
        failed = [one for one, _, _ in after if one.failed]
        wrong = [pairs[one.case.name] for one in failed]
        others = [pairs[one.case.name] for one, _, call in after if call and not one.failed]
        if kept := what_was_kept(function, right, caller.precision, wrong, others):
            replays = tuple(Replay((call,), one) for one, _, call in after if call and one.failed)
            return Finding(Diagnosis(_NAME, f"{_KEPT}: {kept}; {_outside(caller)}"), replays)
    return None


def named_in_copies(
    caller: Caller, function: Function, outcomes: list[Outcome], unsteady: Diagnosis, known: Sequence[Diagnosis] = ()
) -> Finding | None:
    """Name what is wrong in new copies, where state comes on top of it."""
    alone = [replay(caller, function, outcome.case) for outcome in outcomes]
    replays = tuple(one for one in alone if one and one.outcome.failed)
    seen = [one.outcome.observation for one in alone if one and one.outcome.observation]
    if unsteady.name != _NAME or not replays or len(seen) < len(outcomes):
        return None
    named = diagnose(function, caller.conventions, caller.precision, seen, known)
    if not named.name:
        return None
    both = replace(
        named, name=f"{named.name} + {unsteady.name}", says=f"{named}; besides, {unsteady.says}", bracketed=False
    )
    return Finding(both, replays)


def by_chance(caller: Caller, function: Function, failed: Outcome) -> Finding | None:
    """Say that a new copy is right, where no earlier calls make it wrong."""
    alone = replay(caller, function, failed.case)
    if alone is None or alone.outcome.failed:
        return None
    says = f"{_AT_CHANCE}: right {caller.fresh.words}, and after the same calls too (chance, or state outside of it)"
    return Finding(Diagnosis(_RANDOM, says))


def not_steady(caller: Caller, function: Function, failed: Outcome) -> Diagnosis | None:
    """Say that results of the same arguments differ: by state, if more calls or new copies show it, or by chance."""
    copies = [replay(caller, function, failed.case) for _ in range(2)]
    if copies[0] and copies[1] and differ(caller, copies[0].outcome, copies[1].outcome):
        return Diagnosis(_RANDOM, f"{_AT_CHANCE}: two calls with the same arguments have two results")
    again = [run_case(caller, function, failed.case) for _ in range(3)]
    if not differ(caller, again[0], again[1]):
        return None
    if factor := _shrinks(again):
        says = f"the same call, made again and again, changes by {factor:.3g} of the change before"
        return Diagnosis(_NAME, f"{_KEPT}: {says} (momentum, or a running average)")
    if _second_differs(caller, function, failed.case):
        return Diagnosis(
            _NAME, f"{_KEPT}: the same call, made again, has another result, and always the same {caller.fresh.words}"
        )
    return Diagnosis(_RANDOM, f"{_AT_CHANCE}: two calls with the same arguments have two results")


def _second_differs(caller: Caller, function: Function, case: Case) -> bool:
    """Whether a second call has another result than the first, and in each new copy the same other one."""
    twice = (Call(function, case.inputs, case.strided),)
    once, one, other = (replay(caller, function, case, earlier) for earlier in ((), twice, twice))
    if not (once and one and other):
        return False
    return differ(caller, once.outcome, one.outcome) and not differ(caller, one.outcome, other.outcome)


def _shrinks(again: list[Outcome]) -> float:
    """The factor from one change to the next, if it is the same for all numbers; 0 if there is none."""
    results = [one.observation.actual for one in again if one.observation]
    if len(results) < 3:
        return 0.0
    values = [np.concatenate([np.ravel(one) for one in result.values()]) for result in results]
    before, after = values[1] - values[0], values[2] - values[1]
    factor = float(after @ before / (before @ before))
    close = np.allclose(after, factor * before, rtol=1e-3, atol=1e-6 * float(np.max(np.abs(values))))
    return factor if close and 1e-3 < abs(factor) < 2 else 0.0


def _small_of_each_tier_first(outcomes: list[Outcome], function: Function) -> list[int]:
    """Numbers of what is wrong."""
    wrong = [number for number, one in enumerate(outcomes) if one.failed]
    ordered = sorted(wrong, key=lambda number: size(function, outcomes[number].case.inputs))
    first = {outcomes[number].case.tier: number for number in reversed(ordered)}
    return [*first.values(), *(number for number in ordered if number not in first.values())]


def _is_random(caller: Caller, function: Function, one: Replay) -> bool:
    """Whether the same calls in another new copy have another result."""
    again = replay(caller, function, one.case, one.earlier)
    return again is not None and differ(caller, again.outcome, one.outcome)


def differ(caller: Caller, one: Outcome, other: Outcome) -> bool:
    """Whether results of the same arguments differ by more than rounding."""
    if one.observation is None or other.observation is None:
        return (one.observation is None) != (other.observation is None)
    actual = other.observation.actual
    return any(
        bool(np.any(np.abs(value - actual[name]) > one.observation.expected[name].allowance(caller.precision)))
        for name, value in one.observation.actual.items()
        if name in actual
    )


# --- in words ---------------------------------------------------------------------------------------------------------


def _diagnosis(caller: Caller, function: Function, replays: list[Replay], outcomes: list[Outcome]) -> Diagnosis:
    pairs = [
        Pair(one.earlier[0].inputs, one.outcome.observation)
        for one in replays
        if len(one.earlier) == 1 and one.earlier[0].function is function and one.outcome.observation is not None
    ]
    kept = what_was_kept(function, right_pieces(caller.conventions), caller.precision, pairs)
    shown = replays[0]
    verdict = f": {shown.outcome.verdict}" if shown.outcome.verdict else ""
    says = [
        f"{_KEPT}: {kept}" if kept else _KEPT,
        f"right {caller.fresh.words}, wrong {after_words(function, shown.case.inputs, shown.earlier)}{verdict}",
    ]
    telling = [one for one in outcomes if one.failed or _is_telling(caller, one)]
    if shared := shared_by(function, telling):
        says.append(f"wrong {shared}")
    return Diagnosis(_NAME, "; ".join(says) if kept else f"{says[0]}: {'; '.join(says[1:])}")


def _is_telling(caller: Caller, right: Outcome) -> bool:
    """Whether a right result would be wrong if something was: not where all of it underflows."""
    expected = right.observation.expected.values() if right.observation else ()
    return any(
        relative_allowance(quantity, caller.precision) < 2.0**-6 for quantity in expected if quantity.value.any()
    )
