"""Mistakes about layers: arrays of another layer, memory that layers of one size share, δ that ends too early."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from copi_ref.arrays.backend import HostArray
from copi_ref.oracle.contract.conventions import DIRECT, WITH_B
from copi_ref.oracle.contract.pieces import Inputs, Pieces, Quantities, scaled
from copi_ref.oracle.naming.catalogue.arrays import transposed_if_square
from copi_ref.oracle.naming.catalogue.slopes import slope_formula
from copi_ref.oracle.naming.catalogue.variant import Variant

By = Callable[[list[HostArray]], list[HostArray]]
"""What becomes of one array a layer."""


def shared_with_last(of_layers: list[HostArray]) -> list[HostArray]:
    """For each array the last one of its shape: the one that was written last to memory of that shape."""
    last = {array.shape: array for array in of_layers}
    return [last[array.shape] for array in of_layers]


def shared_with_first(of_layers: list[HostArray]) -> list[HostArray]:
    """For each array the first one of its shape."""
    return shared_with_last(of_layers[::-1])[::-1]


def of_layer_before(of_layers: list[HostArray]) -> list[HostArray]:
    """For each array that of the layer before, where it has the same shape."""
    return [
        before if before.shape == array.shape else array
        for before, array in zip([of_layers[0], *of_layers], of_layers, strict=False)
    ]


def of_layer_after(of_layers: list[HostArray]) -> list[HostArray]:
    """For each array that of the layer after, where it has the same shape."""
    return of_layer_before(of_layers[::-1])[::-1]


def of_layer_opposite(of_layers: list[HostArray]) -> list[HostArray]:
    """For each array that of the layer as far from the other end, where it has the same shape."""
    return [
        other if other.shape == array.shape else array for array, other in zip(of_layers, of_layers[::-1], strict=True)
    ]


def in_opposite_order(of_layers: list[HostArray]) -> list[HostArray]:
    """Arrays from the last layer's to the first's, where the shapes allow it."""
    turned = of_layers[::-1]
    return turned if [a.shape for a in turned] == [a.shape for a in of_layers] else of_layers


def with_others(inputs: Inputs, letters: str, by: By) -> Inputs:
    """Inputs with weights of other layers."""
    return inputs | {letter: tuple(by(list(inputs[letter]))) for letter in letters if letter in inputs}


def _forward_with(name: str, says: str, letters: str, by: By) -> Variant:
    """The forward pass uses weights of other layers."""
    return Variant(name, says, lambda p: p.with_changes(
        upwards=lambda q, inputs, own: p.upwards(q, with_others(inputs, letters, by), own)))  # fmt: skip


def _backward_with(name: str, says: str, letters: str, by: By, *credits: str) -> Variant:
    """The backward pass uses weights, or a or y, of other layers."""

    def change(p: Pieces) -> Pieces | None:
        if credits and p.conventions.credit not in credits:
            return None
        return p.with_changes(downwards=lambda q, inputs, own: p.downwards(q, with_others(inputs, letters, by), own))

    return Variant(name, says, change)


def _with_matrices_shared(last: bool) -> Callable[[Pieces], Pieces]:
    """R₁, W₁, R₂, W₂ … in this order are kept by their shape."""

    def shared(inputs: Inputs) -> Inputs:
        pairs = [matrix for pair in zip(inputs["R"], inputs["W"], strict=True) for matrix in pair]
        found = (shared_with_last if last else shared_with_first)(pairs)
        return inputs | {"R": tuple(found[::2]), "W": tuple(found[1::2])}

    return lambda p: p.with_changes(upwards=lambda q, inputs, own: p.upwards(q, shared(inputs), own))


def _overwritten(name: str, says: str, symbols: str, by: By) -> Variant:
    """x, a or y that a pass keeps become others once it is through."""

    def upwards(p: Pieces, q: Pieces, inputs: Inputs) -> Quantities:
        found = p.upwards(q, inputs, {})
        for symbol in symbols:
            found |= _renamed(found, symbol, len(inputs["W"]), by)
        return found

    return Variant(name, says, lambda p: p.with_changes(upwards=lambda q, inputs, own: upwards(p, q, inputs)))


def _renamed(found: Quantities, symbol: str, layers: int, by: By) -> Quantities:
    names = [f"{symbol} of layer {layer}" for layer in range(1, layers + 1)]
    return dict(zip(names, by([found[name] for name in names]), strict=True))


def _kept(name: str, says: str, kept: Callable[[Inputs, Quantities, int], Quantities]) -> Variant:
    """What a pass keeps of a layer is another array than it goes on with."""

    def upwards(p: Pieces, q: Pieces, inputs: Inputs) -> Quantities:
        found = p.upwards(q, inputs, {})
        others = [kept(inputs, found, layer) for layer in range(1, len(inputs["W"]) + 1)]
        for other in others:
            found |= other
        return found

    return Variant(name, says, lambda p: p.with_changes(upwards=lambda q, inputs, own: upwards(p, q, inputs)))


def _input_of(inputs: Inputs, found: Quantities, layer: int) -> HostArray:
    return np.asarray(inputs["y0"] if layer == 1 else found[f"y of layer {layer - 1}"])


def _where_alike(one: HostArray, other: HostArray) -> HostArray:
    return one if one.shape == other.shape else other


def _deltas(name: str, says: str, change: Callable[[list[HostArray]], list[HostArray]]) -> Variant:
    """What becomes of all δ, the lowest first, once the backward pass is through."""

    def downwards(p: Pieces, q: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
        found, layers = p.downwards(q, inputs, {}), len(inputs["W"])
        changed = {**found, **_renamed(found, "δ", layers, change)}
        # What stays, and comes of what stays, is compared from the implementation's own δ above.
        stays = {name for name in found if changed[name] is found[name]}
        given = p.downwards(q, inputs, own)
        for layer in range(1, layers + 1):
            above = layers if q.conventions.credit in DIRECT else min(layer + 1, layers)
            if {f"δ of layer {layer}", f"δ of layer {above}"} <= stays:
                changed[f"δ of layer {layer}"] = given[f"δ of layer {layer}"]
        return changed

    return Variant(name, says, lambda p: p.with_changes(downwards=lambda q, inputs, own: downwards(p, q, inputs, own)))


def _ending(below: int) -> By:
    return lambda deltas: [
        0 * delta if layer < len(deltas) - 1 - below else delta for layer, delta in enumerate(deltas)
    ]


def _accumulated(deltas: list[HostArray]) -> list[HostArray]:
    return [
        delta + above if above is not None and above.shape == delta.shape else delta
        for delta, above in zip(deltas, [*deltas[1:], None], strict=True)
    ]


def _times(factor: Callable[[int, int], float]) -> By:
    """By layer, counted from 1, and the number of layers."""
    return lambda deltas: [factor(layer, len(deltas)) * delta for layer, delta in enumerate(deltas, start=1)]


def _as_credit(name: str, says: str, given: str, other: Any) -> Variant:
    """Feedback weights of one method are used as those of another, where the shapes fit."""

    def change(p: Pieces) -> Pieces | None:
        if p.conventions.credit != given:
            return None
        conventions = replace(p.conventions, credit=other)
        return p.with_changes(
            downwards=lambda q, inputs, own: p.downwards(q.with_changes(conventions=conventions), inputs, own)
        )

    return Variant(name, says, change)


def _slope_of_x_above(p: Pieces, slope: Callable[[Pieces, HostArray, HostArray], HostArray]) -> Pieces:
    def in_hidden(q: Pieces, above: HostArray, a: HostArray, y: HostArray, W: HostArray, R: HostArray,
                  *rest: Any) -> HostArray:  # fmt: skip
        changed = q.with_changes(slope=lambda a, y: slope(q, y @ R.mT, y))
        return np.asarray(p.in_hidden(changed, above, a, y, W, R, *rest))

    return p.with_changes(in_hidden=in_hidden)


def _with_states_turned(target: bool) -> Callable[[Pieces], Pieces]:
    def turned(inputs: Inputs) -> Inputs:
        found = with_others(inputs, "ay", lambda of_layers: [transposed_if_square(array) for array in of_layers])
        return found | {"target": transposed_if_square(inputs["target"])} if target else found

    return lambda p: p.with_changes(downwards=lambda q, inputs, own: p.downwards(q, turned(inputs), own))


def _slope_without_R(p: Pieces) -> Pieces:
    def downwards(q: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
        a = [inputs["a"][0], *(y @ W.mT for y, W in zip(inputs["y"], inputs["W"][1:], strict=False))]
        y = [inputs["y"][0], *(np.asarray(q.conventions.f()(one)) for one in a[1:])]
        of_a = dict(zip(map(id, inputs["a"]), zip(a, y, strict=True), strict=True))
        changed = q.with_changes(slope=lambda one, its_y: q.slope(*of_a.get(id(one), (one, its_y))))
        return p.downwards(changed, inputs, own)

    return p.with_changes(downwards=downwards)


def _of_outputs(p: Pieces) -> Pieces:
    def in_hidden(q: Pieces, above: HostArray, a: HostArray, y: HostArray, W: HostArray, R: HostArray, B: HostArray,
                  a_above: HostArray, from_output: bool) -> HostArray:  # fmt: skip
        return np.asarray(q.carried(q.slope(a_above, np.asarray(q.conventions.f()(a_above))) * above, W, R, B))

    def at_output(q: Pieces, a: HostArray, y: HostArray, target: HostArray) -> HostArray:
        return np.asarray(scaled(q.error(a, y, target), q.conventions.error_scale))

    return p.with_changes(in_hidden=in_hidden, at_output=at_output)


def _without_slopes_between(p: Pieces) -> Pieces:
    """What comes down from the output goes through weights only, and f′ of the layer itself is put to it."""

    def downwards(q: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
        linear = p.downwards(q.with_changes(in_hidden=_only_carried), inputs, {})
        found = dict(linear)
        for layer in range(1, len(inputs["W"])):
            slope = q.slope(inputs["a"][layer - 1], inputs["y"][layer - 1])
            found[f"δ of layer {layer}"] = slope * linear[f"δ of layer {layer}"]
        return found

    return p.with_changes(downwards=downwards)


def _only_carried(
    q: Pieces, above: HostArray, a: HostArray, y: HostArray, W: HostArray, R: HostArray, B: HostArray, *rest: Any
) -> HostArray:
    return np.asarray(q.carried(above, W, R, B))


LAYER_VARIANTS = (
    _forward_with("forward-R-shared-with-last", "R of the last layer of one width is used in all of them", "R",
                  shared_with_last),
    _forward_with("forward-R-shared-with-first", "R of the first layer of one width is used in all of them", "R",
                  shared_with_first),
    _forward_with("forward-W-shared-with-last", "W of the last layer of one shape is used in all of them", "W",
                  shared_with_last),
    _forward_with("forward-W-shared-with-first", "W of the first layer of one shape is used in all of them", "W",
                  shared_with_first),
    _forward_with("forward-R-of-layer-below", "R of the layer below is used, where it has the same width", "R",
                  of_layer_before),
    _forward_with("forward-W-of-layer-below", "W of the layer below is used, where it has the same shape", "W",
                  of_layer_before),
    *(_forward_with(f"forward-{letter}-reversed", f"{letter} are in the opposite order, where shapes are equal", letter,
                    of_layer_opposite) for letter in "RW"),
    *(_backward_with(f"delta-{letter}-reversed",
                     f"{letter} are in the opposite order on the way down, where shapes are equal", letter,
                     of_layer_opposite, "bp") for letter in "RW"),
    _backward_with("delta-slope-reversed", "f′ are in the opposite order in the hidden layers, where widths are equal",
                   "ay", lambda of_layers: [*of_layer_opposite(of_layers[:-1]), of_layers[-1]]),
    _deltas("delta-accumulates", "δ of the layer above is added, where it has as many units: nothing is cleared",
            _accumulated),
    _forward_with("forward-R-of-layer-above", "R of the layer above is used, where it has the same width", "R",
                  of_layer_after),
    _forward_with("forward-W-of-layer-above", "W of the layer above is used, where it has the same shape", "W",
                  of_layer_after),
    *(Variant(f"forward-matrices-shared-with-{which}",
              f"W and R of one shape are taken for one matrix, the {which} of them",
              _with_matrices_shared(which == "last")) for which in ("first", "last")),
    *(_overwritten(f"forward-{symbol}-shared",
                   f"{symbol} of layers with as many units share memory: the highest's remains",
                   symbol, shared_with_last) for symbol in "xay"),
    _overwritten("forward-xay-shared", "x, a and y of layers with as many units share memory: the highest's remain",
                 "xay",
                 shared_with_last),
    _overwritten("forward-ay-shared", "a and y of layers with as many units share memory: the highest's remain", "ay",
                 shared_with_last),
    _kept("forward-a-is-y", "f works in place: what is kept as a is y",
          lambda inputs, found, layer: {f"a of layer {layer}": found[f"y of layer {layer}"]}),
    _kept("forward-y-is-a", "what is kept as y is a, though f(a) goes on",
          lambda inputs, found, layer: {f"y of layer {layer}": found[f"a of layer {layer}"]}),
    _kept("forward-y-is-x-above", "R works in place: what is kept as y is x of the layer above",
          lambda inputs, found, layer: {f"y of layer {layer}": found.get(f"x of layer {layer + 1}",
                                                                         found[f"y of layer {layer}"])}),
    _kept("forward-y-is-y-below", "what is kept as y is y of the layer below, where it has as many units",
          lambda inputs, found, layer: {f"y of layer {layer}": _where_alike(_input_of(inputs, found, layer),
                                                                            found[f"y of layer {layer}"])}),
    _kept("forward-x-is-y", "what is kept as x is y, the layer's input before R, though R y goes on",
          lambda inputs, found, layer: {f"x of layer {layer}": _input_of(inputs, found, layer)}),
    _deltas("delta-shared", "δ of layers with as many units share memory: the lowest's remains", shared_with_first),
    _deltas("delta-shared-with-highest", "δ of layers with as many units are that of the highest", shared_with_last),
    _deltas("delta-of-layer-below", "δ of the layer below is used, where it has as many units", of_layer_before),
    _deltas("delta-of-layer-above", "δ of the layer above is used, where it has as many units", of_layer_after),
    _deltas("delta-layers-reversed", "δ of all layers are in the opposite order", in_opposite_order),
    _deltas("delta-zero-in-first-layer", "δ of the first of several layers is 0: the loop down stops before it",
            lambda deltas: [0 * deltas[0], *deltas[1:]] if len(deltas) > 1 else deltas),
    *(_deltas(f"delta-ends-{below}-below", f"δ is 0 more than {below} layer{'s' * (below > 1)} below the output",
              _ending(below)) for below in range(1, 7)),
    _deltas("delta-zero-at-output-alone", "δ of the output is 0 in its update, though it goes down",
            lambda deltas: [*deltas[:-1], 0 * deltas[-1]]),
    _deltas("delta-times-depth", "δ is multiplied by the number of its layer", _times(lambda layer, layers: layer)),
    _deltas("delta-over-depth", "δ is divided by the number of its layer", _times(lambda layer, layers: 1 / layer)),
    _deltas("delta-times-height", "δ is multiplied by the number of layers from the output, which has 1",
            _times(lambda layer, layers: layers - layer + 1)),
    _deltas("delta-over-height", "δ is divided by the number of layers from the output, which has 1",
            _times(lambda layer, layers: 1 / (layers - layer + 1))),
    _deltas("delta-over-layers", "δ is divided by the number of layers", _times(lambda layer, layers: 1 / layers)),
    _backward_with("delta-R-of-layer-below",
                   "R of the layer itself for that of the layer above, where widths are equal",
                   "R", of_layer_before, "bp"),
    _backward_with("delta-W-of-layer-below",
                   "W of the layer itself for that of the layer above, where shapes are equal",
                   "W", of_layer_before, "bp"),
    _backward_with("delta-R-shared-with-last",
                   "R of the last layer of one width is used in all of them on the way down",
                   "R", shared_with_last, "bp"),
    _backward_with("delta-R-shared-with-first",
                   "R of the first layer of one width is used in all of them on the way down",
                   "R", shared_with_first, "bp"),
    _backward_with("delta-slope-of-layer-below", "f′ of the layer below, where it has as many units", "ay",
                   of_layer_before),
    _backward_with("delta-slope-of-layer-above-itself", "f′ of the layer above, where it has as many units", "ay",
                   of_layer_after),
    Variant("delta-slope-of-a-without-R", "f′ is taken at W y, without R, above the first layer", _slope_without_R),
    _backward_with("delta-slope-shared", "f′ of the highest layer with as many units is used in all of them", "ay",
                   shared_with_last),
    _backward_with("delta-feedback-reversed", "feedback weights are in the opposite order, where the shapes allow it",
                   "B",
                   in_opposite_order, *WITH_B),
    _backward_with("delta-feedback-shared-with-last", "the last feedback weights of one shape are used in all layers",
                   "B",
                   shared_with_last, *WITH_B),
    _backward_with("delta-feedback-shared-with-first", "the first feedback weights of one shape are used in all layers",
                   "B", shared_with_first, *WITH_B),
    Variant("delta-slope-at-x-above", "f′ is taken at x = R y of the layer above, not at a",
            lambda p: _slope_of_x_above(p, lambda q, x, y: q.slope(x, y))),
    Variant("delta-slope-formula-at-x-above",
            "the formula of f′ for y, 1 − y² or y (1 − y), is given x = R y of the layer above",
            lambda p: _slope_of_x_above(p, lambda q, x, y: slope_formula(p, x)) if p.conventions.is_smooth else None),
    *(Variant(f"delta-states-transposed{ending}", f"{what} with as many samples as units are taken for columns",
              _with_states_turned(target)) for target, ending, what in ((True, "", "a, y and the target"),
                                                                        (False, "-but-target", "a and y"))),
    Variant("delta-of-outputs", "δ is that of y and not of a: f′ of the layer itself is missing, and that of the layer "
            "above is there", _of_outputs),
    Variant("delta-no-slope-between", "f′ of the layers in between is missing on the way down from the output",
            _without_slopes_between),
    _as_credit("delta-direct-feedback-as-feedback",
               "direct feedback weights carry δ of the layer above, not of the output",
               "dfa", "fa"),
    _as_credit("delta-feedback-as-direct-feedback", "feedback weights carry δ of the output, not of the layer above",
               "fa", "dfa"),
)  # fmt: skip
