"""What an implementation chose where COPI leaves a choice; the defaults are Algorithm 1 as printed, with slope 0.1."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from functools import lru_cache
from typing import Any, Literal, get_args

from copi_ref.activations import ACTIVATIONS, Activation, ActivationName, leaky_relu_with
from copi_ref.arrays import checks
from copi_ref.arrays.backend import Namespace
from copi_ref.losses import Loss, half_quadratic, softmax_cross_entropy
from copi_ref.oracle.rounding import AnyArray, Tracked, bent, evaluated, smooth, softmax

CreditName = Literal["bp", "fa", "dfa", "sdfa", "drtp", "sign-symmetric", "sign-symmetric-magnitudes"]
LateralRuleName = Literal[
    "left",
    "right",
    "symmetric",
    "whitening",
    "whitening-normalized",
    "whitening-triangular",
    "whitening-rows",
    "kept-diagonal",
]
LateralGainName = Literal["none", "norms"]
SamplesName = Literal["rows", "columns"]
OutputName = Literal["activation", "pre-activation"]
ReductionName = Literal["mean", "sum"]
OutputActivationName = Literal["same", "identity"]
LossName = Literal["quadratic", "cross-entropy"]
DfaErrorName = Literal["pre-activation", "output"]
FeedbackName = Literal["own", "shared"]
FeedbackLikeName = Literal["transpose", "weights"]
WeightRuleName = Literal["copi", "sgd"]

CREDITS = get_args(CreditName)
BY_SIGNS = ("sign-symmetric", "sign-symmetric-magnitudes")
"""Credit methods that send δ down through the signs of W."""
DIRECT = ("dfa", "sdfa", "drtp")
"""Credit methods that send the same to every hidden layer."""
WITHOUT_B = ("bp", "sign-symmetric")
"""Credit methods without feedback weights."""
WITH_B = tuple(credit for credit in CREDITS if credit not in WITHOUT_B)
"""Those with some."""
LATERAL_RULES: tuple[LateralRuleName, ...] = get_args(LateralRuleName)
OF_THE_PAPER: tuple[LateralRuleName, ...] = ("left", "right", "symmetric")
WHITENING: tuple[LateralRuleName, ...] = (
    "whitening",
    "whitening-normalized",
    "whitening-triangular",
    "whitening-rows",
)
LATERAL_GAINS = get_args(LateralGainName)
SAMPLES = dict.fromkeys(get_args(SamplesName))
OUTPUTS = dict.fromkeys(get_args(OutputName))
"""Without the "linear" of `copi_ref.Task`: that is ``output_activation="identity"``, which says what `forward` does."""
REDUCTIONS = dict.fromkeys(get_args(ReductionName))


@dataclass(frozen=True, kw_only=True)
class Conventions:
    """What the implementation under test chose.

    Args:
        samples: "rows": a batch is (N, K); "columns": (K, N).
        lateral_rule: by name, as in `copi_ref.decorrelation_update`; "none": a network without R, whose functions take
            and return none, see `copi_ref.oracle.FUNCTIONS`.
        kappa: κ of the whitening rules.
        share: of a batch: "kept-diagonal" and the gain "norms" take its first ⌊N share⌋ + 1 samples, a subsampled rule
            max(1, N share), rounded, that are drawn.
        subsampled: whether R learns from samples that are drawn with replacement: `decorrelation_update` gets their
            indices as an argument, and `step` as its last one, an array for each layer.
        lateral_gain: "norms", E[‖y‖/√(‖x‖² + 1e-8)], multiplies R ahead of its step, see `copi_ref.NormGain`:
            ``decorrelation_update(x, R, y, eta_r)`` returns what R moves by in all, g R − R + η ΔR(x, g R).
        loss_factor: δ_L = loss_factor · f′(a_L) ∘ (y* − y_L): 2 for ‖y − y*‖², 1 for half of it.
        credit: "bp", "fa", "dfa", "sdfa", "drtp", "sign-symmetric" or "sign-symmetric-magnitudes", as in
            `copi_ref.CREDIT`. For all but "bp" and "sign-symmetric" `perturbations` and `step` get the feedback weights
            B as their last argument, one array per layer above the first.
        activation: "leaky_relu", "relu", "identity", "tanh" or "sigmoid".
        slope: of leaky ReLU below 0. COPI's text gives none; the default is that of its published experiments.
        derivative_at_zero: f′(0) of (leaky) ReLU; PyTorch's autograd takes the slope.
        output: what is compared with the target: "activation", y_L, or "pre-activation", a_L.
        reduction: whether updates are a "mean" or a "sum" over samples.
        error_scale: a factor on every δ, where `perturbations` returns it and where it enters the update.
        assumes_symmetric_R: the code takes R for Rᵀ: it is given symmetric R only.
        output_activation: f of the last layer: "same", as in all others, or "identity": y_L = a_L, and no f′ in δ_L.
        loss: "quadratic", times loss_factor/2, or "cross-entropy" of a softmax of the output; targets are one-hot then,
            and `loss_factor` has no meaning.
        dfa_error: what "dfa" and "sdfa" send: "pre-activation", δ_L = −dℓ/da_L, or "output", −∂ℓ/∂y_L, without f′.
        feedback: "own": a B for each layer; "shared": one matrix, of which each layer uses the first rows and columns.
        weight_rule: how `step` changes W: "copi", or "sgd", ΔW = E[δ xᵀ].
        biases: whether a = W x + b; b comes after B, one (K_l,) array per layer, and `step` returns it with
            Δb = E[δ]. Only with ``weight_rule="sgd"``: COPI has none.
        feedback_like: the shape of B: "transpose", (K_l, K_{l+1}) as (W R)ᵀ has, or "weights", (K_{l+1}, K_l), as W.

    Raises:
        TypeError, ValueError: a field that is none of these; the message names it.
    """

    samples: SamplesName = "rows"
    lateral_rule: LateralRuleName | Literal["none"] = "right"
    kappa: float | Fraction = 0.001
    share: float | Fraction = 0.1
    subsampled: bool = False
    lateral_gain: LateralGainName = "none"
    loss_factor: float = 2
    credit: CreditName = "bp"
    activation: ActivationName = "leaky_relu"
    slope: float | Fraction = 0.1
    derivative_at_zero: float = 1
    output: OutputName = "activation"
    reduction: ReductionName = "mean"
    error_scale: float = 1
    assumes_symmetric_R: bool = False
    output_activation: OutputActivationName = "same"
    loss: LossName = "quadratic"
    dfa_error: DfaErrorName = "pre-activation"
    feedback: FeedbackName = "own"
    feedback_like: FeedbackLikeName = "transpose"
    weight_rule: WeightRuleName = "copi"
    biases: bool = False

    def __post_init__(self) -> None:
        tables: tuple[tuple[str, Mapping[Any, Any]], ...] = (
            ("samples", SAMPLES),
            ("lateral_rule", dict.fromkeys((*LATERAL_RULES, "none"))),
            ("lateral_gain", dict.fromkeys(LATERAL_GAINS)),
            ("credit", dict.fromkeys(CREDITS)),
            ("activation", ACTIVATIONS),
            ("output", OUTPUTS),
            ("reduction", REDUCTIONS),
            *CHOICES.items(),
        )
        for name, table in tables:
            checks.choice(name, getattr(self, name), table)
        for name in ("loss_factor", "slope", "derivative_at_zero", "error_scale"):
            checks.one_number(name, getattr(self, name))
        for name in ("kappa", "share"):
            checks.one_number(name, getattr(self, name), minimum=0, maximum=1)
        for name in ("assumes_symmetric_R", "subsampled", "biases"):
            if not isinstance(getattr(self, name), bool):
                raise TypeError(f"{name} is {getattr(self, name)!r}: needs True or False")
        if self.biases and self.weight_rule != "sgd":
            raise ValueError("biases is True, and COPI's rule has none: needs weight_rule='sgd'")
        for name in ("subsampled", "lateral_gain"):
            if not self.has_R and getattr(self, name) not in (False, "none"):
                raise ValueError(f"{name} is {getattr(self, name)!r}, and there is no R: needs another lateral_rule")

    def f(self) -> Activation:
        """Return the activation, with the slope and the f′(0) that were chosen."""
        return _activation(self.activation, self.slope, self.derivative_at_zero)

    @property
    def is_smooth(self) -> bool:
        """Whether f is tanh or the sigmoid: no kink, and no exact tier."""
        return self.activation in ("tanh", "sigmoid")

    @property
    def is_rational(self) -> bool:
        """Whether δ is a rational function of a network's numbers: only then it has an exact tier."""
        return not self.is_smooth and self.loss == "quadratic"

    @property
    def has_R(self) -> bool:
        """Whether there are lateral weights."""
        return self.lateral_rule != "none"

    @property
    def has_B(self) -> bool:
        """Whether feedback weights are handed over."""
        return self.credit in WITH_B

    @property
    def needs_error(self) -> bool:
        """Whether no sample can be without error: a softmax never reaches 0 or 1, and signs of 0 are rounding's."""
        return self.loss == "cross-entropy" or self.credit == "sdfa"

    def predicted(self, a: AnyArray, y: AnyArray) -> AnyArray:
        """Return what is compared with the target."""
        linear = self.output == "pre-activation" or self.output_activation == "identity"
        return a if linear else self.given(y)

    @property
    def has_kink(self) -> bool:
        """Whether f′ jumps at 0."""
        return self.activation in ("leaky_relu", "relu")

    @property
    def slope_below(self) -> Fraction | None:
        """f′ below 0 as a fraction with a denominator of up to 1000; None where it is none."""
        if self.is_smooth:
            return None
        slope = {"relu": Fraction(0), "identity": Fraction(1)}.get(self.activation, Fraction(float(self.slope)))
        near = slope.limit_denominator(1000)
        return near if float(near) == float(slope) else None

    @property
    def slope_is_dyadic(self) -> bool:
        """Whether f′ is exact below 0: no fraction, or one of a power of two."""
        slope = self.slope_below
        return slope is not None and slope.denominator & (slope.denominator - 1) == 0

    @property
    def takes_part_of_batch(self) -> bool:
        """Whether R learns from some samples of a batch only."""
        return self.subsampled or self.lateral_rule == "kept-diagonal" or self.lateral_gain != "none"

    def given(self, y: AnyArray) -> AnyArray:
        """Return y = f(a) as δ_L sees it: with what a second evaluation of a smooth f rounds."""
        if self.is_smooth and isinstance(y, Tracked):
            return evaluated(y, _SIZE_AND_SLOPE[self.activation][0][0])
        return y

    def of_output(self) -> Loss:
        """Return the loss of which δ_L is the descent direction."""
        if self.loss == "cross-entropy":
            return _CROSS_ENTROPY
        factor = _plain(self.loss_factor)
        return Loss(
            f"{factor}/2 times the quadratic loss",
            lambda y, target, xp: factor * half_quadratic.value(y, target, xp),
            lambda y, target, xp: factor * half_quadratic.descent(y, target, xp),
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as plain texts and numbers, for JSON; without those that the lateral rule does not have."""
        unused = {"kappa"} if self.lateral_rule not in WHITENING else set()
        unused |= {"share"} if not self.takes_part_of_batch else set()
        unused |= {name for name in ("subsampled", "lateral_gain") if getattr(self, name) == getattr(AS_PRINTED, name)}
        values = {field.name: getattr(self, field.name) for field in fields(self) if field.name not in unused}
        return {name: value if isinstance(value, (str, bool, int)) else float(value) for name, value in values.items()}

    def told(self) -> dict[str, Any]:
        """Return what a program is told: of fields that came later only those not at their defaults.

        A program may refuse what it doesn't know, and one that was written before knows nothing of them.
        """
        later = {*CHOICES, "biases"}
        return {name: value for name, value in self.as_dict().items() if name not in later or name in self.differing()}

    def differing(self) -> dict[str, Any]:
        """Return the fields that are not at their defaults."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value != getattr(AS_PRINTED, name)}

    def __str__(self) -> str:
        changed = ", ".join(f"{name}={value!r}" for name, value in self.differing().items())
        return changed or "Algorithm 1 as printed, slope 0.1"


def _plain(number: Any) -> Any:
    """Return whole numbers as int, which leaves Fractions exact; others as they are."""
    return int(number) if number == int(number) else number


def _cross_entropy_descent(prediction: AnyArray, target: AnyArray, xp: Namespace) -> AnyArray:
    if isinstance(prediction, Tracked):
        return target - softmax(prediction)  # targets are one-hot: their sum, a factor of the softmax, is 1
    return softmax_cross_entropy.descent(prediction, target, xp)


_CROSS_ENTROPY = replace(softmax_cross_entropy, name="cross-entropy", descent=_cross_entropy_descent)

CHOICES: dict[str, dict[str, None]] = {
    "output_activation": dict.fromkeys(get_args(OutputActivationName)),
    "loss": dict.fromkeys(get_args(LossName)),
    "dfa_error": dict.fromkeys(get_args(DfaErrorName)),
    "feedback": dict.fromkeys(get_args(FeedbackName)),
    "feedback_like": dict.fromkeys(get_args(FeedbackLikeName)),
    "weight_rule": dict.fromkeys(get_args(WeightRuleName)),
}
"""What may be chosen in fields of the networks that others train."""

AS_PRINTED = Conventions()
"""Algorithm 1 as the paper prints it."""


@lru_cache(maxsize=256, typed=True)  # a search for names asks for it thousands of times, with other conventions besides
def _activation(name: ActivationName, slope: float | Fraction, derivative_at_zero: float) -> Activation:
    conventions = Conventions(activation=name, slope=slope, derivative_at_zero=derivative_at_zero)
    if conventions.activation == "identity":
        return ACTIVATIONS["identity"]
    if conventions.is_smooth:
        base, (of_f, of_f_prime) = ACTIVATIONS[conventions.activation], _SIZE_AND_SLOPE[conventions.activation]
        f, f_prime = _smoothly(base.f, *of_f), _smoothly(base.f_prime, *of_f_prime)
        return Activation(base.name, f, f_prime, rational=False)
    base = leaky_relu_with(conventions.slope) if conventions.activation == "leaky_relu" else ACTIVATIONS["relu"]
    at_zero = _plain(conventions.derivative_at_zero)
    kinked = replace(base, f_prime=lambda a, xp: xp.where(a == 0, at_zero * a**0, base.f_prime(a, xp)))
    # f of ReLU is exact in every way of writing it. f′ is too, but in a short format the error that a dead unit
    # multiplies by 0 may have left the range before: 0 ∞ is no number. So M takes f′ for 1 there as well.
    steepest = 1.0 if conventions.activation == "relu" else max(1.0, abs(float(conventions.slope)))
    at_most = max(steepest, abs(float(conventions.derivative_at_zero)))
    if conventions.activation == "relu":
        return replace(kinked, f_prime=_bent(kinked.f_prime, at_most, None, of_slope=True))
    fraction = None if conventions.slope_is_dyadic else conventions.slope_below
    return replace(
        kinked,
        f=_bent(base.f, steepest, fraction, of_slope=False),
        f_prime=_bent(kinked.f_prime, at_most, fraction, of_slope=True),
    )


def _bent(
    f: Callable[[AnyArray, Namespace], AnyArray], steepest: float, slope: Fraction | None, *, of_slope: bool
) -> Callable[[AnyArray, Namespace], AnyArray]:
    def either(a: AnyArray, xp: Namespace) -> AnyArray:
        return bent(f(a, xp), a, steepest, slope, of_slope) if isinstance(a, Tracked) else f(a, xp)

    return either


_SIZE_AND_SLOPE = {
    "tanh": ((1.0, 1.0), (1.0, 0.77)),  # |f″| ≤ 4/(3√3)
    "sigmoid": ((1.0, 0.25), (0.25, 0.0963)),  # |f″| ≤ 1/(6√3)
}
"""Bounds of f and its slope, and of f′ and its slope."""


def _smoothly(
    f: Callable[[AnyArray, Namespace], AnyArray], size: float, slope: float
) -> Callable[[AnyArray, Namespace], AnyArray]:
    def either(a: AnyArray, xp: Namespace) -> AnyArray:
        if isinstance(a, Tracked):
            return smooth(lambda value: f(value, checks.floating("a", value)), a, size, slope)
        return f(a, xp)

    return either


ALTERNATIVES: dict[str, tuple[Any, ...]] = {
    "lateral_rule": LATERAL_RULES,
    "kappa": (0.001, 0.01, 0.1, 0.5),
    "share": (0.1, 0.2, 0.25, 0.5),
    "subsampled": (False,),
    "reduction": tuple(REDUCTIONS),
    "loss_factor": (2, 1, 0.5, 4),
    "output": tuple(OUTPUTS),
    "activation": tuple(ACTIVATIONS),
    "slope": (0.1, 0.01, 0.2, 0.25, 0.3, 0.125, 0.5),
    "derivative_at_zero": (1, 0, 0.5, "slope", "midpoint"),
    "credit": CREDITS,
    "error_scale": (1, 10, 20, 100, 1000),
    "output_activation": tuple(CHOICES["output_activation"]),
    "loss": tuple(CHOICES["loss"]),
    "dfa_error": tuple(CHOICES["dfa_error"]),
}
"""What else people choose, field by field: where a result that does not fit is looked for first."""

_OF_SLOPE: dict[Any, Callable[[Any], Any]] = {"slope": lambda slope: slope, "midpoint": lambda slope: (1 + slope) / 2}


def combined(
    conventions: Conventions, depth: int, alternatives: Mapping[str, Iterable[Any]] | None = None
) -> Iterator[dict[str, Any]]:
    """Yield what else may be chosen in `depth` fields at once, by field."""
    table = ALTERNATIVES if alternatives is None else alternatives
    for names in itertools.combinations(table, depth):
        for values in itertools.product(*(table[name] for name in names)):
            changed = dict(zip(names, values, strict=True))
            if changed.get("derivative_at_zero") in _OF_SLOPE:
                slope = changed.get("slope", conventions.slope)
                changed["derivative_at_zero"] = _OF_SLOPE[changed["derivative_at_zero"]](slope)
            no_slope = "slope" in changed and changed.get("activation", conventions.activation) != "leaky_relu"
            rule = changed.get("lateral_rule", conventions.lateral_rule)
            if no_slope or ("kappa" in changed and rule not in WHITENING):
                continue
            if any(value == getattr(conventions, name) for name, value in changed.items()):
                continue
            yield changed
            if "kappa" not in changed and rule in WHITENING and conventions.lateral_rule not in WHITENING:
                yield from _with_other("kappa", changed, conventions)
            if "share" not in changed and changed.get("lateral_rule") == "kept-diagonal":
                yield from _with_other("share", changed, conventions)


def _with_other(field: str, changed: dict[str, Any], conventions: Conventions) -> Iterator[dict[str, Any]]:
    """Yield a change to a rule that has one field more, with its other values."""
    for value in ALTERNATIVES[field]:
        if value != getattr(conventions, field):
            yield {"lateral_rule": changed["lateral_rule"], field: value} | changed
