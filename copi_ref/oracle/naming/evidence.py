"""What came beside what is right, cell by cell: a cell is one quantity of one case, as ΔW of layer 2 of the third."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from copi_ref.arrays.backend import HostArray
from copi_ref.oracle.contract.functions import AnyFunction
from copi_ref.oracle.contract.pieces import Quantities, symbol_of
from copi_ref.oracle.judging.comparison import Observation, worst_of
from copi_ref.oracle.naming.explaining import AnyPieces
from copi_ref.oracle.rounding import Precision

Cell = tuple[int, str]
"""The number of the observation, and the name of the quantity."""


def kind_of(cell: Cell) -> str:
    """Of which kind a quantity is: "ΔW", "δ" …"""
    return symbol_of(cell[1])


_FEW = 6
"""Observations that fail, and as many that don't, on which candidates are tried first: the smallest."""


@dataclass(frozen=True)
class Fit:
    """How a candidate's numbers compare with those that came.

    Args:
        gives: cells where they are the same, but for rounding.
        changes: cells where they are not the right ones.
        scaled: cells where what came is another multiple of them.
    """

    gives: frozenset[Cell]
    changes: frozenset[Cell]
    scaled: frozenset[Cell] = frozenset()

    @property
    def explains(self) -> frozenset[Cell]:
        """Cells that it gives and that are not the right ones."""
        return self.gives & self.changes


class Evidence:
    """All observations of a function, in the order of the calls.

    Args:
        function: that was called.
        precision: in which it computes.
        observations: what came of each call that returned numbers.
    """

    def __init__(self, function: AnyFunction, precision: Precision, observations: list[Observation]):
        self.function, self.precision, self.observations = function, precision, observations
        self.faults: set[str] = set()
        self.cells: frozenset[Cell] = frozenset(
            (at, name) for at, one in enumerate(observations) for name in one.actual
        )
        self._bounds = {(at, name): _bounds(observations[at], name, precision) for at, name in self.cells}
        self.wrong: frozenset[Cell] = frozenset(cell for cell in self.cells if self._is_wrong(cell))
        loud = frozenset(cell for cell in self.cells if not self._bounds[cell].is_drowned)
        if self.wrong & loud:  # where squares underflow every formula is about right: that refutes none
            self.cells, self.wrong = loud, self.wrong & loud
        self._of = {
            at: [(at, name) for name in one.actual if (at, name) in self.cells] for at, one in enumerate(observations)
        }
        self._wrong_of = {at: [cell for cell in cells if cell in self.wrong] for at, cells in self._of.items()}
        by_size = sorted((at for at, cells in self._of.items() if cells), key=self.size)
        self.failing = [at for at in by_size if self._wrong_of[at]]
        passing = [at for at in by_size if at not in self.failing]
        self.few_failing, self.few_passing = self.failing[:_FEW], passing[:_FEW]
        self.few = [*self.few_failing, *self.few_passing]
        self.order = [*self.failing, *passing]

    def _is_wrong(self, cell: Cell) -> bool:
        one, name = self.observations[cell[0]], cell[1]
        return worst_of(name, one.actual[name], one.expected[name], self.precision, one.case.tier).failed

    @property
    def largest(self) -> float:
        """The largest number that came."""
        return max((float(np.abs(bounds.actual).max()) for bounds in self._bounds.values()), default=0.0)

    def size(self, at: int) -> int:
        """How many numbers there are in what came."""
        return sum(array.size for array in self.observations[at].actual.values())

    def of(self, numbers: Iterable[int]) -> frozenset[Cell]:
        """The cells of some observations."""
        chosen = {*numbers}
        return frozenset(cell for cell in self.cells if cell[0] in chosen)

    def telling_first(self, pieces: AnyPieces) -> list[int]:
        """The numbers of all observations, those first of which these pieces don't give everything: others may."""
        given = {at for at in self.failing if self._gives_all(pieces, at, self._of[at])}
        return sorted(self.order, key=given.__contains__)

    def explained_by(self, pieces: AnyPieces, order: Sequence[int] = ()) -> bool:
        """Whether the pieces give everything that came, and something that is wrong; looked at in some order."""
        if not all(self._gives_all(pieces, at, self._of[at]) for at in order or self.order):
            return False
        return any(self.fit(pieces, [at]).changes & self.wrong for at in self.failing)

    def gives_all_wrong(self, pieces: AnyPieces, order: Sequence[int] = ()) -> bool:
        """Whether the pieces give everything that is wrong."""
        return all(self._gives_all(pieces, at, self._wrong_of[at]) for at in order or self.order if self._wrong_of[at])

    def gives_kind(self, pieces: AnyPieces, kind: str) -> bool:
        """Whether the pieces give every quantity of a kind, as "ΔW"."""
        of_kind = ((at, [cell for cell in self._of[at] if kind_of(cell) == kind]) for at in self.order)
        return all(self._gives_all(pieces, at, cells) for at, cells in of_kind if cells)

    def _gives_all(self, pieces: AnyPieces, at: int, cells: Sequence[Cell]) -> bool:
        found = self.evaluated(pieces, at)
        return found is not None and all(self._gives(found, cell) for cell in cells)

    def fit(self, pieces: AnyPieces, numbers: Iterable[int]) -> Fit:
        """Compare what the pieces give with some observations."""
        gives, changes, scaled = set(), set(), set()
        for at in numbers:
            found = self.evaluated(pieces, at) or {}
            for cell in self._of[at]:
                if self._changes(found, cell):
                    changes.add(cell)
                if self._gives(found, cell):
                    gives.add(cell)
                elif cell in changes & self.wrong and cell[1] in found and self._is_multiple(found[cell[1]], cell):
                    scaled.add(cell)
        return Fit(frozenset(gives), frozenset(changes), frozenset(scaled))

    def evaluated(self, pieces: AnyPieces, at: int) -> Quantities | None:
        """Return what the pieces give for the inputs of an observation; None where they have no meaning."""
        one = self.observations[at]
        try:
            found: Quantities = self.function.expected(pieces, one.case.inputs, one.actual)
            return found
        except (np.linalg.LinAlgError, ValueError, ZeroDivisionError, FloatingPointError):
            return None
        except Exception as error:
            # Ours, in a formula that is tried: it must not take the report away from the user.
            self.faults.add(f"{type(error).__name__}: {error}")
            return None

    def agrees(self, value: HostArray, cell: Cell) -> bool:
        """Whether a value is the one that came, but for rounding."""
        return self._bounds[cell].are_met_by(value)

    def is_sharp(self, cell: Cell) -> bool:
        """Whether rounding is so small a part of a cell that numbers can be fitted to it."""
        return self._bounds[cell].relative <= 2.0**-6

    def _gives(self, found: Quantities, cell: Cell) -> bool:
        return cell[1] in found and self.agrees(np.asarray(found[cell[1]]), cell)

    def _is_multiple(self, found: HostArray, cell: Cell) -> bool:
        """Whether what came is one number times a value, of two entries or more."""
        value, actual = np.ravel(found), np.ravel(self._bounds[cell].actual)
        power = float(value @ value) if value.shape == actual.shape else 0.0
        if not 0 < power < np.inf or np.count_nonzero(actual) < 2:
            return False
        return self.agrees(np.asarray(float(value @ actual) / power * found), cell)

    def _changes(self, found: Quantities, cell: Cell) -> bool:
        bounds = self._bounds[cell]
        if cell[1] not in found:
            return True
        value = np.asarray(found[cell[1]])
        return value.shape != bounds.right.shape or not (np.abs(value - bounds.right) <= bounds.allowance).all()


@dataclass(frozen=True, eq=False)
class _Bounds:
    """What a cell is compared with, again and again.

    Args:
        actual: what came.
        right: what is right.
        allowance: how far rounding may move that.
        size: the largest magnitude.
        relative: the largest allowance, as a part of it.
        unit: of the format.
        underflow: what operations that underflow may lose.
        wrong_by: how far what came is from what is right.
    """

    actual: HostArray
    right: HostArray
    allowance: HostArray
    size: float
    relative: float
    unit: float
    underflow: float
    wrong_by: float

    @property
    def is_drowned(self) -> bool:
        """Whether what underflows is no small part of what is right."""
        return 0 < self.size < 2.0**20 * self.underflow

    def are_met_by(self, value: HostArray) -> bool:
        """Whether a value is the one that came, but for rounding."""
        if value.shape != self.actual.shape:
            return False
        largest = float(np.abs(value).max())  # infinite or NaN: not what came, which is finite
        return largest < np.inf and float(np.abs(self.actual - value).max()) <= self._allowed(largest)

    def _allowed(self, largest: float) -> float:
        """How far a variant's own rounding may be: its magnitude is not known, so that of the right one scales."""
        if self.relative > 2.0**-6:  # too coarse to tell variants apart: one rounding of an exact result
            return 2 * self.unit * largest + self.underflow
        # A wrong step may amplify rounding more than a right one: a thousandth of a mistake is no other mistake.
        amplified = min(float(self.unit ** (2 / 3)) * (self.size + largest), self.wrong_by / 1024)
        return max(4 * self.relative * (self.size + largest) + self.underflow, amplified)


def _bounds(one: Observation, name: str, precision: Precision) -> _Bounds:
    expected = one.expected[name]
    allowance, size = expected.allowance(precision), float(np.max(expected.magnitude))
    relative = float(np.max(allowance)) / size if size else precision.unit
    underflow = 4 * expected.underflow(precision)
    wrong_by = float(np.max(np.abs(one.actual[name] - expected.value)))
    return _Bounds(one.actual[name], expected.value, allowance, size, relative, precision.unit, underflow, wrong_by)


def all_given(found: Quantities, one: Observation, precision: Precision) -> bool:
    """Whether quantities are all that came of a call, but for rounding."""
    return all(
        name in found and _bounds(one, name, precision).are_met_by(np.asarray(found[name])) for name in one.actual
    )
