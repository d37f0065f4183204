"""What was kept from an earlier call: its arguments, products of its weights, or terms of its results."""

import itertools
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from copi_ref.arrays.backend import HostArray
from copi_ref.oracle.contract.functions import Function
from copi_ref.oracle.contract.pieces import Inputs, Pieces, Quantities, after_forward, forward, perturbations
from copi_ref.oracle.judging.comparison import Observation
from copi_ref.oracle.naming.evidence import all_given
from copi_ref.oracle.naming.state.kept_terms import Pair, kept_terms
from copi_ref.oracle.rounding import Precision


def what_was_kept(
    function: Function, right: Pieces, precision: Precision, pairs: list[Pair], others: Sequence[Pair] = ()
) -> str:
    """Return in words what explains all that came wrong, by one and the same earlier call each; "" if nothing does.

    `others` came right after a call from which the same would have been kept: it has to give them too.
    """
    if not pairs or all(_gives(function.expected(right, one.now.case.inputs, one.now.actual), one.now, precision)
                        for one in pairs):  # fmt: skip
        return ""  # nothing was kept, or nothing of a call at all
    names = [name for name in pairs[0].now.case.inputs if name in (*function.arguments, "B")]
    candidates = [
        (f"{' and '.join(some)} of an earlier call", _with_kept(function, right, some)) for some in _some(names)
    ]
    candidates += _products(function, right)
    for says, predicted in candidates:
        of_others = ((pair, predicted(pair)) for pair in others)
        if all(_gives(predicted(pair), pair.now, precision) for pair in pairs) and all(
            found is None or _gives(found, pair.now, precision) for pair, found in of_others
        ):
            return f"{says} {'are' if ' and ' in says else 'is'} used"
    return kept_terms(function, right, precision, pairs, others)


def _gives(found: Quantities | None, now: Observation, precision: Precision) -> bool:
    return found is not None and all_given(found, now, precision)


# --- arguments --------------------------------------------------------------------------------------------------------


def _some(names: list[str]) -> Iterator[tuple[str, ...]]:
    for count in range(1, len(names)):
        yield from itertools.combinations(names, count)


def _with_kept(function: Function, right: Pieces, names: tuple[str, ...]) -> Callable[[Pair], Quantities | None]:
    """Return what gives results with these arguments of the earlier call, where their shapes fit."""

    def predicted(pair: Pair) -> Quantities | None:
        inputs = pair.now.case.inputs
        kept = _in_place_of(inputs, pair.earlier, names)
        if kept is None:
            return None
        found = function.expected(right, inputs | kept, pair.now.actual)
        return _as_recovered(found, inputs, kept) if function.name == "step" else found

    return predicted


def _in_place_of(inputs: Inputs, earlier: Inputs, names: tuple[str, ...]) -> Inputs | None:
    """Return the earlier values where they fit, of those by layer the layers for which all do; None if one does not."""
    kept: Inputs = {}
    by_layer = [name for name in names if isinstance(inputs[name], tuple)]
    layers = [at for at in range(len(inputs[by_layer[0]])) if _fits(inputs, earlier, by_layer, at)] if by_layer else []
    for name in names:
        if isinstance(inputs[name], tuple):
            value = tuple(earlier[name][at] if at in layers else one for at, one in enumerate(inputs[name]))
            kept |= {name: value} if layers else {}
        elif np.shape(inputs[name]) == np.shape(earlier[name]):
            kept[name] = earlier[name]
    return kept if len(kept) == len(names) else None


def _fits(inputs: Inputs, earlier: Inputs, names: list[str], at: int) -> bool:
    return all(
        at < min(len(inputs[name]), len(earlier[name])) and inputs[name][at].shape == earlier[name][at].shape
        for name in names
    )


def _as_recovered(found: Quantities, inputs: Inputs, kept: Inputs) -> Quantities:
    """Return updates as they are recovered from new weights that were made with kept rates, of the weights given."""
    scaled = dict(found)
    for letter, rate in (("W", "eta_w"), ("R", "eta_r")):
        for layer in range(1, len(inputs["W"]) + 1):
            name = f"Δ{letter} of layer {layer}"
            scaled[name] = found[name] * (kept.get(rate, inputs[rate]) / inputs[rate])
    return scaled


def _products(function: Function, right: Pieces) -> list[tuple[str, Callable[[Pair], Quantities | None]]]:
    """A product W R that was kept, in the forward pass, in the backward pass, or in both."""

    def forward_only(pair: Pair) -> Quantities | None:
        inputs = pair.now.case.inputs
        kept = _in_place_of(inputs, pair.earlier, ("W", "R"))
        if kept is None:
            return None
        layers = iter(zip(kept["W"], kept["R"], strict=True))

        def preactivate(x: HostArray, y: HostArray, W: HostArray) -> HostArray:
            kept_W, kept_R = next(layers)
            return np.asarray(y @ (kept_W @ kept_R).T)

        return function.expected(right.with_changes(preactivate=preactivate), inputs, pair.now.actual)

    def backward_only(pair: Pair) -> Quantities | None:
        inputs = pair.now.case.inputs
        kept = _in_place_of(inputs, pair.earlier, ("W", "R"))
        if kept is None:
            return None
        states = forward(right, inputs, {})
        layers = range(1, len(inputs["W"]) + 1)
        a, y = (tuple(states[f"{symbol} of layer {layer}"] for layer in layers) for symbol in "ay")
        deltas = perturbations(right, {**inputs, **kept, "a": a, "y": y}, {})
        return after_forward(right, inputs, states, deltas)

    found: list[tuple[str, Callable[[Pair], Quantities | None]]] = []
    if function.name in ("forward", "step"):
        found.append(("in the forward pass the product W R of an earlier call", forward_only))
    if function.name == "step":
        found.append(("in the backward pass W R of an earlier call", backward_only))
    return found
