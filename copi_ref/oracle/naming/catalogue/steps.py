"""Wrong ways of putting a step together (Algorithm 1, lines 3 to 16)."""

from collections.abc import Callable, Iterator

import numpy as np

from copi_ref.arrays.backend import HostArray
from copi_ref.oracle.contract.pieces import Inputs, Pieces, Quantities
from copi_ref.oracle.naming.catalogue import arrays, compositions
from copi_ref.oracle.naming.catalogue.adjustments import ADJUSTMENTS, FORMATS
from copi_ref.oracle.naming.catalogue.arrays import normalised, without_diagonal
from copi_ref.oracle.naming.catalogue.compositions import (
    Wrong,
    frozen,
    in_turn,
    made_of_new,
    products,
    replacing,
    scaled_by,
    sources,
    with_rates,
    with_shared,
)
from copi_ref.oracle.naming.catalogue.lateral import LATERAL_VARIANTS
from copi_ref.oracle.naming.catalogue.layers import shared_with_first, shared_with_last
from copi_ref.oracle.naming.catalogue.variant import Variant, wrapping
from copi_ref.oracle.naming.catalogue.weights import WEIGHT_VARIANTS


def _step(name: str, says: str, wrong: Wrong) -> Variant:
    """``(pieces, inputs, own) -> quantities``; the step of its pieces is the one before the change."""

    def change(p: Pieces) -> Pieces:
        def step(q: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
            return wrong(q.with_changes(step=p.step), inputs, own)

        return p.with_changes(step=step)

    return Variant(name, says, change)


def _z(name: str, says: str, wrong: Callable[[Pieces, HostArray, HostArray, HostArray], HostArray]) -> Variant:
    """Another target state, ``(pieces, a, y, δ) -> z``."""
    return wrapping(name, says, target_state=wrong)


# --- in ΔW and ΔR at once ---------------------------------------------------------------------------------------------

_BY_NAME = {variant.name: variant for variant in (*WEIGHT_VARIANTS, *LATERAL_VARIANTS)}


def _both(name: str, says: str, weight: str, lateral: str) -> Variant:
    """A mistake in ΔW and in ΔR."""

    def change(p: Pieces) -> Pieces | None:
        return _BY_NAME[lateral].change(_BY_NAME[weight].change(p) or p)

    return Variant(name, says, change)


_ELSEWHERE = {"sign", "zero", "times-n", "drops-rest-16", "drops-rest-32", "drops-rest-50"}
"""Steps of their own already, under other names; batches of steps are small."""


def _in_both() -> Iterator[Variant]:
    for adjustment in ADJUSTMENTS:
        if adjustment.places >= {"weight", "lateral"} and adjustment.name not in _ELSEWHERE:
            end = "mean-over-inputs" if adjustment.name == "over-inputs" else adjustment.name
            weight, lateral = (
                next(name for name in (f"{place}-{end}", f"{place}-{_OTHERWISE.get(end, end)}") if name in _BY_NAME)
                for place in ("weight", "lateral")
            )
            says = adjustment.said_of("each of ΔW and ΔR")
            yield _both(f"step-{end}", says, weight, lateral)


_OTHERWISE = {"unit-power": "correlation"}


# --- f with its f′ ----------------------------------------------------------------------------------------------------

Elementwise = Callable[[HostArray], HostArray]


def _activation(name: str, says: str, f: Elementwise, f_prime: Elementwise) -> Variant:
    """Another f, with the right f′ for it."""
    return Variant(f"step-f-is-{name}", f"f is {says}, with its f′", lambda p: p.with_changes(
        activate=lambda a, layer, layers: f(a), slope=lambda a, y: f_prime(a)))  # fmt: skip


def _cut(name: str, says: str, low: float, high: float) -> Variant:
    """f of a that is cut to an interval, with an f′ of 0 outside it."""
    return Variant(f"step-f-cut-{name}", f"f is cut {says}, with its f′", lambda p: p.with_changes(
        activate=lambda a, layer, layers: p.activate(np.clip(a, low, high), layer, layers),
        slope=lambda a, y: p.slope(a, y) * ((a >= low) & (a <= high))))  # fmt: skip


def _sigmoid(a: HostArray) -> HostArray:
    return np.asarray(1 / (1 + np.exp(-a)))


_ACTIVATIONS = (
    _activation("elu", "an ELU", lambda a: np.where(a < 0, np.expm1(np.minimum(a, 0)), a),
                lambda a: np.where(a < 0, np.exp(np.minimum(a, 0)), 1.0)),
    _activation("softplus", "a softplus", lambda a: np.logaddexp(0, a), _sigmoid),
    _activation("silu", "a SiLU", lambda a: a * _sigmoid(a),
                lambda a: _sigmoid(a) * (1 + a * (1 - _sigmoid(a)))),
    _activation("absolute", "|a|", np.abs, np.sign),
    _activation("relu6", "ReLU6", lambda a: np.clip(a, 0, 6), lambda a: np.where((a > 0) & (a < 6), 1.0, 0.0)),
    _activation("hard-tanh", "a hard tanh", lambda a: np.clip(a, -1, 1), lambda a: np.where(np.abs(a) < 1, 1.0, 0.0)),
    _activation("square", "a²", lambda a: a * a, lambda a: 2 * a),
    _cut("at-6", "above 6", -np.inf, 6),
    _cut("at-1", "to ±1", -1, 1),
    _cut("below-minus-1", "below −1", -1, np.inf),
    _step("step-linear-hidden", "f and f′ are left out of the hidden layers", compositions.linear_hidden),
    Variant("step-linear", "f and f′ are left out everywhere", lambda p: p.with_changes(
        activate=lambda a, layer, layers: a, slope=lambda a, y: np.ones_like(a))),
)  # fmt: skip


# --- new weights ------------------------------------------------------------------------------------------------------


def _unit_diagonal(R: HostArray) -> HostArray:
    return without_diagonal(R) + np.eye(len(R))


_NEW: tuple[tuple[str, str, str, Elementwise], ...] = (
    ("clipped", "clipped to ±1", "WR", lambda A: np.clip(A, -1, 1)),
    ("clipped-10", "clipped to ±10", "WR", lambda A: np.clip(A, -10, 10)),
    ("positive", "set to 0 where they are negative", "WR", lambda A: np.maximum(A, 0)),
    ("rows-clipped", "scaled down to rows of norm 1 where they are larger", "W",
     lambda A: arrays.clipped_by_norm(A, 1)),
    ("normalised-rows", "divided by the norms of their rows", "W", lambda A: normalised(A, 1)),
    ("normalised-columns", "divided by the norms of their columns", "WR", lambda A: normalised(A, 0)),
    ("normalised-whole", "divided by their norm", "WR", normalised),
    ("max-normalised", "divided by their largest entry", "WR", lambda A: A / arrays.nonzero(np.max(np.abs(A)))),
    ("columns-centred", "centred: each column has mean 0", "WR", lambda A: A - A.mean(axis=0)),
    ("rows-centred", "centred: each row has mean 0", "WR", lambda A: A - A.mean(axis=1, keepdims=True)),
    ("transposed", "transposed, where they are square", "WR", arrays.transposed_if_square),
    ("negated", "negated", "WR", lambda A: -A),
    ("over-trace", "divided by their trace", "R", lambda R: R / np.trace(R)),
    ("of-trace-k", "scaled to a trace of K", "R", lambda R: R / np.trace(R) * len(R)),
    ("of-unit-determinant", "scaled to a determinant of 1", "R",
     lambda R: R / np.abs(np.linalg.det(R)) ** (1 / len(R))),
    ("unit-diagonal", "given a diagonal of 1", "R", _unit_diagonal),
    ("divided-by-diagonal", "divided by their diagonal, row by row", "R", lambda R: R / np.diag(R)[:, None]),
    ("divided-by-diagonal-columns", "divided by their diagonal, column by column", "R", lambda R: R / np.diag(R)),
    ("without-diagonal", "given a diagonal of 0", "R", without_diagonal),
    ("lower", "set to 0 above their diagonal", "R", np.tril),
    ("upper", "set to 0 below their diagonal", "R", np.triu),
    ("upper-mirrored", "mirrored from above their diagonal to below it", "R", lambda R: np.triu(R) + np.triu(R, 1).mT),
    ("lower-mirrored", "mirrored from below their diagonal to above it", "R", lambda R: np.tril(R) + np.tril(R, -1).mT),
    *((f"in-{name}", f"rounded to {name}", "WR", arrays.rounded_to(name)) for name in FORMATS),
)  # fmt: skip


def _of_new_weights() -> Iterator[Variant]:
    for name, says, letters, change in _NEW:
        for which in (letters, *letters) if len(letters) > 1 else (letters,):
            what = "the new weights" if which == "WR" else f"the new weights {which}"
            prefix = "weights" if which == "WR" else which
            yield _step(f"step-{prefix}-{name}", f"{what} are {says}", made_of_new(which, change))


# --- which layers -----------------------------------------------------------------------------------------------------

_WHICH: tuple[tuple[str, str, Callable[[int, int], bool]], ...] = (
    ("first", "the first layer", lambda layer, layers: layer == 1),
    ("last", "the last layer", lambda layer, layers: layer == layers),
    ("hidden", "the hidden layers", lambda layer, layers: layer < layers),
    ("upper", "the layers above the first", lambda layer, layers: layer > 1),
    ("odd", "every second layer, the first among them,", lambda layer, layers: layer % 2 == 1),
)


def _of_layers() -> Iterator[Variant]:
    for which, what, chosen in _WHICH:
        for letters, name, of in (("W", "W", "W of "), ("R", "R", "R of "), ("WR", "layer", "neither W nor R of ")):
            full = f"step-{which}-{name}-frozen"
            not_ = "" if letters == "WR" else "not "
            yield _step(_KNOWN_AS.get(full, full), f"{of}{what} is {not_}updated", frozen(letters, chosen))
        yield _step(f"step-sgd-in-{which}", f"ΔW = E[δ xᵀ], gradient descent, in {what}",
                    compositions.by_gradient_descent(chosen))  # fmt: skip


_KNOWN_AS = {"step-hidden-W-frozen": "step-only-last-W"}


def _rates_of_layers() -> Iterator[Variant]:
    for letters, name in (("WR", "rates"), ("W", "eta-w"), ("R", "eta-r")):
        what = "learning rates are" if len(letters) > 1 else f"η_{letters} is"
        for end, says, factor in (
            ("over-layers", "divided by the number of layers", lambda layer, layers: 1 / layers),
            ("over-layer", "divided by the number of the layer", lambda layer, layers: 1 / layer),
            ("times-layer", "multiplied by the number of the layer", lambda layer, layers: layer),
        ):
            yield _step(f"step-{name}-{end}", f"{what} {says}", _in(letters, factor))


def _in(letters: str, factor: Callable[[int, int], float]) -> Wrong:
    return scaled_by(lambda letter, layer, inputs: factor(layer, len(inputs["W"])) if letter in letters else 1)


# --- samples one after the other --------------------------------------------------------------------------------------


def _in_turn() -> Iterator[Variant]:
    yield _step("step-sample-by-sample", "a step is made for each sample, one after the other", in_turn("WR", 1))
    yield _step("step-W-sample-by-sample", "W has a step for each sample, one after the other, R one for the batch",
                in_turn("W", 1))  # fmt: skip
    yield _step("step-R-sample-by-sample", "R has a step for each sample, one after the other, W one for the batch",
                in_turn("R", 1))  # fmt: skip
    yield _step("step-sample-by-sample-backwards", "a step is made for each sample, the last one first",
                in_turn("WR", 1, backwards=True))  # fmt: skip
    yield _step("step-sample-by-sample-over-n", "a step is made for each sample, with learning rates divided by N",
                in_turn("WR", 1, mean=True))  # fmt: skip
    for size in (2, 4, 8, 16, 32):
        yield _step(f"step-in-batches-of-{size}", f"a step is made for every {size} samples, one after the other",
                    in_turn("WR", size))  # fmt: skip


STEP_VARIANTS = (
    _step("step-updated-on-the-way", "weights are updated before the error has gone down through them",
          compositions.updated_on_the_way("WR")),
    _step("step-W-updated-on-the-way", "W is updated before the error has gone down through it",
          compositions.updated_on_the_way("W")),
    _step("step-R-updated-on-the-way", "R is updated before the error has gone down through it",
          compositions.updated_on_the_way("R")),
    _step("step-x-with-new-R", "R is updated first, and ΔW sees x = R y with the new R",
          compositions.x_with_new_R(for_R_too=False)),
    _step("step-forward-again-with-new-R", "R is updated first, and the forward pass repeated before ΔW",
          compositions.forward_again_with_new_R),
    _step("step-R-updated-in-forward", "R is updated during the forward pass, before x goes on",
          compositions.sequential_by_layer),
    _step("step-lateral-with-new-W", "W is updated first, and ΔR sees the forward pass with it",
          compositions.lateral_with_new_W),
    _step("step-lateral-twice-with-new-R", "R is updated twice, the second time from the forward pass with the new R",
          compositions.lateral_with_new_R),
    _step("step-twice", "the whole step is made twice", compositions.twice),
    _step("step-W-applied-twice", "W is updated twice, from the same x and z", compositions.applied_twice("W")),
    _step("step-R-applied-twice", "R is updated twice, from the same x", compositions.applied_twice("R")),
    _step("step-applied-twice", "W and R are updated twice, from the same x and z", compositions.applied_twice("WR")),
    _step("step-layers-upwards",
          "layers are updated one after the other, each after passes through the new ones below it",
          compositions.layer_by_layer(upwards=True)),
    _step("step-layers-downwards",
          "layers are updated one after the other, each after passes through the new ones above it",
          compositions.layer_by_layer(upwards=False)),
    *_in_turn(),
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
    _step("step-both-rates-on-W", "W is updated with η_W η_R", with_rates(lambda w, r: w * r, lambda w, r: r)),
    _step("step-both-rates-on-both", "W and R are updated with η_W η_R",
          with_rates(lambda w, r: w * r, lambda w, r: w * r)),
    _step("step-rates-inverse", "updates are divided by the learning rates",
          with_rates(lambda w, r: 1 / w, lambda w, r: 1 / r)),
    _step("step-eta-r-over-eta-w", "R is updated with η_R/η_W", with_rates(lambda w, r: w, lambda w, r: r / w)),
    *_rates_of_layers(),
    _step("step-subtracted", "updates are taken away and not added", with_rates(lambda w, r: -w, lambda w, r: -r)),
    _z("step-z-without-a", "z = δ: a is missing in the target state",
       lambda p, a, y, d: p.target_state(0 * a, 0 * y, d)),
    _z("step-z-without-delta", "z = a: δ is missing in the target state",
       lambda p, a, y, d: p.target_state(a, y, 0 * d)),
    _z("step-z-from-y", "z = y + δ: y for a in the target state", lambda p, a, y, d: p.target_state(y, y, d)),
    _z("step-z-is-y", "z = y: y for a + δ", lambda p, a, y, d: p.target_state(y, y, 0 * d)),
    _z("step-z-delta-minus-a", "z = δ − a", lambda p, a, y, d: p.target_state(-a, -y, d)),
    _z("step-z-a-minus-delta", "z = a − δ", lambda p, a, y, d: p.target_state(a, y, -d)),
    _z("step-z-product", "z = a δ", lambda p, a, y, d: a * d),
    _z("step-z-mean", "z is the mean of a and a + δ", lambda p, a, y, d: p.target_state(a, y, d / 2)),
    _z("step-z-through-f", "z = f(a + δ)", lambda p, a, y, d: p.activate(p.target_state(a, y, d), 1, 1)),
    _z("step-z-delta-through-f", "z = a + f(δ)", lambda p, a, y, d: p.target_state(a, y, p.activate(d, 1, 1))),
    _z("step-z-clipped", "z is clipped to ±1", lambda p, a, y, d: np.clip(p.target_state(a, y, d), -1, 1)),
    _z("step-z-normalised", "z of each sample is divided by its length",
       lambda p, a, y, d: normalised(p.target_state(a, y, d), 1)),
    _z("step-z-of-mean-delta", "z has the mean of δ over the batch",
       lambda p, a, y, d: p.target_state(a, y, np.tile(d.mean(axis=0), (len(d), 1)))),
    _z("step-z-of-mean-a", "z has the mean of a over the batch",
       lambda p, a, y, d: p.target_state(a.mean(axis=0) + 0 * a, y.mean(axis=0) + 0 * y, d)),
    _z("step-z-a-shifted", "z has a of another sample",
       lambda p, a, y, d: p.target_state(np.roll(a, 1, axis=0), np.roll(y, 1, axis=0), d)),
    _step("step-lateral-from-y", "ΔR is computed from y, the layer's input before R, and not from x",
          sources("x", "x", "y")),
    _step("step-weight-from-y", "ΔW is computed from y, the layer's input before R, and not from x",
          sources("y", "y", "x")),
    _step("step-updates-from-y", "ΔW and ΔR are computed from y, the layer's input before R, and not from x",
          sources("y", "y", "y")),
    _step("step-hebb-from-y", "E[z xᵀ] is computed from y, the layer's input before R", sources("y", "x", "x")),
    _step("step-decay-from-y", "the decay of W is computed from y, the layer's input before R",
          sources("x", "y", "x")),
    _step("step-R-frozen", "R is not updated", frozen("R", lambda layer, layers: True)),
    _step("step-W-frozen", "W is not updated", frozen("W", lambda layer, layers: True)),
    _step("step-nothing", "neither W nor R is updated", frozen("WR", lambda layer, layers: True)),
    _step("step-first-delta-zero", "δ of the first layer stays 0: the loop down stops before it",
          compositions.without_first_delta),
    _step("step-only-upper-deltas", "the loop down runs upwards: only the highest hidden layer gets a δ",
          compositions.only_upper_deltas),
    *_of_layers(),
    _step("step-everything-with-new-R", "x is recomputed with the new R, and both updates made from that",
          compositions.x_with_new_R(for_R_too=True)),
    _step("step-z-is-target", "z = y* at the output", compositions.target_for_z),
    _step("step-only-units-with-delta", "units whose δ is 0 for all samples keep their weights",
          compositions.only_where_delta(of_samples=False)),
    _step("step-only-samples-with-delta", "samples whose δ is 0 are left out of ΔW, and of their number",
          compositions.only_where_delta(of_samples=True)),
    _step("step-products-over-inputs", "z xᵀ and x xᵀ are divided by the number of inputs, the decay by N",
          products(lambda inputs: len(inputs["y0"]) / inputs["y0"].shape[1])),
    _step("step-products-over-50", "z xᵀ and x xᵀ are divided by a fixed batch size of 50, the decay by N",
          products(lambda inputs: len(inputs["y0"]) / 50)),
    _step("step-products-over-n-minus-1", "z xᵀ and x xᵀ are divided by N − 1, the decay by N",
          products(lambda inputs: len(inputs["y0"]) / max(len(inputs["y0"]) - 1, 1))),
    _step("step-products-summed", "z xᵀ and x xᵀ are summed over samples, where the decay is a mean",
          products(lambda inputs: len(inputs["y0"]))),
    _step("step-weight-sum", "ΔW is a sum over samples, where ΔR is a mean",
          scaled_by(lambda letter, layer, inputs: len(inputs["y0"]) if letter == "W" else 1)),
    _step("step-lateral-sum", "ΔR is a sum over samples, where ΔW is a mean",
          scaled_by(lambda letter, layer, inputs: len(inputs["y0"]) if letter == "R" else 1)),
    *_in_both(),
    *_of_new_weights(),
    _step("step-R-symmetrised", "the new R is made symmetric", made_of_new("R", lambda R: (R + R.mT) / 2)),
    _step("step-R-normalised", "the rows of the new R are normalised", made_of_new("R", lambda R: normalised(R, 1))),
    _step("step-R-shared-with-last", "layers of one width share one R: that of the last, which is updated last",
          with_shared("R", shared_with_last, only_in_passes=False)),
    _step("step-R-shared-with-first", "layers of one width share one R, that of the first",
          with_shared("R", shared_with_first, only_in_passes=False)),
    _step("step-R-of-last-in-passes", "R of the last layer of one width is used in all of them",
          with_shared("R", shared_with_last, only_in_passes=True)),
    _step("step-R-of-first-in-passes", "R of the first layer of one width is used in all of them",
          with_shared("R", shared_with_first, only_in_passes=True)),
    _step("step-W-shared-with-last", "layers of one shape share one W, that of the last",
          with_shared("W", shared_with_last, only_in_passes=False)),
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
    _step("step-W-moving-average", "W becomes (1 − η_W) W + η_W ΔW",
          replacing("W", lambda W, update, eta: (1 - eta) * W + eta * update)),
    _step("step-R-moving-average", "R becomes (1 − η_R) R + η_R ΔR",
          replacing("R", lambda R, update, eta: (1 - eta) * R + eta * update)),
    _step("step-R-from-identity", "the new R is I + η ΔR: the step is added to I, not to R",
          replacing("R", lambda R, update, eta: np.eye(len(R)) + eta * update)),
    _step("step-R-after-identity", "the new R is (I + η ΔR) R",
          replacing("R", lambda R, update, eta: R + eta * update @ R)),
    _step("step-W-returns-updates", "η ΔW is returned for W + η ΔW",
          replacing("W", lambda W, update, eta: eta * update)),
    _step("step-R-returns-updates", "η ΔR is returned for R + η ΔR",
          replacing("R", lambda R, update, eta: eta * update)),
    _step("step-returns-scaled-updates", "the steps η ΔW and η ΔR are returned and not the new weights",
          replacing("WR", lambda A, update, eta: eta * update)),
    _step("step-returns-updates", "the updates are returned and not the new weights",
          replacing("WR", lambda A, update, eta: update)),
    _step("step-sgd", "ΔW = E[δ xᵀ]: gradient descent and not COPI",
          compositions.by_gradient_descent(lambda layer, layers: True)),
    _step("step-z-goes-on", "targets f(a + δ) of a layer are the inputs of the next", compositions.z_goes_on),
    _step("step-scale-before-decay", "the error scale multiplies z and not δ alone", compositions.scale_before_decay),
    *_ACTIVATIONS,
)  # fmt: skip
