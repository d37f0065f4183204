"""Wrong lateral updates ΔR by the rules of the follow-up papers: whitening, a kept diagonal with its gain, a part drawn.

Each has a meaning only under a rule that has what it changes. v = E[x²] − 1.
"""

from collections.abc import Callable

import numpy as np

from copi_ref.arrays.backend import HostArray
from copi_ref.kept_diagonal import first
from copi_ref.oracle.contract.conventions import WHITENING, Conventions
from copi_ref.oracle.contract.lateral import excess_power, gain_of
from copi_ref.oracle.contract.pieces import Pieces, reduced, restored
from copi_ref.oracle.naming.catalogue.arrays import centred, nonzero
from copi_ref.oracle.naming.catalogue.moments import mean_outer, mean_square
from copi_ref.oracle.naming.catalogue.variant import Variant

Of = Callable[[Conventions], bool]


def _where(of: Of, name: str, says: str, change: Callable[[Pieces], Pieces]) -> Variant:
    """A variant that has a meaning under some conventions only."""
    return Variant(name, says, lambda p: change(p) if of(p.conventions) else None)


def _by(*rules: str) -> Of:
    return lambda conventions: conventions.lateral_rule in rules


_whitens = _by(*WHITENING)
_is_triangular = _by("whitening-triangular")
_is_normalized = _by("whitening-normalized")


# --- whitening --------------------------------------------------------------------------------------------------------


def _weighted(of: Of, name: str, says: str, coupling: Callable[..., float], power: Callable[..., float]) -> Variant:
    """Factors ``(κ, K)`` on both parts beside the right ones: what multiplies C_off, and what multiplies v."""

    def change(p: Pieces) -> Pieces:
        kappa = float(p.conventions.kappa)
        return p.with_changes(
            weighted=lambda x, A: coupling(kappa, x.shape[1]) * p.weighted(x, A),
            restored=lambda x, R: power(kappa, x.shape[1]) * np.asarray(p.restored(x, R)),
        )

    return _where(of, name, says, change)


def _one(kappa: float, K: int) -> float:
    return 1.0


def _ratio(kappa: float) -> float:
    return kappa / (1 - kappa) if kappa < 1 else np.inf


def _with_v(name: str, says: str, v: Callable[[HostArray], HostArray]) -> Variant:
    """Something else for v."""
    return _where(_whitens, name, says, lambda p: p.with_changes(
        restored=lambda x, R: restored(p.conventions, x, v(x), R)))  # fmt: skip


def _with_R_of_v(name: str, says: str, R_of: Callable[[HostArray], HostArray], of: Of = _whitens) -> Variant:
    """Something else for R beside v."""
    return _where(of, name, says, lambda p: p.with_changes(
        restored=lambda x, R: np.asarray(p.restored(x, R_of(R)))))  # fmt: skip


def _transposed_beside_v(p: Pieces) -> Pieces:
    return p.with_changes(restored=lambda x, R: np.asarray(p.restored(x, R.mT)).mT)


def _with_triangle(name: str, says: str, T: Callable[[HostArray], HostArray]) -> Variant:
    """Another ``C -> T`` for √i C_ij, j < i."""
    return _where(_is_triangular, name, says, lambda p: p.with_changes(
        product=lambda x, R: reduced(p.conventions, x, T(mean_outer(x, x)) @ R)))  # fmt: skip


def _i(C: HostArray) -> HostArray:
    return np.arange(len(C), dtype=float)[:, None]


OF_WHITENING = (
    _weighted(_whitens, "lateral-kappa-swapped", "κ and 1 − κ are exchanged",
              lambda k, K: _ratio(k), lambda k, K: _ratio(1 - k)),
    _weighted(_whitens, "lateral-kappa-not-on-coupling", "C_off is not multiplied by 1 − κ",
              lambda k, K: 1 / nonzero(np.float64(1 - k)), _one),
    _weighted(_whitens, "lateral-kappa-not-on-power", "v is not multiplied by κ",
              _one, lambda k, K: 1 / nonzero(np.float64(k))),
    _weighted(_whitens, "lateral-kappa-for-one-minus-kappa", "κ multiplies C_off too, where 1 − κ has to",
              lambda k, K: _ratio(k), _one),
    _weighted(_whitens, "lateral-power-sign", "v has the wrong sign", _one, lambda k, K: -1),
    _weighted(_whitens, "lateral-no-power", "v is missing: only C_off is driven to 0", _one, lambda k, K: 0),
    _weighted(_whitens, "lateral-power-doubled", "v counts twice: as the gradient of v² has it", _one, lambda k, K: 2),
    _with_v("lateral-power-without-1", "E[x²] for v = E[x²] − 1: every power is driven to 0", mean_square),
    _with_v("lateral-power-of-variance", "the variance of x, less 1, for v", lambda x: mean_square(centred(x)) - 1),
    _with_v("lateral-power-root", "√E[x²] − 1 for v", lambda x: np.sqrt(mean_square(x)) - 1),
    _with_v("lateral-power-signs", "the sign of v for v", lambda x: np.sign(excess_power(x))),
    _with_v("lateral-power-squared", "v² for v", lambda x: excess_power(x) ** 2),
    _with_v("lateral-power-mean", "the mean of v over inputs for v", lambda x: excess_power(x).mean() + 0 * x[0]),
    _where(_by("whitening-normalized", "whitening-triangular"), "lateral-power-on-rows",
           "v scales the rows of R, and not its columns", _transposed_beside_v),
    _with_R_of_v("lateral-power-without-R", "v is not multiplied with R", lambda R: np.eye(len(R))),
    _with_R_of_v("lateral-power-on-diagonal-of-R", "v scales only the diagonal of R", lambda R: np.diag(np.diag(R))),
    _with_R_of_v("lateral-power-of-R-transposed", "v is multiplied with Rᵀ", lambda R: R.mT),
    _weighted(_is_normalized, "lateral-normalized-without-others", "C_off is not divided by K − 1",
              lambda k, K: max(K - 1, 1), _one),
    _weighted(_is_normalized, "lateral-normalized-over-inputs", "C_off is divided by K, and not by K − 1",
              lambda k, K: max(K - 1, 1) / K, _one),
    _weighted(_is_normalized, "lateral-normalized-over-pairs", "C_off is divided by K (K − 1), and not by K − 1",
              lambda k, K: 1 / K, _one),
    _weighted(_is_normalized, "lateral-normalized-over-half", "C_off is divided by (K − 1)/2, and not by K − 1",
              lambda k, K: 2, _one),
    _weighted(_is_normalized, "lateral-normalized-without-2", "the factor 2 of v is missing", _one, lambda k, K: 1 / 2),
    _weighted(_is_normalized, "lateral-normalized-2-on-both", "the factor 2 is on C_off too", lambda k, K: 2, _one),
    _weighted(_is_normalized, "lateral-normalized-power-too", "v is divided by K − 1 too",
              _one, lambda k, K: 1 / max(K - 1, 1)),
    _with_triangle("lateral-triangle-from-1", "√i counts rows from 1, and not from 0",
                   lambda C: np.sqrt(_i(C) + 1) * np.tril(C, -1)),
    _with_triangle("lateral-triangle-upper", "the upper triangle of E[x xᵀ] for the lower one",
                   lambda C: np.sqrt(_i(C)) * np.triu(C, 1)),
    _with_triangle("lateral-triangle-without-root", "i for √i", lambda C: _i(C) * np.tril(C, -1)),
    _with_triangle("lateral-triangle-unscaled", "the triangle is not multiplied by √i", lambda C: np.tril(C, -1)),
    _with_triangle("lateral-triangle-divided", "the triangle is divided by √i, and not multiplied by it",
                   lambda C: np.tril(C, -1) / nonzero(np.sqrt(_i(C)))),
    _with_triangle("lateral-triangle-of-columns", "√j of the column for √i of the row",
                   lambda C: np.sqrt(_i(C)).mT * np.tril(C, -1)),
    _with_triangle("lateral-triangle-with-diagonal", "the triangle of E[x xᵀ] has its diagonal",
                   lambda C: np.sqrt(_i(C)) * np.tril(C)),
    _with_triangle("lateral-triangle-both", "√i C_off: both triangles are taken",
                   lambda C: np.sqrt(_i(C)) * (C - np.diag(np.diag(C)))),
)  # fmt: skip


# --- a kept diagonal, and the gain ------------------------------------------------------------------------------------

_keeps = _by("kept-diagonal")


def _gains(conventions: Conventions) -> bool:
    return conventions.lateral_gain != "none"


def _count(conventions: Conventions, x: HostArray) -> int:
    """⌊N share⌋, without the 1 that is added."""
    return int(len(x) * conventions.share)


def _of_samples(
    name: str, says: str, samples: Callable[[Conventions, HostArray], HostArray], of_rule: bool = True
) -> Variant:
    """Others than the first samples, for the rule and for the gain where there is one."""

    def change(p: Pieces) -> Pieces | None:
        conventions = p.conventions
        if not (of_rule and _keeps(conventions)) and not _gains(conventions):
            return None

        def product(x: HostArray, R: HostArray) -> HostArray:
            taken = samples(conventions, x)
            return np.asarray(reduced(conventions, taken, R @ mean_outer(taken, taken)))

        every = Conventions(share=1, lateral_gain="norms")
        changes: dict[str, Callable[..., HostArray]] = {}
        if of_rule and _keeps(conventions):
            changes["product"] = product
        if _gains(conventions):
            changes["gain"] = lambda y, x: gain_of(every)(samples(conventions, y), samples(conventions, x))
        return p.with_changes(**changes)

    return Variant(name, says, change)


def _without_its_diagonal(p: Pieces) -> Pieces:
    def decay(x: HostArray, R: HostArray) -> HostArray:
        taken = first(x, p.conventions.share)
        return np.asarray(reduced(p.conventions, taken, R * mean_square(taken)))

    return p.with_changes(decay=decay)


def _with_gain(name: str, says: str, gain: Callable[[HostArray, HostArray], HostArray]) -> Variant:
    """Another gain, of the first samples of y and x."""

    def change(p: Pieces) -> Pieces:
        share = p.conventions.share
        return p.with_changes(gain=lambda y, x: np.asarray(gain(first(y, share), first(x, share))))

    return _where(_gains, name, says, change)


def _norms(x: HostArray, epsilon: float = 0.0) -> HostArray:
    return np.sqrt(np.sum(x * x, axis=1) + epsilon)


_EPSILON = 1e-8
"""That of the gain."""


def _regaining(name: str, says: str, regained: Callable[..., HostArray]) -> Variant:
    """Another way to put the gain and the step together, ``(pieces, y, x, drawn x, R, η)``."""
    return _where(_gains, name, says, lambda p: p.with_changes(regained=regained))


def _gain_of_new_R(p: Pieces, y: HostArray, x: HostArray, taken: HostArray, R: HostArray, eta: float) -> HostArray:
    new = R + eta * p.lateral(taken, R)
    return np.asarray(p.gain(y, y @ new.mT) * new - R)


OF_KEPT_DIAGONAL = (
    _where(_keeps, "lateral-kept-diagonal-taken-out", "the diagonal of E[x xᵀ] is taken out, where it has to stay",
           _without_its_diagonal),
    _of_samples("lateral-first-all", "all samples of the batch are taken, and not the first of them",
                lambda c, x: x),
    _of_samples("lateral-first-last", "the last samples of the batch are taken, and not the first",
                lambda c, x: x[-_count(c, x) - 1 :]),
    _of_samples("lateral-first-without-1", "⌊N share⌋ samples are taken, but one at least, and not ⌊N share⌋ + 1",
                lambda c, x: x[: max(_count(c, x), 1)]),
    _of_samples("lateral-first-one", "the first sample is all that is taken", lambda c, x: x[:1]),
    _of_samples("lateral-first-every", "every so many samples one is taken, and not the first of the batch",
                lambda c, x: x[:: max(1, len(x) // (_count(c, x) + 1))][: _count(c, x) + 1]),
    _of_samples("lateral-gain-of-all-samples", "the gain is that of the whole batch", lambda c, x: x, of_rule=False),
    _regaining("lateral-gain-missing", "the gain is missing",
               lambda p, y, x, taken, R, eta: eta * p.lateral(taken, R)),
    _regaining("lateral-gain-after", "R is stepped first, and multiplied by the gain of the new R",
               _gain_of_new_R),
    _regaining("lateral-gain-beside-step", "the gain multiplies R, and not R in its step",
               lambda p, y, x, taken, R, eta: p.gain(y, x) * R - R + eta * p.lateral(taken, R)),
    _regaining("lateral-gain-in-step-only", "the gain multiplies the step of R, and not R",
               lambda p, y, x, taken, R, eta: eta * p.lateral(taken, p.gain(y, x) * R)),
    _regaining("lateral-gain-with-new-x", "the step sees g x, as the gained R makes it",
               lambda p, y, x, taken, R, eta: p.gain(y, x) * R - R
               + eta * p.lateral(p.gain(y, x) * taken, p.gain(y, x) * R)),
    _with_gain("lateral-gain-of-means", "the gain is a ratio of mean norms, and not the mean of their ratios",
               lambda y, x: _norms(y).mean() / _norms(x, _EPSILON).mean()),
    _with_gain("lateral-gain-of-powers", "the gain is √(E‖y‖²/E‖x‖²), and not the mean of ratios of norms",
               lambda y, x: np.sqrt(np.sum(y * y) / (np.sum(x * x) or 1))),
    _with_gain("lateral-gain-inverse", "the gain is E[‖x‖/‖y‖]: upside down",
               lambda y, x: np.mean(_norms(x) / np.sqrt(np.sum(y * y, axis=1) + _EPSILON))),
    _with_gain("lateral-gain-squared", "the gain is E[‖y‖²/‖x‖²]: the roots are missing",
               lambda y, x: np.mean(np.sum(y * y, axis=1) / (np.sum(x * x, axis=1) + _EPSILON))),
    _with_gain("lateral-gain-of-centred-y", "y is centred for the gain",
               lambda y, x: np.mean(_norms(centred(y)) / _norms(x, _EPSILON))),
    _with_gain("lateral-gain-of-sums", "the gain has Σ|y|/Σ|x| for norms",
               lambda y, x: np.mean(np.sum(np.abs(y), axis=1) / (np.sum(np.abs(x), axis=1) + _EPSILON))),
    _with_gain("lateral-gain-of-inputs", "the gain is a vector: norms are over samples, and not over inputs",
               lambda y, x: np.sqrt(np.mean(y * y, axis=0)) / np.sqrt(np.mean(x * x, axis=0) + _EPSILON)),
    _with_gain("lateral-gain-epsilon-beside-root", "1e-8 is added to ‖x‖, and not to ‖x‖² under the root",
               lambda y, x: np.mean(_norms(y) / (_norms(x) + _EPSILON))),
    _with_gain("lateral-gain-without-epsilon", "1e-8 is missing under the root of the gain",
               lambda y, x: np.mean(_norms(y) / nonzero(_norms(x)))),
)  # fmt: skip


# --- samples that are drawn -------------------------------------------------------------------------------------------


def _draws(conventions: Conventions) -> bool:
    return conventions.subsampled


def _drawing(name: str, says: str, drawn: Callable[[HostArray, HostArray], HostArray]) -> Variant:
    """Others than the samples that were drawn, ``(x, indices) -> x``."""
    return _where(_draws, name, says, lambda p: p.with_changes(drawn=drawn))


def _over_whole_batch(x: HostArray, indices: HostArray) -> HostArray:
    """A sum over what is drawn, over N: as if each sample had √(n/N) of its size."""
    return np.asarray(x[indices] * np.sqrt(len(indices) / len(x)))


OF_DRAWN = (
    _drawing("lateral-drawn-once", "a sample that is drawn twice counts once", lambda x, indices: x[np.unique(indices)]),
    _drawing("lateral-drawn-first", "as many samples as are drawn are taken from the beginning of the batch",
             lambda x, indices: x[: len(indices)]),
    _drawing("lateral-drawn-others", "the samples that are not drawn are taken, where there are some",
             lambda x, indices: np.delete(x, indices, axis=0) if len({*indices.tolist()}) < len(x) else x),
    _drawing("lateral-drawn-over-batch", "what is drawn is divided by N, and not by how many are drawn",
             _over_whole_batch),
    _drawing("lateral-drawn-from-1", "indices are taken to count from 1", lambda x, indices: x[indices - 1]),
    _drawing("lateral-drawn-mean", "the mean of the samples that are drawn is taken for a sample",
             lambda x, indices: x[indices].mean(axis=0, keepdims=True)),
)  # fmt: skip

FOLLOW_UP_VARIANTS = (*OF_WHITENING, *OF_KEPT_DIAGONAL, *OF_DRAWN)
