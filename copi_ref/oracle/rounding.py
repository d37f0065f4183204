"""How far rounding may move a result: the magnitude companion, as arrays that the library's own lines run on.

A `Tracked` array carries beside each value the same expression on absolute values with every minus made a plus, the
magnitude M, and the number c of roundings on the longest way from the inputs. It speaks the array-API standard, so
`copi_ref.copi_update` and the rest give the allowance by being called; no bound stands in a second place.

If every input is exact and every operation commits a relative error of at most u, then a computed value differs from
the exact one by at most γ(c u) M, γ(e) = e/(1 − e) (by induction over the operations: products multiply magnitudes
and add up roundings, sums add magnitudes, a contraction of n terms adds n roundings in whatever order it is summed).
docs/check/tolerances.md has the derivation.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from typing import Any, Literal, TypeAlias

import numpy as np

from copi_ref.arrays.backend import HostArray

REFERENCE_UNIT = 2.0**-53  # of the float64 in which expected values are computed


@dataclass(frozen=True)
class Precision:
    """A number format that an implementation computes in.

    Args:
        name: as the user writes it.
        dtype: of the arrays that go in and come out.
        significand: bits of a stored number.
        unit: unit roundoff u of a stored result.
        product_unit: unit roundoff of the factors of a matrix product, where it is coarser (TF32); else 0.
        bits: integers below 2^bits, and their products, are exact everywhere.
        tiny: an absolute error of this size may happen in an operation that underflows.
        most: the largest number.
        limit: the smallest relative error that a check may miss, where the project promises one.
    """

    name: str
    dtype: str
    significand: int
    unit: float
    product_unit: float
    bits: int
    tiny: float
    most: float
    limit: float | None

    def representable(self, array: HostArray) -> HostArray:
        """Round numbers to this format: both sides then see the same inputs."""
        if self.dtype == "bfloat16":  # NumPy has none: float32 with 8 bits
            mantissa, exponent = np.frexp(array)
            return np.asarray(np.ldexp(np.rint(np.ldexp(mantissa, self.significand)), exponent - self.significand))
        return np.asarray(array, dtype=self.dtype).astype(np.float64)


PrecisionName = Literal["float64", "float32", "tf32", "float16", "bfloat16"]

PRECISIONS: dict[str, Precision] = {
    precision.name: precision
    for precision in (
        Precision("float64", "float64", 53, 2.0**-53, 0.0, 48, 2.0**-1022, 2.0**1023, 1e-10),
        Precision("float32", "float32", 24, 2.0**-24, 0.0, 24, 2.0**-126, 2.0**127, 1e-4),
        # 10 stored bits of a factor, possibly cut off instead of rounded; sums in float32.
        Precision("tf32", "float32", 24, 2.0**-24, 2.0**-10, 11, 2.0**-126, 2.0**127, None),
        Precision("float16", "float16", 11, 2.0**-11, 0.0, 11, 2.0**-24, 2.0**15, None),
        Precision("bfloat16", "bfloat16", 8, 2.0**-8, 0.0, 8, 2.0**-126, 2.0**127, None),
    )
}
"""By name: what `check` can be told an implementation computes in."""


AnyArray: TypeAlias = Any
"""A Tracked array or one of a library: what goes in decides what comes out."""


@dataclass(frozen=True, eq=False)
class Tracked:
    """A float64 array with its magnitude, roundings and quantum; see the module.

    Args:
        value: the array, as float64 arithmetic gives it.
        magnitude: M, at least \\|value\\|.
        roundings: c.
        products: how many factors of matrix products were rounded on the way (for TF32).
        quantum: every exact value and partial sum is a multiple of this power of two; 0 if there is none.
        largest: max M / quantum over all operations so far: below 2^p nothing is rounded in p bits.
        parts: values are whole numbers of quantum / parts: 10 for an f′ of 1 and 1/10, else 1.
    """

    value: HostArray
    magnitude: HostArray
    roundings: int = 0
    products: int = 0
    quantum: float = 0.0
    largest: float = 0.0
    parts: int = 1

    __array_ufunc__ = None  # so that NumPy leaves `array * tracked` to this class
    __hash__ = None  # type: ignore[assignment]

    def __array_namespace__(self, api_version: str | None = None) -> type["TrackedNamespace"]:
        return TrackedNamespace

    @property
    def shape(self) -> tuple[int, ...]:
        """As of any array."""
        return self.value.shape

    @property
    def ndim(self) -> int:
        """As of any array."""
        return self.value.ndim

    @property
    def dtype(self) -> Any:
        """float64."""
        return self.value.dtype

    @property
    def device(self) -> str:
        """The host."""
        return "cpu"

    @property
    def mT(self) -> "Tracked":
        """The transpose of the last two axes."""
        return self._like(self.value.mT, self.magnitude.mT)

    def __getitem__(self, key: Any) -> "Tracked":
        return self._like(self.value[key], self.magnitude[key])

    def __neg__(self) -> "Tracked":
        return self._like(-self.value, self.magnitude)

    def __add__(self, other: Any) -> "Tracked":
        other = tracked(other)
        value, magnitude = self.value + other.value, self.magnitude + other.magnitude
        roundings, quantum = max(self.roundings, other.roundings) + 1, min(self.quantum, other.quantum)
        return _made(value, magnitude, roundings, max(self.products, other.products), quantum, self, other)

    def __sub__(self, other: Any) -> "Tracked":
        return self + -tracked(other)

    def __rsub__(self, other: Any) -> "Tracked":
        return tracked(other) + -self

    def __mul__(self, other: Any) -> "Tracked":
        return self._times(tracked(other), np.multiply, roundings=1, products=0)

    def __matmul__(self, other: Any) -> "Tracked":
        return self._times(tracked(other), np.matmul, roundings=self.shape[-1], products=2)

    def __truediv__(self, divisor: Any) -> "Tracked":
        if isinstance(divisor, Tracked):
            return self * divisor.inverse()
        value, magnitude = self.value / divisor, self.magnitude / divisor
        quantum = self.quantum / divisor if np.frexp(divisor)[0] == 0.5 else 0.0  # a third is never exact
        # 2 roundings: an implementation may multiply by a rounded reciprocal
        return _made(value, magnitude, self.roundings + 2, self.products, quantum, self)

    def inverse(self) -> "Tracked":
        """Return 1/b, whose error is 1/(1 − e) times e M/b², if that of b is e M and up to b/5: at most 5/4 of it.

        Where it is more, the allowance comes near to 1/b itself, and no case is drawn so.
        """
        value = 1 / self.value
        roundings, products = (math.ceil(1.25 * count) for count in (self.roundings, self.products))
        return Tracked(value, self.magnitude * value**2, roundings + 1, products, largest=np.inf)

    def __pow__(self, exponent: int) -> "Tracked":
        assert exponent == 0, "the library writes a**0 for ones of a's own kind, and nothing else"
        return _ones(self)

    __radd__ = __add__
    __rmul__ = __mul__

    def __lt__(self, other: float) -> HostArray:
        return np.asarray(self.value < other)

    def __eq__(self, other: object) -> HostArray:  # type: ignore[override]
        return np.asarray(self.value == other)

    def _like(self, value: HostArray, magnitude: HostArray) -> "Tracked":
        return Tracked(value, magnitude, self.roundings, self.products, self.quantum, self.largest)

    def _times(self, other: "Tracked", multiply: Callable[..., HostArray], roundings: int, products: int) -> "Tracked":
        value = multiply(self.value, other.value)
        magnitude = multiply(self.magnitude, other.magnitude)
        roundings += self.roundings + other.roundings
        products += self.products + other.products
        quantum = self.quantum * other.quantum
        if self.parts * other.parts > 1:  # a tenth of a number is whole where that is a multiple of 10
            value, quantum = _if_whole(value, quantum)
        return _made(value, magnitude, roundings, products, quantum, self, other)

    def allowance(self, precision: Precision) -> HostArray:
        """Return the error that a correct implementation may have, element by element; infinite if M says nothing.

        Twice the roundings of the library's own order, so that it covers every way of writing the same that has
        at most twice as many on its longest way; and the roundings of the reference itself.
        """
        error = 2 * (self.roundings * precision.unit + self.products * precision.product_unit)
        if error >= 1 / 2:
            return np.full(self.shape, np.inf)
        of_reference = (self.roundings + 2) * REFERENCE_UNIT  # 2: M is computed in float64 too
        relative = error / (1 - error) + of_reference / (1 - of_reference)
        return np.asarray(relative * self.magnitude + self.underflow(precision))

    def underflow(self, precision: Precision) -> float:
        """Return what operations that underflow may lose; what comes after multiplies it, by at most 1 + max M."""
        return self.roundings * precision.tiny * (1 + float(np.max(self.magnitude)))

    def is_exact(self, bits: int) -> bool:
        """Whether every value and partial sum on the way is a whole number of quanta below 2^bits."""
        return self.largest < 2.0**bits


def _made(
    value: HostArray, magnitude: HostArray, roundings: int, products: int, quantum: float, *parents: Tracked
) -> Tracked:
    size = float(magnitude.max()) / quantum if quantum else np.inf
    largest = max(size, *(parent.largest for parent in parents))
    return Tracked(value, magnitude, roundings, products, quantum, largest)


def _if_whole(value: HostArray, quantum: float) -> tuple[HostArray, float]:
    """Return what are whole numbers of a quantum, but for the rounding of 1/10 and the like; else a quantum of 0."""
    if not quantum or not np.max(np.abs(value)) < 2.0**32 * quantum:
        return value, 0.0
    whole = np.rint(value / quantum)
    # Of parts of up to 1000 none comes so near to a whole number.
    return (whole * quantum, quantum) if np.all(np.abs(value / quantum - whole) < 2.0**-16) else (value, 0.0)


def tracked(array: Any) -> Tracked:
    """Return exact inputs as a Tracked array. A number that is no small dyadic fraction counts as rounded once."""
    if isinstance(array, Tracked):
        return array
    value = np.asarray(array, dtype=np.float64)
    quantum = _quantum_of_number(float(value)) if value.ndim == 0 else _quantum(value)
    rounded = value.ndim == 0 and quantum < abs(float(value)) * 2.0**-8
    magnitude = np.abs(value)
    largest = float(magnitude.max()) / quantum if value.size else 0.0
    return Tracked(value, magnitude, roundings=int(rounded), quantum=quantum, largest=largest)


def _ones(like: Tracked) -> Tracked:
    ones = np.ones_like(like.value)
    return Tracked(ones, ones, quantum=1.0, largest=1.0)


@lru_cache
def _quantum_of_number(value: float) -> float:
    """Of one number: factors are few, and come again and again."""
    return _quantum(np.asarray(value))


def _quantum(value: HostArray) -> float:
    """Return the largest power of two that divides every entry; 1 for zeros."""
    mantissa, exponent = np.frexp(value[value != 0])
    if not mantissa.size:
        return 1.0
    whole = (np.abs(mantissa) * 2.0**53).astype(np.int64)
    return float(np.min(np.ldexp((whole & -whole).astype(np.float64), exponent - 53)))


_SAYS_NOTHING = 2.0**200
"""M of a root whose error is not known: of 0 that was computed. Not infinite, as 0 of it would be no number."""

_MOVED = 32.0
"""Up to this ratio M/√b, the same for all entries, becomes a factor of c."""


class TrackedNamespace:
    """The few array functions that the library's equations use, for Tracked arrays."""

    __name__ = "tracked"

    @staticmethod
    def isdtype(dtype: Any, kind: str) -> bool:
        """As in the array-API standard."""
        return bool(np.isdtype(dtype, kind))

    @staticmethod
    def sum(x: Tracked, axis: int, keepdims: bool = False) -> Tracked:
        """Sum along an axis of length n: n − 1 roundings, in whatever order."""
        roundings = x.roundings + x.shape[axis] - 1
        value, magnitude = (np.sum(one, axis=axis, keepdims=keepdims) for one in (x.value, x.magnitude))
        # Products: an implementation may take E[x²] from the diagonal of a matrix product.
        return _made(np.asarray(value), np.asarray(magnitude), roundings, x.products + 2, x.quantum, x)

    @staticmethod
    def where(condition: HostArray, x: Any, y: Any) -> Tracked:
        """Choose element by element; the condition is that of the reference's own values."""
        if_true, if_false = tracked(x), tracked(y)
        for branch, alone in ((if_true, condition.all()), (if_false, not condition.any())):
            if alone:  # what the other branch rounds is no matter then
                return branch
        return Tracked(
            np.where(condition, if_true.value, if_false.value),
            np.where(condition, if_true.magnitude, if_false.magnitude),
            max(if_true.roundings, if_false.roundings),
            max(if_true.products, if_false.products),
            min(if_true.quantum, if_false.quantum),
            max(if_true.largest, if_false.largest),
        )

    @staticmethod
    def sign(x: Tracked) -> Tracked:
        """Signs of the reference's own values: where rounding decides, inputs are drawn again."""
        return Tracked(np.sign(x.value), np.ones_like(x.magnitude), 0, 0, 1.0, max(1.0, x.largest))

    @staticmethod
    def abs(x: Tracked) -> Tracked:
        """Absolute values."""
        return x._like(np.abs(x.value), x.magnitude)

    @staticmethod
    def astype(x: HostArray, dtype: Any) -> Tracked:
        """Numbers 0 and 1 of a condition."""
        return tracked(x.astype(dtype))

    @staticmethod
    def mean(x: Tracked, axis: int, keepdims: bool = False) -> Tracked:
        """A sum over its number of terms."""
        return TrackedNamespace.sum(x, axis, keepdims) / x.shape[axis]

    @staticmethod
    def sqrt(x: Tracked) -> Tracked:
        """√x of x ≥ 0, where an error e makes e/(√x + √(x + e)): e/(1.7 √x) at most for one up to x/2; √0 is exact."""
        value = np.sqrt(x.value)
        magnitude = np.where(x.magnitude > 0, np.where(value > 0, x.magnitude, _SAYS_NOTHING), 0)
        magnitude = magnitude / np.where(value > 0, value, 1)
        ratio = float(np.max(magnitude / np.where(value > 0, value, 1), initial=1))
        # A large M in two factors would multiply, where their errors add up: γ(c u) r M is at most γ(r c u) M.
        moved = ratio if ratio <= _MOVED and np.all((value > 0) | (magnitude == 0)) else 1
        roundings, products = (math.ceil(moved * count / 1.7) for count in (x.roundings, x.products))
        return Tracked(value, value if moved > 1 else magnitude, roundings + 1, products, largest=np.inf)

    @staticmethod
    def arange(stop: int, dtype: Any = None, device: Any = None) -> Tracked:
        """0, 1, 2 … up to `stop`, which is left out."""
        return tracked(np.arange(stop, dtype=np.float64))

    @staticmethod
    def tril(x: Tracked, k: int = 0) -> Tracked:
        """The lower triangle."""
        return x._like(np.tril(x.value, k), np.tril(x.magnitude, k))

    @staticmethod
    def ones_like(x: Tracked) -> Tracked:
        """Ones."""
        return _ones(x)

    @staticmethod
    def isfinite(x: Tracked) -> HostArray:
        """As in the array-API standard, of the reference's own values."""
        return np.asarray(np.isfinite(x.value))

    @staticmethod
    def maximum(x: Tracked, y: Tracked) -> Tracked:
        """Choose the larger, element by element."""
        return TrackedNamespace.where(x.value >= y.value, x, y)


def bent(f: Tracked, a: Tracked, steepest: float, slope: Fraction | None, of_slope: bool) -> Tracked:
    """Return f(a), or f′(a), of a leaky ReLU with what every way of writing it may round.

    With α a + β ``|a|``, α = (1 + s)/2 and β = (1 − s)/2, both branches have an error of 3u max(1, ``|s|``) ``|a|``,
    even where the branch itself is a; and α + β sign(a) an error of about u max(1, ``|s|``) in f′. So
    M = max(1, ``|s|``) M_a and c = c_a + 2 for f, M = max(1, ``|s|``) and c = 2 for f′, whatever the branch.

    A slope p/q is rounded, but p/q of a multiple of q is a whole number, and f(a) is exact where all of it is that.
    """
    magnitude = steepest * (np.ones_like(a.magnitude) if of_slope else a.magnitude)
    found = replace(
        f, magnitude=magnitude, roundings=2 if of_slope else a.roundings + 2, products=0 if of_slope else a.products
    )
    if slope is None or not np.any(a.value < 0):
        return found
    if of_slope:
        return replace(found, quantum=1.0, largest=a.largest, parts=slope.denominator) if np.all(a.value) else found
    value, quantum = _if_whole(f.value, a.quantum)
    # p a comes before its division by q in some ways of writing it
    size = max(1, abs(slope.numerator)) * float(np.max(magnitude)) / quantum if quantum else np.inf
    return replace(found, value=value, quantum=quantum, largest=max(a.largest, size))


def kept(expected: Any, own: Any) -> Any:
    """Return an implementation's own value with the magnitude and the roundings of the expected one.

    A fused (W R) y differs from W x by what rounding makes of ``|W|`` ``|R|`` ``|y|``, which can be much larger than
    ``|W|`` ``|x|``.
    """
    if own is None or not isinstance(expected, Tracked):
        return expected if own is None else own
    return replace(own, magnitude=np.maximum(expected.magnitude, own.magnitude), roundings=expected.roundings,
                   products=expected.products)  # fmt: skip


def evaluated(y: Tracked, size: float) -> Tracked:
    """Return a given y = f(a) with what a second evaluation of f rounds: autograd computes y again."""
    return replace(y, magnitude=np.maximum(y.magnitude, size), roundings=max(y.roundings, SMOOTH_ROUNDINGS))


SMOOTH_ROUNDINGS = 8
"""Of tanh, the sigmoid and their slopes, relative to their size: 1 − y² and 4e/(1 + e)² are both good, and differ."""


def smooth(f: Callable[[HostArray], HostArray], a: Tracked, size: float, slope: float) -> Tracked:
    """Return f(a), for an f with ``|f|`` ≤ size and ``|f′|`` ≤ slope.

    Its error is at most slope times that of a, plus 8 u size of f's own evaluation. With c = c_a + 8 that is within
    γ(c u) M for M = (c_a slope M_a + 8 size)/c; and M has to be at least ``|f(a)|``.
    """
    value, roundings = f(a.value), a.roundings + SMOOTH_ROUNDINGS
    magnitude = (a.roundings * slope * a.magnitude + SMOOTH_ROUNDINGS * size) / roundings
    return Tracked(value, np.maximum(magnitude, np.abs(value)), roundings, a.products, quantum=0.0, largest=np.inf)


def softmax(a: Tracked) -> Tracked:
    """Return the softmax over units, with what every way of writing it may round.

    With A the largest M_a of a sample, an error of e in each a moves s = softmax(a) by at most 2 s_i (1 − s_i) e: its
    derivative is s_i (1 − s_i) on the diagonal and −s_i s_j beside it. So do e = c_a u A and what is rounded where the
    maximum is taken from a, 2 u A. An exponential of a − log Σ has an argument of up to 2 A + log K, whose rounding
    multiplies s_i; sums over K units, their inverse, exponential and logarithm round K + 16 times at most. With c =
    c_a + K + 16 all is within γ(c u) M for M = s (2 (1 − s)(c_a + 2) A + 2 A + K + 16)/c; and M has to be at least s.
    """
    e = np.exp(a.value - a.value.max(axis=-1, keepdims=True))
    s = e / e.sum(axis=-1, keepdims=True)
    own = a.shape[-1] + SOFTMAX_ROUNDINGS
    roundings, largest = a.roundings + own, a.magnitude.max(axis=-1, keepdims=True)
    magnitude = s * (2 * (1 - s) * (a.roundings + 2) * largest + 2 * largest + own) / roundings
    return Tracked(s, np.maximum(magnitude, s), roundings, a.products, quantum=0.0, largest=np.inf)


SOFTMAX_ROUNDINGS = 16
"""Of an exponential, a logarithm, a division and what comes between, besides those of the sum over units."""
