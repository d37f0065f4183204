"""Activation functions y = f(a), each beside its derivative f′(a)."""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from copi_ref import _checks
from copi_ref.backend import Array, Namespace


@dataclass(frozen=True)
class Activation:
    """A function f and its derivative, elementwise: ``leaky_relu(a)``, ``leaky_relu.derivative(a)``.

    `rational` says whether both work on exact arrays (NumPy object arrays of Fractions).
    """

    name: str
    f: Callable[[Array, Namespace], Array]
    f_prime: Callable[[Array, Namespace], Array]
    rational: bool = True

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

    def _namespace(self, a: Array) -> Namespace:
        if not self.rational:
            _checks.not_exact(self.name, a)
        return _checks.floating("a", a)


def _one(a: Array) -> Array:
    # Ones of a's own kind. For Fractions xp.ones_like would give ints, and an int divided by 10 is a float.
    return a**0


def leaky_relu_with(slope: float | Fraction) -> Activation:
    """Make f(a) = a where a ≥ 0, slope·a elsewhere.

    At the kink f′(0) = 1: a ≥ 0 counts as positive. (PyTorch's autograd takes the slope there.) A slope given as
    a Fraction works in exact mode too.

    Raises:
        TypeError: `slope` is no number.
        ValueError: `slope` is not finite.
    """
    _checks.number("slope", slope)
    if isinstance(slope, Fraction):
        # numerator and denominator, not float(slope): the same line is then exact for Fractions
        p, q = slope.numerator, slope.denominator
        return Activation(
            f"leaky_relu({slope})",
            lambda a, xp: xp.where(a < 0, a * p / q, a),
            lambda a, xp: xp.where(a < 0, _one(a) * p / q, _one(a)),
        )
    leak = float(slope)
    return Activation(
        f"leaky_relu({leak})",
        lambda a, xp: xp.where(a < 0, leak * a, a),
        lambda a, xp: xp.where(a < 0, leak * _one(a), _one(a)),
        rational=False,
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


identity = Activation("identity", lambda a, xp: a, lambda a, xp: _one(a))
"""f(a) = a, f′(a) = 1."""

relu = Activation(
    "relu",
    lambda a, xp: xp.where(a < 0, 0 * _one(a), a),
    lambda a, xp: xp.where(a < 0, 0 * _one(a), _one(a)),
)
"""f(a) = max(a, 0); f′(0) = 1."""

leaky_relu = leaky_relu_with(Fraction(1, 10))
"""f(a) = a where a ≥ 0, a/10 elsewhere: the paper's activation; f′(0) = 1."""

tanh = Activation("tanh", lambda a, xp: xp.tanh(a), _tanh_prime, rational=False)
"""f(a) = tanh a, f′(a) = 1 − tanh² a; not rational."""

sigmoid = Activation("sigmoid", _sigmoid, _sigmoid_prime, rational=False)
"""f(a) = 1/(1 + e^−a), f′(a) = f(a) (1 − f(a)); not rational."""

ACTIVATIONS = {
    "identity": identity,
    "relu": relu,
    "leaky_relu": leaky_relu,
    "tanh": tanh,
    "sigmoid": sigmoid,
}
