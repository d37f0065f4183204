"""The lateral rules in pieces, in the library's own order of operations: a test holds that together they are its rules.

ΔR = −[weight · (product − decay) + restored]: the product of R with E[x xᵀ], what is taken away of it for the diagonal,
and what drives E[x²] to 1. The rules of the paper have neither a weight nor the last part, and `symmetric` is the
symmetric part of `left`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from copi_ref.arrays.backend import HostArray, namespace
from copi_ref.arrays.moments import mean_outer, mean_square
from copi_ref.arrays.products import apply
from copi_ref.kept_diagonal import NormGain, first
from copi_ref.oracle.contract.conventions import Conventions
from copi_ref.oracle.rounding import AnyArray, Tracked, tracked

Term = Callable[[AnyArray, AnyArray], AnyArray]


@dataclass(frozen=True)
class LateralTerms:
    """What a lateral rule is made of; all are means over samples.

    Args:
        product: ``(x, R) -> E[x xᵀ] R``, or R E[x xᵀ], or with another matrix for E[x xᵀ].
        decay: ``(x, R) -> diag(E[x²]) R``, or R diag(E[x²]); 0 where the diagonal stays, or was never there.
        weight: ``(κ, K)``: the factor on both.
        restored: ``(κ, v, R)`` with v = E[x²] − 1; None: nothing drives E[x²] to 1.
    """

    product: Term
    decay: Term
    weight: Callable[[Any, int], Any] = lambda kappa, K: 1
    restored: Callable[[Any, AnyArray, AnyArray], AnyArray] | None = None


def _left_product(x: AnyArray, R: AnyArray) -> AnyArray:
    return mean_outer(x, apply(R.mT, x))


def _left_decay(x: AnyArray, R: AnyArray) -> AnyArray:
    return mean_square(x, namespace(x))[..., :, None] * R


def _right_product(x: AnyArray, R: AnyArray) -> AnyArray:
    return mean_outer(apply(R, x), x)


def _right_decay(x: AnyArray, R: AnyArray) -> AnyArray:
    return R * mean_square(x, namespace(x))[..., None, :]


def _triangular_product(x: AnyArray, R: AnyArray) -> AnyArray:
    xp = namespace(x)
    root = xp.sqrt(xp.arange(x.shape[-1], dtype=x.dtype))
    return (root[:, None] * xp.tril(mean_outer(x, x), k=-1)) @ R


def _none(x: AnyArray, R: AnyArray) -> AnyArray:
    return 0 * R


LATERAL_TERMS: dict[str, LateralTerms] = {
    "left": LateralTerms(_left_product, _left_decay),
    "right": LateralTerms(_right_product, _right_decay),
    "symmetric": LateralTerms(_left_product, _left_decay),
    "whitening": LateralTerms(
        _left_product, _left_decay, lambda kappa, K: 1 - kappa, lambda kappa, v, R: kappa * R * v[..., None, :]
    ),
    "whitening-normalized": LateralTerms(
        _left_product,
        _left_decay,
        lambda kappa, K: (1 - kappa) / max(K - 1, 1),
        lambda kappa, v, R: 2 * kappa * R * v[..., None, :],
    ),
    "whitening-triangular": LateralTerms(
        _triangular_product, _none, lambda kappa, K: 1 - kappa, lambda kappa, v, R: kappa * R * v[..., None, :]
    ),
    "whitening-rows": LateralTerms(
        _left_product, _left_decay, lambda kappa, K: 1 - kappa, lambda kappa, v, R: kappa * v[..., :, None] * R
    ),
    "kept-diagonal": LateralTerms(_right_product, _none),
    "none": LateralTerms(_none, _none),
}

ON_THE_RIGHT = ("right", "kept-diagonal")
"""Rules in which E[x xᵀ] stands to the right of R."""


def kappa_of(conventions: Conventions, x: AnyArray) -> Any:
    """Return κ; beside Tracked arrays as one: 1 − κ may be computed in the format under test, of a rounded κ."""
    return tracked(float(conventions.kappa)) if isinstance(x, Tracked) else float(conventions.kappa)


def seen(conventions: Conventions, x: AnyArray) -> AnyArray:
    """Return the samples of x, or of what is drawn of it, that the rule takes."""
    return first(x, conventions.share) if conventions.lateral_rule == "kept-diagonal" else x


def weighted(conventions: Conventions, x: AnyArray, coupling: AnyArray) -> AnyArray:
    """Return product − decay with the rule's factor on it."""
    terms = LATERAL_TERMS[conventions.lateral_rule]
    if terms.restored is None:
        return coupling
    return terms.weight(kappa_of(conventions, x), x.shape[-1]) * coupling


def excess_power(x: AnyArray) -> AnyArray:
    """Return v = E[x²] − 1."""
    return mean_square(x, namespace(x)) - 1


def gain_of(conventions: Conventions) -> Callable[[AnyArray, AnyArray], AnyArray]:
    """Return the right gain, ``(y, x) -> g``; it is asked for only where the conventions have one."""
    return NormGain(conventions.share)


def has_no_gain(conventions: Conventions, y: HostArray) -> bool:
    """Whether the samples that the gain is taken from have y = 0.

    The gain is 0 then, and R for ever; the library makes it 1. No implementation is judged by that.
    """
    return not np.any(np.asarray(first(y, conventions.share)))


def is_exact(conventions: Conventions, of_networks: bool) -> bool:
    """Whether whole numbers can stay whole numbers: κ is a dyadic fraction, and there are no roots and no thirds.

    K − 1 is a power of two in some layers; in a network it would have to be one in each.
    """
    if conventions.lateral_gain != "none" or conventions.lateral_rule == "whitening-triangular":
        return False
    if LATERAL_TERMS[conventions.lateral_rule].restored is None:
        return True
    thirds = conventions.lateral_rule == "whitening-normalized" and of_networks
    return not thirds and float(conventions.kappa) * 2**10 == int(float(conventions.kappa) * 2**10)
