"""Steps in which layers share memory, sums or norms, and steps in which some samples or units do not learn."""

from collections.abc import Callable

import numpy as np

from copi_ref.arrays.backend import HostArray
from copi_ref.oracle.contract.pieces import Inputs, Pieces, Quantities
from copi_ref.oracle.naming.catalogue.compositions import (
    Wrong,
    layers_of,
    new_inputs,
    recovered,
    seen_by,
    stepped,
    z_of,
)
from copi_ref.oracle.naming.catalogue.layers import By
from copi_ref.oracle.naming.catalogue.weights import masked

Taken = Callable[[HostArray, HostArray, HostArray], HostArray]
"""``(a, δ, δ_L)`` of a layer give which samples, (N, 1), or which states, (N, M), take part in its update."""


def learning_where(taken: Taken, letters: str) -> Wrong:
    """Samples, or units in some of them, are left out of the sums over the batch; N stays as it is."""

    def wrong(p: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
        found = {**stepped(p, inputs, own)}
        seen = seen_by(found, own)
        for layer in layers_of(inputs):
            x, a, delta = (seen[f"{symbol} of layer {layer}"] for symbol in "xaδ")
            share = taken(a, delta, seen[f"δ of layer {len(inputs['W'])}"])
            found[f"ΔW of layer {layer}"] = masked(p.copi, x, z_of(p, seen, layer), inputs["W"][layer - 1], share)
            if "R" in letters:
                found[f"ΔR of layer {layer}"] = p.lateral(x * share, inputs["R"][layer - 1])
        return found

    return wrong


# --- memory and sums that layers share --------------------------------------------------------------------------------


def sums_upwards(of_layers: list[HostArray]) -> list[HostArray]:
    """For each array the sum of those of its shape up to it: the first layer is done first, and nothing is cleared."""
    return [
        np.sum([other for other in of_layers[: at + 1] if other.shape == array.shape], axis=0)
        for at, array in enumerate(of_layers)
    ]


def sums_downwards(of_layers: list[HostArray]) -> list[HostArray]:
    """For each array the sum of those of its shape from the last layer down to it."""
    return sums_upwards(of_layers[::-1])[::-1]


def sums_of_all(of_layers: list[HostArray]) -> list[HostArray]:
    """For each array the sum of all of its shape."""
    return [np.sum([other for other in of_layers if other.shape == array.shape], axis=0) for array in of_layers]


def means_of_all(of_layers: list[HostArray]) -> list[HostArray]:
    """For each array the mean of all of its shape."""
    return [np.mean([other for other in of_layers if other.shape == array.shape], axis=0) for array in of_layers]


def fading(upwards: bool, share: float) -> By:
    """Sums over layers of a shape in which those before count less and less: a momentum that goes on."""

    def by(of_layers: list[HostArray]) -> list[HostArray]:
        found: list[HostArray] = []
        kept: dict[tuple[int, ...], HostArray] = {}
        for array in of_layers if upwards else of_layers[::-1]:
            kept[array.shape] = array + share * kept.get(array.shape, 0 * array)
            found.append(kept[array.shape])
        return found if upwards else found[::-1]

    return by


def with_updates(letters: str, by: By) -> Wrong:
    """Updates become others when all are made."""

    def wrong(p: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
        found = {**stepped(p, inputs, own)}
        for letter in letters:
            names = [f"Δ{letter} of layer {layer}" for layer in layers_of(inputs)]
            found |= dict(zip(names, by([found[name] for name in names]), strict=True))
        return found

    return wrong


def with_new_weights(letters: str, by: By) -> Wrong:
    """New weights of layers become others when all are made."""

    def wrong(p: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
        found = stepped(p, inputs, own)
        new = new_inputs(inputs, found, letters)
        return found | recovered(inputs, {letter: by(list(new[letter])) for letter in letters}, letters)

    return wrong


def with_moments(by: By) -> Wrong:
    """ΔR sees E[x xᵀ] of other layers of one width, or of several."""

    def wrong(p: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
        found = {**stepped(p, inputs, own)}
        seen = seen_by(found, own)
        # `by` chooses layers and adds them up: of one hot row a layer it makes how often each counts.
        widths = [R.shape[0] for R in inputs["R"]]
        for width in {*widths}:
            those = [at for at, one in enumerate(widths) if one == width]
            for at, counts in zip(those, by(list(np.eye(len(those)))), strict=True):
                found[f"ΔR of layer {at + 1}"] = sum(
                    count * p.lateral(seen[f"x of layer {other + 1}"], inputs["R"][at])
                    for other, count in zip(those, counts, strict=True)
                )
        return found

    return wrong


def clipped_together(letters: str) -> Wrong:
    """Updates of all layers are scaled down to a norm of 1 over all of them, where that is larger."""

    def wrong(p: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
        found = {**stepped(p, inputs, own)}
        names = [f"Δ{letter} of layer {layer}" for letter in letters for layer in layers_of(inputs)]
        norm = float(np.sqrt(sum(np.sum(found[name] ** 2) for name in names)))
        return found | {name: found[name] / max(norm, 1.0) for name in names}

    return wrong
