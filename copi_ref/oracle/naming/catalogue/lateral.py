"""Wrong lateral updates ΔR (Eq. 4, 6)."""

from collections.abc import Callable

import numpy as np

from copi_ref.arrays.backend import HostArray
from copi_ref.oracle.contract.pieces import Pieces, reduced
from copi_ref.oracle.naming.catalogue.moments import (
    C_off,
    centred,
    mean_outer,
    mean_square,
    n_minus_1,
    per,
    unit_power,
    without_diagonal,
    without_last,
)
from copi_ref.oracle.naming.catalogue.variant import Variant


def _lateral(name: str, says: str, wrong: Callable[[HostArray, HostArray, "_Product"], HostArray]) -> Variant:
    """A wrong ``(x, R) -> ΔR``; `wrong` gets the product of the lateral rule, C R, R C or the symmetric part of C R."""

    def change(p: Pieces) -> Pieces:
        product = _PRODUCTS[p.conventions.lateral_rule]
        return p.with_changes(lateral=lambda x, R: reduced(p.conventions, x, wrong(x, R, product)))

    return Variant(name, says, change)


_Product = Callable[[HostArray, HostArray], HostArray]

_PRODUCTS: dict[str, _Product] = {
    "left": lambda C, R: C @ R,
    "right": lambda C, R: R @ C,
    "symmetric": lambda C, R: (C @ R + (C @ R).mT) / 2,
}

LATERAL_VARIANTS = (
    _lateral("lateral-sign", "ΔR has the wrong sign", lambda x, R, times: times(C_off(x), R)),
    _lateral("lateral-diagonal", "the diagonal of E[x xᵀ] is left in", lambda x, R, times: -times(mean_outer(x, x), R)),
    _lateral(
        "lateral-only-diagonal",
        "the diagonal of E[x xᵀ] is all that is taken",
        lambda x, R, times: -times(np.diag(mean_square(x)), R),
    ),
    _lateral(
        "lateral-diagonal-sign",
        "diag(E[x²]) is added and not taken away",
        lambda x, R, times: -times(mean_outer(x, x) + np.diag(mean_square(x)), R),
    ),
    _lateral("lateral-no-R", "ΔR is −C_off: the product with R is missing", lambda x, R, times: -C_off(x)),
    _lateral("lateral-R-transposed", "R is transposed in ΔR", lambda x, R, times: -times(C_off(x), R.mT)),
    _lateral(
        "lateral-R-transposed-in-product",
        "R is transposed where it multiplies E[x xᵀ], and not where it multiplies diag(E[x²])",
        lambda x, R, times: -(times(mean_outer(x, x), R.mT) - times(np.diag(mean_square(x)), R)),
    ),
    _lateral(
        "lateral-R-missing-in-product",
        "R is missing where it multiplies E[x xᵀ]",
        lambda x, R, times: -(mean_outer(x, x) - times(np.diag(mean_square(x)), R)),
    ),
    _lateral(
        "lateral-R-missing-in-decay",
        "R is missing where it multiplies diag(E[x²])",
        lambda x, R, times: -(times(mean_outer(x, x), R) - np.diag(mean_square(x))),
    ),
    _lateral(
        "lateral-R-transposed-in-decay",
        "R is transposed where it multiplies diag(E[x²])",
        lambda x, R, times: -(times(mean_outer(x, x), R) - times(np.diag(mean_square(x)), R.mT)),
    ),
    _lateral("lateral-elementwise", "R and C_off are multiplied elementwise", lambda x, R, times: -R * C_off(x)),
    _lateral(
        "lateral-symmetrised",
        "the symmetric part of ΔR is taken",
        lambda x, R, times: -(times(C_off(x), R) + times(C_off(x), R).mT) / 2,
    ),
    _lateral(
        "lateral-antisymmetric",
        "the antisymmetric part of −C_off R is taken",
        lambda x, R, times: -(C_off(x) @ R - (C_off(x) @ R).mT) / 2,
    ),
    Variant("lateral-only-transpose", "ΔR is −(C_off R)ᵀ, without −C_off R", lambda p: _only_transpose(p)),
    _lateral(
        "lateral-diagonal-from-rows",
        "diag(E[x²]) is taken from every row of E[x xᵀ], not from its diagonal",
        lambda x, R, times: -times(mean_outer(x, x) - mean_square(x), R),
    ),
    _lateral(
        "lateral-of-outputs",
        "E[q qᵀ] of q = R x for E[q xᵀ]",
        lambda x, R, times: -(mean_outer(x @ R.mT, x @ R.mT) - times(np.diag(mean_square(x)), R)),
    ),
    _lateral(
        "lateral-of-projections",
        "E[p pᵀ] of p = Rᵀ x for E[x pᵀ]",
        lambda x, R, times: -(mean_outer(x @ R, x @ R) - times(np.diag(mean_square(x)), R)),
    ),
    _lateral("lateral-transposed", "ΔR is transposed", lambda x, R, times: -times(C_off(x), R).mT),
    _lateral("lateral-covariance", "x is centred: covariance for E[x xᵀ]", lambda x, R, t: -t(C_off(centred(x)), R)),
    _lateral(
        "lateral-sample-covariance",
        "x is centred, and ΔR divides by N − 1: the sample covariance for E[x xᵀ]",
        lambda x, R, times: -times(C_off(centred(x)), R) * n_minus_1(x),
    ),
    _lateral(
        "lateral-pearson",
        "x is centred and scaled to variance 1: correlation coefficients for E[x xᵀ]",
        lambda x, R, times: -times(C_off(unit_power(centred(x))), R),
    ),
    _lateral("lateral-correlation", "x is scaled to E[x²] = 1 first", lambda x, R, t: -t(C_off(unit_power(x)), R)),
    _lateral(
        "lateral-n-minus-1", "ΔR divides by N − 1 instead of N", lambda x, R, times: -times(C_off(x), R) * n_minus_1(x)
    ),
    _lateral("lateral-over-n-again", "ΔR is divided by N twice", lambda x, R, times: -times(C_off(x), R) / len(x)),
    _lateral("lateral-times-n", "ΔR is multiplied by N, not divided", lambda x, R, t: -t(C_off(x), R) * len(x) ** 2),
    _lateral(
        "lateral-product-times-n",
        "x xᵀ is multiplied by N, not divided, where the decay is a mean",
        lambda x, R, times: -times(mean_outer(x, x) * len(x) ** 2 - np.diag(mean_square(x)), R),
    ),
    _lateral(
        "lateral-decay-times-n",
        "x² is multiplied by N, not divided, in the decay",
        lambda x, R, times: -times(mean_outer(x, x) - np.diag(mean_square(x)) * len(x) ** 2, R),
    ),
    _lateral(
        "lateral-product-sum",
        "x xᵀ is summed over samples, where the decay is a mean",
        lambda x, R, times: -times(mean_outer(x, x) * len(x) - np.diag(mean_square(x)), R),
    ),
    _lateral(
        "lateral-product-over-n-again",
        "E[x xᵀ] is divided by N twice",
        lambda x, R, times: -times(mean_outer(x, x) / len(x) - np.diag(mean_square(x)), R),
    ),
    _lateral(
        "lateral-product-over-inputs",
        "x xᵀ is divided by K instead of N, where the decay is a mean",
        lambda x, R, times: -times(per(x, x, mean_outer(x, x)) - np.diag(mean_square(x)), R),
    ),
    _lateral(
        "lateral-decay-over-inputs",
        "x² is divided by K instead of N in the decay",
        lambda x, R, times: -times(mean_outer(x, x) - np.diag(per(x, x, mean_square(x))), R),
    ),
    _lateral(
        "lateral-decay-of-R",
        "the decay has E[R²] for E[x²]",
        lambda x, R, times: -(times(mean_outer(x, x), R) - times(np.diag(np.mean(R * R, axis=0)), R)),
    ),
    _lateral(
        "lateral-decay-of-outputs",
        "the decay has E[(R x)²] for E[x²]",
        lambda x, R, times: -(times(mean_outer(x, x), R) - times(np.diag(mean_square(x @ R.mT)), R)),
    ),
    _lateral(
        "lateral-decay-of-projections",
        "the decay has E[(Rᵀ x)²] for E[x²]",
        lambda x, R, times: -(times(mean_outer(x, x), R) - times(np.diag(mean_square(x @ R)), R)),
    ),
    _lateral("lateral-decay-added", "E[x²] is added to R in the decay, not multiplied", lambda x, R, times: -(
        times(mean_outer(x, x), R) - (_beside(x, times) + R)
    )),
    _lateral("lateral-decay-subtracted", "R is taken from E[x²] in the decay, or E[x²] from R", lambda x, R, times: -(
        times(mean_outer(x, x), R) - _signed(times) * (_beside(x, times) - R)
    )),
    _lateral("lateral-decay-divided", "R is divided by E[x²] in the decay, or E[x²] by R", lambda x, R, times: -(
        times(mean_outer(x, x), R) - (R / _beside(x, times) if times is _PRODUCTS["right"] else _beside(x, times) / R)
    )),
    _lateral("lateral-terms-multiplied", "E[x xᵀ] R and the decay are multiplied", lambda x, R, times: -(
        times(mean_outer(x, x), R) * times(np.diag(mean_square(x)), R)
    )),
    _lateral("lateral-terms-divided", "E[x xᵀ] R is divided by the decay", lambda x, R, times: -(
        times(mean_outer(x, x), R) / times(np.diag(mean_square(x)), R)
    )),
    _lateral(
        "lateral-mean-over-inputs", "ΔR is divided by K instead of N", lambda x, R, t: per(x, x, -t(C_off(x), R))
    ),
    _lateral(
        "lateral-diagonal-of-product",
        "the diagonal of the product with R is set to 0, not that of E[x xᵀ]",
        lambda x, R, times: -without_diagonal(times(mean_outer(x, x), R)),
    ),
    _lateral(
        "lateral-no-self-update", "the diagonal of ΔR is set to 0", lambda x, R, t: -without_diagonal(t(C_off(x), R))
    ),
    _lateral(
        "lateral-diagonal-other-side",
        "diag(E[x²]) multiplies R from the other side than E[x xᵀ]",
        lambda x, R, times: -(times(mean_outer(x, x), R) - times(np.diag(mean_square(x)), R.mT).mT),
    ),
    _lateral(
        "lateral-both-sides", "C_off multiplies R from both sides", lambda x, R, t: -(C_off(x) @ R @ C_off(x))
    ),
    _lateral(
        "lateral-whitening",
        "E[x xᵀ] − I for C_off: it whitens",
        lambda x, R, times: -times(mean_outer(x, x) - np.eye(len(R)), R),
    ),
    _lateral(
        "lateral-lower-triangle", "only the lower triangle of C_off is used", lambda x, R, t: -t(np.tril(C_off(x)), R)
    ),
    _lateral(
        "lateral-upper-triangle", "only the upper triangle of C_off is used", lambda x, R, t: -t(np.triu(C_off(x)), R)
    ),
    _lateral(
        "lateral-outer-of-means",
        "E[x] E[x]ᵀ for E[x xᵀ]: the mean is taken before the product",
        lambda x, R, times: -times(without_diagonal(np.outer(x.mean(axis=0), x.mean(axis=0))), R),
    ),
    _lateral(
        "lateral-decay-square-of-mean",
        "the decay has E[x]² for E[x²]",
        lambda x, R, times: -times(mean_outer(x, x) - np.diag(x.mean(axis=0) ** 2), R),
    ),
    _lateral(
        "lateral-decay-variance",
        "the decay has the variance of x for E[x²]",
        lambda x, R, times: -times(mean_outer(x, x) - np.diag(mean_square(centred(x))), R),
    ),
    _lateral(
        "lateral-decay-total-power",
        "the decay has ΣE[x_j²], one number for all inputs",
        lambda x, R, times: -times(mean_outer(x, x) - np.eye(len(R)) * mean_square(x).sum(), R),
    ),
    _lateral(
        "lateral-decay-mean-power",
        "the decay has the mean of E[x_j²] over inputs, one number for all",
        lambda x, R, times: -times(mean_outer(x, x) - np.eye(len(R)) * mean_square(x).mean(), R),
    ),
    _lateral(
        "lateral-decay-sum",
        "the decay is summed over samples, where E[x xᵀ] is a mean",
        lambda x, R, times: -times(mean_outer(x, x) - np.diag(mean_square(x)) * len(x), R),
    ),
    _lateral(
        "lateral-decay-over-n-again",
        "diag(E[x²]) is divided by N twice",
        lambda x, R, times: -times(mean_outer(x, x) - np.diag(mean_square(x)) / len(x), R),
    ),
    _lateral("lateral-last-sample", "only the last sample is used", lambda x, R, times: -times(C_off(x[-1:]), R)),
    _lateral("lateral-first-sample", "only the first sample is used", lambda x, R, times: -times(C_off(x[:1]), R)),
    _lateral(
        "lateral-misses-last-sample",
        "the last sample is left out of the sum",
        lambda x, R, times: -times(C_off(without_last(x)), R),
    ),
    _lateral(
        "lateral-misses-first-sample",
        "the first sample is left out of the sum",
        lambda x, R, times: -times(C_off(without_last(x[::-1])), R),
    ),
    _lateral("lateral-not-halved", "ΔR is the sum of C_off R and its transpose, not their mean", lambda x, R, t: -(
        C_off(x) @ R + (C_off(x) @ R).mT
    )),
)  # fmt: skip


def _only_transpose(p: Pieces) -> Pieces | None:
    if p.conventions.lateral_rule != "symmetric":
        return None  # −(C_off R)ᵀ = −Rᵀ C_off is `right` with Rᵀ for R
    return p.with_changes(lateral=lambda x, R: reduced(p.conventions, x, -(C_off(x) @ R).mT))


def _beside(x: HostArray, times: _Product) -> HostArray:
    """E[x²] as it stands beside R: along its rows for `right`, its columns otherwise."""
    return mean_square(x)[None, :] if times is _PRODUCTS["right"] else mean_square(x)[:, None]


def _signed(times: _Product) -> int:
    return -1 if times is _PRODUCTS["right"] else 1


def lateral_terms(p: Pieces, product: float, decay: float) -> Callable[[HostArray, HostArray], HostArray]:
    """Return ``(x, R) -> ΔR`` with factors on its two terms, E[x xᵀ] and diag(E[x²]); the right ones are 1."""
    times = _PRODUCTS[p.conventions.lateral_rule]

    def update(x: HostArray, R: HostArray) -> HostArray:
        terms = product * mean_outer(x, x) - decay * np.diag(mean_square(x))
        return np.asarray(reduced(p.conventions, x, -times(terms, R)))

    return update
