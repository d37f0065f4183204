"""Activation functions y = f(a), each beside its derivative f′(a)."""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any, Literal

from copi_ref.arrays import checks
from copi_ref.arrays.backend import Array, Namespace


@dataclass(frozen=True)
class Activation:
    """A function f and its derivative, elementwise: ``leaky_relu(a)``, ``leaky_relu.derivative(a)``.

    `rational` says whether they work on exact arrays (NumPy object arrays of Fractions); `f_inverse` is None where f
    has no inverse, and `slope` that of a leaky ReLU below 0.

    Raises:
        TypeError, ValueError: a field that is none of these; the message names it.
    """

    name: str
    f: Callable[[Array, Namespace], Array]
    f_prime: Callable[[Array, Namespace], Array]
    rational: bool = True
    f_inverse: Callable[[Array, Namespace], Array] | None = None
    slope: float | Fraction | None = None

    def __post_init__(self) -> None:
        checks.name_of(self.name)
        for name in ("f", "f_prime", "f_inverse"):
            if name != "f_inverse" or self.f_inverse is not None:
                checks.function(name, getattr(self, name))
        checks.true_or_false("rational", self.rational)
        if self.slope is not None:
            checks.one_number("slope", self.slope)

    def __repr__(self) -> str:
        return next((name for name, known in ACTIVATIONS.items() if known is self), self.name)

    def __reduce__(self) -> str | tuple[Any, ...]:
        # What stands in this module is pickled by name: its functions have none.
        if ACTIVATIONS.get(repr(self)) is self:
            return repr(self)
        if self.slope is not None:
            return leaky_relu_with, (self.slope,)
        return Activation, (self.name, self.f, self.f_prime, self.rational, self.f_inverse)

    def __call__(self, a: Array) -> Array:
        """Return y = f(a), of the shape of `a`.

        Raises:
            TypeError: `a` is no floating array, or exact where f is not rational.
        """
        return self.f(a, self._namespace(a))

    def derivative(self, a: Array) -> Array:
        """Return f′(a), of the shape of `a`; it takes the pre-activation a, not y.

        Raises:
            TypeError: `a` is no floating array, or exact where f is not rational.
        """
        return self.f_prime(a, self._namespace(a))

    def inverse(self, y: Array) -> Array:
        """Return f⁻¹(y), of the shape of `y`: the pre-activation that gives y.

        Raises:
            TypeError: `y` is no floating array, or exact where f is not rational.
            ValueError: f has no inverse.

        Not checked: that y is in the range of f; outside it the result is infinite or NaN.
        """
        xp = self._namespace(y, "y")
        if self.f_inverse is None:
            raise ValueError(f"activation is {self.name}: needs one with an inverse, such as leaky_relu or tanh")
        return self.f_inverse(y, xp)

    def _namespace(self, a: Array, name: str = "a") -> Namespace:
        xp = checks.floating(name, a)
        if not self.rational:
            checks.not_exact(self.name, a)
        return xp


def _one(a: Array) -> Array:
    # Ones of a's own kind. For Fractions xp.ones_like would give ints, and an int divided by 10 is a float.
    return a**0


# On a CPU `where` is several times slower than arithmetic: no branch predictor knows the signs of pre-activations.


def _bent(a: Array, below: Array, slope: Fraction, xp: Namespace) -> Array:
    """Return a where a ≥ 0, and slope · a, which is `below`, elsewhere."""
    return xp.maximum(a, below) if 0 <= slope <= 1 else xp.where(a < 0, below, a)


def _one_or(slope: Any, a: Array, xp: Namespace) -> Array:
    """Return 1 where a ≥ 0 and the slope elsewhere, both without rounding: one of the two terms is 0."""
    below = xp.astype(a < 0, a.dtype)
    return below * slope + (1 - below)


def leaky_relu_with(slope: float | Fraction) -> Activation:
    """Make f(a) = a where a ≥ 0, slope·a elsewhere.

    At the kink f′(0) = 1: a ≥ 0 counts as positive. (PyTorch's autograd takes the slope there.) A slope given as
    a Fraction works in exact mode too.

    Raises:
        TypeError: `slope` is no number, or an array of them.
        ValueError: `slope` is not finite.
    """
    checks.one_number("slope", slope)
    return _exact_leaky_relu(slope) if isinstance(slope, Fraction) else _leaky_relu(float(slope))


# Cached, so that one slope makes one activation: recipes are compared, and come back from a pickle as they were.


@cache
def _exact_leaky_relu(slope: Fraction) -> Activation:
    # numerator and denominator, not float(slope): the same line is then exact for Fractions
    p, q = slope.numerator, slope.denominator
    return Activation(
        f"leaky_relu({slope})",
        lambda a, xp: _bent(a, a / q if p == 1 else a * p / q, slope, xp),  # a pass less where p is 1
        lambda a, xp: _one_or(checks.coefficient("slope", slope, a), a, xp),
        f_inverse=(lambda y, xp: xp.where(y < 0, y * q / p, y)) if slope > 0 else None,
        slope=slope,
    )


@cache
def _leaky_relu(slope: float) -> Activation:
    return Activation(
        f"leaky_relu({slope})",
        lambda a, xp: xp.where(a < 0, slope * a, a),
        lambda a, xp: xp.where(a < 0, slope * _one(a), _one(a)),
        rational=False,
        f_inverse=(lambda y, xp: xp.where(y < 0, y / slope, y)) if slope > 0 else None,
        slope=slope,
    )


def _exp_minus_abs(a: Array, xp: Namespace) -> Array:
    return xp.exp(-xp.abs(a))  # in (0, 1], so that nothing below can overflow


def _sigmoid(a: Array, xp: Namespace) -> Array:
    e = _exp_minus_abs(a, xp)
    return xp.where(a < 0, e, _one(a)) / (1 + e)


def _sigmoid_prime(a: Array, xp: Namespace) -> Array:
    e = _exp_minus_abs(a, xp)
    return e / (1 + e) ** 2  # y (1 − y) loses every digit of 1 − y for large a


def _tanh_prime(a: Array, xp: Namespace) -> Array:
    e = _exp_minus_abs(2 * a, xp)
    return 4 * e / (1 + e) ** 2  # sech²(a); 1 − tanh²(a) loses every digit for large |a|


identity = Activation("identity", lambda a, xp: a, lambda a, xp: _one(a), f_inverse=lambda y, xp: y)
"""f(a) = a, f′(a) = 1."""

relu = Activation(
    "relu",
    lambda a, xp: xp.where(a < 0, 0 * _one(a), a),
    lambda a, xp: xp.where(a < 0, 0 * _one(a), _one(a)),
)
"""f(a) = max(a, 0); f′(0) = 1."""

leaky_relu = leaky_relu_with(Fraction(1, 10))
"""f(a) = a where a ≥ 0, a/10 elsewhere: the paper's activation, with its experiments' slope; f′(0) = 1."""

tanh = Activation("tanh", lambda a, xp: xp.tanh(a), _tanh_prime, rational=False, f_inverse=lambda y, xp: xp.atanh(y))
"""f(a) = tanh a, f′(a) = 1 − tanh² a; not rational."""

sigmoid = Activation(
    "sigmoid", _sigmoid, _sigmoid_prime, rational=False, f_inverse=lambda y, xp: xp.log(y) - xp.log1p(-y)
)
"""f(a) = 1/(1 + e^−a), f′(a) = f(a) (1 − f(a)); not rational."""

ActivationName = Literal["identity", "relu", "leaky_relu", "tanh", "sigmoid"]

ACTIVATIONS: dict[str, Activation] = {
    "identity": identity,
    "relu": relu,
    "leaky_relu": leaky_relu,
    "tanh": tanh,
    "sigmoid": sigmoid,
}
