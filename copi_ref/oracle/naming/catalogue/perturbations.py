"""Wrong perturbations δ (Algorithm 1, lines 10 to 12)."""

from collections.abc import Callable

import numpy as np

from copi_ref.arrays.backend import HostArray
from copi_ref.oracle.contract.pieces import Pieces
from copi_ref.oracle.naming.catalogue.moments import softmax
from copi_ref.oracle.naming.catalogue.variant import Variant


def _error(p: Pieces, a: HostArray, y: HostArray, target: HostArray) -> HostArray:
    c = p.conventions
    return c.loss_factor * c.error_scale * (target - _prediction(p, a, y))


def _f(p: Pieces, a: HostArray) -> HostArray:
    return np.asarray(p.conventions.f()(a))


def _factor(p: Pieces) -> float:
    return float(p.conventions.loss_factor)


def _prediction(p: Pieces, a: HostArray, y: HostArray) -> HostArray:
    return y if p.conventions.output == "activation" else a


def _nonzero(slope: HostArray) -> HostArray:
    return np.where(slope == 0, 1, slope)


def _formula_at(p: Pieces, a: HostArray) -> HostArray:
    return np.asarray(1 - a * a if p.conventions.activation == "tanh" else a * (1 - a))


def _f_prime(p: Pieces, a: HostArray) -> HostArray:
    return np.asarray(p.conventions.f().derivative(a))


def _carried(p: Pieces, above: HostArray, W: HostArray, R: HostArray, B: HostArray) -> HostArray:
    """What reaches the layer, before f′."""
    return above @ W @ R if p.conventions.credit == "bp" else above @ B.mT


def _output(name: str, says: str, wrong: Callable[[Pieces, HostArray, HostArray, HostArray], HostArray]) -> Variant:
    """A wrong ``(a, y, target) -> δ_L``."""
    return Variant(name, says, lambda p: p.with_changes(output_delta=lambda a, y, t: wrong(p, a, y, t)))


def _hidden(name: str, says: str, wrong: Callable[..., HostArray], *credits: str) -> Variant:
    """A wrong ``(pieces, above, a, y, W, R, B, a_above) -> δ_l``, for some credit methods if they are named."""

    def change(p: Pieces) -> Pieces | None:
        if credits and p.conventions.credit not in credits:
            return None
        return p.with_changes(hidden_delta=lambda *arguments: wrong(p, *arguments))

    return Variant(name, says, change)


def _slopes(
    name: str, says: str, wrong: Callable[[Pieces, HostArray, HostArray], HostArray], smooth: bool = False
) -> Variant:
    """A wrong f′, ``(pieces, a, y) -> slope``, in all layers; for tanh and the sigmoid only, if `smooth`."""

    def change(p: Pieces) -> Pieces | None:
        if smooth and not p.conventions.is_smooth:
            return None
        return p.with_changes(
            output_delta=lambda a, y, t: wrong(p, a, y) * _error(p, a, y, t),
            hidden_delta=lambda above, a, y, W, R, B, *rest: wrong(p, a, y) * _carried(p, above, W, R, B),
        )

    return Variant(name, says, change)


def _compounding(p: Pieces) -> Pieces | None:
    scale = p.conventions.error_scale
    if scale == 1:
        return None
    return p.with_changes(hidden_delta=lambda above, *rest: scale * p.hidden_delta(above, *rest))


PERTURBATION_VARIANTS = (
    _output("delta-sign", "δ has the wrong sign: it has to point downhill",
            lambda p, a, y, t: -p.output_delta(a, y, t)),
    _output("delta-over-n", "δ is divided by N, though the update takes the mean over samples itself",
            lambda p, a, y, t: p.output_delta(a, y, t) / len(a)),
    _output("delta-over-outputs", "δ is divided by the number of outputs: the loss is a mean over them",
            lambda p, a, y, t: p.output_delta(a, y, t) / a.shape[1]),
    _output("delta-over-n-and-outputs", "δ is divided by N and by the number of outputs: the loss is a mean of both",
            lambda p, a, y, t: p.output_delta(a, y, t) / a.size),
    _output("delta-no-slope-at-output", "f′(a_L) is missing in δ_L", lambda p, a, y, t: _error(p, a, y, t)),
    _output("delta-linear-output", "δ_L is that of a linear output: a_L for y_L, and no f′(a_L)",
            lambda p, a, y, t: _error(p, a, a, t)),
    _output("delta-softmax-cross-entropy", "δ_L is that of softmax and cross-entropy, y* − softmax(a_L)",
            lambda p, a, y, t: p.conventions.error_scale * (t - softmax(a))),
    _output("delta-slope-twice-at-output", "f′(a_L) is in δ_L twice",
            lambda p, a, y, t: _f_prime(p, a) ** 2 * _error(p, a, y, t)),
    _output("delta-target-only", "δ_L has y* for y* − y",
            lambda p, a, y, t: _f_prime(p, a) * _error(p, 0 * a, 0 * y, t)),
    _output("delta-target-added", "δ_L has y* + y for y* − y",
            lambda p, a, y, t: _f_prime(p, a) * _error(p, -a, -y, t)),
    _output("delta-no-target", "δ_L has −y for y* − y: the target has no effect",
            lambda p, a, y, t: _f_prime(p, a) * _error(p, a, y, 0 * t)),
    _output("delta-slope-added", "δ_L is f′(a_L) + error for f′(a_L) · error",
            lambda p, a, y, t: _f_prime(p, a) + _error(p, a, y, t)),
    _output("delta-f-for-slope-at-output", "δ_L has f(a_L) for f′(a_L)",
            lambda p, a, y, t: _f(p, a) * _error(p, a, y, t)),
    _output("delta-sign-of-error", "δ_L has the sign of the error for the error",
            lambda p, a, y, t: _f_prime(p, a) * np.sign(_error(p, a, y, t)) * p.conventions.loss_factor),
    _slopes("delta-no-slope", "f′ is missing in every layer", lambda p, a, y: np.ones_like(a)),
    _slopes("delta-slope-of-relu", "f′ is 0 below 0, as for ReLU",
            lambda p, a, y: np.where(a < 0, 0.0, _f_prime(p, a))),
    _slopes("delta-slope-mirrored", "f′(−a) for f′(a): slopes of the two sides are exchanged",
            lambda p, a, y: _f_prime(p, -a)),
    _slopes("delta-slope-formula-at-a", "the formula of f′ for y, 1 − y² or y (1 − y), is given a",
            lambda p, a, y: _formula_at(p, a), smooth=True),
    _slopes("delta-slope-one-minus-f", "1 − f(a) for f′(a)", lambda p, a, y: 1 - _f(p, a)),
    _slopes("delta-slope-at-y", "f′ is taken at y, not at a", lambda p, a, y: _f_prime(p, y)),
    _slopes("delta-f-for-slope", "f(a) for f′(a)", lambda p, a, y: _f(p, a)),
    _slopes("delta-slope-squared", "f′ is squared", lambda p, a, y: _f_prime(p, a) ** 2),
    _slopes("delta-slope-inverse", "divided by f′ and not multiplied",
            lambda p, a, y: 1 / _nonzero(_f_prime(p, a))),
    _hidden("delta-no-slope-in-hidden", "f′ is missing in the hidden layers",
            lambda p, above, a, y, W, R, B, a_above, last: _carried(p, above, W, R, B)),
    _hidden("delta-slope-added-in-hidden", "f′(a) is added, not multiplied, in the hidden layers",
            lambda p, above, a, y, W, R, B, a_above, last: _f_prime(p, a) + _carried(p, above, W, R, B)),
    _output("delta-slope-at-y-at-output", "f′ is taken at y_L, not at a_L, in δ_L",
            lambda p, a, y, t: _f_prime(p, y) * _error(p, a, y, t)),
    _output("delta-a-for-slope-at-output", "δ_L has a_L for f′(a_L)", lambda p, a, y, t: a * _error(p, a, y, t)),
    _output("delta-slope-subtracted", "δ_L is f′(a_L) − error for f′(a_L) · error",
            lambda p, a, y, t: _f_prime(p, a) - _error(p, a, y, t)),
    _output("delta-slope-divided", "δ_L is f′(a_L)/error for f′(a_L) · error",
            lambda p, a, y, t: _f_prime(p, a) / _error(p, a, y, t)),
    _output("delta-target-times-y", "δ_L has y* y for y* − y",
            lambda p, a, y, t: _f_prime(p, a) * _error(p, 0 * a, 0 * y, t * _prediction(p, a, y))),
    _output("delta-target-over-y", "δ_L has y*/y for y* − y",
            lambda p, a, y, t: _f_prime(p, a) * _error(p, 0 * a, 0 * y, t / _prediction(p, a, y))),
    _output("delta-factor-added", "the factor of the loss is added to the error",
            lambda p, a, y, t: _f_prime(p, a) * (_factor(p) + _error(p, a, y, t) / _factor(p))),
    _output("delta-factor-subtracted", "the error is taken from the factor of the loss",
            lambda p, a, y, t: _f_prime(p, a) * (_factor(p) - _error(p, a, y, t) / _factor(p))),
    _output("delta-factor-divided", "the factor of the loss is divided by the error",
            lambda p, a, y, t: _f_prime(p, a) * _factor(p) ** 2 / _error(p, a, y, t)),
    _hidden("delta-slope-at-y-in-hidden", "f′ is taken at y, not at a, in the hidden layers",
            lambda p, above, a, y, W, R, B, a_above, last: _f_prime(p, y) * _carried(p, above, W, R, B)),
    _hidden("delta-f-for-slope-in-hidden", "f(a) for f′(a) in the hidden layers",
            lambda p, above, a, y, W, R, B, a_above, last: _f(p, a) * _carried(p, above, W, R, B)),
    _hidden("delta-a-for-slope-in-hidden", "a for f′(a) in the hidden layers",
            lambda p, above, a, y, W, R, B, a_above, last: a * _carried(p, above, W, R, B)),
    _hidden("delta-slope-subtracted-in-hidden", "f′(a) − what comes down, for its product, in the hidden layers",
            lambda p, above, a, y, W, R, B, a_above, last: _f_prime(p, a) - _carried(p, above, W, R, B)),
    _hidden("delta-slope-divided-in-hidden", "f′(a) divided by what comes down, in the hidden layers",
            lambda p, above, a, y, W, R, B, a_above, last: _f_prime(p, a) / _carried(p, above, W, R, B)),
    _hidden("delta-no-slope-at-output-in-hidden", "the error goes down without f′(a_L), though δ_L itself has it",
            lambda p, above, a, y, W, R, B, a_above, last: p.hidden_delta(
                above / _nonzero(_f_prime(p, a_above)) if last else above,
                a, y, W, R, B, a_above, last)),
    _hidden("delta-slope-of-layer-above-for-own", "f′ of the layer above for that of the layer itself",
            lambda p, above, a, y, W, R, B, a_above, last: _carried(p, _f_prime(p, a_above) * above, W, R, B)),
    Variant("delta-error-scale-compounds", "the error scale is applied again in every hidden layer", _compounding),
    _hidden("delta-hidden-zero", "δ is 0 in the hidden layers: the loop down leaves them out",
            lambda p, above, a, y, W, R, B, a_above, last: 0 * a),
    _hidden("delta-clipped-in-hidden", "δ is clipped to ±1 in the hidden layers",
            lambda p, above, *rest: np.clip(p.hidden_delta(above, *rest), -1, 1)),
    _output("delta-clipped-at-output", "δ is clipped to ±1 at the output",
            lambda p, a, y, t: np.clip(p.output_delta(a, y, t), -1, 1)),
    Variant("delta-clipped", "δ is clipped to ±1", lambda p: p.with_changes(
        output_delta=lambda a, y, t: np.clip(p.output_delta(a, y, t), -1, 1),
        hidden_delta=lambda above, *rest: np.clip(p.hidden_delta(above, *rest), -1, 1))),
    _hidden("delta-hidden-sign", "δ has the wrong sign in the hidden layers",
            lambda p, above, *rest: -p.hidden_delta(above, *rest)),
    _hidden("delta-slope-of-layer-above", "f′ of the layer above is applied once more on the way down",
            lambda p, above, a, y, W, R, B, a_above, last: p.hidden_delta(
                _f_prime(p, a_above) * above, a, y, W, R, B, a_above, last)),
    _hidden("delta-no-R", "R is left out of the backward pass: δ goes through Wᵀ only",
            lambda p, above, a, y, W, R, B, a_above, last: _f_prime(p, a) * (above @ W), "bp"),
    _hidden("delta-R-transposed", "R is transposed in the backward pass (δ @ W @ R.T in rows)",
            lambda p, above, a, y, W, R, B, a_above, last: _f_prime(p, a) * (above @ W @ R.mT), "bp"),
    _hidden("delta-R-twice", "R is applied twice in the backward pass",
            lambda p, above, a, y, W, R, B, a_above, last: _f_prime(p, a) * (above @ W @ R @ R), "bp"),
    _hidden("delta-R-inverse", "R⁻¹ for Rᵀ in the backward pass",
            lambda p, above, a, y, W, R, B, a_above, last: _f_prime(p, a) * (above @ W @ np.linalg.pinv(R).mT), "bp"),
    _hidden("delta-slope-before-weights", "f′(a) y for f′(a): the output multiplies δ too",
            lambda p, above, a, y, W, R, B, a_above, last: y * p.hidden_delta(above, a, y, W, R, B, a_above, last)),
    _hidden("delta-absolute-weights", "|W| for W in the backward pass",
            lambda p, above, a, y, W, R, B, a_above, last: _f_prime(p, a) * (above @ np.abs(W) @ R), "bp"),
    _hidden("delta-sign-of-weights", "the sign of W for W in the backward pass",
            lambda p, above, a, y, W, R, B, a_above, last: _f_prime(p, a) * (above @ np.sign(W) @ R), "bp"),
    _hidden("delta-mean-over-batch", "δ of the layer above is averaged over the batch on its way down",
            lambda p, above, a, y, W, R, B, a_above, last: p.hidden_delta(
                above.mean(axis=0) + 0 * above, a, y, W, R, B, a_above, last)),
    _hidden("delta-R-after-feedback", "R is applied to what the feedback weights carry",
            lambda p, above, a, y, W, R, B, a_above, last: _f_prime(p, a) * (above @ B.mT @ R), "fa"),
    _hidden("delta-R-after-direct-feedback", "R is applied to what the feedback weights carry",
            lambda p, above, a, y, W, R, B, a_above, last: _f_prime(p, a) * (above @ B.mT @ R), "dfa"),
)  # fmt: skip
