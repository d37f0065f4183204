"""State that leaks between calls: which arguments of another call explain a wrong result."""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from copi_ref.oracle.contract.functions import Function
from copi_ref.oracle.contract.pieces import Inputs, Pieces, Quantities, after_forward, forward, perturbations
from copi_ref.oracle.judging.comparison import Observation
from copi_ref.oracle.naming.explaining import Diagnosis, agrees, fits
from copi_ref.oracle.rounding import Precision


def kept_arguments(
    function: Function, right: Pieces, precision: Precision, observations: list[Observation]
) -> Diagnosis | None:
    """Say which arguments were taken from another call, if that explains a wrong result."""
    one = next((one for one in observations if not fits(function, right, precision, one)), None)
    if one is None:
        return None
    for other in observations:
        if other is not one:
            for what, found in _with_arguments_of(other.case.inputs, function, right, one):
                if agrees(found, one, precision):
                    return Diagnosis("state-leak", f"state leaks between calls: {what} of another call is used")
    return None


def _with_arguments_of(
    other: Inputs, function: Function, right: Pieces, one: Observation
) -> Iterator[tuple[str, Quantities]]:
    """Yield what would have come if some arguments had been those of another call."""
    inputs = one.case.inputs
    names = [name for name in function.arguments if _same_shape(inputs[name], other[name])]
    for count in range(1, min(len(names) + 1, len(function.arguments))):
        for kept in itertools.combinations(names, count):
            found = function.expected(right, inputs | {name: other[name] for name in kept}, one.actual)
            yield " and ".join(kept), found
            if function.name == "step":
                yield " and ".join(kept), _added_to(other, kept, inputs, found)
    if function.name == "step" and {"W", "R"} <= {*names}:
        states = forward(right, inputs, {})
        layers = range(1, len(inputs["W"]) + 1)
        a, y = ([states[f"{symbol} of layer {layer}"] for layer in layers] for symbol in "ay")
        deltas = perturbations(right, {**inputs, "a": a, "y": y, "W": other["W"], "R": other["R"]}, {})
        yield "W and R in the backward pass", after_forward(right, inputs, states, deltas)


def _added_to(other: Inputs, kept: tuple[str, ...], inputs: Inputs, found: Quantities) -> Quantities:
    """Return updates as they are recovered if kept weights are also what they were added to."""
    moved = dict(found)
    for letter, eta in (("W", inputs["eta_w"]), ("R", inputs["eta_r"])):
        if letter in kept:
            for layer, (old, now) in enumerate(zip(other[letter], inputs[letter], strict=True), start=1):
                moved[f"Δ{letter} of layer {layer}"] = found[f"Δ{letter} of layer {layer}"] + (old - now) / eta
    return moved


def _same_shape(mine: Any, other: Any) -> bool:
    if isinstance(mine, tuple):
        return len(mine) == len(other) and all(map(_same_shape, mine, other))
    return isinstance(mine, np.ndarray) and mine.shape == other.shape
