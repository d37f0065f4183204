"""Lateral rules that also drive E[x²] to 1: decorrelated backpropagation (Dalm et al. 2024, arXiv 2405.02385).

As their authors run them, in the notation of `copi_ref.decorrelation`: C = E[x xᵀ], C_off = C − diag(E[x²]), and
v = E[x²] − 1. All of them rest where C = I. Their text was not at hand: what is written here is what is known of their
published code.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from copi_ref.arrays import checks
from copi_ref.arrays.backend import Array, Namespace, device_of
from copi_ref.arrays.moments import mean_outer, mean_square, off_diagonal_times


def _parts(kappa: Any, x: Array, R: Array) -> tuple[Any, Array, Namespace]:
    """Check the arrays, and return κ, v and the namespace."""
    xp = checks.arrays(x=(x, "NK"), R=(R, "KK"))
    return checks.coefficient("kappa", kappa, x), mean_square(x, xp) - 1, xp


@dataclass(frozen=True)
class Whitening:
    """ΔR = −[(1 − κ) C_off R + κ R diag(v)]: v scales the columns of R.

    κ = 0 is `left`: it decorrelates. κ = 1 only drives E[x²] to 1. Between them it rests where C = I, but not only
    there: also where the columns of R are eigenvectors of C_off, with −κ/(1 − κ) v as eigenvalues. Inputs of deficient
    rank can't be whitened. Called as ``Whitening(kappa)(x, R)``; it can be a recipe's `lateral_rule`.

    Args:
        kappa: κ in [0, 1]; in exact mode an int or a Fraction. The default is the authors'.

    Raises:
        TypeError: κ is no number.
        ValueError: κ is not in [0, 1].
    """

    kappa: float | Fraction = Fraction(1, 1000)

    def __post_init__(self) -> None:
        checks.one_number("kappa", self.kappa, minimum=0, maximum=1)

    def __call__(self, x: Array, R: Array) -> Array:
        """Return ΔR, (…, K, K), from x (…, N, K) and R (…, K, K); errors as `decorrelation_update`."""
        kappa, v, xp = _parts(self.kappa, x, R)
        return -((1 - kappa) * off_diagonal_times(x, R, xp) + kappa * R * v[..., None, :])


@dataclass(frozen=True)
class NormalizedWhitening:
    """ΔR = −[(1 − κ)/(K − 1) C_off R + 2κ R diag(v)]: `Whitening` with both parts per pair of units, and per unit.

    Arguments and errors as `Whitening`. Of a single unit there is no pair.
    """

    kappa: float | Fraction = Fraction(1, 1000)

    def __post_init__(self) -> None:
        checks.one_number("kappa", self.kappa, minimum=0, maximum=1)

    def __call__(self, x: Array, R: Array) -> Array:
        """Return ΔR, (…, K, K), from x (…, N, K) and R (…, K, K); errors as `decorrelation_update`."""
        kappa, v, xp = _parts(self.kappa, x, R)
        return -((1 - kappa) / max(x.shape[-1] - 1, 1) * off_diagonal_times(x, R, xp) + 2 * kappa * R * v[..., None, :])


@dataclass(frozen=True)
class TriangularWhitening:
    """ΔR = −[(1 − κ) T R + κ R diag(v)], T_ij = √i C_ij for j < i and 0 elsewhere, i from 0.

    A unit takes away what the units before it have, and none of the others. Arguments and errors as `Whitening`; not
    rational.
    """

    kappa: float | Fraction = Fraction(1, 1000)

    def __post_init__(self) -> None:
        checks.one_number("kappa", self.kappa, minimum=0, maximum=1)

    def __call__(self, x: Array, R: Array) -> Array:
        """Return ΔR, (…, K, K), from x (…, N, K) and R (…, K, K); errors as `decorrelation_update`, or exact arrays."""
        kappa, v, xp = _parts(self.kappa, x, R)
        checks.not_exact("TriangularWhitening", x)
        root = xp.sqrt(xp.arange(x.shape[-1], dtype=x.dtype, device=device_of(x)))
        T = root[:, None] * xp.tril(mean_outer(x, x), k=-1)
        return -((1 - kappa) * (T @ R) + kappa * R * v[..., None, :])


@dataclass(frozen=True)
class RowWhitening:
    """ΔR = −[(1 − κ) C_off + κ diag(v)] R: v scales the rows of R.

    So it stood in older code of the authors. With κ = ½ it is −½ (C − I) R, and with 0 < κ < 1 and a regular R it rests
    where C = I, and nowhere else. For inputs of deficient rank R grows without bound.

    Arguments and errors as `Whitening`; the default κ is this library's.
    """

    kappa: float | Fraction = Fraction(1, 2)

    def __post_init__(self) -> None:
        checks.one_number("kappa", self.kappa, minimum=0, maximum=1)

    def __call__(self, x: Array, R: Array) -> Array:
        """Return ΔR, (…, K, K), from x (…, N, K) and R (…, K, K); errors as `decorrelation_update`."""
        kappa, v, xp = _parts(self.kappa, x, R)
        return -((1 - kappa) * off_diagonal_times(x, R, xp) + kappa * v[..., :, None] * R)


def whitening_loss(x: Array, kappa: float | Fraction = Fraction(1, 1000)) -> Array:
    """Return ((1 − κ) Σ C_off² + κ Σ v²) / K², which the authors of decorrelated backpropagation log: 0 where C = I.

    Args:
        x: (…, N, K), decorrelated inputs; rows are samples.
        kappa: κ in [0, 1].

    Returns:
        A number for each batch, (…, 1, 1).

    Raises:
        TypeError: x is no floating array, or κ no number.
        ValueError: κ is not in [0, 1].
    """
    checks.one_number("kappa", kappa, minimum=0, maximum=1)
    xp = checks.arrays(x=(x, "NK"))
    kappa = checks.coefficient("kappa", kappa, x)
    C, powers = mean_outer(x, x), mean_square(x, xp)[..., None, :]
    v = powers - 1
    # Σ C_off² as the sum of all squares less those of the diagonal: no mask, and Fractions stay Fractions.
    off = xp.sum(C * C, axis=-2, keepdims=True) - powers * powers
    return xp.sum((1 - kappa) * off + kappa * v * v, axis=-1, keepdims=True) / x.shape[-1] ** 2
