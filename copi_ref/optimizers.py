"""How a step direction ΔW becomes a step: W ← W + η d. One array at a time; ΔW points downhill.

An optimizer has ``init(W)``, which makes its memory for one weight array, and is called as
``direction, memory = optimizer(update, memory)``.
"""

from dataclasses import dataclass
from typing import Any, Protocol

from copi_ref import _checks
from copi_ref.backend import Array


class Optimizer(Protocol):
    """What `Recipe` needs of an optimizer."""

    def init(self, W: Array) -> Any:
        """Return the memory with which W starts."""

    def __call__(self, update: Array, memory: Any) -> tuple[Array, Any]:
        """Return the direction d of W ← W + η d, and the new memory."""


def _check_decay(name: str, beta: float) -> None:
    _checks.number(name, beta, minimum=0)
    if beta >= 1:
        raise ValueError(f"{name} is {beta}: needs less than 1")


@dataclass(frozen=True)
class Plain:
    """d = ΔW: what the papers do for COPI."""

    def init(self, W: Array) -> None:
        """Return None: there is nothing to remember."""
        return None

    def __call__(self, update: Array, memory: None) -> tuple[Array, None]:
        """Return ΔW as it is."""
        return update, None


@dataclass(frozen=True)
class Momentum:
    """d ← β d + ΔW (heavy ball, no damping)."""

    beta: float = 0.9

    def __post_init__(self) -> None:
        _check_decay("beta", self.beta)

    def init(self, W: Array) -> Array:
        """Return d = 0, of the shape of W."""
        return W * 0

    def __call__(self, update: Array, memory: Array) -> tuple[Array, Array]:
        """Return d twice: it is both the step and what is remembered."""
        d = self.beta * memory + update
        return d, d


@dataclass(frozen=True)
class AdamMemory:
    """Running means m of ΔW and v of ΔW², and the number t of updates so far."""

    m: Array
    v: Array
    t: int


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma and Ba 2014, Algorithm 1): d = m̂ / (√v̂ + ε), m̂ = m/(1 − β₁ᵗ), v̂ = v/(1 − β₂ᵗ).

    m ← β₁ m + (1 − β₁) ΔW and v ← β₂ v + (1 − β₂) ΔW². Not rational: no exact mode.
    """

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        _check_decay("beta1", self.beta1)
        _check_decay("beta2", self.beta2)
        _checks.number("epsilon", self.epsilon, minimum=0)

    def init(self, W: Array) -> AdamMemory:
        """Return m = 0, v = 0, t = 0."""
        return AdamMemory(m=W * 0, v=W * 0, t=0)

    def __call__(self, update: Array, memory: AdamMemory) -> tuple[Array, AdamMemory]:
        """Return d and the new m, v and t.

        Raises:
            TypeError: the update is exact.
        """
        xp = _checks.floating("update", update)
        _checks.not_exact("Adam", update)
        t = memory.t + 1
        m = self.beta1 * memory.m + (1 - self.beta1) * update
        v = self.beta2 * memory.v + (1 - self.beta2) * update * update
        m_hat = m / self._correction(self.beta1, t)
        v_hat = v / self._correction(self.beta2, t)
        return m_hat / (xp.sqrt(v_hat) + self.epsilon), AdamMemory(m, v, t)

    @staticmethod
    def _correction(beta: float, t: int) -> float:
        return 1 - beta**t


@dataclass(frozen=True)
class AdamTMLR(Adam):
    """Adam as in COPI's TMLR experiments: m̂ = m/(1 − β₁), v̂ = v/(1 − β₂) at every t, without the power of t.

    So m̂ and v̂ are 1/(1 − β) times too large ever after, and late steps are (1/(1 − β₁))·√(1 − β₂) ≈ 0.32 of
    Adam's with the usual β.
    """

    @staticmethod
    def _correction(beta: float, t: int) -> float:
        return 1 - beta


plain = Plain()
momentum = Momentum()
adam = Adam()
adam_tmlr = AdamTMLR()

OPTIMIZERS: dict[str, Optimizer] = {
    "plain": plain,
    "momentum": momentum,
    "adam": adam,
    "adam_tmlr": adam_tmlr,
}
