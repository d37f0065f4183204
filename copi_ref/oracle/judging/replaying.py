"""Whether a wrong result is a matter of state: right in a new copy, and wrong there too after some earlier calls."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np

from copi_ref.oracle.calling.calling import Call, Caller
from copi_ref.oracle.calling.reading import VerdictError
from copi_ref.oracle.contract.functions import AnyFunction, Function
from copi_ref.oracle.contract.pieces import Inputs
from copi_ref.oracle.inputs.cases import Case
from copi_ref.oracle.judging.comparison import Outcome, run_case

_SECONDS = 20.0
"""After that long no shorter list of calls is looked for: somebody's module may take long to load."""


@dataclass(frozen=True, eq=False)
class Replay:
    """What came of a case in a new copy, after earlier calls."""

    earlier: tuple[Call, ...]
    outcome: Outcome

    @property
    def case(self) -> Case:
        """The case that is called last."""
        return self.outcome.case


def replay(caller: Caller, function: Function, case: Case, earlier: tuple[Call, ...] = ()) -> Replay | None:
    """Make earlier calls and one more in a new copy; None where none can be had, or it went away on the way."""
    with caller.fresh.opened() as implementation:
        if implementation is None:
            return None
        its = replace(caller, implementation=implementation, history=[])
        for call in earlier:
            with suppress(VerdictError):
                its.call(call.function, call.inputs, call.strided)
        if its.has_ended:
            return None
        outcome = run_case(its, function, case)
        return None if its.has_ended else Replay(earlier, outcome)


def shortest(caller: Caller, function: Function, case: Case, earlier: tuple[Call, ...]) -> Replay | None:
    """Return the shortest list of earlier calls that was found after which a new copy is wrong, and right without them.

    One call, of few numbers, is best; then the same call several times; then what is left when calls are taken out.
    """
    alone, whole = replay(caller, function, case), replay(caller, function, case, earlier)
    if alone is None or alone.outcome.failed or whole is None or not whole.outcome.failed:
        return None
    search = _Search(caller, function, case)
    # What other functions keep, their last calls have left.
    last = {call.function.name: call for call in earlier if call.function is not function}
    small = sorted(earlier, key=lambda call: (call.function is not function, size(call.function, call.inputs)))
    for call in (*last.values(), *small):
        if found := search.failing((call,)):
            return found
    return search.repeated(len(earlier)) or search.thinned(whole)


def size(function: AnyFunction, inputs: Inputs) -> int:
    """How many numbers there are in the arguments."""
    values = [inputs[name] for name in (*function.arguments, "B", "b") if name in inputs]
    return sum(sum(map(np.size, value)) if isinstance(value, tuple) else np.size(value) for value in values)


class _Search:
    """Tries lists of earlier calls, as long as there are new copies to try them on."""

    def __init__(self, caller: Caller, function: Function, case: Case):
        self.replay: Callable[[tuple[Call, ...]], Replay | None] = lambda calls: replay(caller, function, case, calls)
        self.again = Call(function, case.inputs, case.strided)
        self.left = caller.fresh.most
        self.deadline = time.monotonic() + _SECONDS

    def failing(self, earlier: tuple[Call, ...]) -> Replay | None:
        """Return what came after these calls, if that is wrong."""
        if self.left <= 0 or time.monotonic() > self.deadline:
            return None
        self.left -= 1
        found = self.replay(earlier)
        return found if found is not None and found.outcome.failed else None

    def repeated(self, most: int) -> Replay | None:
        """Try the call itself, as often as is wrong for the first time."""
        tried = (self.failing((self.again,) * times) for times in range(1, min(most, 20) + 1))
        return next(filter(None, tried), None)

    def thinned(self, whole: Replay) -> Replay:
        """Take out halves, quarters … of the calls, as long as the rest is wrong."""
        part = len(whole.earlier) // 2
        while part:
            shorter = next(filter(None, map(self.failing, _without(whole.earlier, part))), None)
            whole, part = (shorter, min(part, len(shorter.earlier) // 2)) if shorter else (whole, part // 2)
        return whole


def _without(calls: tuple[Call, ...], part: int) -> Iterator[tuple[Call, ...]]:
    for start in range(0, len(calls), part):
        yield calls[:start] + calls[start + part :]
