"""Wrong lateral updates ΔR (Eq. 4, 6)."""

from collections.abc import Callable

import numpy as np

from copi_ref.backend import HostArray
from copi_ref.oracle.catalogue.moments import (
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
from copi_ref.oracle.catalogue.variant import Variant
from copi_ref.oracle.pieces import Pieces, reduced


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
    _lateral("lateral-transposed", "ΔR is transposed", lambda x, R, times: -times(C_off(x), R).mT),
    _lateral("lateral-covariance", "x is centred: covariance for E[x xᵀ]", lambda x, R, t: -t(C_off(centred(x)), R)),
    _lateral("lateral-correlation", "x is scaled to E[x²] = 1 first", lambda x, R, t: -t(C_off(unit_power(x)), R)),
    _lateral(
        "lateral-n-minus-1", "ΔR divides by N − 1 instead of N", lambda x, R, times: -times(C_off(x), R) * n_minus_1(x)
    ),
    _lateral("lateral-over-n-again", "ΔR is divided by N twice", lambda x, R, times: -times(C_off(x), R) / len(x)),
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
