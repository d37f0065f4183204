"""Wrong perturbations δ (Algorithm 1, lines 10 to 12)."""

from collections.abc import Callable

import numpy as np

from copi_ref.backend import HostArray
from copi_ref.oracle.catalogue.variant import Variant
from copi_ref.oracle.pieces import Pieces


def _error(p: Pieces, a: HostArray, y: HostArray, target: HostArray) -> HostArray:
    c = p.conventions
    return c.loss_factor * c.error_scale * (target - (y if c.output == "activation" else a))


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


def _slopes(name: str, says: str, wrong: Callable[[Pieces, HostArray, HostArray], HostArray]) -> Variant:
    """A wrong f′, ``(pieces, a, y) -> slope``, in all layers."""

    def change(p: Pieces) -> Pieces:
        return p.with_changes(
            output_delta=lambda a, y, t: wrong(p, a, y) * _error(p, a, y, t),
            hidden_delta=lambda above, a, y, W, R, B, a_above: wrong(p, a, y) * _carried(p, above, W, R, B),
        )

    return Variant(name, says, change)


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
            lambda p, a, y, t: np.asarray(p.conventions.f()(a)) * _error(p, a, y, t)),
    _output("delta-sign-of-error", "δ_L has the sign of the error for the error",
            lambda p, a, y, t: _f_prime(p, a) * np.sign(_error(p, a, y, t)) * p.conventions.loss_factor),
    _slopes("delta-no-slope", "f′ is missing in every layer", lambda p, a, y: np.ones_like(a)),
    _slopes("delta-slope-of-relu", "f′ is 0 below 0, as for ReLU",
            lambda p, a, y: np.where(a < 0, 0.0, _f_prime(p, a))),
    _slopes("delta-slope-mirrored", "f′(−a) for f′(a): slopes of the two sides are exchanged",
            lambda p, a, y: _f_prime(p, -a)),
    _slopes("delta-slope-at-y", "f′ is taken at y, not at a", lambda p, a, y: _f_prime(p, y)),
    _slopes("delta-f-for-slope", "f(a) for f′(a)", lambda p, a, y: np.asarray(p.conventions.f()(a))),
    _slopes("delta-slope-squared", "f′ is squared", lambda p, a, y: _f_prime(p, a) ** 2),
    _slopes("delta-slope-inverse", "divided by f′ and not multiplied",
            lambda p, a, y: 1 / np.where(_f_prime(p, a) == 0, 1, _f_prime(p, a))),
    _hidden("delta-no-slope-in-hidden", "f′ is missing in the hidden layers",
            lambda p, above, a, y, W, R, B, a_above: _carried(p, above, W, R, B)),
    _hidden("delta-slope-added-in-hidden", "f′(a) is added, not multiplied, in the hidden layers",
            lambda p, above, a, y, W, R, B, a_above: _f_prime(p, a) + _carried(p, above, W, R, B)),
    _hidden("delta-hidden-sign", "δ has the wrong sign in the hidden layers",
            lambda p, above, *rest: -p.hidden_delta(above, *rest)),
    _hidden("delta-slope-of-layer-above", "f′ of the layer above is applied once more on the way down",
            lambda p, above, a, y, W, R, B, a_above: p.hidden_delta(
                _f_prime(p, a_above) * above, a, y, W, R, B, a_above), "bp", "fa"),
    _hidden("delta-no-R", "R is left out of the backward pass: δ goes through Wᵀ only",
            lambda p, above, a, y, W, R, B, a_above: _f_prime(p, a) * (above @ W), "bp"),
    _hidden("delta-R-transposed", "R is transposed in the backward pass (δ @ W @ R.T in rows)",
            lambda p, above, a, y, W, R, B, a_above: _f_prime(p, a) * (above @ W @ R.mT), "bp"),
    _hidden("delta-R-twice", "R is applied twice in the backward pass",
            lambda p, above, a, y, W, R, B, a_above: _f_prime(p, a) * (above @ W @ R @ R), "bp"),
    _hidden("delta-R-inverse", "R⁻¹ for Rᵀ in the backward pass",
            lambda p, above, a, y, W, R, B, a_above: _f_prime(p, a) * (above @ W @ np.linalg.pinv(R).mT), "bp"),
    _hidden("delta-slope-before-weights", "f′(a) y for f′(a): the output multiplies δ too",
            lambda p, above, a, y, W, R, B, a_above: y * p.hidden_delta(above, a, y, W, R, B, a_above)),
    _hidden("delta-absolute-weights", "|W| for W in the backward pass",
            lambda p, above, a, y, W, R, B, a_above: _f_prime(p, a) * (above @ np.abs(W) @ R), "bp"),
    _hidden("delta-sign-of-weights", "the sign of W for W in the backward pass",
            lambda p, above, a, y, W, R, B, a_above: _f_prime(p, a) * (above @ np.sign(W) @ R), "bp"),
    _hidden("delta-mean-over-batch", "δ of the layer above is averaged over the batch on its way down",
            lambda p, above, a, y, W, R, B, a_above: p.hidden_delta(
                above.mean(axis=0) + 0 * above, a, y, W, R, B, a_above)),
    _hidden("delta-R-after-feedback", "R is applied to what the feedback weights carry",
            lambda p, above, a, y, W, R, B, a_above: _f_prime(p, a) * (above @ B.mT @ R), "fa"),
    _hidden("delta-R-after-direct-feedback", "R is applied to what the feedback weights carry",
            lambda p, above, a, y, W, R, B, a_above: _f_prime(p, a) * (above @ B.mT @ R), "dfa"),
)  # fmt: skip
