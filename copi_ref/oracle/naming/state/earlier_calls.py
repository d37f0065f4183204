"""Earlier calls: in words, what wrong calls have in common with them, and which of them may have left something."""

import itertools
from collections.abc import Callable

import numpy as np

from copi_ref.oracle.calling.calling import Call
from copi_ref.oracle.contract.functions import Function
from copi_ref.oracle.contract.pieces import Inputs, batch_of
from copi_ref.oracle.judging.comparison import Outcome


def after_words(function: Function, inputs: Inputs, earlier: tuple[Call, ...]) -> str:
    """Say after which earlier calls."""
    if len(earlier) > 1:
        same = all(call.inputs is inputs for call in earlier)
        return f"after {len(earlier)} {'calls with the same arguments' if same else 'earlier calls'}"
    (call,) = earlier
    if call.function is not function:
        return f"after a call of {call.function.name}"
    if _shapes(function, call.inputs) == _shapes(function, inputs):
        return f"after another call with the same shapes (N = {_samples(inputs)})"
    if _samples(call.inputs) != _samples(inputs):
        return f"after a call with N = {_samples(call.inputs)}"
    return "after a call with other layers"


def shared_by(function: Function, outcomes: list[Outcome]) -> str:
    """Say which calls of a function are wrong, by what came before them, if something says it."""
    wrong = {number for number, one in enumerate(outcomes) if one.failed}
    inputs = [one.case.inputs for one in outcomes]
    for words, holds in _RELATIONS.items():
        if wrong == {now for now in range(len(inputs)) if holds(function, inputs[:now], inputs[now])}:
            return words
    return ""


_RELATIONS: dict[str, Callable[[Function, list[Inputs], Inputs], bool]] = {
    "is every call but the first": lambda function, earlier, now: bool(earlier),
    "are calls with the shapes of an earlier one": lambda function, earlier, now: any(
        _shapes(function, one) == _shapes(function, now) for one in earlier
    ),
    "are calls with fewer samples than an earlier one": lambda function, earlier, now: any(
        _samples(one) > _samples(now) for one in earlier
    ),
    "are calls with another N than the first": lambda function, earlier, now: (
        bool(earlier) and _samples(earlier[0]) != _samples(now)
    ),
    "are calls with other shapes than the first": lambda function, earlier, now: (
        bool(earlier) and _shapes(function, earlier[0]) != _shapes(function, now)
    ),
    "are calls whose layers have other shapes than those of the first": lambda function, earlier, now: (
        bool(earlier) and _weights(function, earlier[0]) != _weights(function, now)
    ),
    "are calls whose layers have the shapes of an earlier call's": lambda function, earlier, now: any(
        _weights(function, one) == _weights(function, now) for one in earlier
    ),
    "are calls with a layer of the same shape as in an earlier one": lambda function, earlier, now: any(
        mine == other
        for one in earlier
        for mine, other in zip(_weights(function, one), _weights(function, now), strict=False)
    ),
    "are calls with fewer samples than an earlier one with such layers": lambda function, earlier, now: any(
        _samples(one) > _samples(now) and _weights(function, one) == _weights(function, now) for one in earlier
    ),
}
"""Calls that may be wrong, by what came before them."""


def _shapes(function: Function, inputs: Inputs) -> list[tuple[int, ...]]:
    return [
        np.shape(one)
        for name in (*function.arguments, "B", "b")
        if name in inputs
        for one in (inputs[name] if isinstance(inputs[name], tuple) else (inputs[name],))
    ]


def _weights(function: Function, inputs: Inputs) -> list[tuple[int, ...]]:
    """The shapes of layers, the lowest first."""
    if function.name == "sgd_update":  # it gets no weights
        return [(inputs["delta"].shape[1], inputs["x"].shape[1])]
    weights = inputs["W" if "W" in function.arguments else "R"]
    return [one.shape for one in (weights if isinstance(weights, tuple) else (weights,))]


def _samples(inputs: Inputs) -> int:
    return len(batch_of(inputs))


# --- which may have left something ------------------------------------------------------------------------------------


def _alike(call: Call, now: Inputs) -> bool:
    return _weights(call.function, call.inputs) == _weights(call.function, now)


def _first(earlier: list[Call], now: Inputs) -> Call | None:
    return earlier[0] if earlier else None


def _last(earlier: list[Call], now: Inputs) -> Call | None:
    return earlier[-1] if earlier else None


def _first_alike(earlier: list[Call], now: Inputs) -> Call | None:
    return next((one for one in earlier if _alike(one, now)), None)


def _last_alike(earlier: list[Call], now: Inputs) -> Call | None:
    return _first_alike(earlier[::-1], now)


def _largest_alike(earlier: list[Call], now: Inputs) -> Call | None:
    return max((one for one in earlier if _alike(one, now)), key=lambda one: _samples(one.inputs), default=None)


def _first_of_run(earlier: list[Call], now: Inputs) -> Call | None:
    """The first since there was a call with other shapes."""
    return _last([*itertools.takewhile(lambda one: _alike(one, now), earlier[::-1])], now)


CHOICES = (_first_alike, _last_alike, _largest_alike, _first_of_run, _first, _last)
"""Which earlier call may have left something, where no new copy shows it."""
