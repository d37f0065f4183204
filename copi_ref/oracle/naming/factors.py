"""Mistakes with numbers in them: the numbers are fitted by least squares, then have to explain everything."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from copi_ref.arrays.backend import HostArray
from copi_ref.oracle.contract.pieces import Inputs, Pieces, Quantities
from copi_ref.oracle.naming.catalogue.lateral import lateral_terms
from copi_ref.oracle.naming.evidence import Evidence, kind_of
from copi_ref.oracle.naming.explaining import Candidate


@dataclass(frozen=True)
class Family:
    """Variants with numbers in them, on which the results of a function depend linearly.

    Args:
        name: of the family.
        terms: what each number multiplies.
        change: ``(pieces, numbers) -> pieces``.
        right: the right numbers.
        says: what is said of a number that is not right.
    """

    name: str
    terms: tuple[str, ...]
    change: Callable[[Pieces, Any], Pieces]
    right: Callable[[Pieces], tuple[float, ...]] = lambda p: (1.0,)
    says: str = "{term} has the factor {number}"


def _two_sided(p: Pieces, above: float, below: float) -> Callable[..., Any]:
    return lambda a, layer, layers: np.where(a < 0, below, above) * p.activate(a, layer, layers)


def _two_sided_slope(p: Pieces, above: float, below: float) -> dict[str, Any]:
    def factor(a: HostArray) -> HostArray:
        return np.where(a < 0, below, above)

    return _in_slopes(p, factor)


def _in_slopes(p: Pieces, factor: Callable[[HostArray], HostArray]) -> dict[str, Any]:
    """The pieces that hold f′, with a factor on it."""
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

    return _in_slopes(p, factor)


def _shrinking(p: Pieces, **shares: float) -> Callable[..., Quantities]:
    """A step after which shares of the old weights W or R are missing, whatever the rates."""

    def step(pieces: Pieces, inputs: Inputs, own: Quantities) -> Quantities:
        found = dict(p.step(pieces, inputs, own))
        for letter, share in shares.items():
            eta = inputs["eta_w" if letter == "W" else "eta_r"]
            for layer, A in enumerate(inputs[letter], start=1):
                found[f"Δ{letter} of layer {layer}"] = found[f"Δ{letter} of layer {layer}"] - share / eta * A
        return found

    return step


def _decay_without_rate(name: str, letter: str) -> Family:
    return Family(
        name,
        (letter,),
        lambda p, k: p.with_changes(step=_shrinking(p, **{letter: k[0]})),
        lambda p: (0.0,),
        f"the new {letter} has an extra −{{number}} {letter}, which η_{letter} does not multiply",
    )


FAMILIES = (
    Family(
        "weight-factor",
        ("ΔW",),
        lambda p, k: p.with_changes(copi=lambda x, z, W: k[0] * p.copi(x, z, W)),
    ),
    Family("lateral-factor", ("ΔR",), lambda p, k: p.with_changes(lateral=lambda x, R: k[0] * p.lateral(x, R))),
    Family(
        "delta-factor",
        ("δ_L",),
        lambda p, k: p.with_changes(output_delta=lambda a, y, t: k[0] * p.output_delta(a, y, t)),
    ),
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
        ("−W",),
        lambda p, k: p.with_changes(copi=lambda x, z, W: p.copi(x, z, W) - k[0] * W),
        lambda p: (0.0,),
        "an extra decay −{number} W in ΔW, as from E[x²] + {number}",
    ),
    Family(
        "pulled-to-identity",
        ("R − I",),
        lambda p, k: p.with_changes(lateral=lambda x, R: p.lateral(x, R) - k[0] * (R - np.eye(len(R)))),
        lambda p: (0.0,),
        "ΔR has an extra −{number} (R − I): R is pulled to the identity",
    ),
    Family(
        "added-lateral-decay",
        ("R",),
        lambda p, k: p.with_changes(lateral=lambda x, R: p.lateral(x, R) - k[0] * R),
        lambda p: (0.0,),
        "ΔR has an extra −{number} R: R decays",
    ),
    _decay_without_rate("decay-without-rate", "W"),
    _decay_without_rate("lateral-decay-without-rate", "R"),
    Family(
        "added-decays",
        ("W", "R"),
        lambda p, k: p.with_changes(
            copi=lambda x, z, W: p.copi(x, z, W) - k[0] * W, lateral=lambda x, R: p.lateral(x, R) - k[1] * R
        ),
        lambda p: (0.0,),
        "an extra decay −{number} {term} in Δ{term}",
    ),
    Family(
        "decays-without-rate",
        ("W", "R"),
        lambda p, k: p.with_changes(step=_shrinking(p, W=k[0], R=k[1])),
        lambda p: (0.0,),
        "the new {term} has an extra −{number} {term}, which η_{term} does not multiply",
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


def fitted(family: Family, evidence: Evidence, base: Pieces, numbers: Sequence[int]) -> Iterator[Candidate]:
    """Yield members of the family that fit best by least squares; whether they fit is seen like any other."""
    right_numbers = np.resize(family.right(base), len(family.terms))  # all 1, mostly
    for member, used in _fitted(family, evidence, base, numbers):
        candidate = _member(family, member, right_numbers, used, evidence.precision.unit)
        if candidate is not None:
            yield candidate


def fitted_numbers(
    family: Family, evidence: Evidence, base: Pieces, numbers: Sequence[int]
) -> Iterator[tuple[float, ...]]:
    """Yield the numbers of the members that fit best, whether they are right or not."""
    yield from (member for member, _ in _fitted(family, evidence, base, numbers))


def _fitted(
    family: Family, evidence: Evidence, base: Pieces, numbers: Sequence[int]
) -> Iterator[tuple[tuple[float, ...], HostArray]]:
    """Yield numbers, and which of them have an effect.

    Fitted are the kinds of quantities that are wrong in these observations, and that the numbers have an effect on.
    """
    points = [np.zeros(len(family.terms)), *np.eye(len(family.terms))]
    kinds = {kind_of(cell) for cell in evidence.wrong if cell[0] in numbers}
    rows = [_rows(family, evidence, base, points, at, kinds) for at in numbers]
    if not rows or any(row is None for row in rows) or not sum(row.size for row in rows if row is not None):
        return
    came, at_zero, *at_one = np.concatenate([row for row in rows if row is not None], axis=1)
    design = np.stack([column - at_zero for column in at_one], axis=1)
    if not np.isfinite(np.column_stack([design, came - at_zero])).all():
        return
    right_numbers = np.resize(family.right(base), len(family.terms))  # all 1, mostly
    used = np.abs(design).max(axis=0, initial=0) > 0
    concerned = (np.abs(design) > 0).any(axis=1)
    if not used.any():
        return
    solved = right_numbers.astype(float)
    offset = came - at_zero - design[:, ~used] @ solved[~used]
    solved[used] = np.linalg.lstsq(design[np.ix_(concerned, used)], offset[concerned], rcond=None)[0]
    if not np.isfinite(solved).all():
        return
    # Numbers as people write them first: rounding has moved the fitted ones a little away.
    for member in dict.fromkeys((tuple(map(_nearest_simple, solved)), tuple(map(float, solved)))):
        yield member, used


_NOISE = 16
"""Units of rounding in what should be 0, at most."""


def _member(
    family: Family, numbers: tuple[float, ...], right: HostArray, used: HostArray, unit: float
) -> Candidate | None:
    """Return the family with these numbers; None if they are right to three digits: no mistake would be explained."""
    off = [
        (term, number)
        for term, number, wanted, matters in zip(family.terms, numbers, right, used, strict=True)
        if matters and abs(number - wanted) > (1e-3 * abs(wanted) or _NOISE * unit)
    ]
    if not off:
        return None
    shown = ", ".join(f"{number:.4g}" for number in numbers)
    says = ", ".join(family.says.format(term=term, number=f"{number:.4g}") for term, number in off)
    return Candidate(f"{family.name}({shown})", says, lambda p: family.change(p, numbers))


def _rows(
    family: Family, evidence: Evidence, base: Pieces, points: list[HostArray], at: int, kinds: set[str]
) -> HostArray | None:
    """Return what came of an observation, and what each point of the family gives, on the scale of its magnitude."""
    one = evidence.observations[at]
    values = [evidence.evaluated(family.change(base, point), at) for point in points]
    if any(value is None for value in values):
        return None
    names = [name for name in one.actual if kind_of((at, name)) in kinds and evidence.is_sharp((at, name))]
    if not names:
        return np.zeros((1 + len(points), 0))
    scales = [1 / (np.max(one.expected[name].magnitude) or 1) for name in names]
    columns = [one.actual, *(value or {} for value in values)]
    return np.stack(
        [
            np.concatenate(
                [(np.asarray(column[name]) * scale).ravel() for name, scale in zip(names, scales, strict=True)]
            )
            for column in columns
        ]
    )


def _nearest_simple(number: float) -> float:
    """A whole number, a simple fraction or a short decimal, if it is one but for a thousandth."""
    for simple in (float(Fraction(number).limit_denominator(16)), float(f"{number:.1g}"), float(f"{number:.3g}")):
        if abs(number - simple) <= 1e-3 * abs(simple):
            return simple
    return 0.0 if abs(number) < 1e-12 else number
