"""States from which every descent of the energy comes to rest at one place, where f has a kink, and no unit near it.

Between kinks F is a quadratic of the states, another one on each combination of sides. Take a combination A whose
quadratic has its minimum on A's own sides; B, which differs from A in one unit and has the minimum of its quadratic
elsewhere; and a start in B at which F is less than the least value of the quadratic of every other combination. Descent
stays in A and B, since everywhere else F is higher. Within B there is no minimum. Nor on the border of A and B: from
there F falls, along a line, towards the minimum of A. So that one is all there is.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from copi_ref.arrays.backend import HostArray
from copi_ref.oracle.contract.pieces import Inputs
from copi_ref.oracle.inference.energy import energies, gradients
from copi_ref.oracle.inference.functions import place_of
from copi_ref.oracle.inference.kinks import arguments_at_kinks
from copi_ref.oracle.inference.rules import Rules, States

_CLEAR = 0.2
"""As far from every kink as the minimum has to be, and as far below the other combinations as the start has to."""

_FLAT = 0.2
"""The least curvature: what is flatter takes long to descend."""


@dataclass(frozen=True)
class _Samples:
    """Samples of one network, whose free states are the rows of one array."""

    rules: Rules
    inputs: Inputs
    layers: tuple[int, ...]

    def of(self, numbers: HostArray, free: HostArray) -> tuple[Inputs, States]:
        taken: Inputs = {name: self.inputs[name][numbers] for name in ("y0", "target") if name in self.inputs}
        states = [one[numbers] for one in self.inputs["states"]]
        ends = np.cumsum([states[layer - 1].shape[-1] for layer in self.layers])
        for layer, part in zip(self.layers, np.split(free, ends[:-1], axis=-1), strict=True):
            states[layer - 1] = part
        return {**self.inputs, **taken, "states": tuple(states)}, tuple(states)

    def free(self) -> HostArray:
        return np.concatenate([self.inputs["states"][layer - 1] for layer in self.layers], axis=-1)

    def gradient(self, numbers: HostArray, free: HostArray) -> HostArray:
        return np.concatenate([*gradients(self.rules, *self.of(numbers, free)).values()], axis=-1)

    def energy(self, numbers: HostArray, free: HostArray) -> HostArray:
        return energies(self.rules, *self.of(numbers, free))

    def bent(self, numbers: HostArray, free: HostArray) -> HostArray:
        return arguments_at_kinks(self.rules, *self.of(numbers, free))


@dataclass(frozen=True, eq=False)
class _Piece:
    """A combination of sides; of its quadratic, for each sample: the least value, where that is, what f bends there."""

    sides: tuple[bool, ...]
    lowest: HostArray
    minimum: HostArray
    bent: HostArray

    def has_its_minimum(self, n: int) -> bool:
        """Whether the minimum of the quadratic lies on these sides."""
        return bool(((self.bent[n] > 0) == self.sides).all())


def with_one_minimum(rules: Rules, inputs: Inputs, rng: np.random.Generator, wanted: int) -> Inputs | None:
    """Return those samples of a network, at most `wanted`, whose states can be moved to such a start; None if none can.

    Args:
        rules: the right ones, with the energy's own gradient.
        inputs: W, b where there are biases, y0, states, and the target where the output is pulled; of many samples.
        rng: draws the starts.
        wanted: how many samples are enough.
    """
    at = place_of(rules, inputs)
    samples = _Samples(rules, inputs, tuple(rules.moves(at)))
    starts = dict(itertools.islice(_starts(samples, rng), wanted))
    if not starts:
        return None
    found, _ = samples.of(np.array([*starts]), np.array([*starts.values()]))
    return found


def _starts(samples: _Samples, rng: np.random.Generator) -> Iterator[tuple[int, HostArray]]:
    """Each sample that has such a start, and the start."""
    pieces = {piece.sides: piece for piece in _pieces(samples, rng)}
    for n, A in itertools.product(range(len(samples.inputs["y0"])), pieces.values()):
        if not A.has_its_minimum(n) or np.min(np.abs(A.bent[n])) < _CLEAR:
            continue
        number = np.array([n])
        for start in _across(samples, number, A.minimum[n : n + 1]):
            start = start + 0.1 * rng.normal(size=start.shape)
            B = pieces[tuple(samples.bent(number, start)[0] > 0)]
            is_beside = np.sum(np.not_equal(A.sides, B.sides)) == 1
            others = [one.lowest[n] for one in pieces.values() if one is not A and one is not B]
            is_low = samples.energy(number, start)[0] < min(others, default=np.inf) - _CLEAR
            if is_beside and not B.has_its_minimum(n) and is_low:
                yield n, start[0]
                break


def _across(samples: _Samples, number: HostArray, free: HostArray) -> Iterator[HostArray]:
    """Of each unit that has a kink, the nearest states that put it beyond, at ∓0.1, and no other."""
    steps = free + np.eye(free.shape[-1])
    here = samples.bent(number, free)[0]
    slopes = samples.bent(np.tile(number, len(steps)), steps) - here  # what f bends is linear in the states
    for unit, one in enumerate(np.linalg.pinv(slopes)):
        yield free - one * (here[unit] + 0.1 * np.sign(here[unit]))


def _pieces(samples: _Samples, rng: np.random.Generator) -> list[_Piece]:
    """All combinations of sides; none if a quadratic is too flat.

    Read off the gradient, which is H v + c there: H from points of one sample that lie there, c from one of these.
    """
    size = samples.free().shape[-1]
    units = samples.bent(np.array([0]), samples.free()[:1]).shape[-1]
    if not units:
        return []
    points = 2 * rng.normal(size=(100 << units, size))
    first, every = np.zeros(len(points), dtype=int), np.arange(len(samples.inputs["y0"]))
    sides_of, slopes = samples.bent(first, points) > 0, samples.gradient(first, points)
    found = []
    for sides in itertools.product((False, True), repeat=units):
        here = (sides_of == np.array(sides)).all(axis=-1)
        if np.sum(here) < 2 * size + 2:
            return []
        H = np.linalg.lstsq(np.column_stack([points[here], np.ones(np.sum(here))]), slopes[here], rcond=None)[0][:-1]
        H = (H + H.T) / 2
        if np.min(np.linalg.eigvalsh(H)) < _FLAT:
            return []
        point = np.tile(points[here][:1], (len(every), 1))
        g = samples.gradient(every, point)
        down = np.linalg.solve(H, g.T).T
        lowest = samples.energy(every, point) - np.sum(g * down, axis=-1) / 2
        found.append(_Piece(sides, lowest, point - down, samples.bent(every, point - down)))
    return found
