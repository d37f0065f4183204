"""Minima at a kink of f, where the gradient jumps: 0 lies between the slopes from both sides."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from copi_ref.activations import Activation
from copi_ref.arrays.backend import HostArray, to_numpy
from copi_ref.to_convergence.minimise import DENSE, descend, largest

Vector = HostArray

_BELOW = 1e-200
_SMOOTHINGS = [10.0**-power for power in range(1, 8)]
_NEAR = 1e-4  # a thousand times the last rounding: its slope is within 10⁻⁶ of one of f's beyond
_ROUNDS = 5


class Bend(NamedTuple):
    """The slopes of an activation on both sides of 0."""

    below: float
    above: float


def bend_of(f: Activation) -> Bend | None:
    """Return the slopes of f on both sides of 0, or None if they are the same: f has no kink there."""
    below, above = (float(slope) for slope in to_numpy(f.derivative(np.array([-_BELOW, _BELOW]))))
    return Bend(below, above) if above - below > 1e-9 else None


def smoothed(f: Activation, bend: Bend, mu: float) -> Activation:
    """Return f with its kink rounded off: |a|/2 times the jump of the slope becomes √(a² + μ²)/2 times it."""
    half = (bend.above - bend.below) / 2

    def value(a: Any, xp: Any) -> Any:
        return f(a) + half * (np.hypot(a, mu) - np.abs(a))

    def slope(a: Any, xp: Any) -> Any:
        return f.derivative(a) + half * (a / np.hypot(a, mu) - np.where(a < 0, -1.0, 1.0))

    return Activation(f"{f.name}, smoothed", value, slope, rational=False)


def with_slopes(f: Activation, slopes: HostArray) -> Activation:
    """Return f with the slopes of the units given, whatever their states are."""
    return Activation(f"{f.name}, slopes given", lambda a, xp: f(a), lambda a, xp: slopes, rational=False)


@dataclass(frozen=True)
class Bent:
    """A function of a vector that has kinks where entries of another vector, of its `arguments`, are 0.

    Args:
        bend: the slopes of the activation at the kink.
        with_activation: gives value and gradient with another activation in the place of f.
        with_slopes: gives the gradient with given slopes of the arguments in the place of f′.
        arguments: what f is applied to, as one vector.
        slopes: f′ of them.
    """

    bend: Bend
    with_activation: Callable[[Callable[[Activation], Activation]], Callable[[Vector], tuple[float, Vector]]]
    with_slopes: Callable[[Vector, Vector], Vector]
    arguments: Callable[[Vector], Vector]
    slopes: Callable[[Vector], Vector]


def minimum_at_kinks(bent: Bent, start: Vector, tolerance: float) -> Vector | None:
    """Return a point where the gradient is 0 with some slope in [below, above] for units at their kink, or None.

    First a descent with f rounded off, less and less; which units are at their kink is seen from their slopes there.
    Then gradient = 0 and argument = 0 are solved together, for the states and for the slopes of those units.
    """
    from scipy import optimize

    point, (low, high), own = start, bent.bend, bent.with_activation(lambda f: f)
    for mu in _SMOOTHINGS:
        point = descend(bent.with_activation(partial(smoothed, bend=bent.bend, mu=mu)), point, tolerance)
    if largest(own(point)[1]) <= tolerance:  # no unit is at its kink after all
        return point
    slopes = low + (high - low) * (1 + bent.arguments(point) / np.hypot(bent.arguments(point), _SMOOTHINGS[-1])) / 2
    at_kink = np.abs(bent.arguments(point)) < _NEAR
    size, lowest = point.size, own(point)[0]
    for _ in range(_ROUNDS):
        if size + at_kink.sum() > DENSE:
            return None

        def equations(unknown: Vector, at_kink: Any = at_kink) -> Vector:
            there = unknown[:size]
            each = bent.slopes(there)
            each[at_kink] = unknown[size:]
            return np.concatenate([bent.with_slopes(there, each), bent.arguments(there)[at_kink]])

        found = optimize.root(
            equations, np.concatenate([point, slopes[at_kink]]), method="hybr", options={"xtol": 1e-15}
        ).x
        outside = (found[size:] < low - tolerance) | (found[size:] > high + tolerance)
        if not outside.any():
            # A root may be a saddle or a top elsewhere: it counts only if it is no higher, up to what f was rounded.
            low_enough = own(found[:size])[0] <= lowest + 1e-6 * abs(lowest)
            if low_enough and largest(equations(found)) <= tolerance:
                return found[:size]
            distances = np.abs(bent.arguments(point))[at_kink]
            outside = distances == distances.max(initial=0)  # no root: the one farthest from its kink is beside it
        if not at_kink.any():
            return None
        at_kink = at_kink.copy()
        at_kink[np.flatnonzero(at_kink)[outside]] = False  # what needs more than f has is on one side of its kink
    return None
