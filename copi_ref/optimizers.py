"""How a step direction ΔW becomes a step: W ← W + η d. One array at a time; ΔW points downhill.

An optimizer has ``init(W)``, which makes its memory for one weight array (a tuple), and is called as
``direction, memory = optimizer(update, memory)``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

from copi_ref.arrays import checks
from copi_ref.arrays.backend import Array
from copi_ref.arrays.said import said
from copi_ref.arrays.shown import shown


class Optimizer(Protocol):
    """What `Recipe` needs of an optimizer."""

    def init(self, W: Array) -> tuple[Any, ...]:
        """Return the memory with which W starts."""

    def __call__(self, update: Array, memory: Any) -> tuple[Array, tuple[Any, ...]]:
        """Return the direction d of W ← W + η d, and the new memory."""


def _check_decay(name: str, beta: float) -> None:
    checks.one_number(name, beta, minimum=0)
    if beta >= 1:
        raise ValueError(f"{name} is {beta}: needs less than 1")


def _check_memory(optimizer: str, memory: Any, kind: type[tuple[Any, ...]], update: Array) -> None:
    checks.floating("update", update)
    if not isinstance(memory, kind):
        raise TypeError(
            f"memory is {said(memory)}: {optimizer} needs a {kind.__name__}, as its init makes it; "
            "a state works with the recipe that init_state made it for"
        )
    if memory and getattr(memory[0], "shape", None) != update.shape:
        raise ValueError(f"update has shape {tuple(update.shape)}: needs that of the W which memory was made for")


@dataclass(frozen=True)
class Plain:
    """d = ΔW: what the papers do for COPI."""

    def init(self, W: Array) -> tuple[()]:
        """Return nothing: there is nothing to remember.

        Raises:
            TypeError: W is no floating array.
        """
        checks.floating("W", W)
        return ()

    def __call__(self, update: Array, memory: tuple[()]) -> tuple[Array, tuple[()]]:
        """Return ΔW as it is.

        Raises:
            TypeError: the update is no floating array, or the memory is another optimizer's.
            ValueError: the update has another shape than the memory.
        """
        _check_memory("Plain", memory, tuple, update)
        return update, memory


class MomentumMemory(NamedTuple):
    """The last direction d."""

    d: Array

    def __repr__(self) -> str:
        return shown(self)


@dataclass(frozen=True)
class Momentum:
    """d ← β d + ΔW (heavy ball, no damping)."""

    beta: float = 0.9

    def __post_init__(self) -> None:
        _check_decay("beta", self.beta)

    def init(self, W: Array) -> MomentumMemory:
        """Return d = 0, of the shape of W.

        Raises:
            TypeError: W is no floating array.
        """
        checks.floating("W", W)
        return MomentumMemory(W * 0)

    def __call__(self, update: Array, memory: MomentumMemory) -> tuple[Array, MomentumMemory]:
        """Return the new d, both as the step and in the memory.

        Raises:
            TypeError: the update is no floating array, or exact and β a float; or the memory is another optimizer's.
            ValueError: the update has another shape than the memory.
        """
        _check_memory("momentum", memory, MomentumMemory, update)
        beta = checks.coefficient("beta", self.beta, update)
        d = beta * memory.d + update
        return d, MomentumMemory(d)


class AdamMemory(NamedTuple):
    """Running means m of ΔW and v of ΔW², and the number t of updates so far."""

    m: Array
    v: Array
    t: int

    def __repr__(self) -> str:
        return shown(self)


BiasCorrection = Literal["power", "constant"]

BIAS_CORRECTIONS: dict[str, Callable[[float, int], float]] = {
    "power": lambda beta, t: 1 - beta**t,  # Kingma and Ba 2014
    "constant": lambda beta, t: 1 - beta,  # COPI's TMLR experiments: without the power of t
}
"""What Adam divides a running mean by at update t."""


@dataclass(frozen=True)
class Adam:
    """d = m̂ / (√v̂ + ε), m̂ = m/(1 − β₁ᵗ), v̂ = v/(1 − β₂ᵗ) (Kingma and Ba 2014, Algorithm 1).

    m ← β₁ m + (1 − β₁) ΔW and v ← β₂ v + (1 − β₂) ΔW². Not rational: no exact mode. In float16 the default ε is 0,
    and an update of 0 gives NaN: take a larger one.

    With ``bias_correction="constant"`` it is m̂ = m/(1 − β₁), v̂ = v/(1 − β₂) at every t, as in COPI's TMLR experiments.
    Late steps are then √(1 − β₂)/(1 − β₁) of Adam's: 0.32 with the usual β.
    """

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    bias_correction: BiasCorrection = "power"

    def __post_init__(self) -> None:
        _check_decay("beta1", self.beta1)
        _check_decay("beta2", self.beta2)
        checks.one_number("epsilon", self.epsilon, minimum=0)
        checks.choice("bias_correction", self.bias_correction, BIAS_CORRECTIONS)

    def init(self, W: Array) -> AdamMemory:
        """Return m = 0, v = 0, t = 0.

        Raises:
            TypeError: W is no floating array.
        """
        checks.floating("W", W)
        return AdamMemory(m=W * 0, v=W * 0, t=0)

    def __call__(self, update: Array, memory: AdamMemory) -> tuple[Array, AdamMemory]:
        """Return d and the new m, v and t.

        Raises:
            TypeError: the update is no floating array, or exact; or the memory is another optimizer's.
            ValueError: the update has another shape than the memory.
        """
        xp = checks.floating("update", update)
        checks.not_exact("Adam", update)
        _check_memory("Adam", memory, AdamMemory, update)
        beta1, beta2, epsilon = (
            checks.coefficient(name, getattr(self, name), update) for name in ("beta1", "beta2", "epsilon")
        )
        correction = BIAS_CORRECTIONS[self.bias_correction]
        t = memory.t + 1
        m = beta1 * memory.m + (1 - beta1) * update
        v = beta2 * memory.v + (1 - beta2) * update * update
        m_hat = m / correction(beta1, t)
        v_hat = v / correction(beta2, t)
        return m_hat / (xp.sqrt(v_hat) + epsilon), AdamMemory(m, v, t)


plain = Plain()
momentum = Momentum()
adam = Adam()
adam_tmlr = Adam(bias_correction="constant")

OptimizerName = Literal["plain", "momentum", "adam", "adam_tmlr"]

OPTIMIZERS: dict[str, Optimizer] = {
    "plain": plain,
    "momentum": momentum,
    "adam": adam,
    "adam_tmlr": adam_tmlr,
}
