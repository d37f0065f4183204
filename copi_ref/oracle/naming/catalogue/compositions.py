"""Wrong ways of putting a step together, ``(pieces, inputs) -> quantities``, for the table in `steps`."""

from collections.abc import Callable
from typing import Any

from copi_ref.arrays.backend import HostArray
from copi_ref.oracle.contract.pieces import Inputs, Pieces, Quantities, after_forward, forward, whole_step


def with_rates(eta_w: Callable[[float, float], float], eta_r: Callable[[float, float], float]) -> Any:
    """Updates as a step shows them that uses other rates: recovered updates are divided by the right ones."""

    def wrong(p: Pieces, inputs: Inputs) -> Quantities:
        w, r = inputs["eta_w"], inputs["eta_r"]
        factor = {"W": eta_w(w, r) / w, "R": eta_r(w, r) / r}
        return {
            name: quantity * factor[name[1]] if name[0] == "Δ" else quantity
            for name, quantity in whole_step(p, inputs, {}).items()
        }

    return wrong


def _inputs_of_layers(inputs: Inputs, found: Quantities) -> list[HostArray]:
    """y_0 … y_{L−1}."""
    return [inputs["y0"], *(found[f"y of layer {layer}"] for layer in range(1, len(inputs["W"])))]


def frozen(letters: str, which: Callable[[int, int], bool]) -> Callable[[Pieces, Inputs], Quantities]:
    """A step that leaves the weights of some layers as they are."""

    def wrong(p: Pieces, inputs: Inputs) -> Quantities:
        layers = len(inputs["W"])
        return {
            name: 0 * quantity
            if name[0] == "Δ" and name[1] in letters and which(int(name.rpartition(" ")[2]), layers)
            else quantity
            for name, quantity in whole_step(p, inputs, {}).items()
        }

    return wrong


def _new(inputs: Inputs, found: Quantities, letters: str) -> Inputs:
    """The inputs with weights after the step."""
    rates = {"W": inputs["eta_w"], "R": inputs["eta_r"]}
    return inputs | {
        letter: tuple(A + rates[letter] * found[f"Δ{letter} of layer {at + 1}"] for at, A in enumerate(inputs[letter]))
        for letter in letters
    }


def updated_on_the_way(letters: str) -> Callable[[Pieces, Inputs], Quantities]:
    """Weights of a layer are updated before its δ goes down through them."""

    def wrong(p: Pieces, inputs: Inputs) -> Quantities:
        found = forward(p, inputs, {})
        current = {letter: list(inputs[letter]) for letter in "WR"}
        layers = len(inputs["W"])
        x, a, y = ([found[f"{n} of layer {layer + 1}"] for layer in range(layers)] for n in "xay")
        delta = delta_L = p.output_delta(a[-1], y[-1], inputs["target"])
        for at in reversed(range(layers)):
            if at < layers - 1:
                above = delta_L if p.conventions.credit == "dfa" else delta
                W, R = current["W"][at + 1], current["R"][at + 1]
                B = inputs["B"][at] if "B" in inputs else None
                delta = p.hidden_delta(above, a[at], y[at], W, R, B, a[at + 1])
            found[f"δ of layer {at + 1}"] = delta
            W, R = inputs["W"][at], inputs["R"][at]
            dW = found[f"ΔW of layer {at + 1}"] = p.copi(x[at], p.target_state(a[at], y[at], delta), W)
            dR = found[f"ΔR of layer {at + 1}"] = p.lateral(x[at], R)
            if "W" in letters:
                current["W"][at] = W + inputs["eta_w"] * dW
            if "R" in letters:
                current["R"][at] = R + inputs["eta_r"] * dR
        return found

    return wrong


def x_with_new_R(*, for_R_too: bool) -> Callable[[Pieces, Inputs], Quantities]:
    """R is updated first, and ΔW, perhaps ΔR as well, sees x = R⁺ y; a and δ are those of the forward pass."""

    def wrong(p: Pieces, inputs: Inputs) -> Quantities:
        found = whole_step(p, inputs, {})
        R = _new(inputs, found, "R")["R"]
        for at, y in enumerate(_inputs_of_layers(inputs, found)):
            layer = at + 1
            x = p.decorrelate(y, R[at], layer)
            z = p.target_state(*(found[f"{name} of layer {layer}"] for name in ("a", "y", "δ")))
            found[f"ΔW of layer {layer}"] = p.copi(x, z, inputs["W"][at])
            if for_R_too:
                found[f"ΔR of layer {layer}"] = p.lateral(x, inputs["R"][at])
        return found

    return wrong


def forward_again_with_new_R(p: Pieces, inputs: Inputs) -> Quantities:
    """R is updated first, the forward pass repeated, and ΔW computed from that."""
    found = whole_step(p, inputs, {})
    again = whole_step(p, _new(inputs, found, "R"), {})
    return again | {name: quantity for name, quantity in found.items() if name.startswith("ΔR")}


def lateral_with_new_W(p: Pieces, inputs: Inputs) -> Quantities:
    """W is updated first, the forward pass repeated, and ΔR computed from that."""
    found = whole_step(p, inputs, {})
    again = whole_step(p, _new(inputs, found, "W"), {})
    return found | {name: quantity for name, quantity in again.items() if name.startswith("ΔR")}


def by_gradient_descent(p: Pieces, inputs: Inputs) -> Quantities:
    """ΔW = E[δ xᵀ] in place of Eq. 3."""
    found = whole_step(p, inputs, {})
    for layer in range(1, len(inputs["W"]) + 1):
        found[f"ΔW of layer {layer}"] = p.sgd(found[f"x of layer {layer}"], found[f"δ of layer {layer}"])
    return found


def z_goes_on(p: Pieces, inputs: Inputs) -> Quantities:
    """Targets z = a + δ are passed on: states of the layers above are recomputed from f(z)."""
    found = whole_step(p, inputs, {})
    states = {name: quantity for name, quantity in found.items() if name[0] in "xay"}
    y = inputs["y0"]
    for at, (W, R) in enumerate(zip(inputs["W"], inputs["R"], strict=True)):
        x = p.decorrelate(y, R, at + 1)
        a = p.preactivate(x, y, W)
        states |= {f"x of layer {at + 1}": x, f"a of layer {at + 1}": a}
        y = p.activate(a + found[f"δ of layer {at + 1}"], at + 1, len(inputs["W"]))
    deltas = {name: quantity for name, quantity in found.items() if name[0] == "δ"}
    return found | after_forward(p, inputs, states, deltas)


def sequential_by_layer(p: Pieces, inputs: Inputs) -> Quantities:
    """R of each layer is updated during the forward pass, before its x goes on."""
    updated: dict[str, HostArray] = {}
    y, R_new = inputs["y0"], []
    for at, (W, R) in enumerate(zip(inputs["W"], inputs["R"], strict=True)):
        dR = updated[f"ΔR of layer {at + 1}"] = p.lateral(p.decorrelate(y, R, at + 1), R)
        R_new.append(R + inputs["eta_r"] * dR)
        x = p.decorrelate(y, R_new[-1], at + 1)
        y = p.activate(p.preactivate(x, y, W), at + 1, len(inputs["W"]))
    return whole_step(p, inputs | {"R": tuple(R_new)}, {}) | updated


def sources(hebb: str, decay: str, lateral: str) -> Callable[[Pieces, Inputs], Quantities]:
    """A step that computes E[z xᵀ], the decay of W and ΔR from "x", or from "y", the layer's input before R."""

    def wrong(p: Pieces, inputs: Inputs) -> Quantities:
        found = whole_step(p, inputs, {})
        for at, y in enumerate(_inputs_of_layers(inputs, found)):
            layer, W, R = at + 1, inputs["W"][at], inputs["R"][at]
            source = {"x": found[f"x of layer {layer}"], "y": y}
            z = p.target_state(*(found[f"{name} of layer {layer}"] for name in ("a", "y", "δ")))
            found[f"ΔW of layer {layer}"] = p.copi(source[hebb], z, 0 * W) + p.copi(source[decay], 0 * z, W)
            found[f"ΔR of layer {layer}"] = p.lateral(source[lateral], R)
        return found

    return wrong


def products(factor: Callable[[Inputs], float]) -> Callable[[Pieces, Inputs], Quantities]:
    """A step that divides the products z xᵀ and x xᵀ by something else than N, where the decay of W is a mean."""

    def wrong(p: Pieces, inputs: Inputs) -> Quantities:
        k = factor(inputs)
        changed = p.with_changes(
            copi=lambda x, z, W: k * p.copi(x, z, 0 * W) + p.copi(x, 0 * z, W), lateral=lambda x, R: k * p.lateral(x, R)
        )
        return whole_step(changed, inputs, {})

    return wrong


def replacing(letter: str, new: Callable[[HostArray, HostArray, float], HostArray]) -> Any:
    """A step whose new weights are ``new(before, update, rate)``, as the recovered update shows it."""

    def wrong(p: Pieces, inputs: Inputs) -> Quantities:
        found = whole_step(p, inputs, {})
        rates = {"W": inputs["eta_w"], "R": inputs["eta_r"]}
        for one in letter:
            for at, A in enumerate(inputs[one]):
                name = f"Δ{one} of layer {at + 1}"
                found[name] = (new(A, found[name], rates[one]) - A) / rates[one]
        return found

    return wrong


def scaled_update(letter: str) -> Callable[[Pieces, Inputs], Quantities]:
    """ΔW or ΔR is a sum over samples, where the other is a mean."""

    def wrong(p: Pieces, inputs: Inputs) -> Quantities:
        N = len(inputs["y0"])
        return {
            name: quantity * N if name.startswith(f"Δ{letter}") else quantity
            for name, quantity in whole_step(p, inputs, {}).items()
        }

    return wrong


def without_first_delta(p: Pieces, inputs: Inputs) -> Quantities:
    """δ of the first layer stays 0, unless it is the last."""
    found = whole_step(p, inputs, {})
    if len(inputs["W"]) == 1:
        return found
    return whole_step(p, inputs, {"δ of layer 1": 0 * found["δ of layer 1"]})


def only_upper_deltas(p: Pieces, inputs: Inputs) -> Quantities:
    """The loop down runs upwards: only the highest hidden layer gets a δ."""
    found, layers = whole_step(p, inputs, {}), len(inputs["W"])
    zeros = {f"δ of layer {layer}": 0 * found[f"δ of layer {layer}"] for layer in range(1, layers - 1)}
    return whole_step(p, inputs, zeros) if zeros else found


def target_for_z(p: Pieces, inputs: Inputs) -> Quantities:
    """z = y* at the output."""
    found, layers = whole_step(p, inputs, {}), len(inputs["W"])
    found[f"ΔW of layer {layers}"] = p.copi(found[f"x of layer {layers}"], inputs["target"], inputs["W"][-1])
    return found


def sample_by_sample(p: Pieces, inputs: Inputs) -> Quantities:
    """One step for each sample, one after the other."""
    now = dict(inputs)
    for n in range(len(inputs["y0"])):
        one = now | {name: inputs[name][n : n + 1] for name in ("y0", "target")}
        now = now | {letter: _new(one, whole_step(p, one, {}), "WR")[letter] for letter in "WR"}
    found = whole_step(p, inputs, {})
    for letter, eta in (("W", inputs["eta_w"]), ("R", inputs["eta_r"])):
        for at, (before, after) in enumerate(zip(inputs[letter], now[letter], strict=True)):
            found[f"Δ{letter} of layer {at + 1}"] = (after - before) / eta
    return found
