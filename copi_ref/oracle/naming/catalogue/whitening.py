"""Wrong lateral updates ΔR by the whitening rules: v = E[x²] − 1, and κ shares ΔR between C_off and v."""

from collections.abc import Callable

import numpy as np

from copi_ref.arrays.backend import HostArray
from copi_ref.oracle.contract.conventions import WHITENING, Conventions
from copi_ref.oracle.contract.lateral import excess_power
from copi_ref.oracle.contract.pieces import Pieces, reduced, restored
from copi_ref.oracle.naming.catalogue.arrays import centred, nonzero
from copi_ref.oracle.naming.catalogue.moments import mean_outer, mean_square
from copi_ref.oracle.naming.catalogue.variant import Variant, by_rule, meant_for

_whitens = by_rule(*WHITENING)
_is_triangular = by_rule("whitening-triangular")
_is_normalized = by_rule("whitening-normalized")


def _weighted(
    of: Callable[[Conventions], bool], name: str, says: str, coupling: Callable[..., float], power: Callable[..., float]
) -> Variant:
    """Factors ``(κ, K)`` on both parts beside the right ones: what multiplies C_off, and what multiplies v."""

    def change(p: Pieces) -> Pieces:
        kappa = float(p.conventions.kappa)
        return p.with_changes(
            weighted=lambda x, A: coupling(kappa, x.shape[1]) * p.weighted(x, A),
            restored=lambda x, R: power(kappa, x.shape[1]) * np.asarray(p.restored(x, R)),
        )

    return meant_for(of, name, says, change)


def _one(kappa: float, K: int) -> float:
    return 1.0


def _ratio(kappa: float) -> float:
    return kappa / (1 - kappa) if kappa < 1 else np.inf


def _with_v(name: str, says: str, v: Callable[[HostArray], HostArray]) -> Variant:
    """Something else for v."""
    return meant_for(_whitens, name, says, lambda p: p.with_changes(
        restored=lambda x, R: restored(p.conventions, x, v(x), R)))  # fmt: skip


def _with_R_of_v(name: str, says: str, R_of: Callable[[HostArray], HostArray]) -> Variant:
    """Something else for R beside v."""
    return meant_for(_whitens, name, says, lambda p: p.with_changes(
        restored=lambda x, R: np.asarray(p.restored(x, R_of(R)))))  # fmt: skip


def _transposed_beside_v(p: Pieces) -> Pieces:
    return p.with_changes(restored=lambda x, R: np.asarray(p.restored(x, R.mT)).mT)


def _with_triangle(name: str, says: str, T: Callable[[HostArray], HostArray]) -> Variant:
    """Another ``C -> T`` for √i C_ij, j < i."""
    return meant_for(_is_triangular, name, says, lambda p: p.with_changes(
        product=lambda x, R: reduced(p.conventions, x, T(mean_outer(x, x)) @ R)))  # fmt: skip


def _i(C: HostArray) -> HostArray:
    return np.arange(len(C), dtype=float)[:, None]


WHITENING_VARIANTS = (
    _weighted(_whitens, "lateral-kappa-swapped", "κ and 1 − κ are exchanged",
              lambda k, K: _ratio(k), lambda k, K: _ratio(1 - k)),
    _weighted(_whitens, "lateral-kappa-not-on-coupling", "C_off is not multiplied by 1 − κ",
              lambda k, K: 1 / (1 - k or 1), _one),
    _weighted(_whitens, "lateral-kappa-not-on-power", "v is not multiplied by κ",
              _one, lambda k, K: 1 / (k or 1)),
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
    meant_for(by_rule("whitening-normalized", "whitening-triangular"), "lateral-power-on-rows",
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
    _weighted(_is_normalized, "lateral-normalized-over-half",
              "the factor 2 of v is on C_off too: it is divided by (K − 1)/2", lambda k, K: 2, _one),
    _weighted(_is_normalized, "lateral-normalized-without-2", "the factor 2 of v is missing", _one, lambda k, K: 1 / 2),
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
