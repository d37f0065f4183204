"""Wrong forward updates: of COPI (Eq. 3) and of gradient descent."""

from collections.abc import Callable, Iterator

import numpy as np

from copi_ref.arrays.backend import HostArray
from copi_ref.oracle.contract.conventions import Conventions
from copi_ref.oracle.contract.pieces import Pieces, reduced
from copi_ref.oracle.naming.catalogue.adjustment import Adjustment
from copi_ref.oracle.naming.catalogue.adjustments import ADJUSTMENTS, named
from copi_ref.oracle.naming.catalogue.arrays import (
    EPSILONS,
    centred,
    n_minus_1,
    nonzero,
    reshaped,
    transposed_if_square,
)
from copi_ref.oracle.naming.catalogue.moments import C_off, mean_outer, mean_square
from copi_ref.oracle.naming.catalogue.variant import Variant, limited

Wrong = Callable[[Pieces, HostArray, HostArray, HostArray], HostArray]


def _hebb(p: Pieces, x: HostArray, z: HostArray, W: HostArray) -> HostArray:
    """E[z xᵀ], as the pieces have it: ΔW is linear in W."""
    return np.asarray(p.copi(x, z, 0 * W))


def _decay(p: Pieces, x: HostArray, z: HostArray, W: HostArray) -> HostArray:
    """−W diag(E[x²]), as the pieces have it: ΔW is linear in z."""
    return np.asarray(p.copi(x, 0 * z, W))


def _weight(name: str, says: str, wrong: Wrong) -> Variant:
    """A wrong ``(pieces, x, z, W) -> ΔW`` in place of Eq. 3."""
    return Variant(name, says, lambda p: p.with_changes(copi=lambda x, z, W: wrong(p, x, z, W)))


def _of_copi(conventions: Conventions) -> bool:
    """Whether ΔW has a decay: that of gradient descent has none, and another in its place would be one besides."""
    return conventions.weight_rule == "copi"


def _with_decay(name: str, says: str, wrong: Wrong) -> Variant:
    """Another decay: ``(pieces, x, z, W)`` give what is taken away, as a mean."""
    other = _weight(
        name, says, lambda p, x, z, W: _hebb(p, x, z, W) - reduced(p.conventions, x, np.asarray(wrong(p, x, z, W)))
    )
    return limited(_of_copi, other)


def _with_power(name: str, says: str, power: Callable[[HostArray], HostArray]) -> Variant:
    """The decay with something else for E[x²]."""
    return _with_decay(name, says, lambda p, x, z, W: W * power(x))


def masked(copi: Callable[..., HostArray], x: HostArray, z: HostArray, W: HostArray, taken: HostArray) -> HostArray:
    """ΔW with a share of each sample in each unit, as a mean over all samples still."""
    shares = np.broadcast_to(taken, z.shape).astype(float)
    rows = [copi(x * shares[:, [unit]], z[:, [unit]] * shares[:, [unit]], W[[unit]]) for unit in range(z.shape[1])]
    return np.concatenate(rows)


def _power(p: Pieces, x: HostArray, z: HostArray) -> HostArray:
    """E[x²], or the sum, as the pieces have it: one number a column."""
    return -_decay(p, x, z, np.ones((z.shape[1], x.shape[1])))


_WEIGHT_PLACES: dict[str, tuple[str, Wrong, Wrong]] = {
    "weight": ("ΔW", lambda p, x, z, W: p.copi(x, z, W), lambda p, x, z, W: 0 * W),
    "weight-hebb": ("E[z xᵀ]", _hebb, _decay),
    "weight-decay": ("the decay W diag(E[x²])", _decay, _hebb),
}
"""What is adjusted, by name: what it is, how it is computed, and the rest of ΔW."""


def _adjusted(place: str, adjustment: Adjustment) -> Variant:
    what, part, rest = _WEIGHT_PLACES[place]

    def change(p: Pieces) -> Pieces | None:
        if not adjustment.has_meaning(p.conventions):
            return None
        summed = p.conventions.reduction == "sum"

        def copi(x: HostArray, z: HostArray, W: HostArray) -> HostArray:
            return rest(p, x, z, W) + adjustment.wrong(lambda x, z: part(p, x, z, W), x, z, summed)

        return p.with_changes(copi=copi)

    return Variant(*named(place, adjustment, what), change)


def _adjusted_places() -> Iterator[Variant]:
    for place in _WEIGHT_PLACES:
        yield from (_adjusted(place, adjustment) for adjustment in ADJUSTMENTS if place in adjustment.places)


def _guarded(epsilon: float) -> Wrong:
    return lambda p, x, z, W: W * np.maximum(_power(p, x, z), epsilon) / _sum_of_one(p, x)


def _by_triangle(triangle: Callable[[HostArray], HostArray]) -> Wrong:
    return lambda p, x, z, W: W @ triangle(mean_outer(x, x))


def _in_turn(p: Pieces, x: HostArray, z: HostArray, W: HostArray) -> HostArray:
    """Each sample decays the weights that those before have made."""
    part, new = 1 if p.conventions.reduction == "sum" else 1 / len(x), W
    for n in range(len(x)):
        new = new + part * p.copi(x[n : n + 1], z[n : n + 1], new)
    return new - W


def _cautious(sign: int) -> Wrong:
    def wrong(p: Pieces, x: HostArray, z: HostArray, W: HostArray) -> HostArray:
        hebb, decay = _hebb(p, x, z, W), _decay(p, x, z, W)
        return hebb + np.where(np.sign(hebb * decay) == sign, 0, decay)

    return wrong


def _clipped_by_weights(share: float) -> Wrong:
    def wrong(p: Pieces, x: HostArray, z: HostArray, W: HostArray) -> HostArray:
        found = p.copi(x, z, W)
        most = share * np.maximum(np.sqrt(np.sum(W * W, axis=1, keepdims=True)), 1e-3)
        norms = np.sqrt(np.sum(found * found, axis=1, keepdims=True))
        return np.asarray(np.where(norms > most, found * most / nonzero(norms), found))

    return wrong


def _damped(x: HostArray, damping: float) -> HostArray:
    """(E[x xᵀ] + damping I)⁻¹."""
    return np.linalg.inv(mean_outer(x, x) + damping * np.eye(x.shape[1]))


def _damped_full_rule(damping: float) -> Wrong:
    return lambda p, x, z, W: _hebb(p, x, z, W) / _sum_of_one(p, x) @ _damped(x, damping) - W


def _damped_sgd(damping: float) -> Callable[[Pieces, HostArray, HostArray], HostArray]:
    return lambda p, x, delta: p.sgd(x, delta) @ _damped(x, damping)


_DAMPINGS = (1.0, *EPSILONS[:8])


def _sum_of_one(p: Pieces, x: HostArray) -> int:
    """By what a sum over samples is divided to be a mean."""
    return len(x) if p.conventions.reduction == "sum" else 1


WEIGHT_VARIANTS = (
    *_adjusted_places(),
    _with_decay("weight-decay-by-output", "the decay has the output's power E[z_i²], row by row, as in Oja's rule",
                lambda p, x, z, W: mean_square(z)[:, None] * W),
    _with_decay("weight-decay-subspace", "the decay is E[z zᵀ] W, as in Oja's subspace rule",
                lambda p, x, z, W: mean_outer(z, z) @ W),
    _with_decay("weight-decay-sanger", "the decay is that of Sanger's rule, with the lower triangle of E[z zᵀ]",
                lambda p, x, z, W: np.tril(mean_outer(z, z)) @ W),
    _with_decay("weight-decay-instar", "the decay has E[z_i], row by row, as in the instar rule",
                lambda p, x, z, W: z.mean(axis=0)[:, None] * W),
    _with_decay("weight-decay-instar-absolute", "the decay has E|z_i|, row by row",
                lambda p, x, z, W: np.abs(z).mean(axis=0)[:, None] * W),
    _with_decay("weight-decay-diagonal-of-product", "the decay is the diagonal of W E[x xᵀ], and 0 beside it",
                lambda p, x, z, W: np.eye(*W.shape) * (W @ mean_outer(x, x))),
    _with_decay("weight-decay-of-dead-inputs", "E[x²] is taken for 1 where it is 0",
                lambda p, x, z, W: W * nonzero(mean_square(x))),
    *(_weight(f"weight-decay-cautious{end}", f"the decay is left out where it {says} E[z xᵀ]", _cautious(sign))
      for end, says, sign in (("", "has the other sign than", -1), ("-reversed", "has the sign of", 1))),
    *(_weight(f"weight-clipped-by-weights-{share:g}",
              f"rows of ΔW are scaled down to {share:g} times the norm of those of W, where they are larger",
              _clipped_by_weights(share)) for share in (1.0, 0.1, 0.01)),
    _weight("weight-samples-in-turn", "samples are added to W one after the other, each with the decay of W then",
            _in_turn),
    _weight("weight-hebb-f-of-z", "f(z) for z in E[z xᵀ]",
            lambda p, x, z, W: p.copi(x, np.asarray(p.conventions.f()(z)), W)),
    _with_decay("weight-decay-full-matrix", "the decay takes the whole of E[x xᵀ], not its diagonal",
                lambda p, x, z, W: W @ mean_outer(x, x)),
    _with_decay("weight-decay-off-diagonal", "the decay takes the off-diagonal of E[x xᵀ], not its diagonal",
                lambda p, x, z, W: W @ C_off(x)),
    _with_decay("weight-decay-along-rows", "E[x²] multiplies the rows of W and not its columns, where W is square",
                lambda p, x, z, W: mean_square(x)[:, None] * W if len(W) == W.shape[1] else W * mean_square(x)),
    _with_decay("weight-decay-of-sums", "the sums of W E[x²] over inputs stand in every column: a matrix product",
                lambda p, x, z, W: 0 * W + (W @ mean_square(x))[:, None]),
    _with_decay("weight-decay-of-hebb", "E[z xᵀ] for W in the decay",
                lambda p, x, z, W: mean_outer(z, x) * mean_square(x)),
    _with_decay("weight-decay-by-hebb", "the decay is the elementwise product of W and E[z xᵀ]",
                lambda p, x, z, W: W * mean_outer(z, x)),
    _with_decay("weight-decay-by-own-output", "the decay has E[a_i²], a = W x, row by row, as in Oja's rule",
                lambda p, x, z, W: W * mean_square(x @ W.mT)[:, None]),
    _with_decay("weight-decay-squared-elementwise", "the decay has W² for W",
                lambda p, x, z, W: W * W * mean_square(x)),
    _with_decay("weight-decay-of-first-unit", "W of the first unit for W of each in the decay",
                lambda p, x, z, W: 0 * W + W[0] * mean_square(x)),
    *(_with_decay(f"weight-decay-{which}-triangle",
                  f"the decay takes the {which} triangle of E[x xᵀ], not its diagonal",
                  _by_triangle(triangle)) for which, triangle in (("upper", np.triu), ("lower", np.tril))),
    _with_decay("weight-decay-of-transpose", "Wᵀ for W in the decay, where W is square",
                lambda p, x, z, W: transposed_if_square(W) * mean_square(x)),
    _with_decay("weight-decay-of-absolute-weights", "|W| for W in the decay",
                lambda p, x, z, W: np.abs(W) * mean_square(x)),
    _with_decay("weight-decay-of-signs", "the sign of W for W in the decay",
                lambda p, x, z, W: np.sign(W) * mean_square(x)),
    _with_power("weight-decay-square-of-mean", "the decay has E[x]² for E[x²]", lambda x: x.mean(axis=0) ** 2),
    _with_power("weight-decay-square-of-absolute-mean", "the decay has (E|x|)² for E[x²]",
                lambda x: np.abs(x).mean(axis=0) ** 2),
    _weight("weight-decay-sample-variance", "the decay has the sample variance of x, over N − 1, for E[x²]",
            lambda p, x, z, W: _hebb(p, x, z, W) + _decay(p, centred(x), z, W) * n_minus_1(x)),
    _weight("weight-sample-covariance",
            "x and z are centred, and ΔW divides by N − 1: sample covariances for second moments",
            lambda p, x, z, W: p.copi(centred(x), centred(z), W) * n_minus_1(x)),
    _with_power("weight-decay-not-squared", "the decay has E[x] for E[x²]", lambda x: x.mean(axis=0)),
    _with_power("weight-decay-absolute", "the decay has E|x| for E[x²]", lambda x: np.abs(x).mean(axis=0)),
    _with_power("weight-decay-root", "the decay has √E[x²] for E[x²]", lambda x: np.sqrt(mean_square(x))),
    _with_power("weight-decay-fourth-power", "the decay has E[x²]² for E[x²]", lambda x: mean_square(x) ** 2),
    _with_power("weight-decay-largest", "the decay has the largest x² for E[x²]", lambda x: np.max(x * x, axis=0)),
    _with_power("weight-decay-standard-deviation", "the decay has the standard deviation of x for E[x²]",
                lambda x: np.std(x, axis=0)),
    _with_power("weight-decay-norm", "the decay has √Σx², the norm over the batch, for E[x²]",
                lambda x: np.sqrt(np.sum(x * x, axis=0))),
    _with_power("weight-decay-row-mean", "the decay has the mean of a row of E[x xᵀ] for its diagonal",
                lambda x: mean_outer(x, x).mean(axis=0)),
    _with_power("weight-decay-row-sum", "the decay has the sum of a row of E[x xᵀ] for its diagonal",
                lambda x: mean_outer(x, x).sum(axis=0)),
    _with_power("weight-decay-total-power", "the decay has ΣE[x_j²], one number for all inputs",
                lambda x: mean_square(x).sum()),
    _with_power("weight-decay-mean-power", "the decay has the mean of E[x_j²] over inputs, one number for all",
                lambda x: mean_square(x).mean()),
    _with_power("weight-decay-shifted", "weights decay with E[x²] of the input before",
                lambda x: np.roll(mean_square(x), 1)),
    _with_power("weight-decay-shifted-back", "weights decay with E[x²] of the input after",
                lambda x: np.roll(mean_square(x), -1)),
    _with_power("weight-decay-of-neighbours", "the decay has E[x_j x_{j−1}] for E[x_j²]",
                lambda x: np.mean(x * np.roll(x, 1, axis=1), axis=0)),
    _with_power("weight-decay-of-samples-before", "the decay has x times x of the sample before for x²",
                lambda x: np.mean(x * np.roll(x, 1, axis=0), axis=0)),
    _with_power("weight-decay-largest-eigenvalue", "the decay has the largest eigenvalue of E[x xᵀ] for E[x²]",
                lambda x: np.asarray(np.linalg.norm(x, 2) ** 2 / len(x))),
    _with_power("weight-decay-variance-plus-mean", "the decay has Var[x] + E[x] for E[x²]",
                lambda x: x.var(axis=0) + x.mean(axis=0)),
    _with_power("weight-decay-of-reshaped-x", "x is reshaped where it has to be transposed, in E[x²]",
                lambda x: mean_square(reshaped(x))),
    _with_power("weight-decay-whole", "E[x²] is cut to whole numbers", lambda x: np.trunc(mean_square(x))),
    _with_power("weight-decay-of-nonzero", "E[x²] is a mean over the samples in which x is not 0",
                lambda x: np.sum(x * x, axis=0) / np.maximum(np.count_nonzero(x, axis=0), 1)),
    _with_power("weight-decay-reversed", "inputs are in the opposite order in the decay",
                lambda x: mean_square(x)[::-1]),
    _with_decay("weight-decay-of-squared-weights", "the decay has W² for W E[x²]",
                lambda p, x, z, W: W * np.mean(W * W, axis=0)),
    _with_decay("weight-decay-added", "W + E[x²] for W E[x²]", lambda p, x, z, W: W + mean_square(x)),
    _with_decay("weight-decay-subtracted", "W − E[x²] for W E[x²]", lambda p, x, z, W: W - mean_square(x)),
    _with_decay("weight-decay-divided", "W/E[x²] for W E[x²]", lambda p, x, z, W: W / mean_square(x)),
    _with_decay("weight-decay-plain", "the decay is −W, as for whitened inputs", lambda p, x, z, W: W),
    _with_decay("weight-decay-without-W", "W is missing in the decay: −E[x²] in every row",
                lambda p, x, z, W: 0 * W + mean_square(x)),
    *(_with_decay(f"weight-decay-at-least-{epsilon:g}", f"the decay has max(E[x²], {epsilon:g}) for E[x²]",
                  _guarded(epsilon))
      for epsilon in EPSILONS),
    _weight("weight-terms-multiplied", "E[z xᵀ] and the decay are multiplied",
            lambda p, x, z, W: -_hebb(p, x, z, W) * _decay(p, x, z, W) / _sum_of_one(p, x)),
    _weight("weight-terms-divided", "E[z xᵀ] is divided by the decay",
            lambda p, x, z, W: -_hebb(p, x, z, W) / _decay(p, x, z, W) * _sum_of_one(p, x)),
    _weight("weight-skips-zero-samples", "samples whose z is 0 are left out of ΔW, and of its decay",
            lambda p, x, z, W: masked(p.copi, x, z, W, np.any(z != 0, axis=1, keepdims=True))),
    _weight("weight-skips-zero-states", "where z is 0 a sample has no decay in that unit",
            lambda p, x, z, W: masked(p.copi, x, z, W, z != 0)),
    _weight("weight-fixed-point", "ΔW is divided by E[x²], column by column",
            lambda p, x, z, W: p.copi(x, z, W) / nonzero(mean_square(x))),
    _weight("weight-hebb-fixed-point", "E[z xᵀ] is divided by E[x²], column by column, and the decay is −W",
            lambda p, x, z, W: _hebb(p, x, z, W) / nonzero(_power(p, x, z)) - W),
    _weight("weight-full-rule", "ΔW = E[z xᵀ] E[x xᵀ]⁻¹ − W: the rule for inputs that are not decorrelated (Eq. 2)",
            lambda p, x, z, W: _hebb(p, x, z, W) / _sum_of_one(p, x) @ np.linalg.pinv(mean_outer(x, x)) - W),
    *(_weight(f"weight-full-rule-damped-{damping:g}", f"ΔW = E[z xᵀ] (E[x xᵀ] + {damping:g} I)⁻¹ − W",
              _damped_full_rule(damping)) for damping in _DAMPINGS),
    _weight("weight-z-for-x-in-w", "W x for z: the target has no effect", lambda p, x, z, W: p.copi(x, x @ W.mT, W)),
    _weight("weight-error-for-z", "z − W x for z, beside the decay", lambda p, x, z, W: p.copi(x, z - x @ W.mT, W)),
)  # fmt: skip


def _sgd(name: str, says: str, wrong: Callable[[Pieces, HostArray, HostArray], HostArray]) -> Variant:
    """A wrong ``(pieces, x, δ) -> ΔW`` in place of E[δ xᵀ]."""
    return Variant(name, says, lambda p: p.with_changes(sgd=lambda x, delta: wrong(p, x, delta)))


def _adjusted_sgd(adjustment: Adjustment) -> Variant:
    def wrong(p: Pieces, x: HostArray, delta: HostArray) -> HostArray:
        return adjustment.wrong(p.sgd, x, delta, p.conventions.reduction == "sum")

    return _sgd(*named("sgd", adjustment, "ΔW"), wrong)


SGD_VARIANTS = (
    *(_adjusted_sgd(adjustment) for adjustment in ADJUSTMENTS if "sgd" in adjustment.places),
    _sgd("sgd-normalised", "ΔW is divided by E[x²], column by column",
         lambda p, x, d: p.sgd(x, d) / nonzero(mean_square(x))),
    _sgd("sgd-natural", "ΔW is multiplied with E[x xᵀ]⁻¹",
         lambda p, x, d: p.sgd(x, d) @ np.linalg.pinv(mean_outer(x, x))),
    *(_sgd(f"sgd-natural-damped-{damping:g}", f"ΔW is multiplied with (E[x xᵀ] + {damping:g} I)⁻¹",
           _damped_sgd(damping)) for damping in _DAMPINGS),
)  # fmt: skip
