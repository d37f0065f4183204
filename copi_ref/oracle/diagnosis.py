"""Which mistake is it: other conventions, the catalogue, and factors that were fitted are held against what came."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from copi_ref.backend import HostArray
from copi_ref.oracle.catalogue import STEP_VARIANTS, VARIANTS, Variant
from copi_ref.oracle.comparison import Observation
from copi_ref.oracle.conventions import Conventions, neighbours
from copi_ref.oracle.functions import Function
from copi_ref.oracle.pieces import Inputs, Pieces, reduced, right_pieces
from copi_ref.oracle.rounding import Precision, Tracked


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
        for candidate in _candidates(function, right, observations):
            if candidate.pieces and explains(function, candidate.pieces, precision, observations):
                return candidate
    return None


def _kept_arguments(
    function: Function, right: Pieces, precision: Precision, observations: list[Observation]
) -> Diagnosis | None:
    """Say which arguments were taken from an earlier call of the same shapes, if that explains a wrong result."""
    one = next((one for one in observations if not _fits(function, right, precision, one)), None)
    if one is None:
        return None
    names = [name for name in function.arguments if not name.startswith("eta")]
    shapes = _shapes(one.case.inputs)
    for other in observations:
        if other is one or _shapes(other.case.inputs) != shapes:
            continue
        for count in range(1, len(names)):
            for kept in itertools.combinations(names, count):
                inputs = one.case.inputs | {name: other.case.inputs[name] for name in kept}
                if _fits(function, right, precision, replace(one, case=replace(one.case, inputs=inputs))):
                    listed = " and ".join(kept)
                    return Diagnosis("state-leak", f"state leaks between calls: {listed} of another call is used")
    return None


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
    if found is None:
        return False
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


def _candidates(function: Function, right: Pieces, observations: list[Observation]) -> Iterator[Diagnosis]:
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


# --- factors ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Family:
    """Variants with numbers in them, on which results depend linearly; the right ones are all 1.

    Args:
        name: of the family.
        terms: what each number multiplies.
        change: ``(pieces, numbers) -> pieces``.
    """

    name: str
    terms: tuple[str, ...]
    change: Callable[[Pieces, Any], Pieces]


def _two_sided(p: Pieces, above: float, below: float) -> Callable[..., Any]:
    return lambda a, layer, layers: np.where(a < 0, below, above) * p.activate(a, layer, layers)


def _two_sided_slope(p: Pieces, above: float, below: float) -> dict[str, Any]:
    def factor(a: HostArray) -> HostArray:
        return np.where(a < 0, below, above)

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
    Family("lateral-factors", ("E[x xᵀ]", "diag(E[x²])"), lambda p, k: p.with_changes(lateral=_lateral_terms(p, k))),
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


def _lateral_terms(p: Pieces, k: Any) -> Callable[[HostArray, HostArray], HostArray]:
    def wrong(x: HostArray, R: HostArray) -> HostArray:
        right = p.lateral(x, R)
        D = reduced(p.conventions, x, np.diag(np.mean(x * x, axis=0)))
        rule = p.conventions.lateral_rule
        diagonal = R @ D if rule == "right" else D @ R
        if rule == "symmetric":
            diagonal = (diagonal + diagonal.mT) / 2
        return np.asarray(k[0] * (right - diagonal) + k[1] * diagonal)

    return wrong


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
    used = np.abs(design).max(axis=0) > 0
    if not used.any():
        return
    numbers = np.ones(len(family.terms))
    offset = np.concatenate(wanted) - at_zero - design[:, ~used].sum(axis=1)
    numbers[used] = np.linalg.lstsq(design[:, used], offset, rcond=None)[0]
    if np.allclose(numbers, 1, rtol=1e-3):
        return
    shown = [f"{number:.4g}" for number in numbers]
    terms = ", ".join(
        f"{term} has the factor {number}"
        for term, number, matters in zip(family.terms, shown, used, strict=True)
        if matters and number != "1"
    )
    yield Diagnosis(f"{family.name}({', '.join(shown)})", terms, family.change(right, numbers))
