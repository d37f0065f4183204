"""Wrong ways of putting a step together, ``(pieces, inputs, own) -> quantities``, for the table in `steps`.

The step of the pieces is the one before the change, so that two of these make two mistakes. What an implementation
returned of its own states (`own`) is passed on where a step is made of one forward and one backward pass.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from copi_ref.arrays.backend import HostArray
from copi_ref.oracle.contract.pieces import Inputs, Pieces, Quantities, after_forward, forward
from copi_ref.oracle.naming.catalogue.layers import By, with_others

Wrong = Callable[[Pieces, Inputs, Quantities], Quantities]


def stepped(p: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
    """The step as it was before the change."""
    return p.step(p, inputs, own)


def _seen(found: Quantities, own: Quantities) -> Quantities:
    """States as updates see them: the implementation's own where it returned them."""
    return found | {name: quantity for name, quantity in own.items() if name[0] != "Δ"}


def _layers(inputs: Inputs) -> range:
    return range(1, len(inputs["W"]) + 1)


def _layer(name: str) -> int:
    return int(name.rpartition(" ")[2])


def _rates(inputs: Inputs) -> dict[str, float]:
    return {"W": inputs["eta_w"], "R": inputs["eta_r"]}


# --- updates, changed when they are made ------------------------------------------------------------------------------


def scaled_by(factor: Callable[[str, int, Inputs], float]) -> Wrong:
    """Updates times a factor, ``(letter, layer, inputs)``."""

    def wrong(p: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
        return {
            name: quantity * factor(name[1], _layer(name), inputs) if name[0] == "Δ" else quantity
            for name, quantity in stepped(p, inputs, own).items()
        }

    return wrong


def with_rates(eta_w: Callable[[float, float], float], eta_r: Callable[[float, float], float]) -> Wrong:
    """Updates as a step shows them that uses other rates: recovered updates are divided by the right ones."""

    def factor(letter: str, layer: int, inputs: Inputs) -> float:
        rates = inputs["eta_w"], inputs["eta_r"]
        return (eta_w if letter == "W" else eta_r)(*rates) / _rates(inputs)[letter]

    return scaled_by(factor)


def frozen(letters: str, which: Callable[[int, int], bool]) -> Wrong:
    """A step that leaves the weights of some layers as they are."""
    return scaled_by(lambda letter, layer, inputs: 0 if letter in letters and which(layer, len(inputs["W"])) else 1)


def replacing(letters: str, new: Callable[[HostArray, HostArray, float], HostArray]) -> Wrong:
    """A step whose new weights are ``new(before, update, rate)``, as the recovered update shows it."""

    def wrong(p: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
        found = {**stepped(p, inputs, own)}
        for letter in letters:
            rate = _rates(inputs)[letter]
            for layer, A in enumerate(inputs[letter], start=1):
                name = f"Δ{letter} of layer {layer}"
                found[name] = (new(A, found[name], rate) - A) / rate
        return found

    return wrong


def made_of_new(letters: str, change: Callable[[HostArray], HostArray]) -> Wrong:
    """A step that changes the new weights."""
    return replacing(letters, lambda A, update, eta: change(A + eta * update))


# --- which x, which z -------------------------------------------------------------------------------------------------


def _inputs_of_layers(inputs: Inputs, found: Quantities) -> list[HostArray]:
    """y_0 … y_{L−1}."""
    return [inputs["y0"], *(found[f"y of layer {layer}"] for layer in _layers(inputs)[:-1])]


def _z(p: Pieces, seen: Quantities, layer: int) -> HostArray:
    return np.asarray(p.target_state(*(seen[f"{name} of layer {layer}"] for name in ("a", "y", "δ"))))


def sources(hebb: str, decay: str, lateral: str) -> Wrong:
    """A step that computes E[z xᵀ], the decay of W and ΔR from "x", or from "y", the layer's input before R."""

    def wrong(p: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
        found = {**stepped(p, inputs, own)}
        seen = _seen(found, own)
        for layer, y in enumerate(_inputs_of_layers(inputs, seen), start=1):
            W, R = inputs["W"][layer - 1], inputs["R"][layer - 1]
            source = {"x": seen[f"x of layer {layer}"], "y": y}
            z = _z(p, seen, layer)
            if "y" in (hebb, decay):
                found[f"ΔW of layer {layer}"] = p.copi(source[hebb], z, 0 * W) + p.copi(source[decay], 0 * z, W)
            if lateral == "y":
                found[f"ΔR of layer {layer}"] = p.lateral(y, R)
        return found

    return wrong


def products(factor: Callable[[Inputs], float]) -> Wrong:
    """A step that divides the products z xᵀ and x xᵀ by something else than N, where the decay of W is a mean."""

    def wrong(p: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
        k = factor(inputs)
        changed = p.with_changes(
            copi=lambda x, z, W: k * p.copi(x, z, 0 * W) + p.copi(x, 0 * z, W),
            joined=lambda q, x, R: k * p.joined(q, x, R),
        )
        return stepped(changed, inputs, own)

    return wrong


def by_gradient_descent(which: Callable[[int, int], bool]) -> Wrong:
    """ΔW = E[δ xᵀ] in place of Eq. 3, in some layers."""

    def wrong(p: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
        found = {**stepped(p, inputs, own)}
        seen = _seen(found, own)
        for layer in _layers(inputs):
            if which(layer, len(inputs["W"])):
                found[f"ΔW of layer {layer}"] = p.sgd(seen[f"x of layer {layer}"], seen[f"δ of layer {layer}"])
        return found

    return wrong


def target_for_z(p: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
    """z = y* at the output."""
    found, last = {**stepped(p, inputs, own)}, len(inputs["W"])
    x = _seen(found, own)[f"x of layer {last}"]
    found[f"ΔW of layer {last}"] = p.copi(x, inputs["target"], inputs["W"][-1])
    return found


def only_where_delta(of_samples: bool) -> Wrong:
    """Units whose δ is 0 for all samples keep their weights; or samples whose δ is 0 are left out of ΔW."""

    def wrong(p: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
        found = {**stepped(p, inputs, own)}
        seen = _seen(found, own)
        for layer in _layers(inputs):
            name, delta = f"ΔW of layer {layer}", seen[f"δ of layer {layer}"]
            if of_samples:
                rows = np.any(delta != 0, axis=1)
                x, z = seen[f"x of layer {layer}"], _z(p, seen, layer)
                found[name] = p.copi(x[rows], z[rows], inputs["W"][layer - 1]) if rows.any() else 0 * found[name]
            else:
                found[name] = found[name] * np.any(delta != 0, axis=0)[:, None]
        return found

    return wrong


def without_first_delta(p: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
    """δ of the first layer stays 0, unless it is the last."""
    return _with_zero_deltas(p, inputs, own, [1] if len(inputs["W"]) > 1 else [])


def only_upper_deltas(p: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
    """The loop down runs upwards: only the highest hidden layer gets a δ."""
    return _with_zero_deltas(p, inputs, own, list(range(1, len(inputs["W"]) - 1)))


def _with_zero_deltas(p: Pieces, inputs: Inputs, own: Quantities, layers: list[int]) -> Quantities:
    found = stepped(p, inputs, own)
    zeros = {f"δ of layer {layer}": 0 * found[f"δ of layer {layer}"] for layer in layers}
    return {**stepped(p, inputs, own | zeros), **zeros}


# --- what is updated before what --------------------------------------------------------------------------------------


def _new(inputs: Inputs, found: Quantities, letters: str) -> Inputs:
    """The inputs with weights after the step."""
    return inputs | {
        letter: tuple(
            A + _rates(inputs)[letter] * found[f"Δ{letter} of layer {layer}"]
            for layer, A in enumerate(inputs[letter], start=1)
        )
        for letter in letters
    }


def _updates(found: Quantities, letters: str) -> Quantities:
    return {name: quantity for name, quantity in found.items() if name[0] == "Δ" and name[1] in letters}


def updated_on_the_way(letters: str) -> Wrong:
    """Weights of a layer are updated before its δ goes down through them."""

    def wrong(p: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
        found = forward(p, inputs, own)
        seen = _seen(found, own)
        current = {letter: list(inputs[letter]) for letter in "WR"}
        last = len(inputs["W"])
        for layer in reversed(_layers(inputs)):
            at, x, a, y = layer - 1, *(seen[f"{symbol} of layer {layer}"] for symbol in "xay")
            if layer == last:
                delta = p.output_delta(a, y, inputs["target"])
            else:
                direct = p.conventions.credit == "dfa"
                source = last if direct else layer + 1
                B = inputs["B"][at] if "B" in inputs else None
                above, a_above = seen[f"δ of layer {source}"], seen[f"a of layer {source}"]
                W, R = current["W"][layer], current["R"][layer]
                delta = p.hidden_delta(above, a, y, W, R, B, a_above, source == last)
            found[f"δ of layer {layer}"] = delta
            seen = _seen(found, own)
            found[f"ΔW of layer {layer}"] = p.copi(x, _z(p, seen, layer), inputs["W"][at])
            found[f"ΔR of layer {layer}"] = p.lateral(x, inputs["R"][at])
            for letter in letters:
                current[letter][at] = _new(inputs, _only(found, inputs, letter, layer), letter)[letter][at]
        return found

    return wrong


def _only(found: Quantities, inputs: Inputs, letter: str, layer: int) -> Quantities:
    """The update of one layer, with 0 for those of others."""
    return {f"Δ{letter} of layer {one}": 0.0 for one in _layers(inputs)} | {
        f"Δ{letter} of layer {layer}": found[f"Δ{letter} of layer {layer}"]
    }


def x_with_new_R(*, for_R_too: bool) -> Wrong:
    """R is updated first, and ΔW, perhaps ΔR as well, sees x = R y with it; a and δ are those of the forward pass."""

    def wrong(p: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
        found = {**stepped(p, inputs, own)}
        seen = _seen(found, own)
        R = _new(inputs, found, "R")["R"]
        for layer, y in enumerate(_inputs_of_layers(inputs, seen), start=1):
            x = p.decorrelate(y, R[layer - 1], layer)
            found[f"ΔW of layer {layer}"] = p.copi(x, _z(p, seen, layer), inputs["W"][layer - 1])
            if for_R_too:
                found[f"ΔR of layer {layer}"] = p.lateral(x, inputs["R"][layer - 1])
        return found

    return wrong


def lateral_with_new_R(p: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
    """ΔR is computed once more, from x with the R that was just updated, and added to that."""
    first = stepped(p, inputs, own)
    again = stepped(p, _new(inputs, first, "R"), {})
    return first | {name: first[name] + again[name] for name in _updates(first, "R")}


def forward_again_with_new_R(p: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
    """R is updated first, the forward pass repeated, and ΔW computed from that."""
    found = stepped(p, inputs, {})
    return stepped(p, _new(inputs, found, "R"), {}) | _updates(found, "R")


def lateral_with_new_W(p: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
    """W is updated first, the forward pass repeated, and ΔR computed from that."""
    found = stepped(p, inputs, own)
    return found | _updates(stepped(p, _new(inputs, found, "W"), {}), "R")


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


# --- several steps in place of one ------------------------------------------------------------------------------------


def _recovered(inputs: Inputs, now: Inputs, letters: str) -> Quantities:
    return {
        f"Δ{letter} of layer {layer}": (after - before) / _rates(inputs)[letter]
        for letter in letters
        for layer, (before, after) in enumerate(zip(inputs[letter], now[letter], strict=True), start=1)
    }


def in_turn(letters: str, size: int, *, mean: bool = False, backwards: bool = False) -> Wrong:
    """One step for each few samples, one after the other, of W, R or both; the other has its step of the batch."""

    def wrong(p: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
        now, N = dict(inputs), len(inputs["y0"])
        if mean:
            now |= {rate: inputs[rate] * size / N for rate in ("eta_w", "eta_r")}
        for start in range(0, N, size)[:: -1 if backwards else 1]:
            part = {name: inputs[name][start : start + size] for name in ("y0", "target")}
            one = now | part
            now |= {letter: _new(one, stepped(p, one, {}), letters)[letter] for letter in letters}
        return stepped(p, inputs, own) | _recovered(inputs, now, letters)

    return wrong


def twice(p: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
    """The whole step is made twice."""
    found = stepped(p, inputs, own)
    now = _new(inputs, found, "WR")
    return found | _recovered(inputs, _new(now, stepped(p, now, {}), "WR"), "WR")


def applied_twice(letters: str) -> Wrong:
    """Weights are updated twice from the same x and z, the second time from the new ones."""

    def wrong(p: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
        found = {**stepped(p, inputs, own)}
        seen = _seen(found, own)
        now = _new(inputs, found, letters)
        for layer in _layers(inputs):
            x = seen[f"x of layer {layer}"]
            if "W" in letters:
                found[f"ΔW of layer {layer}"] = found[f"ΔW of layer {layer}"] + p.copi(
                    x, _z(p, seen, layer), now["W"][layer - 1]
                )
            if "R" in letters:
                found[f"ΔR of layer {layer}"] = found[f"ΔR of layer {layer}"] + p.lateral(x, now["R"][layer - 1])
        return found

    return wrong


def layer_by_layer(*, upwards: bool) -> Wrong:
    """Layers are updated one after the other, each from passes through the new weights of those before it."""

    def wrong(p: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
        found, now = stepped(p, inputs, own), dict(inputs)
        for layer in _layers(inputs)[:: 1 if upwards else -1]:
            new = _new(now, stepped(p, now, {}), "WR")
            for letter in "WR":
                weights = list(now[letter])
                weights[layer - 1] = new[letter][layer - 1]
                now[letter] = tuple(weights)
        return found | _recovered(inputs, now, "WR")

    return wrong


# --- layers and conventions -------------------------------------------------------------------------------------------


def with_shared(letters: str, by: By, *, only_in_passes: bool) -> Wrong:
    """Weights of another layer take part; and they are what is updated, unless `only_in_passes`."""

    def wrong(p: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
        others = with_others(inputs, letters, by)
        found = stepped(p, others, own)
        return found if only_in_passes else found | _recovered(inputs, _new(others, found, letters), letters)

    return wrong


def with_input(change: Callable[[HostArray], HostArray], name: str = "y0") -> Wrong:
    """The batch is changed before anything else."""
    return lambda p, inputs, own: stepped(p, inputs | {name: change(inputs[name])}, own)


def scale_before_decay(p: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
    """The error scale multiplies z, and not δ alone."""
    scale = p.conventions.error_scale
    changed = p.with_changes(target_state=lambda a, y, delta: p.target_state(scale * a, y, delta))
    return stepped(changed, inputs, own)


def linear_hidden(p: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
    """f and f′ are left out of the hidden layers."""

    def in_hidden(q: Pieces, *args: HostArray) -> HostArray:
        return np.asarray(p.in_hidden(replace(q, slope=lambda a, y: np.ones_like(a)), *args))

    changed = p.with_changes(
        in_hidden=in_hidden, activate=lambda a, layer, layers: a if layer < layers else p.activate(a, layer, layers)
    )
    return stepped(changed, inputs, own)
