"""Wrong steps that update something too early, too often, or in parts of the batch."""

from collections.abc import Callable

import numpy as np

from copi_ref.arrays.backend import HostArray
from copi_ref.oracle.contract.conventions import DIRECT
from copi_ref.oracle.contract.pieces import Inputs, Pieces, Quantities, after_forward, forward
from copi_ref.oracle.naming.catalogue.compositions import (
    Wrong,
    inputs_of_layers,
    layers_of,
    new_inputs,
    recovered,
    seen_by,
    stepped,
    z_of,
)

# --- what is updated before what --------------------------------------------------------------------------------------


def _updates(found: Quantities, letters: str) -> Quantities:
    return {name: quantity for name, quantity in found.items() if name[0] == "Δ" and name[1] in letters}


def updated_on_the_way(letters: str) -> Wrong:
    """Weights of a layer are updated before its δ goes down through them."""

    def wrong(p: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
        found = forward(p, inputs, own)
        seen = seen_by(found, own)
        current = {letter: list(inputs[letter]) for letter in "WR"}
        last = len(inputs["W"])
        for layer in reversed(layers_of(inputs)):
            at, x, a, y = layer - 1, *(seen[f"{symbol} of layer {layer}"] for symbol in "xay")
            if layer == last:
                delta = p.output_delta(a, y, inputs["target"])
            else:
                direct = p.conventions.credit in DIRECT
                source = last if direct else layer + 1
                B = inputs["B"][at] if "B" in inputs else None
                above, a_above = seen[f"δ of layer {source}"], seen[f"a of layer {source}"]
                if direct:
                    above = p.sent(p, a_above, seen[f"y of layer {last}"], inputs["target"], above)
                W, R = current["W"][layer], current["R"][layer]
                delta = p.hidden_delta(above, a, y, W, R, B, a_above, source == last)
            found[f"δ of layer {layer}"] = delta
            seen = seen_by(found, own)
            found[f"ΔW of layer {layer}"] = p.copi(x, z_of(p, seen, layer), inputs["W"][at])
            found[f"ΔR of layer {layer}"] = p.lateral(x, inputs["R"][at])
            for letter in letters:
                current[letter][at] = new_inputs(inputs, _only(found, inputs, letter, layer), letter)[letter][at]
        return found

    return wrong


def _only(found: Quantities, inputs: Inputs, letter: str, layer: int) -> Quantities:
    """The update of one layer, with 0 for those of others."""
    return {f"Δ{letter} of layer {one}": 0.0 for one in layers_of(inputs)} | {
        f"Δ{letter} of layer {layer}": found[f"Δ{letter} of layer {layer}"]
    }


def x_with_new_R(*, for_R_too: bool) -> Wrong:
    """R is updated first, and ΔW, perhaps ΔR as well, sees x = R y with it; a and δ are those of the forward pass."""

    def wrong(p: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
        found = {**stepped(p, inputs, own)}
        seen = seen_by(found, own)
        R = new_inputs(inputs, found, "R")["R"]
        for layer, y in enumerate(inputs_of_layers(inputs, seen), start=1):
            x = p.decorrelate(y, R[layer - 1], layer)
            found[f"ΔW of layer {layer}"] = p.copi(x, z_of(p, seen, layer), inputs["W"][layer - 1])
            if for_R_too:
                found[f"ΔR of layer {layer}"] = p.lateral(x, inputs["R"][layer - 1])
        return found

    return wrong


def lateral_with_new_R(p: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
    """ΔR is computed once more, from x with the R that was just updated, and added to that."""
    first = stepped(p, inputs, own)
    again = stepped(p, new_inputs(inputs, first, "R"), {})
    return first | {name: first[name] + again[name] for name in _updates(first, "R")}


def forward_again_with_new_R(p: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
    """R is updated first, the forward pass repeated, and ΔW computed from that."""
    found = stepped(p, inputs, {})
    return stepped(p, new_inputs(inputs, found, "R"), {}) | _updates(found, "R")


def forward_with_new_below(letters: str) -> Wrong:
    """Each layer is updated from x and a that come through the new weights below it, and its own old ones."""

    def wrong(p: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
        found, layers = {**stepped(p, inputs, own)}, len(inputs["W"])
        seen, y = seen_by(found, own), inputs["y0"]
        for layer, (W, R) in enumerate(zip(inputs["W"], inputs["R"], strict=True), start=1):
            x = p.decorrelate(y, R, layer)
            a = p.preactivate(x, y, W)
            z = p.target_state(a, p.activate(a, layer, layers), seen[f"δ of layer {layer}"])
            found[f"ΔW of layer {layer}"], found[f"ΔR of layer {layer}"] = p.copi(x, z, W), p.lateral(x, R)
            new = new_inputs(inputs, {name: found.get(name, 0.0) for name in found}, letters)
            W, R = (new[letter][layer - 1] if letter in letters else old for letter, old in (("W", W), ("R", R)))
            x = p.decorrelate(y, R, layer)
            y = p.activate(p.preactivate(x, y, W), layer, layers)
        return found

    return wrong


def lateral_with_new_W(p: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
    """W is updated first, the forward pass repeated, and ΔR computed from that."""
    found = stepped(p, inputs, own)
    return found | _updates(stepped(p, new_inputs(inputs, found, "W"), {}), "R")


def z_goes_on(p: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
    """Targets z = a + δ are passed on: states of the layers above are recomputed from f(z)."""
    found = stepped(p, inputs, {})
    states = {name: quantity for name, quantity in found.items() if name[0] in "xay"}
    y = inputs["y0"]
    for layer, (W, R) in enumerate(zip(inputs["W"], inputs["R"], strict=True), start=1):
        x = p.decorrelate(y, R, layer)
        a = p.preactivate(x, y, W)
        states |= {f"x of layer {layer}": x, f"a of layer {layer}": a}
        y = p.activate(a + found[f"δ of layer {layer}"], layer, len(inputs["W"]))
    deltas = {name: quantity for name, quantity in found.items() if name[0] == "δ"}
    return found | after_forward(p, inputs, states, deltas)


def sequential_by_layer(p: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
    """R of each layer is updated during the forward pass, before its x goes on."""
    updated: dict[str, HostArray] = {}
    y, R_new = inputs["y0"], []
    for layer, (W, R) in enumerate(zip(inputs["W"], inputs["R"], strict=True), start=1):
        dR = updated[f"ΔR of layer {layer}"] = p.lateral(p.decorrelate(y, R, layer), R)
        R_new.append(R + inputs["eta_r"] * dR)
        x = p.decorrelate(y, R_new[-1], layer)
        y = p.activate(p.preactivate(x, y, W), layer, len(inputs["W"]))
    return stepped(p, inputs | {"R": tuple(R_new)}, {}) | updated


def in_two_stages(letters: str, *, decay_first: bool) -> Wrong:
    """Two terms of an update are applied one after the other, the second one to weights that the first has changed."""

    def wrong(p: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
        found = {**stepped(p, inputs, own)}
        seen = seen_by(found, own)
        for layer in layers_of(inputs):
            x, z = seen[f"x of layer {layer}"], z_of(p, seen, layer)
            W, R = inputs["W"][layer - 1], inputs["R"][layer - 1]
            hebb, decay = p.copi(x, z, 0 * W), p.copi(x, 0 * z, W)
            if "W" in letters:
                later = p.copi(x, 0 * z, W + inputs["eta_w"] * hebb) if not decay_first else decay
                found[f"ΔW of layer {layer}"] = hebb + later
            if "R" in letters:
                first = p.decay(x, R) if decay_first else -p.product(x, R)
                new = R + inputs["eta_r"] * first
                found[f"ΔR of layer {layer}"] = first + (-p.product(x, new) if decay_first else p.decay(x, new))
        return found

    return wrong


def lines_in_turn(*, rows: bool, backwards: bool = False) -> Wrong:
    """Rows or columns of R are updated one after the other, each from an R in which those before are new."""

    def wrong(p: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
        found = {**stepped(p, inputs, own)}
        seen = seen_by(found, own)
        for layer in layers_of(inputs):
            x, R, eta = seen[f"x of layer {layer}"], inputs["R"][layer - 1], inputs["eta_r"]
            new = R.copy()
            for at in range(len(R))[:: -1 if backwards else 1]:
                line = (at, slice(None)) if rows else (slice(None), at)
                new[line] = new[line] + eta * p.lateral(x, new)[line]
            found[f"ΔR of layer {layer}"] = (new - R) / eta
        return found

    return wrong


def x_from(goes_on: Callable[[Pieces, Quantities, int, int], HostArray], letters: str) -> Wrong:
    """Updates see the input that a layer would have if something else than f(a) had gone on from the layer below."""

    def wrong(p: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
        found = {**stepped(p, inputs, own)}
        seen, y = seen_by(found, own), inputs["y0"]
        for layer, R in enumerate(inputs["R"], start=1):
            x = p.decorrelate(y, R, layer)
            if "W" in letters:
                found[f"ΔW of layer {layer}"] = p.copi(x, z_of(p, seen, layer), inputs["W"][layer - 1])
            if "R" in letters:
                found[f"ΔR of layer {layer}"] = p.lateral(x, R)
            y = goes_on(p, seen, layer, len(inputs["R"]))
        return found

    return wrong


def f_of_z(p: Pieces, seen: Quantities, layer: int, layers: int) -> HostArray:
    """The output that a layer would have for its target state."""
    return np.asarray(p.activate(z_of(p, seen, layer), layer, layers))


def a_alone(p: Pieces, seen: Quantities, layer: int, layers: int) -> HostArray:
    """a of a layer, without f."""
    return np.asarray(seen[f"a of layer {layer}"])


# --- several steps in place of one ------------------------------------------------------------------------------------


def in_turn(letters: str, size: int, *, mean: bool = False, backwards: bool = False) -> Wrong:
    """One step for each few samples, one after the other, of W, R or both; the other has its step of the batch."""

    def wrong(p: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
        now, N = dict(inputs), len(inputs["y0"])
        if mean:
            now |= {rate: inputs[rate] * size / N for rate in ("eta_w", "eta_r")}
        for start in range(0, N, size)[:: -1 if backwards else 1]:
            part = {name: inputs[name][start : start + size] for name in ("y0", "target")}
            one = now | part
            now |= {letter: new_inputs(one, stepped(p, one, {}), letters)[letter] for letter in letters}
        return stepped(p, inputs, own) | recovered(inputs, now, letters)

    return wrong


def added_in_turn(letters: str) -> Wrong:
    """Samples are added to the weights one after the other, each with the decay of weights that those before changed.

    x and z are those of the batch; of a mean each sample has its N-th part.
    """

    def wrong(p: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
        found = {**stepped(p, inputs, own)}
        seen, N = seen_by(found, own), len(inputs["y0"])
        part = 1.0 if p.conventions.reduction == "sum" else 1 / N
        for layer in layers_of(inputs):
            x, z = seen[f"x of layer {layer}"], z_of(p, seen, layer)
            W, R = inputs["W"][layer - 1], inputs["R"][layer - 1]
            dW, dR = 0 * W, 0 * R
            for n in range(N):
                one = slice(n, n + 1)
                dW = dW + part * p.copi(x[one], z[one], W + inputs["eta_w"] * dW)
                dR = dR + part * p.lateral(x[one], R + inputs["eta_r"] * dR)
            found |= {f"Δ{letter} of layer {layer}": {"W": dW, "R": dR}[letter] for letter in letters}
        return found

    return wrong


def twice(p: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
    """The whole step is made twice."""
    found = stepped(p, inputs, own)
    now = new_inputs(inputs, found, "WR")
    return found | recovered(inputs, new_inputs(now, stepped(p, now, {}), "WR"), "WR")


def applied_twice(letters: str) -> Wrong:
    """Weights are updated twice from the same x and z, the second time from the new ones."""

    def wrong(p: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
        found = {**stepped(p, inputs, own)}
        seen = seen_by(found, own)
        now = new_inputs(inputs, found, letters)
        for layer in layers_of(inputs):
            x = seen[f"x of layer {layer}"]
            if "W" in letters:
                found[f"ΔW of layer {layer}"] = found[f"ΔW of layer {layer}"] + p.copi(
                    x, z_of(p, seen, layer), now["W"][layer - 1]
                )
            if "R" in letters:
                found[f"ΔR of layer {layer}"] = found[f"ΔR of layer {layer}"] + p.lateral(x, now["R"][layer - 1])
        return found

    return wrong


def layer_by_layer(*, upwards: bool) -> Wrong:
    """Layers are updated one after the other, each from passes through the new weights of those before it."""

    def wrong(p: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
        found, now = stepped(p, inputs, own), dict(inputs)
        for layer in layers_of(inputs)[:: 1 if upwards else -1]:
            new = new_inputs(now, stepped(p, now, {}), "WR")
            for letter in "WR":
                weights = list(now[letter])
                weights[layer - 1] = new[letter][layer - 1]
                now[letter] = tuple(weights)
        return found | recovered(inputs, now, "WR")

    return wrong
