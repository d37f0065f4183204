"""Wrong ways of putting a step together (Algorithm 1, lines 3 to 16)."""

from collections.abc import Callable

import numpy as np

from copi_ref.arrays.backend import HostArray
from copi_ref.oracle.contract.pieces import Inputs, Pieces, Quantities, whole_step
from copi_ref.oracle.naming.catalogue.compositions import (
    by_gradient_descent,
    forward_again_with_new_R,
    frozen,
    lateral_with_new_W,
    only_upper_deltas,
    products,
    replacing,
    sample_by_sample,
    scaled_update,
    sequential_by_layer,
    sources,
    target_for_z,
    updated_on_the_way,
    with_rates,
    without_first_delta,
    x_with_new_R,
    z_goes_on,
)
from copi_ref.oracle.naming.catalogue.lateral import LATERAL_VARIANTS
from copi_ref.oracle.naming.catalogue.variant import Variant, exchanging
from copi_ref.oracle.naming.catalogue.weights import WEIGHT_VARIANTS


def _step(name: str, says: str, wrong: Callable[[Pieces, Inputs], Quantities | None]) -> Variant:
    """A wrong way of putting a step together, ``(pieces, inputs) -> quantities``."""
    return Variant(name, says, lambda p: p.with_changes(step=lambda pieces, inputs, own: wrong(pieces, inputs) or {}))


def _z(name: str, says: str, wrong: Callable[[HostArray, HostArray, HostArray], HostArray]) -> Variant:
    return exchanging(name, says, target_state=wrong)


def _both(name: str, says: str, weight: str, lateral: str) -> Variant:
    """A mistake in ΔW and in ΔR."""

    def change(p: Pieces) -> Pieces | None:
        return _BY_NAME[lateral].change(_BY_NAME[weight].change(p) or p)

    return Variant(name, says, change)


_BY_NAME = {variant.name: variant for variant in (*WEIGHT_VARIANTS, *LATERAL_VARIANTS)}


STEP_VARIANTS = (
    _step("step-updated-on-the-way", "weights are updated before the error has gone down through them",
          updated_on_the_way("WR")),
    _step("step-W-updated-on-the-way", "W is updated before the error has gone down through it",
          updated_on_the_way("W")),
    _step("step-R-updated-on-the-way", "R is updated before the error has gone down through it",
          updated_on_the_way("R")),
    _step("step-x-with-new-R", "R is updated first, and ΔW sees x = R⁺ y", x_with_new_R(for_R_too=False)),
    _step("step-forward-again-with-new-R", "R is updated first, and the forward pass repeated before ΔW",
          forward_again_with_new_R),
    _step("step-R-updated-in-forward", "R is updated during the forward pass, before x goes on", sequential_by_layer),
    _step("step-lateral-with-new-W", "W is updated first, and ΔR sees the forward pass with it", lateral_with_new_W),
    _step("step-rates-swapped", "η_W and η_R are exchanged", with_rates(lambda w, r: r, lambda w, r: w)),
    _step("step-eta-w-for-both", "η_W is used for R too", with_rates(lambda w, r: w, lambda w, r: w)),
    _step("step-eta-r-for-both", "η_R is used for W too", with_rates(lambda w, r: r, lambda w, r: r)),
    _step("step-no-rates", "the learning rates have no effect", with_rates(lambda w, r: 1, lambda w, r: 1)),
    _step("step-no-eta-w", "η_W has no effect", with_rates(lambda w, r: 1, lambda w, r: r)),
    _step("step-no-eta-r", "η_R has no effect", with_rates(lambda w, r: w, lambda w, r: 1)),
    _step("step-rates-squared", "the learning rates are applied twice",
          with_rates(lambda w, r: w * w, lambda w, r: r * r)),
    _step("step-eta-w-squared", "η_W is applied twice", with_rates(lambda w, r: w * w, lambda w, r: r)),
    _step("step-eta-r-squared", "η_R is applied twice", with_rates(lambda w, r: w, lambda w, r: r * r)),
    _step("step-both-rates-on-R", "R is updated with η_W η_R", with_rates(lambda w, r: w, lambda w, r: w * r)),
    _step("step-subtracted", "updates are taken away and not added", with_rates(lambda w, r: -w, lambda w, r: -r)),
    _z("step-z-without-a", "z = δ: a is missing in the target state", lambda a, y, delta: delta),
    _z("step-z-without-delta", "z = a: δ is missing in the target state", lambda a, y, delta: a),
    _z("step-z-from-y", "z = y + δ: y for a in the target state", lambda a, y, delta: y + delta),
    _z("step-z-delta-minus-a", "z = δ − a", lambda a, y, delta: delta - a),
    _z("step-z-product", "z = a δ", lambda a, y, delta: a * delta),
    Variant("step-z-through-f", "z = f(a + δ)", lambda p: p.with_changes(
        target_state=lambda a, y, delta: p.activate(a + delta, 1, 1))),
    _step("step-lateral-from-y", "ΔR is computed from y, the layer's input before R, and not from x",
          sources("x", "x", "y")),
    _step("step-weight-from-y", "ΔW is computed from y, the layer's input before R, and not from x",
          sources("y", "y", "x")),
    _step("step-R-frozen", "R is not updated", frozen("R", lambda layer, layers: True)),
    _step("step-W-frozen", "W is not updated", frozen("W", lambda layer, layers: True)),
    _step("step-nothing", "neither W nor R is updated", frozen("WR", lambda layer, layers: True)),
    _step("step-first-R-frozen", "R of the first layer is not updated", frozen("R", lambda layer, layers: layer == 1)),
    _step("step-last-R-frozen", "R of the last layer is not updated",
          frozen("R", lambda layer, layers: layer == layers)),
    _step("step-first-W-frozen", "W of the first layer is not updated", frozen("W", lambda layer, layers: layer == 1)),
    _step("step-last-W-frozen", "W of the last layer is not updated",
          frozen("W", lambda layer, layers: layer == layers)),
    _step("step-only-last-W", "only W of the last layer is updated",
          frozen("W", lambda layer, layers: layer < layers)),
    _step("step-first-layer-frozen", "neither W nor R of the first layer is updated",
          frozen("WR", lambda layer, layers: layer == 1)),
    _step("step-last-layer-frozen", "neither W nor R of the last layer is updated",
          frozen("WR", lambda layer, layers: layer == layers)),
    _step("step-first-delta-zero", "δ of the first layer stays 0: the loop down stops before it", without_first_delta),
    _step("step-only-upper-deltas", "the loop down runs upwards: only the highest hidden layer gets a δ",
          only_upper_deltas),
    _step("step-updates-from-y", "ΔW and ΔR are computed from y, the layer's input before R, and not from x",
          sources("y", "y", "y")),
    _step("step-hebb-from-y", "E[z xᵀ] is computed from y, the layer's input before R", sources("y", "x", "x")),
    _step("step-decay-from-y", "the decay of W is computed from y, the layer's input before R",
          sources("x", "y", "x")),
    _step("step-everything-with-new-R", "x is recomputed with the new R, and both updates made from that",
          x_with_new_R(for_R_too=True)),
    _step("step-z-is-target", "z = y* at the output", target_for_z),
    _step("step-products-over-inputs", "z xᵀ and x xᵀ are divided by the number of inputs, the decay by N",
          products(lambda inputs: len(inputs["y0"]) / inputs["y0"].shape[1])),
    _step("step-products-over-50", "z xᵀ and x xᵀ are divided by a fixed batch size of 50, the decay by N",
          products(lambda inputs: len(inputs["y0"]) / 50)),
    _step("step-products-over-n-minus-1", "z xᵀ and x xᵀ are divided by N − 1, the decay by N",
          products(lambda inputs: len(inputs["y0"]) / max(len(inputs["y0"]) - 1, 1))),
    _step("step-products-summed", "z xᵀ and x xᵀ are summed over samples, where the decay is a mean",
          products(lambda inputs: len(inputs["y0"]))),
    _step("step-weight-sum", "ΔW is a sum over samples, where ΔR is a mean", scaled_update("W")),
    _step("step-lateral-sum", "ΔR is a sum over samples, where ΔW is a mean", scaled_update("R")),
    _step("step-sample-by-sample", "a step is made for each sample, one after the other", sample_by_sample),
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
    _step("step-R-symmetrised", "the new R is made symmetric", replacing(
        "R", lambda R, update, eta: (R + eta * update + (R + eta * update).mT) / 2)),
    _step("step-R-normalised", "the rows of the new R are normalised", replacing(
        "R", lambda R, update, eta: (R + eta * update) / np.linalg.norm(R + eta * update, axis=1, keepdims=True))),
    _step("step-W-multiplied", "W is multiplied by its step, not added to", replacing(
        "W", lambda W, update, eta: W * (eta * update))),
    _step("step-R-multiplied", "R is multiplied by its step, not added to", replacing(
        "R", lambda R, update, eta: R * (eta * update))),
    _step("step-W-rate-added", "η_W is added to ΔW, not multiplied with it", replacing(
        "W", lambda W, update, eta: W + (eta + update))),
    _step("step-R-rate-added", "η_R is added to ΔR, not multiplied with it", replacing(
        "R", lambda R, update, eta: R + (eta + update))),
    _step("step-W-rate-divided", "η_W is divided by ΔW", replacing("W", lambda W, update, eta: W + eta / update)),
    _step("step-W-rate-subtracted", "ΔW is taken from η_W", replacing("W", lambda W, update, eta: W + (eta - update))),
    _step("step-R-rate-subtracted", "ΔR is taken from η_R", replacing("R", lambda R, update, eta: R + (eta - update))),
    _step("step-W-returns-updates", "η ΔW is returned for W + η ΔW",
          replacing("W", lambda W, update, eta: eta * update)),
    _step("step-R-returns-updates", "η ΔR is returned for R + η ΔR",
          replacing("R", lambda R, update, eta: eta * update)),
    _step("step-returns-scaled-updates", "the steps η ΔW and η ΔR are returned and not the new weights",
          replacing("WR", lambda A, update, eta: eta * update)),
    _step("step-returns-updates", "the updates are returned and not the new weights",
          replacing("WR", lambda A, update, eta: update)),
    _step("step-sgd", "ΔW = E[δ xᵀ]: gradient descent and not COPI", by_gradient_descent),
    _step("step-z-goes-on", "targets f(a + δ) of a layer are the inputs of the next", z_goes_on),
    _step("step-scale-before-decay", "the error scale multiplies z and not δ alone",
          lambda p, inputs: whole_step(_scaled_z(p), inputs, {})),
)  # fmt: skip


def _scaled_z(p: Pieces) -> Pieces:
    scale = p.conventions.error_scale
    return p.with_changes(target_state=lambda a, y, delta: scale * a + delta)
