"""What an implementation of Inference Learning chose; the defaults are those of this library."""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from fractions import Fraction
from functools import cached_property
from typing import Any, Literal, get_args

from copi_ref.activations import ACTIVATIONS, Activation, ActivationName
from copi_ref.arrays import checks
from copi_ref.oracle.contract.conventions import Conventions, ReductionName, SamplesName

FormName = Literal["weights-after-activation", "activation-after-weights"]
BiasName = Literal["none", "inside", "outside"]
ScheduleName = Literal["all-at-once", "bottom-up", "top-down"]

_CHOICES: dict[str, tuple[str, ...]] = {
    "samples": get_args(SamplesName),
    "form": get_args(FormName),
    "activation": tuple(ACTIVATIONS),
    "output_activation": ("same", "identity"),
    "biases": get_args(BiasName),
    "inference_rate": ("one", "per-layer"),
    "schedule": get_args(ScheduleName),
    "predictions": ("current", "fixed"),
    "output": ("clamped", "nudged", "pulled"),
    "start": ("forward", "zeros", "from-above"),
    "energy_reduction": ("per-sample", "sum", "mean"),
    "reduction": get_args(ReductionName),
    "step_reduction": ("as reduction", *get_args(ReductionName)),
    "learning": ("after", "incremental"),
    "incremental_order": ("states-first", "simultaneous", "weights-first"),
    "returns": ("descent", "gradient"),
}
_NUMBERS = ("slope", "state_decay", "momentum", "energy_factor", "weight_factor", "error_sign")


@dataclass(frozen=True, kw_only=True)
class InferenceConventions:
    """What the implementation under test chose. With φ and ψ the activation f or none, p_l = ψ(W_l φ(h_{l−1}) + b_l).

    Args:
        samples: "rows": a batch is (N, K); "columns": (K, N).
        form: "weights-after-activation": p_l = W_l f(h_{l−1}), states are pre-activations; "activation-after-weights":
            p_l = f(W_l h_{l−1}), states are outputs.
        activation: "leaky_relu", "relu", "identity", "tanh" or "sigmoid".
        slope: of leaky ReLU below 0.
        derivative_at_zero: f′(0) of (leaky) ReLU, a number or "slope".
        input_activation: whether f is applied to the input y0 too.
        output_activation: "same": with activation after weights p_L = f(a_L) as every layer; "identity": p_L = a_L.
        biases: "none"; "inside": f(W x + b); "outside": f(W x) + b. Else than "none" the list b is the last argument.
        inference_factor: a factor on the gradient by which states move: 1, 2, any number, or "1/N".
        inference_rate: "one": gamma is a number; "per-layer": a list with one number a layer, the lowest first.
        precisions: a factor on ½‖e_l‖² of each layer, the lowest first; () for 1 everywhere.
        state_decay: λ: λ h_l is added to the gradient of each state that moves.
        momentum: μ: what moves a state is v ← μ v + gradient, from v = 0.
        schedule: "all-at-once", or one layer after the other with fresh errors: "bottom-up", "top-down".
        predictions: "current"; "fixed": p_l, f′ and the inputs of the weights stay those of the start.
        output: "clamped": h_L = y*; "nudged": h_L is clamped to p_L + δ_L of the loss ½‖y_L − y*‖², y_L = f(p_L) with
            weights after activation unless `output_activation` is "identity"; "pulled": h_L is free, starts at p_L
            and has ½‖h_L − y*‖² in its energy: `infer` and `converge` get the target as an argument behind the others.
        start: hidden states before the first step: "forward": h_l = p_l; "zeros"; "from-above": h_l = W_{l+1}ᵀ h_{l+1}.
        energy_factor: F = energy_factor · Σ_l precision_l ‖e_l‖².
        energy_reduction: "per-sample": (N,); "sum" or "mean" over samples: a number.
        reduction: whether weight updates are a "mean" or a "sum" over samples.
        weight_factor: a factor on weight updates.
        step_reduction: reduction of the update in `step`; "as reduction" if it has none of its own.
        learning: "after" the last step of inference; "incremental": in every step (iPC).
        incremental_order: "states-first": weights see the moved states; "simultaneous"; "weights-first".
        returns: what `weight_update` gives: "descent", to be added, or "gradient", to be subtracted.
        error_sign: 1: e = h − p; −1: e = p − h.

    Raises:
        TypeError, ValueError: a field that is none of these; the message names it.
    """

    samples: SamplesName = "rows"
    form: FormName = "weights-after-activation"
    activation: ActivationName = "leaky_relu"
    slope: float | Fraction = 0.1
    derivative_at_zero: float | Literal["slope"] = 1
    input_activation: bool = False
    output_activation: Literal["same", "identity"] = "same"
    biases: BiasName = "none"
    inference_factor: float | Literal["1/N"] = 1
    inference_rate: Literal["one", "per-layer"] = "one"
    precisions: tuple[float, ...] = ()
    state_decay: float = 0
    momentum: float = 0
    schedule: ScheduleName = "all-at-once"
    predictions: Literal["current", "fixed"] = "current"
    output: Literal["clamped", "nudged", "pulled"] = "clamped"
    start: Literal["forward", "zeros", "from-above"] = "forward"
    energy_factor: float = 0.5
    energy_reduction: Literal["per-sample", "sum", "mean"] = "per-sample"
    reduction: ReductionName = "mean"
    weight_factor: float = 1
    step_reduction: Literal["as reduction", "mean", "sum"] = "as reduction"
    learning: Literal["after", "incremental"] = "after"
    incremental_order: Literal["states-first", "simultaneous", "weights-first"] = "states-first"
    returns: Literal["descent", "gradient"] = "descent"
    error_sign: int = 1

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            checks.choice(name, getattr(self, name), dict.fromkeys(choices))
        for name in _NUMBERS:
            checks.one_number(name, getattr(self, name))
        for name, word in (("derivative_at_zero", "slope"), ("inference_factor", "1/N")):
            value = getattr(self, name)
            if isinstance(value, str) and value != word:
                raise ValueError(f"{name} is {value!r}: needs a number or {word!r}")
            if not isinstance(value, str):
                checks.one_number(name, value)
        if not isinstance(self.input_activation, bool):
            raise TypeError(f"input_activation is {self.input_activation!r}: needs True or False")
        if self.error_sign not in (1, -1):
            raise ValueError(f"error_sign is {self.error_sign!r}: needs 1 (h − p) or -1 (p − h)")
        if not isinstance(self.precisions, tuple):
            raise TypeError(f"precisions is {self.precisions!r}: needs a tuple, one number a layer")
        for precision in self.precisions:
            checks.one_number("precisions", precision, minimum=0)

    @cached_property
    def curve(self) -> Conventions:
        """f and f′(0) as conventions of COPI, which know how such an f rounds."""
        below = {"relu": 0, "identity": 1}.get(self.activation, self.slope)
        at_zero = below if self.derivative_at_zero == "slope" else self.derivative_at_zero
        return Conventions(activation=self.activation, slope=self.slope, derivative_at_zero=at_zero)  # type: ignore[arg-type]

    def f(self) -> Activation:
        """Return the activation, with the slope and the f′(0) that were chosen."""
        return self.curve.f()

    @property
    def weights_last(self) -> bool:
        """Whether states are pre-activations."""
        return self.form == "weights-after-activation"

    @property
    def depth(self) -> int | None:
        """How many layers networks have to have; None: any number."""
        return len(self.precisions) or None

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as plain texts, numbers and lists, for JSON."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: _plain(value) for name, value in values.items()}

    def differing(self) -> dict[str, Any]:
        """Return the fields that are not at their defaults."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value != getattr(THIS_LIBRARY, name)}

    def __str__(self) -> str:
        changed = ", ".join(f"{name}={value!r}" for name, value in self.differing().items())
        return changed or "Inference Learning as in copi_ref, slope 0.1"


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return value if isinstance(value, (str, bool, int)) else float(value)


THIS_LIBRARY = InferenceConventions()
"""Inference Learning as this library computes it."""

ALTERNATIVES: dict[str, tuple[Any, ...]] = {
    "form": _CHOICES["form"],
    "output_activation": _CHOICES["output_activation"],
    "input_activation": (False, True),
    "error_sign": (1, -1),
    "returns": _CHOICES["returns"],
    "reduction": _CHOICES["reduction"],
    "step_reduction": _CHOICES["step_reduction"],
    "weight_factor": (1, 2, 0.5),
    "inference_factor": (1, 2, "1/N", 0.5),
    "energy_factor": (0.5, 1, -0.5),
    "energy_reduction": _CHOICES["energy_reduction"],
    "activation": _CHOICES["activation"],
    "slope": (0.1, 0.01, 0.2, 0.25, 0.125, 0.5),
    "derivative_at_zero": (1, 0, 0.5, "slope"),
    "biases": ("inside", "outside"),
    "schedule": _CHOICES["schedule"],
    "predictions": _CHOICES["predictions"],
    "start": _CHOICES["start"],
    "output": ("clamped", "nudged"),
    "learning": _CHOICES["learning"],
    "incremental_order": _CHOICES["incremental_order"],
    "precisions": ((),),
    "state_decay": (0,),
    "momentum": (0, 0.5, 0.9),
}
"""What else people choose, field by field, where the arguments are the same: looked at first if a result is wrong."""

MEASURED = ("inference_factor", "weight_factor", "energy_factor", "state_decay", "momentum")
"""Fields of which results are a linear function: any number may be found in what came."""


def combined(
    conventions: InferenceConventions, depth: int, alternatives: Mapping[str, tuple[Any, ...]]
) -> Iterator[dict[str, Any]]:
    """Yield what else may be chosen in `depth` fields at once, by field."""
    for names in itertools.combinations(alternatives, depth):
        for values in itertools.product(*(alternatives[name] for name in names)):
            changed = dict(zip(names, values, strict=True))
            no_biases = "biases" in changed and conventions.biases == "none"
            no_slope = "slope" in changed and changed.get("activation", conventions.activation) != "leaky_relu"
            if not (no_slope or no_biases) and all(
                value != getattr(conventions, name) for name, value in changed.items()
            ):
                yield changed
