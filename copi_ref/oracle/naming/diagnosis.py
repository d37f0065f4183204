"""Which mistake is it: other conventions, the catalogue, and factors that were fitted are held against what came."""

from collections.abc import Iterator

import numpy as np

from copi_ref.oracle.contract.conventions import Conventions, neighbours
from copi_ref.oracle.contract.functions import Function
from copi_ref.oracle.contract.pieces import Pieces, right_pieces
from copi_ref.oracle.inputs.cases import relative_allowance
from copi_ref.oracle.inputs.drawing import EXACT
from copi_ref.oracle.judging.comparison import Observation
from copi_ref.oracle.naming.catalogue import STEP_VARIANTS, VARIANTS, Variant
from copi_ref.oracle.naming.explaining import Diagnosis, differs, explains
from copi_ref.oracle.naming.factors import FAMILIES, fitted
from copi_ref.oracle.rounding import PRECISIONS, Precision


def diagnose(
    function: Function, conventions: Conventions, precision: Precision, observations: list[Observation]
) -> Diagnosis | None:
    """Return what reproduces all observations, or None."""
    right = right_pieces(conventions)
    for candidate in _candidates(function, right, precision, observations):
        if candidate.pieces is None or (
            explains(function, candidate.pieces, precision, observations)
            and differs(function, candidate.pieces, precision, observations)
        ):
            return candidate
    return None


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
        yield from fitted(family, function, right, observations)
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
    """Say that errors are those of a coarser format, if all are, and most inputs show some."""
    names = list(PRECISIONS)  # the finest first; TF32 is a way to compute in float32
    for name in names[names.index(precision.name) + 1 :]:
        if name == "tf32" and precision.name != "float32":
            continue
        if _is_of(PRECISIONS[name], precision, observations):
            says = f"errors are as large as {name} makes them: is something computed in it?"
            if name == "tf32":
                says += " Pass precision='tf32', if that is what you mean"
            yield Diagnosis(f"precision-{name}", says)


_TOO_COARSE = 0.25
"""An error, or an allowance, of more than this share of a quantity is no rounding, or would take any mistake for it."""


def _is_of(coarser: Precision, precision: Precision, observations: list[Observation]) -> bool:
    """Whether all errors are those of a format, and at least half of the inputs show some."""
    shows: dict[int, bool] = {}  # by observation, of those that can say something
    for number, one in enumerate(observations):
        for name, actual in one.actual.items():
            expected = one.expected[name]
            error = np.abs(actual - expected.value)
            if np.any(error > _TOO_COARSE * np.max(np.abs(expected.value))):
                return False
            if one.case.tier != EXACT and relative_allowance(expected, coarser) <= _TOO_COARSE:
                if np.any(error > expected.allowance(coarser)):
                    return False
                shows[number] = shows.get(number, False) or bool(np.any(error > expected.allowance(precision)))
    return any(shows.values()) and 2 * sum(shows.values()) >= len(shows)
