"""Losses ℓ, each beside the perturbation δ_L that it causes at the output."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from copi_ref.activations import Activation
from copi_ref.arrays import checks
from copi_ref.arrays.backend import Array, Namespace


@dataclass(frozen=True)
class Loss:
    """A loss ℓ(prediction, target) of one sample, and its descent direction −∂ℓ/∂prediction.

    `rational` says whether both work on exact arrays (NumPy object arrays of Fractions).

    Raises:
        TypeError: a field that is none of these; the message names it.
    """

    name: str
    value: Callable[[Array, Array, Namespace], Array]
    descent: Callable[[Array, Array, Namespace], Array]
    rational: bool = True

    def __post_init__(self) -> None:
        checks.name_of(self.name)
        checks.function("value", self.value)
        checks.function("descent", self.descent)
        checks.true_or_false("rational", self.rational)

    def __repr__(self) -> str:
        return self.name

    def __reduce__(self) -> str | tuple[Any, ...]:
        # What stands in this module is pickled by name: its functions have none.
        if LOSSES.get(self.name) is self:
            return self.name
        return Loss, (self.name, self.value, self.descent, self.rational)

    def __call__(self, prediction: Array, target: Array) -> Array:
        """Return ℓ of each sample: (…, N, M) and (…, N, M) give (…, N).

        Raises:
            TypeError: not two floating arrays of one library, or exact where ℓ is not rational.
            ValueError: the shapes differ.
        """
        xp = checks.arrays(prediction=(prediction, "NM"), target=(target, "NM"))
        self._check_rational(prediction)
        return self.value(prediction, target, xp)

    def perturbation(self, prediction: Array, a: Array, target: Array, activation: Activation) -> Array:
        """Return the output perturbation, one row a sample.

        δ_L = −f′(a_L) ∘ ∂ℓ/∂y_L (§2.5)

        Args:
            prediction: (…, N, M), y_L; in the `tmlr` experiments a_L (the factor f′(a_L) stays there).
            a: (…, N, M), the pre-activation a_L.
            target: (…, N, M), y*.
            activation: f, of which the derivative is taken at a_L.

        Raises:
            TypeError: not floating arrays of one library and dtype, or exact where ℓ or f is not rational.
            ValueError: the shapes differ.
        """
        xp = checks.arrays(prediction=(prediction, "NM"), a=(a, "NM"), target=(target, "NM"))
        checks.instance("activation", activation, Activation, "ACTIVATIONS['relu']")
        self._check_rational(prediction)
        return activation.derivative(a) * self.descent(prediction, target, xp)

    def _check_rational(self, prediction: Array) -> None:
        if not self.rational:
            checks.not_exact(self.name, prediction)


def _squared_distance(prediction: Array, target: Array, xp: Namespace) -> Array:
    error = target - prediction
    return xp.sum(error * error, axis=-1)


def _log_softmax(y: Array, xp: Namespace) -> Array:
    shifted = y - xp.max(y, axis=-1, keepdims=True)  # so that exp can't overflow
    return shifted - xp.log(xp.sum(xp.exp(shifted), axis=-1, keepdims=True))


def softmax(y: Array) -> Array:
    """Return softmax(y) along the last axis, of the shape of `y`.

    Raises:
        TypeError: `y` is no floating array, or exact (an exponential is not rational).
    """
    checks.not_exact("softmax", y)
    xp = checks.floating("y", y)
    return xp.exp(_log_softmax(y, xp))


def _cross_entropy(prediction: Array, target: Array, xp: Namespace) -> Array:
    return -xp.sum(target * _log_softmax(prediction, xp), axis=-1)


def _cross_entropy_descent(prediction: Array, target: Array, xp: Namespace) -> Array:
    # Σ target is 1 for labels; written out, the gradient is right for every target.
    return target - xp.sum(target, axis=-1, keepdims=True) * xp.exp(_log_softmax(prediction, xp))


quadratic = Loss(
    "quadratic",
    _squared_distance,
    lambda y, target, xp: 2 * (target - y),
)
"""ℓ = ‖y_L − y*‖² (Algorithm 1, line 9), so δ_L = 2 f′(a_L) ∘ (y* − y_L): many implementations drop the 2."""

half_quadratic = Loss(
    "half_quadratic",
    lambda y, target, xp: _squared_distance(y, target, xp) / 2,
    lambda y, target, xp: target - y,
)
"""ℓ = ½‖y_L − y*‖², so δ_L = f′(a_L) ∘ (y* − y_L): the loss of the TMLR experiments."""

softmax_cross_entropy = Loss("softmax_cross_entropy", _cross_entropy, _cross_entropy_descent, rational=False)
"""ℓ = −Σ y* log softmax(y_L), so δ_L = f′(a_L) ∘ (y* − softmax(y_L)) where Σ y* = 1; not rational."""

LossName = Literal["quadratic", "half_quadratic", "softmax_cross_entropy"]

LOSSES: dict[str, Loss] = {
    "quadratic": quadratic,
    "half_quadratic": half_quadratic,
    "softmax_cross_entropy": softmax_cross_entropy,
}
