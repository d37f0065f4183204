"""All that Algorithm 1 leaves open, in one frozen record."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from copi_ref import _checks
from copi_ref.activations import Activation, leaky_relu
from copi_ref.backend import Array, float_name
from copi_ref.credit import OUTPUTS, CreditMethod, find_credit
from copi_ref.decorrelation import LATERAL_RULES
from copi_ref.learning_rules import copi_update, sgd_update
from copi_ref.losses import Loss, quadratic
from copi_ref.optimizers import Optimizer, plain

Rate = float | Array | Callable[[int], Any]
"""A learning rate: a number, an ensemble's array of shape (S, 1, 1), or a function of the epoch that gives one."""

WEIGHT_RULES: dict[str, Callable[[Array, Array, Array, Array], Array]] = {
    "copi": lambda x, a, delta, W: copi_update(x, a + delta, W),  # z = a + δ
    "sgd": lambda x, a, delta, W: sgd_update(x, delta),
}
"""ΔW from x, a, δ and W: Eq. 3 (`copi`), or gradient descent on the same decorrelated inputs (`sgd`)."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All that Algorithm 1 leaves open.

    Args:
        eta_w: η_W, learning rate of the forward weights; a number or a function of the epoch (from 0).
        eta_r: η_R, learning rate of the lateral weights; likewise.
        activation: f.
        loss: ℓ.
        credit: how δ is found: a name in `CREDIT`, or a callable ``(params, trace, task) -> deltas``.
        weight_rule: "copi" (Eq. 3) or "sgd" (§2.7).
        lateral_rule: "symmetric", "left", "right" (see `decorrelation_update`), or "none": R stays as it is.
        optimizer: how ΔW becomes a step. R always takes the plain one.
        error_scale: every δ is multiplied by it before it goes into the update.
        output: what is compared with the target: "activation", y_L, or "pre-activation", a_L.
        lateral_only_epochs: in so many epochs at the start only R learns.
        batch_size: samples of a step; the last batch of an epoch may be smaller.
        dtype: of the parameters that `init_state` draws.

    Raises:
        TypeError, ValueError: a field that is none of these; the message names it.
    """

    eta_w: Rate
    eta_r: Rate
    activation: Activation = leaky_relu
    loss: Loss = quadratic
    credit: str | CreditMethod = "bp"
    weight_rule: str = "copi"
    lateral_rule: str = "symmetric"
    optimizer: Optimizer = plain
    error_scale: float = 1
    output: str = "activation"
    lateral_only_epochs: int = 0
    batch_size: int = 50
    dtype: str = "float32"

    def __post_init__(self) -> None:
        for name in ("eta_w", "eta_r"):
            if not callable(getattr(self, name)):
                _checks.number(name, getattr(self, name), minimum=0)
        for name, kind in (("activation", Activation), ("loss", Loss)):
            if not isinstance(getattr(self, name), kind):
                raise TypeError(f"{name} is {getattr(self, name)!r}: needs a copi_ref {kind.__name__}")
        if not (callable(self.optimizer) and hasattr(self.optimizer, "init")):
            raise TypeError(f"optimizer is {self.optimizer!r}: needs one such as copi_ref.plain")
        find_credit(self.credit)
        _checks.choice("weight_rule", self.weight_rule, WEIGHT_RULES)
        _checks.choice("lateral_rule", self.lateral_rule, {**LATERAL_RULES, "none": None})
        _checks.choice("output", self.output, OUTPUTS)
        _checks.number("error_scale", self.error_scale)
        _checks.whole_number("lateral_only_epochs", self.lateral_only_epochs, minimum=0)
        _checks.whole_number("batch_size", self.batch_size, minimum=1)
        float_name(self.dtype)
