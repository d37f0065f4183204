"""Wrong ways of putting a step together (Algorithm 1, lines 3 to 16)."""

from collections.abc import Callable
from typing import Any

import numpy as np

from copi_ref.backend import HostArray
from copi_ref.oracle.catalogue.lateral import LATERAL_VARIANTS
from copi_ref.oracle.catalogue.variant import Variant, exchanging
from copi_ref.oracle.catalogue.weights import WEIGHT_VARIANTS
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


def _frozen(letters: str, which: Callable[[int, int], bool]) -> Callable[[Pieces, Inputs], Quantities]:
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


def _sources(hebb: str, decay: str, lateral: str) -> Callable[[Pieces, Inputs], Quantities]:
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


def _products(factor: Callable[[Inputs], float]) -> Callable[[Pieces, Inputs], Quantities]:
    """A step that divides the products z xᵀ and x xᵀ by something else than N, where the decay of W is a mean."""

    def wrong(p: Pieces, inputs: Inputs) -> Quantities:
        k = factor(inputs)
        changed = p.with_changes(
            copi=lambda x, z, W: k * p.copi(x, z, 0 * W) + p.copi(x, 0 * z, W), lateral=lambda x, R: k * p.lateral(x, R)
        )
        return whole_step(changed, inputs, {})

    return wrong


def _both(name: str, says: str, weight: str, lateral: str) -> Variant:
    """A mistake in ΔW and in ΔR."""

    def change(p: Pieces) -> Pieces | None:
        return _BY_NAME[lateral].change(_BY_NAME[weight].change(p) or p)

    return Variant(name, says, change)


_BY_NAME = {variant.name: variant for variant in (*WEIGHT_VARIANTS, *LATERAL_VARIANTS)}


def _replacing(letter: str, new: Callable[[HostArray, HostArray, float], HostArray]) -> Any:
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


def _scaled_update(letter: str) -> Callable[[Pieces, Inputs], Quantities]:
    """ΔW or ΔR is a sum over samples, where the other is a mean."""

    def wrong(p: Pieces, inputs: Inputs) -> Quantities:
        N = len(inputs["y0"])
        return {
            name: quantity * N if name.startswith(f"Δ{letter}") else quantity
            for name, quantity in whole_step(p, inputs, {}).items()
        }

    return wrong


def _without_first_delta(p: Pieces, inputs: Inputs) -> Quantities:
    """δ of the first layer stays 0, unless it is the last."""
    found = whole_step(p, inputs, {})
    if len(inputs["W"]) == 1:
        return found
    return whole_step(p, inputs, {"δ of layer 1": 0 * found["δ of layer 1"]})


def _target_for_z(p: Pieces, inputs: Inputs) -> Quantities:
    found, layers = whole_step(p, inputs, {}), len(inputs["W"])
    found[f"ΔW of layer {layers}"] = p.copi(found[f"x of layer {layers}"], inputs["target"], inputs["W"][-1])
    return found


def _everything_with_new_R(p: Pieces, inputs: Inputs) -> Quantities:
    """R is updated in a layer's turn, x = R⁺ y recomputed, and both updates made from that."""
    found = whole_step(p, inputs, {})
    R = _new(inputs, found, "R")["R"]
    for at, y in enumerate(_inputs_of_layers(inputs, found)):
        layer = at + 1
        x = p.decorrelate(y, R[at], layer)
        z = p.target_state(*(found[f"{name} of layer {layer}"] for name in ("a", "y", "δ")))
        found |= {f"ΔW of layer {layer}": p.copi(x, z, inputs["W"][at])}
        found |= {f"ΔR of layer {layer}": p.lateral(x, inputs["R"][at])}
    return found


def _sample_by_sample(p: Pieces, inputs: Inputs) -> Quantities:
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
          _sources("x", "x", "y")),
    _step("step-weight-from-y", "ΔW is computed from y, the layer's input before R, and not from x",
          _sources("y", "y", "x")),
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
    _step("step-first-layer-frozen", "neither W nor R of the first layer is updated",
          _frozen("WR", lambda layer, layers: layer == 1)),
    _step("step-last-layer-frozen", "neither W nor R of the last layer is updated",
          _frozen("WR", lambda layer, layers: layer == layers)),
    _step("step-first-delta-zero", "δ of the first layer stays 0: the loop down stops before it", _without_first_delta),
    _step("step-updates-from-y", "ΔW and ΔR are computed from y, the layer's input before R, and not from x",
          _sources("y", "y", "y")),
    _step("step-hebb-from-y", "E[z xᵀ] is computed from y, the layer's input before R", _sources("y", "x", "x")),
    _step("step-decay-from-y", "the decay of W is computed from y, the layer's input before R",
          _sources("x", "y", "x")),
    _step("step-everything-with-new-R", "x is recomputed with the new R, and both updates made from that",
          _everything_with_new_R),
    _step("step-z-is-target", "z = y* at the output", _target_for_z),
    _step("step-products-over-inputs", "z xᵀ and x xᵀ are divided by the number of inputs, the decay by N",
          _products(lambda inputs: len(inputs["y0"]) / inputs["y0"].shape[1])),
    _step("step-products-over-50", "z xᵀ and x xᵀ are divided by a fixed batch size of 50, the decay by N",
          _products(lambda inputs: len(inputs["y0"]) / 50)),
    _step("step-products-over-n-minus-1", "z xᵀ and x xᵀ are divided by N − 1, the decay by N",
          _products(lambda inputs: len(inputs["y0"]) / max(len(inputs["y0"]) - 1, 1))),
    _step("step-products-summed", "z xᵀ and x xᵀ are summed over samples, where the decay is a mean",
          _products(lambda inputs: len(inputs["y0"]))),
    _step("step-weight-sum", "ΔW is a sum over samples, where ΔR is a mean", _scaled_update("W")),
    _step("step-lateral-sum", "ΔR is a sum over samples, where ΔW is a mean", _scaled_update("R")),
    _step("step-sample-by-sample", "a step is made for each sample, one after the other", _sample_by_sample),
    _both("step-last-sample", "only the last sample is used", "weight-last-sample", "lateral-last-sample"),
    _both("step-first-sample", "only the first sample is used", "weight-first-sample", "lateral-first-sample"),
    _both("step-misses-last-sample", "the last sample is left out of the sums", "weight-misses-last-sample",
          "lateral-misses-last-sample"),
    _both("step-misses-first-sample", "the first sample is left out of the sums", "weight-misses-first-sample",
          "lateral-misses-first-sample"),
    _both("step-n-minus-1", "updates are divided by N − 1 instead of N", "weight-n-minus-1", "lateral-n-minus-1"),
    _both("step-over-n-again", "updates are divided by N twice", "weight-over-n-again", "lateral-over-n-again"),
    _both("step-mean-over-inputs", "updates are divided by K instead of N", "weight-mean-over-inputs",
          "lateral-mean-over-inputs"),
    _step("step-R-symmetrised", "the new R is made symmetric", _replacing(
        "R", lambda R, update, eta: (R + eta * update + (R + eta * update).mT) / 2)),
    _step("step-R-normalised", "the rows of the new R are normalised", _replacing(
        "R", lambda R, update, eta: (R + eta * update) / np.linalg.norm(R + eta * update, axis=1, keepdims=True))),
    _step("step-W-multiplied", "W is multiplied by its step, not added to", _replacing(
        "W", lambda W, update, eta: W * (eta * update))),
    _step("step-R-multiplied", "R is multiplied by its step, not added to", _replacing(
        "R", lambda R, update, eta: R * (eta * update))),
    _step("step-W-rate-added", "η_W is added to ΔW, not multiplied with it", _replacing(
        "W", lambda W, update, eta: W + (eta + update))),
    _step("step-R-rate-added", "η_R is added to ΔR, not multiplied with it", _replacing(
        "R", lambda R, update, eta: R + (eta + update))),
    _step("step-W-rate-divided", "η_W is divided by ΔW", _replacing("W", lambda W, update, eta: W + eta / update)),
    _step("step-W-rate-subtracted", "ΔW is taken from η_W", _replacing("W", lambda W, update, eta: W + (eta - update))),
    _step("step-R-rate-subtracted", "ΔR is taken from η_R", _replacing("R", lambda R, update, eta: R + (eta - update))),
    _step("step-W-returns-updates", "η ΔW is returned for W + η ΔW",
          _replacing("W", lambda W, update, eta: eta * update)),
    _step("step-R-returns-updates", "η ΔR is returned for R + η ΔR",
          _replacing("R", lambda R, update, eta: eta * update)),
    _step("step-returns-scaled-updates", "the steps η ΔW and η ΔR are returned and not the new weights",
          _replacing("WR", lambda A, update, eta: eta * update)),
    _step("step-returns-updates", "the updates are returned and not the new weights",
          _replacing("WR", lambda A, update, eta: update)),
    _step("step-sgd", "ΔW = E[δ xᵀ]: gradient descent and not COPI", _by_gradient_descent),
    _step("step-z-goes-on", "targets f(a + δ) of a layer are the inputs of the next", _z_goes_on),
    _step("step-scale-before-decay", "the error scale multiplies z and not δ alone",
          lambda p, inputs: whole_step(_scaled_z(p), inputs, {})),
)  # fmt: skip


def _scaled_z(p: Pieces) -> Pieces:
    scale = p.conventions.error_scale
    return p.with_changes(target_state=lambda a, y, delta: scale * a + delta)
