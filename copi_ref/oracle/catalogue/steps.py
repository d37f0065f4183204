"""Wrong ways of putting a step together (Algorithm 1, lines 3 to 16)."""

from collections.abc import Callable
from typing import Any

from copi_ref.backend import HostArray
from copi_ref.oracle.catalogue.variant import Variant, exchanging
from copi_ref.oracle.pieces import Inputs, Pieces, Quantities, after_forward, forward, whole_step


def _step(name: str, says: str, wrong: Callable[[Pieces, Inputs], Quantities | None]) -> Variant:
    """A wrong way of putting a step together, ``(pieces, inputs) -> quantities``."""
    return Variant(name, says, lambda p: p.with_changes(step=lambda pieces, inputs, own: wrong(pieces, inputs) or {}))


def _z(name: str, says: str, wrong: Callable[[HostArray, HostArray, HostArray], HostArray]) -> Variant:
    return exchanging(name, says, target_state=wrong)


def _with_rates(eta_w: Callable[[float, float], float], eta_r: Callable[[float, float], float]) -> Any:
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


def _updates_from(source: str, target: str) -> Callable[[Pieces, Inputs], Quantities]:
    """A step whose ΔW or ΔR (`target`) is computed from y_{l−1} in place of x_l."""

    def wrong(p: Pieces, inputs: Inputs) -> Quantities:
        found = whole_step(p, inputs, {})
        for at, y in enumerate(_inputs_of_layers(inputs, found)):
            layer = at + 1
            z = p.target_state(*(found[f"{name} of layer {layer}"] for name in ("a", "y", "δ")))
            if target == "W":
                found[f"ΔW of layer {layer}"] = p.copi(y, z, inputs["W"][at])
            else:
                found[f"ΔR of layer {layer}"] = p.lateral(y, inputs["R"][at])
        return found

    return wrong


def _frozen(letter: str, which: Callable[[int, int], bool]) -> Callable[[Pieces, Inputs], Quantities]:
    def wrong(p: Pieces, inputs: Inputs) -> Quantities:
        layers = len(inputs["W"])
        return {
            name: 0 * quantity
            if name.startswith(f"Δ{letter}") and which(int(name.rpartition(" ")[2]), layers)
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


def _updated_on_the_way(letters: str) -> Callable[[Pieces, Inputs], Quantities]:
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


def _x_with_new_R(p: Pieces, inputs: Inputs) -> Quantities:
    """R is updated first, and ΔW sees x = R⁺ y; a and δ are those of the forward pass."""
    found = whole_step(p, inputs, {})
    R = _new(inputs, found, "R")["R"]
    for at, y in enumerate(_inputs_of_layers(inputs, found)):
        layer = at + 1
        z = p.target_state(*(found[f"{name} of layer {layer}"] for name in ("a", "y", "δ")))
        found[f"ΔW of layer {layer}"] = p.copi(p.decorrelate(y, R[at], layer), z, inputs["W"][at])
    return found


def _forward_again_with_new_R(p: Pieces, inputs: Inputs) -> Quantities:
    found = whole_step(p, inputs, {})
    again = whole_step(p, _new(inputs, found, "R"), {})
    return again | {name: quantity for name, quantity in found.items() if name.startswith("ΔR")}


def _lateral_with_new_W(p: Pieces, inputs: Inputs) -> Quantities:
    """W is updated first, the forward pass repeated, and ΔR computed from that."""
    found = whole_step(p, inputs, {})
    again = whole_step(p, _new(inputs, found, "W"), {})
    return found | {name: quantity for name, quantity in again.items() if name.startswith("ΔR")}


def _returns_updates(p: Pieces, inputs: Inputs) -> Quantities:
    """ΔW is returned in place of W + η ΔW, so that (ΔW − W)/η is recovered."""
    found = whole_step(p, inputs, {})
    for letter, eta in (("W", inputs["eta_w"]), ("R", inputs["eta_r"])):
        for at, A in enumerate(inputs[letter]):
            name = f"Δ{letter} of layer {at + 1}"
            found[name] = (found[name] - A) / eta
    return found


def _by_gradient_descent(p: Pieces, inputs: Inputs) -> Quantities:
    found = whole_step(p, inputs, {})
    for layer in range(1, len(inputs["W"]) + 1):
        found[f"ΔW of layer {layer}"] = p.sgd(found[f"x of layer {layer}"], found[f"δ of layer {layer}"])
    return found


def _z_goes_on(p: Pieces, inputs: Inputs) -> Quantities:
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


def _sequential_by_layer(p: Pieces, inputs: Inputs) -> Quantities:
    """R of each layer is updated during the forward pass, before its x goes on."""
    updated: dict[str, HostArray] = {}
    y, R_new = inputs["y0"], []
    for at, (W, R) in enumerate(zip(inputs["W"], inputs["R"], strict=True)):
        dR = updated[f"ΔR of layer {at + 1}"] = p.lateral(p.decorrelate(y, R, at + 1), R)
        R_new.append(R + inputs["eta_r"] * dR)
        x = p.decorrelate(y, R_new[-1], at + 1)
        y = p.activate(p.preactivate(x, y, W), at + 1, len(inputs["W"]))
    return whole_step(p, inputs | {"R": tuple(R_new)}, {}) | updated


STEP_VARIANTS = (
    _step("step-updated-on-the-way", "weights are updated before the error has gone down through them",
          _updated_on_the_way("WR")),
    _step("step-W-updated-on-the-way", "W is updated before the error has gone down through it",
          _updated_on_the_way("W")),
    _step("step-R-updated-on-the-way", "R is updated before the error has gone down through it",
          _updated_on_the_way("R")),
    _step("step-x-with-new-R", "R is updated first, and ΔW sees x = R⁺ y", _x_with_new_R),
    _step("step-forward-again-with-new-R", "R is updated first, and the forward pass repeated before ΔW",
          _forward_again_with_new_R),
    _step("step-R-updated-in-forward", "R is updated during the forward pass, before x goes on", _sequential_by_layer),
    _step("step-lateral-with-new-W", "W is updated first, and ΔR sees the forward pass with it", _lateral_with_new_W),
    _step("step-rates-swapped", "η_W and η_R are exchanged", _with_rates(lambda w, r: r, lambda w, r: w)),
    _step("step-eta-w-for-both", "η_W is used for R too", _with_rates(lambda w, r: w, lambda w, r: w)),
    _step("step-eta-r-for-both", "η_R is used for W too", _with_rates(lambda w, r: r, lambda w, r: r)),
    _step("step-no-rates", "the learning rates have no effect", _with_rates(lambda w, r: 1, lambda w, r: 1)),
    _step("step-no-eta-w", "η_W has no effect", _with_rates(lambda w, r: 1, lambda w, r: r)),
    _step("step-no-eta-r", "η_R has no effect", _with_rates(lambda w, r: w, lambda w, r: 1)),
    _step("step-rates-squared", "the learning rates are applied twice",
          _with_rates(lambda w, r: w * w, lambda w, r: r * r)),
    _step("step-eta-w-squared", "η_W is applied twice", _with_rates(lambda w, r: w * w, lambda w, r: r)),
    _step("step-eta-r-squared", "η_R is applied twice", _with_rates(lambda w, r: w, lambda w, r: r * r)),
    _step("step-both-rates-on-R", "R is updated with η_W η_R", _with_rates(lambda w, r: w, lambda w, r: w * r)),
    _step("step-subtracted", "updates are taken away and not added", _with_rates(lambda w, r: -w, lambda w, r: -r)),
    _z("step-z-without-a", "z = δ: a is missing in the target state", lambda a, y, delta: delta),
    _z("step-z-without-delta", "z = a: δ is missing in the target state", lambda a, y, delta: a),
    _z("step-z-from-y", "z = y + δ: y for a in the target state", lambda a, y, delta: y + delta),
    _z("step-z-delta-minus-a", "z = δ − a", lambda a, y, delta: delta - a),
    _z("step-z-product", "z = a δ", lambda a, y, delta: a * delta),
    Variant("step-z-through-f", "z = f(a + δ)", lambda p: p.with_changes(
        target_state=lambda a, y, delta: p.activate(a + delta, 1, 1))),
    _step("step-lateral-from-y", "ΔR is computed from y, the layer's input before R, and not from x",
          _updates_from("y", "R")),
    _step("step-weight-from-y", "ΔW is computed from y, the layer's input before R, and not from x",
          _updates_from("y", "W")),
    _step("step-R-frozen", "R is not updated", _frozen("R", lambda layer, layers: True)),
    _step("step-W-frozen", "W is not updated", _frozen("W", lambda layer, layers: True)),
    _step("step-first-R-frozen", "R of the first layer is not updated", _frozen("R", lambda layer, layers: layer == 1)),
    _step("step-last-R-frozen", "R of the last layer is not updated",
          _frozen("R", lambda layer, layers: layer == layers)),
    _step("step-first-W-frozen", "W of the first layer is not updated", _frozen("W", lambda layer, layers: layer == 1)),
    _step("step-last-W-frozen", "W of the last layer is not updated",
          _frozen("W", lambda layer, layers: layer == layers)),
    _step("step-only-last-W", "only W of the last layer is updated",
          _frozen("W", lambda layer, layers: layer < layers)),
    _step("step-returns-updates", "the updates are returned and not the new weights", _returns_updates),
    _step("step-sgd", "ΔW = E[δ xᵀ]: gradient descent and not COPI", _by_gradient_descent),
    _step("step-z-goes-on", "targets f(a + δ) of a layer are the inputs of the next", _z_goes_on),
    _step("step-scale-before-decay", "the error scale multiplies z and not δ alone",
          lambda p, inputs: whole_step(_scaled_z(p), inputs, {})),
)  # fmt: skip


def _scaled_z(p: Pieces) -> Pieces:
    scale = p.conventions.error_scale
    return p.with_changes(target_state=lambda a, y, delta: scale * a + delta)
