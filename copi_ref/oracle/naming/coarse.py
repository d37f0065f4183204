"""Whether errors are those of a coarser number format, and not of a formula."""

from collections.abc import Iterator

import numpy as np

from copi_ref.oracle.inputs.cases import relative_allowance
from copi_ref.oracle.inputs.drawing import EXACT
from copi_ref.oracle.judging.comparison import Observation
from copi_ref.oracle.naming.explaining import Diagnosis
from copi_ref.oracle.rounding import PRECISIONS, Precision


def coarser(precision: Precision, observations: list[Observation], typical: float = 4) -> Iterator[Diagnosis]:
    """Say that errors are those of a coarser format, if all are, and most inputs show them in most entries.

    `typical` is what rounding comes to, in units of a format, times the magnitude: errors add up like steps in all
    directions. An allowance has the worst that can be, and would take errors of the next coarser format too.
    """
    names = list(PRECISIONS)  # the finest first; TF32 is a way to compute in float32
    for name in names[names.index(precision.name) + 1 :]:
        if name == "tf32" and precision.name != "float32":
            continue
        if _is_of(PRECISIONS[name], precision, observations, typical):
            says = f"errors are as large as {name} makes them: is something computed in it?"
            if name == "tf32":
                says += " Pass precision='tf32', if that is what you mean"
            yield Diagnosis(f"precision-{name}", says)


_SMALL = 32
"""Errors of less than this part of a unit are no errors of a format, in the largest entry."""

_MOST = 0.75
"""Of the entries have an error where a format is at fault: it spares none, but by chance."""

_LEAST = 3
"""Inputs that have to say so: one or two may look like rounding by chance."""

_TOO_COARSE = 0.25
"""An error, or an allowance, of more than this share of a quantity is no rounding, or would take any mistake for it."""


def _is_of(coarse: Precision, precision: Precision, observations: list[Observation], typical: float) -> bool:
    """Whether all errors are those of a format, and in most inputs most entries have one, each another."""
    unit = max(coarse.unit, coarse.product_unit)
    shows: dict[int, bool] = {}  # by observation, of those that can say something
    for number, one in enumerate(observations):
        for name, actual in one.actual.items():
            expected = one.expected[name]
            error = actual - expected.value
            if relative_allowance(expected, coarse) > _TOO_COARSE:  # what underflows in it may be all
                continue
            if np.any(np.abs(error) > _TOO_COARSE * np.max(np.abs(expected.value))):
                return False
            if one.case.tier == EXACT:
                continue
            usual = typical * unit * expected.magnitude + expected.underflow(coarse)
            if np.any(np.abs(error) > np.minimum(usual, expected.allowance(coarse))):
                return False
            visible = np.max(np.abs(error)) >= unit / _SMALL * np.max(np.abs(expected.value))
            shows[number] = shows.get(number, False) or (
                visible and _is_rounding(error, expected.value, expected.allowance(precision))
            )
    return len(shows) >= _LEAST and 2 * sum(shows.values()) >= len(shows)


def _is_rounding(error: np.ndarray, right: np.ndarray, allowed: np.ndarray) -> bool:
    """Whether most entries are wrong, and not all by the same factor: that is no rounding."""
    counts = right != 0
    wrong = np.abs(error) > allowed
    if np.sum(wrong[counts]) < _MOST * np.sum(counts) or not np.any(wrong):
        return False
    ratio = error[counts] / right[counts]
    return ratio.size < 2 or bool(np.ptp(ratio) > 1e-3 * np.max(np.abs(ratio)))
