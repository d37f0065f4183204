"""Which mistake is it: other conventions, the catalogue, and factors that were fitted are held against what came."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from copi_ref.backend import HostArray
from copi_ref.oracle.catalogue import STEP_VARIANTS, VARIANTS, Variant
from copi_ref.oracle.catalogue.lateral import lateral_terms
from copi_ref.oracle.comparison import Observation
from copi_ref.oracle.conventions import Conventions, neighbours
from copi_ref.oracle.functions import Function
from copi_ref.oracle.pieces import Inputs, Pieces, Quantities, after_forward, forward, perturbations, right_pieces
from copi_ref.oracle.rounding import PRECISIONS, Precision, Tracked


@dataclass(frozen=True)
class Diagnosis:
    """A mistake that explains what came: its name, what it is in words, and the pieces that make it, if any do."""

    name: str
    says: str
    pieces: Pieces | None = None

    def __str__(self) -> str:
        named = self.pieces is not None and self.name not in self.says
        return f"[{self.name}] {self.says}" if named else self.says


def diagnose(
    function: Function, conventions: Conventions, precision: Precision, observations: list[Observation]
) -> Diagnosis | None:
    """Return what reproduces all observations, or None."""
    right = right_pieces(conventions)
    with np.errstate(all="ignore"):
        if kept := _kept_arguments(function, right, precision, observations):
            return kept
        for candidate in _candidates(function, right, precision, observations):
            if candidate.pieces is None or explains(function, candidate.pieces, precision, observations):
                return candidate
    return None


def _kept_arguments(
    function: Function, right: Pieces, precision: Precision, observations: list[Observation]
) -> Diagnosis | None:
    """Say which arguments were taken from another call of the same shapes, if that explains a wrong result."""
    one = next((one for one in observations if not _fits(function, right, precision, one)), None)
    if one is None:
        return None
    shapes = _shapes(one.case.inputs)
    for other in observations:
        if other is not one and _shapes(other.case.inputs) == shapes:
            for what, found in _with_arguments_of(other.case.inputs, function, right, one):
                if _agrees(found, one, precision):
                    return Diagnosis("state-leak", f"state leaks between calls: {what} of another call is used")
    return None


def _with_arguments_of(
    other: Inputs, function: Function, right: Pieces, one: Observation
) -> Iterator[tuple[str, Quantities]]:
    """Yield what would have come if some arguments had been those of another call."""
    inputs = one.case.inputs
    names = [name for name in function.arguments if not name.startswith("eta")]
    for count in range(1, len(names)):
        for kept in itertools.combinations(names, count):
            found = function.expected(right, inputs | {name: other[name] for name in kept}, one.actual)
            yield " and ".join(kept), found
            if function.name == "step":
                yield " and ".join(kept), _added_to(other, kept, inputs, found)
    if function.name == "step":
        states = forward(right, inputs, {})
        layers = range(1, len(inputs["W"]) + 1)
        a, y = ([states[f"{symbol} of layer {layer}"] for layer in layers] for symbol in "ay")
        deltas = perturbations(right, {**inputs, "a": a, "y": y, "W": other["W"], "R": other["R"]}, {})
        yield "W and R in the backward pass", after_forward(right, inputs, states, deltas)


def _added_to(other: Inputs, kept: tuple[str, ...], inputs: Inputs, found: Quantities) -> Quantities:
    """Return updates as they are recovered if kept weights are also what they were added to."""
    moved = dict(found)
    for letter, eta in (("W", inputs["eta_w"]), ("R", inputs["eta_r"])):
        if letter in kept:
            for layer, (old, now) in enumerate(zip(other[letter], inputs[letter], strict=True), start=1):
                moved[f"Δ{letter} of layer {layer}"] = found[f"Δ{letter} of layer {layer}"] + (old - now) / eta
    return moved


def _shapes(inputs: Inputs) -> dict[str, Any]:
    return {
        name: [np.shape(one) for one in value] if isinstance(value, tuple) else np.shape(value)
        for name, value in inputs.items()
    }


def explains(function: Function, pieces: Pieces, precision: Precision, observations: list[Observation]) -> bool:
    """Whether the pieces give what was observed, on every case, but for rounding."""
    return all(_fits(function, pieces, precision, one) for one in observations)


def _fits(function: Function, pieces: Pieces, precision: Precision, one: Observation) -> bool:
    found = _evaluated(function, pieces, one)
    return found is not None and _agrees(found, one, precision)


def _agrees(found: Quantities, one: Observation, precision: Precision) -> bool:
    """Whether quantities are those that were observed, but for rounding."""
    for name, actual in one.actual.items():
        value = found.get(name)
        if value is None or np.shape(value) != actual.shape:
            return False
        if not np.all(np.abs(actual - value) <= _allowed(one.expected[name], value, precision)):
            return False
    return True


def _evaluated(function: Function, pieces: Pieces, one: Observation) -> dict[str, HostArray] | None:
    try:
        return function.expected(pieces, one.case.inputs, one.actual)
    except (np.linalg.LinAlgError, ValueError, ZeroDivisionError, FloatingPointError):
        return None  # a variant that has no meaning here


def _allowed(expected: Tracked, value: HostArray, precision: Precision) -> float:
    """Return how far a variant's own rounding may be: its magnitude is not known, so that of the right one scales."""
    size = float(np.max(expected.magnitude))
    relative = float(np.max(expected.allowance(precision))) / size if size else precision.unit
    if relative > 2.0**-6:  # too coarse to tell variants apart: one rounding of an exact result
        return 2 * precision.unit * float(np.max(np.abs(value)))
    return 4 * relative * (size + float(np.max(np.abs(value))))


def _candidates(
    function: Function, right: Pieces, precision: Precision, observations: list[Observation]
) -> Iterator[Diagnosis]:
    # What `perturbations` sees of f is f′ alone: another f is no likelier there than a wrong f′.
    of_f = {"activation", "slope"} if function.name == "perturbations" else set()
    conventions = [*_other_conventions(right.conventions, depth=1)]
    yield from (candidate for fields, candidate in conventions if not fields & of_f)
    for variant in _in_order(function):
        changed = variant.change(right)
        if changed is not None:
            yield Diagnosis(variant.name, variant.says, changed)
    yield from (candidate for fields, candidate in conventions if fields & of_f)
    for family in FAMILIES:
        yield from _fitted(family, function, right, observations)
    yield from _coarser(precision, observations)
    yield from (candidate for _, candidate in _other_conventions(right.conventions, depth=2))


def _in_order(function: Function) -> list[Variant]:
    """Mistakes of a whole step first where a step is looked at: some are those of an equation in other words."""
    return sorted(VARIANTS.values(), key=lambda variant: function.name == "step" and variant not in STEP_VARIANTS)


def _other_conventions(conventions: Conventions, depth: int) -> Iterator[tuple[set[str], Diagnosis]]:
    """Yield the fields that differ, and what they say."""
    for changed, other in neighbours(conventions, depth):
        if other.credit == "bp" or conventions.credit == other.credit:  # feedback weights can't be made up
            text = ", ".join(f"{name}={value!r}" for name, value in changed.items())
            yield (
                set(changed),
                Diagnosis(
                    text, f"matches {text}: pass it in Conventions, if that is what you mean", right_pieces(other)
                ),
            )


def _coarser(precision: Precision, observations: list[Observation]) -> Iterator[Diagnosis]:
    """Say that errors are those of a coarser format, if they all are."""
    for coarser in sorted(PRECISIONS.values(), key=lambda format_: format_.unit + format_.product_unit):
        finer = coarser.unit + coarser.product_unit <= precision.unit + precision.product_unit
        if not finer and all(
            np.all(np.abs(actual - one.expected[name].value) <= one.expected[name].allowance(coarser))
            for one in observations
            for name, actual in one.actual.items()
        ):
            says = f"errors are as large as {coarser.name} makes them: is something computed in it?"
            yield Diagnosis(f"precision-{coarser.name}", says)


# --- factors ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Family:
    """Variants with numbers in them, on which the results of a function depend linearly.

    Args:
        name: of the family.
        terms: what each number multiplies.
        change: ``(pieces, numbers) -> pieces``.
        right: the right numbers.
    """

    name: str
    terms: tuple[str, ...]
    change: Callable[[Pieces, Any], Pieces]
    right: Callable[[Pieces], tuple[float, ...]] = lambda p: (1.0,)


def _two_sided(p: Pieces, above: float, below: float) -> Callable[..., Any]:
    return lambda a, layer, layers: np.where(a < 0, below, above) * p.activate(a, layer, layers)


def _two_sided_slope(p: Pieces, above: float, below: float) -> dict[str, Any]:
    def factor(a: HostArray) -> HostArray:
        return np.where(a < 0, below, above)

    return {
        "output_delta": lambda a, y, target: factor(a) * p.output_delta(a, y, target),
        "hidden_delta": lambda up, a, *rest: factor(a) * p.hidden_delta(up, a, *rest),
    }


def _affine(a: HostArray, k: Any) -> HostArray:
    return np.asarray(np.where(a < 0, k[0] * a + k[1], k[2] * a + k[3]))


def _kinked(p: Pieces) -> tuple[float, ...]:
    below, above = (float(p.conventions.f().derivative(np.array([a]))[0]) for a in (-1.0, 1.0))
    return below, 0.0, above, 0.0


def _affine_slope(p: Pieces, k: Any) -> dict[str, Any]:
    """f′ replaced: what the right f′ multiplied is divided by it first (it is not 0 where this is tried)."""

    def factor(a: HostArray) -> HostArray:
        slope = np.where(a < 0, k[0] + k[1] * a, k[2] + k[3] * a)
        return np.asarray(slope / np.asarray(p.conventions.f().derivative(a)))

    return {
        "output_delta": lambda a, y, target: factor(a) * p.output_delta(a, y, target),
        "hidden_delta": lambda up, a, *rest: factor(a) * p.hidden_delta(up, a, *rest),
    }


FAMILIES = (
    Family(
        "weight-factors",
        ("E[z xᵀ]", "W diag(E[x²])"),
        lambda p, k: p.with_changes(copi=lambda x, z, W: k[0] * p.copi(x, z, 0 * W) + k[1] * p.copi(x, 0 * z, W)),
    ),
    Family("sgd-factor", ("E[δ xᵀ]",), lambda p, k: p.with_changes(sgd=lambda x, delta: k[0] * p.sgd(x, delta))),
    Family(
        "lateral-factors", ("E[x xᵀ]", "diag(E[x²])"), lambda p, k: p.with_changes(lateral=lateral_terms(p, k[0], k[1]))
    ),
    Family(
        "x-factors",
        ("R y",),
        lambda p, k: p.with_changes(decorrelate=lambda y, R, layer: k[0] * p.decorrelate(y, R, layer)),
    ),
    Family("a-factor", ("W x",), lambda p, k: p.with_changes(preactivate=lambda *args: k[0] * p.preactivate(*args))),
    Family(
        "activation-factors",
        ("f(a) where a ≥ 0", "f(a) where a < 0"),
        lambda p, k: p.with_changes(activate=_two_sided(p, *k)),
    ),
    Family(
        "activation-lines",
        ("a where a < 0", "1 where a < 0", "a where a ≥ 0", "1 where a ≥ 0"),
        lambda p, k: p.with_changes(activate=lambda a, layer, layers: _affine(a, k)),
        _kinked,
    ),
    Family(
        "error-factors",
        ("the target in δ_L", "the prediction in δ_L"),
        lambda p, k: p.with_changes(
            output_delta=lambda a, y, t: k[0] * _part(p, a, y, t, target=True) + k[1] * _part(p, a, y, t, target=False)
        ),
    ),
    Family(
        "hidden-factor",
        ("δ of the layer above",),
        lambda p, k: p.with_changes(hidden_delta=lambda up, *rest: k[0] * p.hidden_delta(up, *rest)),
    ),
    Family(
        "slope-factors",
        ("f′(a) where a ≥ 0", "f′(a) where a < 0"),
        lambda p, k: p.with_changes(**_two_sided_slope(p, *k)),
    ),
    Family(
        "slope-lines",
        ("1 in f′ where a < 0", "a in f′ where a < 0", "1 in f′ where a ≥ 0", "a in f′ where a ≥ 0"),
        lambda p, k: p.with_changes(**_affine_slope(p, k)),
        _kinked,
    ),
    Family(
        "added-decay",
        ("−W besides the decay −W diag(E[x²])",),
        lambda p, k: p.with_changes(copi=lambda x, z, W: p.copi(x, z, W) - k[0] * W),
        lambda p: (0.0,),
    ),
    Family(
        "target-factors",
        ("a in z", "δ in z"),
        lambda p, k: p.with_changes(target_state=lambda a, y, delta: k[0] * a + k[1] * delta),
    ),
)
"""Looked at after the catalogue, in this order."""


def _part(p: Pieces, a: HostArray, y: HostArray, t: HostArray, target: bool) -> HostArray:
    """Return the part of δ_L = f′(a_L) ∘ (y* − prediction) with the target, or the other one; it is linear in both."""
    of_both, of_target_twice = p.output_delta(a, y, t), p.output_delta(a, y, 2 * t)
    with_target = of_target_twice - of_both
    return np.asarray(with_target if target else of_both - with_target)


def _fitted(family: Family, function: Function, right: Pieces, observations: list[Observation]) -> Iterator[Diagnosis]:
    """Yield the member of the family that fits best by least squares; whether it fits is seen like any other."""
    points = [np.zeros(len(family.terms)), *np.eye(len(family.terms))]
    columns: list[list[HostArray]] = [[] for _ in points]
    wanted = []
    for one in observations:
        values = [_evaluated(function, family.change(right, point), one) for point in points]
        if any(value is None for value in values):
            return
        for name, actual in one.actual.items():
            scale = 1 / (np.max(one.expected[name].magnitude) or 1)
            wanted.append((actual * scale).ravel())
            for column, value in zip(columns, values, strict=True):
                column.append((np.asarray(value[name]) * scale).ravel())  # type: ignore[index]
    at_zero, *at_one = (np.concatenate(column) for column in columns)
    design = np.stack([column - at_zero for column in at_one], axis=1)
    if not np.isfinite(design).all() or not np.isfinite(at_zero).all():
        return
    right_numbers = np.resize(family.right(right), len(family.terms))  # all 1, mostly
    used = np.abs(design).max(axis=0) > 0
    if not used.any():
        return
    numbers = right_numbers.astype(float)
    offset = np.concatenate(wanted) - at_zero - design[:, ~used] @ numbers[~used]
    numbers[used] = np.linalg.lstsq(design[:, used], offset, rcond=None)[0]
    numbers = np.where(np.abs(numbers) < 1e-12, 0.0, numbers)
    terms = ", ".join(
        f"{term} has the factor {number:.4g}"
        for term, number, wanted_, matters in zip(family.terms, numbers, right_numbers, used, strict=True)
        if matters and not np.isclose(number, wanted_, rtol=1e-3, atol=0)
    )
    shown = ", ".join(f"{number:.4g}" for number in numbers)
    yield Diagnosis(f"{family.name}({shown})", terms, family.change(right, numbers))
