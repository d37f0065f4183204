"""Wrong perturbations δ (Algorithm 1, lines 10 to 12): on their way down, and as a whole."""

from collections.abc import Callable, Iterator

import numpy as np

from copi_ref.arrays.backend import HostArray
from copi_ref.oracle.contract.conventions import DIRECT, WITH_B
from copi_ref.oracle.contract.pieces import Inputs, Pieces, Quantities
from copi_ref.oracle.naming.catalogue import arrays
from copi_ref.oracle.naming.catalogue.adjustments import FORMATS
from copi_ref.oracle.naming.catalogue.arrays import nonzero, transposed_if_square
from copi_ref.oracle.naming.catalogue.slopes import f
from copi_ref.oracle.naming.catalogue.variant import Variant, known_as, placed

# --- from a table: what is done to δ, and where -----------------------------------------------------------------------

Change = Callable[[HostArray], HostArray]

_CHANGES: tuple[tuple[str, str, Change], ...] = (
    ("sign", "has the wrong sign: it has to point downhill", lambda d: -d),
    ("over-n", "is divided by N, though the update takes the mean over samples itself", lambda d: d / len(d)),
    ("over-outputs", "is divided by the number of units, as if the loss were a mean over them",
     lambda d: d / d.shape[1]),
    ("over-n-and-outputs", "is divided by N and by the number of units, as if the loss were a mean of both",
     lambda d: d / d.size),
    ("times-n", "is multiplied by N", lambda d: d * len(d)),
    ("zero", "is 0", lambda d: 0 * d),
    ("absolute", "has its absolute value taken", np.abs),
    ("positive", "is set to 0 where it is negative", lambda d: np.maximum(d, 0)),
    ("signs", "has only its signs left", np.sign),
    ("clipped", "is clipped to ±1", lambda d: np.clip(d, -1, 1)),
    ("clipped-by-norm", "is scaled down to a norm of 1 where it is larger, sample by sample",
     lambda d: arrays.clipped_by_norm(d, 1)),
    ("clipped-by-norm-of-batch", "is scaled down to a norm of 1 over the batch where it is larger",
     arrays.clipped_by_norm),
    ("normalised", "is divided by its norm, sample by sample", lambda d: arrays.normalised(d, 1)),
    ("normalised-by-batch", "is divided by its norm over the batch", arrays.normalised),
    ("max-normalised", "is divided by its largest entry", lambda d: d / nonzero(np.max(np.abs(d)))),
    ("squashed", "goes through tanh", np.tanh),
    ("averaged", "is averaged over the batch", lambda d: np.tile(d.mean(axis=0), (len(d), 1))),
    ("summed", "is summed over the batch", lambda d: np.tile(d.sum(axis=0), (len(d), 1))),
    ("averaged-over-units", "is averaged over units",
     lambda d: np.tile(d.mean(axis=1, keepdims=True), (1, d.shape[1]))),
    ("centred", "has its mean over the batch taken away", arrays.centred),
    ("centred-over-units", "has its mean over units taken away", lambda d: d - d.mean(axis=1, keepdims=True)),
    ("shifted", "is that of another sample", lambda d: np.roll(d, 1, axis=0)),
    ("reversed", "has its samples in the opposite order", lambda d: d[::-1]),
    ("misses-first-sample", "is 0 for the first sample", lambda d: arrays.cleared(d, 0, slice(None))),
    ("misses-last-sample", "is 0 for the last sample", lambda d: arrays.cleared(d, -1, slice(None))),
    ("misses-first-unit", "is 0 for the first unit", lambda d: arrays.cleared(d, slice(None), 0)),
    ("misses-last-unit", "is 0 for the last unit", lambda d: arrays.cleared(d, slice(None), -1)),
    ("units-shifted", "is that of the unit before", lambda d: np.roll(d, 1, axis=1)),
    ("of-larger-half", "is 0 but in the half of the units in which it is largest, sample by sample",
     lambda d: d * (np.abs(d) >= -np.sort(-np.abs(d), axis=1)[:, [(d.shape[1] + 1) // 2 - 1]])),
    ("of-largest", "is 0 but in the unit in which it is largest, sample by sample",
     lambda d: d * (np.abs(d) >= np.abs(d).max(axis=1, keepdims=True))),
    ("transposed", "is transposed, where it is square", transposed_if_square),
    *((f"in-{name}", f"is rounded to {name}", arrays.rounded_to(name)) for name in FORMATS),
)  # fmt: skip


def _at_output(p: Pieces, change: Change) -> Pieces:
    return p.with_changes(at_output=lambda q, *args: change(p.at_output(q, *args)))


def _in_hidden(p: Pieces, change: Change) -> Pieces:
    return p.with_changes(in_hidden=lambda q, *args: change(p.in_hidden(q, *args)))


def _on_the_way(p: Pieces, change: Change) -> Pieces:
    """Of the δ that comes down, but not of that which a layer keeps."""
    return p.with_changes(in_hidden=lambda q, above, *args: p.in_hidden(q, change(above), *args))


def _when_done(p: Pieces, change: Callable[[Pieces, Inputs, Quantities], Quantities]) -> Pieces:
    """Of what the backward pass has made: ``(pieces, inputs, δ of all layers)`` give what is kept of it."""

    def downwards(q: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
        return change(q, inputs, p.downwards(q, inputs, _without_deltas(own)))

    return p.with_changes(downwards=downwards)


def _afterwards(p: Pieces, change: Change) -> Pieces:
    return _when_done(p, lambda q, inputs, found: {name: change(delta) for name, delta in found.items()})


def _at_output_afterwards(p: Pieces, change: Change) -> Pieces:
    """Of the δ that the last layer keeps, but not of that which comes down."""

    def changed(q: Pieces, inputs: Inputs, found: Quantities) -> Quantities:
        last = f"δ of layer {len(inputs['W'])}"
        return {**found, last: change(found[last])}

    return _when_done(p, changed)


def _slope_again(q: Pieces, inputs: Inputs, found: Quantities) -> Quantities:
    kept = {**found}
    for layer, (a, y) in enumerate(zip(inputs["a"][:-1], inputs["y"][:-1], strict=True), start=1):
        kept[f"δ of layer {layer}"] = q.slope(a, y) * found[f"δ of layer {layer}"]
    return kept


_OF_EACH_SAMPLE = {"zero", "misses-first-sample", "misses-last-sample"}
_LINEAR = _OF_EACH_SAMPLE | {"sign", "over-n", "times-n"}
_WITHOUT_SCALE = {"normalised", "max-normalised"}
_RARE_ALONE = {name for name, *_ in _CHANGES} - {"sign", "over-n", "over-outputs", "times-n", "zero"}

_PLACES: tuple[tuple[str, str, Callable[[Pieces, Change], Pieces], set[str]], ...] = (
    ("-at-output", "δ at the output", _at_output, {"normalised-by-batch"}),
    ("-in-hidden", "δ of each hidden layer", _in_hidden, set()),
    (
        "",
        "δ of each layer, on its way down,",
        lambda p, change: _in_hidden(_at_output(p, change), change),
        _OF_EACH_SAMPLE | {"normalised-by-batch"},
    ),
    ("-on-the-way", "δ of the layer above, but only for the layer below,", _on_the_way, _LINEAR | {"in-float32"}),
    ("-afterwards", "δ of each layer, after the backward pass,", _afterwards, _LINEAR | _WITHOUT_SCALE),
    ("-at-output-alone", "δ at the output, but not what comes down of it,", _at_output_afterwards, _RARE_ALONE),
)
"""How variants end, what they say, where, and which changes are the same there as in a place before."""

_KNOWN_AS = {
    "delta-sign": ("delta-sign-in-every-layer", ""),
    "delta-over-n": ("delta-over-n-in-every-layer", ""),
    "delta-over-outputs": ("delta-over-units-in-every-layer", ""),
    "delta-over-n-and-outputs": ("delta-over-n-and-units-in-every-layer", ""),
    "delta-sign-at-output": ("delta-sign", "δ has the wrong sign: it has to point downhill"),
    "delta-over-n-at-output": (
        "delta-over-n",
        "δ is divided by N, though the update takes the mean over samples itself",
    ),
    "delta-over-outputs-at-output": (
        "delta-over-outputs",
        "δ is divided by the number of outputs: the loss is a mean over them",
    ),
    "delta-over-n-and-outputs-at-output": (
        "delta-over-n-and-outputs",
        "δ is divided by N and by the number of outputs: the loss is a mean of both",
    ),
    "delta-sign-in-hidden": ("delta-hidden-sign", "δ has the wrong sign in the hidden layers"),
    "delta-zero-in-hidden": (
        "delta-hidden-zero",
        "δ is 0 in the hidden layers: the loop down leaves them out",
    ),
    "delta-averaged-on-the-way": (
        "delta-mean-over-batch",
        "δ of the layer above is averaged over the batch on its way down",
    ),
}
"""Names and sentences that say more than the table's."""


def _changed() -> Iterator[Variant]:
    for ending, what, place, known_already in _PLACES:
        for name, says, change in _CHANGES:
            if name not in known_already:
                named = known_as(_KNOWN_AS, f"delta-{name}{ending}", f"{what} {says}")
                yield Variant(*named, placed(place, change))


# --- by hand: what comes down -----------------------------------------------------------------------------------------

Carried = Callable[[Pieces, HostArray, HostArray, HostArray, HostArray], HostArray]


def carrying(name: str, says: str, wrong: Carried, *credits: str) -> Variant:
    """``(pieces, above, W, R, B)`` give what comes down, before f′, for some credit methods if they are named."""

    def change(p: Pieces) -> Pieces | None:
        if credits and p.conventions.credit not in credits:
            return None
        return p.with_changes(carried=lambda *args: wrong(p, *args))

    return Variant(name, says, change)


def _hidden(name: str, says: str, wrong: Callable[..., HostArray]) -> Variant:
    """``(pieces, above, a, y, W, R, B, a_above, from_output) -> δ_l``, with the pieces as they are at last."""
    return Variant(name, says, lambda p: p.with_changes(in_hidden=wrong))


def _above(name: str, says: str, wrong: Callable[..., HostArray]) -> Variant:
    """Another δ comes down: ``(pieces, above, a_above, from_output)``."""

    def change(p: Pieces) -> Pieces:
        def in_hidden(q: Pieces, above: HostArray, *args: HostArray) -> HostArray:
            return np.asarray(p.in_hidden(q, wrong(p, above, *args[-2:]), *args))

        return p.with_changes(in_hidden=in_hidden)

    return Variant(name, says, change)


def _compounding(name: str, says: str, power: int) -> Variant:
    def change(p: Pieces) -> Pieces | None:
        scale = p.conventions.error_scale
        if scale == 1:
            return None
        return p.with_changes(in_hidden=lambda q, *args: scale**power * p.in_hidden(q, *args))

    return Variant(name, says, change)


def _one(W: HostArray) -> HostArray:
    return np.eye(W.shape[1])


def _slope_above(p: Pieces, a_above: HostArray) -> HostArray:
    return np.asarray(p.slope(a_above, f(p, a_above)))


def _slope_between(
    p: Pieces, slope: HostArray, above: HostArray, W: HostArray, R: HostArray, B: HostArray
) -> HostArray:
    if p.conventions.credit != "bp":  # there is nothing between
        return np.asarray(slope * p.carried(above, W, R, B))
    return np.asarray(p.carried(slope * p.carried(above, W, _one(W), B), _one(W), R, B))


def _without_last_column(W: HostArray) -> HostArray:
    return arrays.cleared(W, slice(None), -1) if W.shape[1] > 1 else W


def _without_deltas(own: Quantities) -> Quantities:
    """What an implementation returned, but for δ: from which δ are computed that others are not made of."""
    return {name: quantity for name, quantity in own.items() if not name.startswith("δ")}


PERTURBATION_VARIANTS = (
    *_changed(),
    _hidden("delta-slope-added-in-hidden", "f′(a) is added, not multiplied, in the hidden layers",
            lambda p, above, a, y, W, R, B, *rest: p.slope(a, y) + p.carried(above, W, R, B)),
    _hidden("delta-slope-subtracted-in-hidden", "f′(a) − what comes down, for its product, in the hidden layers",
            lambda p, above, a, y, W, R, B, *rest: p.slope(a, y) - p.carried(above, W, R, B)),
    _hidden("delta-slope-divided-in-hidden", "f′(a) divided by what comes down, in the hidden layers",
            lambda p, above, a, y, W, R, B, *rest: p.slope(a, y) / p.carried(above, W, R, B)),
    _hidden("delta-slope-of-layer-above-for-own", "f′ of the layer above for that of the layer itself",
            lambda p, above, a, y, W, R, B, a_above, last: p.carried(_slope_above(p, a_above) * above, W, R, B)),
    _hidden("delta-slope-before-weights", "f′(a) y for f′(a): the output multiplies δ too",
            lambda p, above, a, y, W, R, B, *rest: y * p.slope(a, y) * p.carried(above, W, R, B)),
    _above("delta-no-slope-at-output-in-hidden", "the error goes down without f′(a_L), though δ_L itself has it",
           lambda p, above, a_above, last: above / nonzero(_slope_above(p, a_above)) if last else above),
    _above("delta-slope-of-layer-above", "f′ of the layer above is applied once more on the way down",
           lambda p, above, a_above, last: _slope_above(p, a_above) * above),
    _above("delta-z-for-delta-above", "a + δ of the layer above comes down, not δ",
           lambda p, above, a_above, last: a_above + above),
    _compounding("delta-error-scale-compounds", "the error scale is applied again in every hidden layer", 1),
    _compounding("delta-error-scale-undone", "δ is divided by the error scale below the output", -1),
    Variant("delta-slope-again-afterwards", "f′ multiplies δ of hidden layers again, after the backward pass",
            lambda p: _when_done(p, _slope_again)),
    Variant("delta-error-scale-missing-at-output", "δ of the output lacks the error scale, which the hidden ones have",
            lambda p: None if (scale := p.conventions.error_scale) == 1
            else _at_output_afterwards(p, lambda d: d / scale)),
    carrying("delta-no-R", "R is left out of the backward pass: δ goes through Wᵀ only",
             lambda p, above, W, R, B: p.carried(above, W, _one(W), B), "bp"),
    carrying("delta-R-transposed", "R is transposed in the backward pass (δ @ W @ R.T in rows)",
             lambda p, above, W, R, B: p.carried(above, W, R.mT, B), "bp"),
    carrying("delta-R-twice", "R is applied twice in the backward pass",
             lambda p, above, W, R, B: p.carried(above, W, R @ R, B), "bp"),
    carrying("delta-R-inverse", "R⁻¹ for Rᵀ in the backward pass",
             lambda p, above, W, R, B: p.carried(above, W, np.linalg.pinv(R).mT, B), "bp"),
    carrying("delta-R-inverse-transposed", "R⁻ᵀ for Rᵀ in the backward pass",
             lambda p, above, W, R, B: p.carried(above, W, np.linalg.pinv(R), B), "bp"),
    carrying("delta-W-reshaped", "W is reshaped on the way down, where it has to be transposed",
             lambda p, above, W, R, B: p.carried(above, arrays.reshaped(W), R, B), "bp"),
    carrying("delta-WR-reshaped", "W R is reshaped on the way down, where it has to be transposed",
             lambda p, above, W, R, B: above @ arrays.reshaped(W @ R), "bp"),
    carrying("delta-R-diagonal", "only the diagonal of R is used in the backward pass",
             lambda p, above, W, R, B: p.carried(above, W, np.diag(np.diag(R)), B), "bp"),
    carrying("delta-R-off-diagonal", "the diagonal of R is left out of the backward pass",
             lambda p, above, W, R, B: p.carried(above, W, arrays.without_diagonal(R), B), "bp"),
    carrying("delta-R-symmetrised", "the symmetric part of R is used in the backward pass",
             lambda p, above, W, R, B: p.carried(above, W, (R + R.mT) / 2, B), "bp"),
    carrying("delta-no-W", "W is left out of the backward pass, where it is square",
             lambda p, above, W, R, B: p.carried(above, _one(W) if len(W) == W.shape[1] else W, R, B), "bp"),
    carrying("delta-W-not-transposed",
             "W is not transposed in the backward pass, where it is square (δ @ W.T @ R in rows)",
             lambda p, above, W, R, B: p.carried(above, transposed_if_square(W), R, B), "bp"),
    carrying("delta-neither-transposed", "neither W nor R is transposed in the backward pass, where W is square",
             lambda p, above, W, R, B: p.carried(above, W.mT, R.mT, B) if len(W) == W.shape[1]
             else p.carried(above, W, R, B), "bp"),
    carrying("delta-order-of-W-and-R", "Wᵀ Rᵀ for Rᵀ Wᵀ in the backward pass, where W is square",
             lambda p, above, W, R, B: p.carried(above @ R, W, _one(W), B) if len(W) == W.shape[1]
             else p.carried(above, W, R, B), "bp"),
    carrying("delta-W-inverse", "the pseudo-inverse of W for Wᵀ in the backward pass",
             lambda p, above, W, R, B: p.carried(above, np.linalg.pinv(W).mT, R, B), "bp"),
    carrying("delta-absolute-weights", "|W| for W in the backward pass",
             lambda p, above, W, R, B: p.carried(above, np.abs(W), R, B), "bp"),
    carrying("delta-sign-of-weights", "the sign of W for W in the backward pass",
             lambda p, above, W, R, B: p.carried(above, np.sign(W), R, B), "bp"),
    carrying("delta-signs-of-WR", "the signs of W R for W R in the backward pass",
             lambda p, above, W, R, B: above @ np.sign(W @ R), "bp"),
    carrying("delta-signs-of-R", "the signs of R for R in the backward pass",
             lambda p, above, W, R, B: p.carried(above, W, np.sign(R), B), "bp"),
    carrying("delta-signs-of-W-and-R", "the signs of W and of R for W and R in the backward pass",
             lambda p, above, W, R, B: p.carried(above, np.sign(W), np.sign(R), B), "bp"),
    carrying("delta-absolute-WR", "|W R| for W R in the backward pass",
             lambda p, above, W, R, B: above @ np.abs(W @ R), "bp"),
    _hidden("delta-slope-between-W-and-R", "f′(a) is applied between Wᵀ and Rᵀ, not after Rᵀ",
            lambda p, above, a, y, W, R, B, *rest: _slope_between(p, p.slope(a, y), above, W, R, B)),
    _hidden("delta-slope-before-W", "f′(a) multiplies δ of the layer above, where it has as many units",
            lambda p, above, a, y, W, R, B, *rest: p.carried(p.slope(a, y) * above, W, R, B) if above.shape == a.shape
            else p.slope(a, y) * p.carried(above, W, R, B)),
    _hidden("delta-set-to-slope", "δ is set to the lower slope where a < 0, and not multiplied by it, in hidden layers",
            lambda p, above, a, y, W, R, B, *rest: np.where(a < 0, p.slope(a, y), p.carried(above, W, R, B))),
    carrying("delta-W-times-R-elementwise", "W and R are multiplied elementwise on the way down, where W is square",
             lambda p, above, W, R, B: above @ (W * R) if W.shape == R.shape else p.carried(above, W, R, B), "bp"),
    carrying("delta-without-last-column", "the last column of W is left out on the way down, as that of a bias",
             lambda p, above, W, R, B: p.carried(above, _without_last_column(W), R, B), "bp"),
    _hidden("delta-f-of-what-comes-down", "f(what comes down) for its product with f′, in the hidden layers",
            lambda p, above, a, y, W, R, B, *rest: f(p, p.carried(above, W, R, B))),
    _hidden("delta-f-of-what-comes-down-less-a", "f(what comes down) − a, as by target propagation, in hidden layers",
            lambda p, above, a, y, W, R, B, *rest: f(p, p.carried(above, W, R, B)) - a),
    _hidden("delta-f-of-what-comes-down-less-y", "f(what comes down) − y, in the hidden layers",
            lambda p, above, a, y, W, R, B, *rest: f(p, p.carried(above, W, R, B)) - y),
    _hidden("delta-what-comes-down-less-a", "what comes down − a, for its product with f′, in the hidden layers",
            lambda p, above, a, y, W, R, B, *rest: p.carried(above, W, R, B) - a),
    _hidden("delta-target-of-layer-above", "f((W R)ᵀ z) − a for z = a + δ of the layer above, as in target propagation",
            lambda p, above, a, y, W, R, B, a_above, last: f(p, p.carried(a_above + above, W, R, B)) - a),
    carrying("delta-R-after-feedback", "R is applied to what the feedback weights carry",
             lambda p, above, W, R, B: p.carried(above, W, R, B) @ R, "fa", "sign-symmetric",
             "sign-symmetric-magnitudes"),
    carrying("delta-R-after-direct-feedback", "R is applied to what the feedback weights carry",
             lambda p, above, W, R, B: p.carried(above, W, R, B) @ R, *DIRECT),
    carrying("delta-R-transposed-after-feedback", "R, transposed, is applied to what the feedback weights carry",
             lambda p, above, W, R, B: p.carried(above, W, R, B) @ R.mT, "fa", *DIRECT),
    carrying("delta-feedback-transposed", "B is transposed, where it is square",
             lambda p, above, W, R, B: p.carried(above, W, R, transposed_if_square(B)), *WITH_B),
    carrying("delta-W-for-feedback", "Wᵀ for B, without R, where the shapes fit",
             lambda p, above, W, R, B: p.carried(above, W, R, W.mT if W.mT.shape == B.shape else B), "fa", *DIRECT),
    carrying("delta-R-and-W-for-feedback", "(W R)ᵀ for B: the weights themselves, where the shapes fit",
             lambda p, above, W, R, B: p.carried(above, W, R, (W @ R).mT if W.mT.shape == B.shape else B), *DIRECT),
    carrying("delta-signs-of-feedback", "the signs of B for B",
             lambda p, above, W, R, B: p.carried(above, W, R, np.sign(B)), "fa", *DIRECT),
    carrying("delta-feedback-with-signs-of-weights", "|B| with the signs of Wᵀ for B, where the shapes fit",
             lambda p, above, W, R, B: p.carried(
                 above, W, R, np.abs(B) * np.sign(W.mT) if W.mT.shape == B.shape else B), "fa", *DIRECT),
)  # fmt: skip
