"""All that Algorithm 1 leaves open, in one frozen record."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from copi_ref.activations import ACTIVATIONS, Activation, ActivationName, leaky_relu
from copi_ref.arrays import checks
from copi_ref.arrays.backend import Array, FloatName, float_name
from copi_ref.arrays.said import said
from copi_ref.arrays.shown import shown
from copi_ref.credit import CreditName, backpropagation_through_batch_means, find_credit
from copi_ref.decorrelation import (
    LATERAL_RULES,
    LateralGain,
    LateralGainName,
    LateralRule,
    LateralRuleName,
    find_lateral_gain,
    find_lateral_rule,
)
from copi_ref.kept_diagonal import BatchCentring
from copi_ref.learning_rules import WEIGHT_RULES, WeightRuleName
from copi_ref.losses import LOSSES, Loss, LossName, quadratic
from copi_ref.optimizers import OPTIMIZERS, Optimizer, OptimizerName, plain
from copi_ref.task import OUTPUTS, CreditMethod, OutputName

WeightRule = Callable[[Array, Array, Array, Array], Array]
"""``(x, a, delta, W) -> ΔW``."""

Rate = float | Array | Callable[[int], Any]
"""A learning rate: a number, an ensemble's array of shape (S, 1, 1), or a function of the epoch that gives one."""

StatesName = Literal["forward", "inferred"]

STATES = {"forward": None, "inferred": None}
"""Which x and a the weights learn from: those of the forward pass, or those that the credit method inferred."""

Name = TypeVar("Name", bound=str)
Thing = TypeVar("Thing")


class Named(Generic[Name, Thing]):
    """A field that also takes a name in a table: what it keeps, and gives, is what the name stands for."""

    def __init__(self, table: Mapping[str, Thing], default: Thing):
        self.table, self.default = table, default

    def __set_name__(self, owner: type, field: str) -> None:
        self.field = field

    def __get__(self, record: object, kind: type | None = None) -> Thing:
        found: Thing = self.default if record is None else vars(record)[self.field]
        return found

    def __set__(self, record: object, value: Name | Thing) -> None:
        vars(record)[self.field] = checks.choice(self.field, value, self.table) if isinstance(value, str) else value


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All that Algorithm 1 leaves open.

    Args:
        eta_w: η_W, learning rate of the forward weights; a number or a function of the epoch (from 0).
        eta_r: η_R, learning rate of the lateral weights; likewise.
        activation: f, a name in `ACTIVATIONS`, or an `Activation`.
        loss: ℓ, a name in `LOSSES`, or a `Loss`.
        credit: how δ is found: a name in `CREDIT`, or a callable ``(params, trace, task) -> deltas``.
        weight_rule: a name in `WEIGHT_RULES`: "copi" (Eq. 3), "copi-scaled", "sgd" (§2.7), "nlms",
            "nlms-batch"; or a callable ``(x, a, delta, W) -> ΔW``.
        lateral_rule: a name in `LATERAL_RULES` (see `decorrelation_update`), or "none": R stays as it is; or a callable
            ``(x, R) -> ΔR`` such as ``Whitening(kappa=0.1)`` or ``Subsampled("left", share=0.1)``.
        lateral_gain: "none"; "power": R is scaled after each step so that x keeps the power of y, see
            `preserving_gain`; "norms": before each step, see `NormGain`; or a callable such as ``NormGain(share=1)``.
        centring: rate at which a running mean μ of each layer's input follows the batches, μ ← μ + rate (E[y] − μ);
            it is subtracted before R. 0: nothing is, as in the paper (a state that has means keeps them as they are).
            Or a `BatchCentring`: the batch's own mean while training.
        states: "forward": weights learn from the x and a of the forward pass; "inferred": from those that the credit
            method settled on, for methods that infer states (Inference Learning).
        optimizer: how ΔW becomes a step: a name in `OPTIMIZERS`, or one such as ``Adam(epsilon=1e-6)``. R always takes
            the plain one.
        weight_decay: λ in W ← W + η_W (d − λ W), with d the optimizer's direction (decoupled decay).
        error_scale: every δ is multiplied by it before it goes into the update.
        output: what is compared with the target: "activation", y_L; "linear", a_L; or "pre-activation", a_L too, but
            with the f′(a_L) in δ_L that the TMLR experiments have.
        lateral_only_epochs: in so many epochs at the start W stays, and only what is beside it learns: R, the running
            means, and an inverse model.
        lateral_every: R learns in every so many-th step, the first among them; 1: in each, as in the paper. A step
            without R's part is cheaper by about a third, and with η_R as many times as large R learns about as fast.
        batch_size: samples of a step; the last batch of an epoch may be smaller.
        dtype: of the parameters that `init_state` draws.

    Raises:
        TypeError, ValueError: a field that is none of these; the message names it.
    """

    eta_w: Rate
    eta_r: Rate
    activation: Named[ActivationName, Activation] = Named(ACTIVATIONS, leaky_relu)
    loss: Named[LossName, Loss] = Named(LOSSES, quadratic)
    credit: CreditName | CreditMethod = "bp"
    weight_rule: WeightRuleName | WeightRule = "copi"
    lateral_rule: LateralRuleName | Literal["none"] | LateralRule = "symmetric"
    lateral_gain: LateralGainName | LateralGain = "none"
    centring: float | BatchCentring = 0
    states: StatesName = "forward"
    optimizer: Named[OptimizerName, Optimizer] = Named(OPTIMIZERS, plain)
    weight_decay: float = 0
    error_scale: float = 1
    output: OutputName = "activation"
    lateral_only_epochs: int = 0
    lateral_every: int = 1
    batch_size: int = 50
    dtype: FloatName = "float32"

    __repr__ = shown

    def __post_init__(self) -> None:
        for name in ("eta_w", "eta_r"):
            if not callable(getattr(self, name)):
                checks.number(name, getattr(self, name), minimum=0)
        if not isinstance(self.activation, Activation):
            raise TypeError(f"activation is {said(self.activation)}: needs a name in ACTIVATIONS, or an Activation")
        if not isinstance(self.loss, Loss):
            raise TypeError(f"loss is {said(self.loss)}: needs a name in LOSSES, or a Loss")
        if isinstance(self.optimizer, type):
            name = self.optimizer.__name__
            raise TypeError(f"optimizer is the class {name}: needs an instance, as {name}()")
        if not (callable(self.optimizer) and hasattr(self.optimizer, "init")):
            raise TypeError(
                f"optimizer is {said(self.optimizer)}: needs a name in OPTIMIZERS, or one such as copi_ref.plain"
            )
        find_weight_rule(self.weight_rule)
        if callable(self.lateral_rule):
            find_lateral_rule(self.lateral_rule)
        else:
            checks.choice("lateral_rule", self.lateral_rule, {**LATERAL_RULES, "none": None})
        find_lateral_gain(self.lateral_gain)
        checks.choice("states", self.states, STATES)
        if self.states == "inferred" and not hasattr(find_credit(self.credit), "infer"):
            raise ValueError(f"states is 'inferred', but credit {self.credit!r} infers none: choose 'forward'")
        find_credit(self.credit)
        checks.choice("output", self.output, OUTPUTS)
        checks.one_number("error_scale", self.error_scale)
        checks.one_number("weight_decay", self.weight_decay, minimum=0)
        if isinstance(self.centring, type):
            raise TypeError(f"centring is the class {self.centring.__name__}: needs an instance, as BatchCentring()")
        by_batch = isinstance(self.centring, BatchCentring)
        if not by_batch:
            checks.one_number("centring", self.centring, minimum=0, maximum=1)
        if find_credit(self.credit) is backpropagation_through_batch_means and not by_batch:
            raise ValueError(f"credit is 'bp-batch-mean', but centring is {self.centring!r}: needs BatchCentring()")
        checks.whole_number("lateral_only_epochs", self.lateral_only_epochs, minimum=0)
        checks.whole_number("lateral_every", self.lateral_every, minimum=1)
        checks.whole_number("batch_size", self.batch_size, minimum=1)
        float_name(self.dtype)


def find_weight_rule(rule: str | WeightRule) -> WeightRule:
    """Return the weight rule of that name, or `rule` itself if it is callable.

    Raises:
        ValueError: an unknown name.
    """
    return rule if callable(rule) else checks.choice("weight_rule", rule, WEIGHT_RULES)
