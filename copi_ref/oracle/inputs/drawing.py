"""Drawing matrices: whole numbers or numbers of order 1, of both signs; and what makes a kind of case."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from copi_ref.arrays.backend import HostArray
from copi_ref.oracle.contract.conventions import Conventions
from copi_ref.oracle.contract.pieces import Inputs
from copi_ref.oracle.rounding import Precision

EXACT, ROUNDING = "exact", "rounding"

Draw = Callable[["Drawing"], Inputs]

LOOSE = 100.0
"""By how much the check of a deep, wide or long case may miss the promise that a tier's sharpest case keeps."""


@dataclass(frozen=True)
class Kind:
    """A kind of case.

    Args:
        name: what a user reads in a report.
        tier: `EXACT` or `ROUNDING`.
        draw: its inputs.
        looseness: by how much it may miss the promised sharpness; infinite where numbers underflow.
        fine: only for float64 and float32: in coarser formats rounding hides such a case, or it leaves their range.
        first: the try to begin with, where large whole numbers never fit.
        strided: whether arrays are handed over as transposes of others, where the library has strides.
        no_error: whether a sample and an output have no error.
    """

    name: str
    tier: str
    draw: Draw
    looseness: float = 1.0
    fine: bool = False
    first: int = 0
    strided: bool = False
    no_error: bool = False

    @property
    def underflows(self) -> bool:
        """Whether numbers underflow, so that no sharpness is asked for."""
        return self.looseness == np.inf


@dataclass(frozen=True)
class Drawing:
    """How to draw: the size of whole numbers shrinks from try to try until they fit the precision."""

    rng: np.random.Generator
    conventions: Conventions
    precision: Precision
    tier: str
    attempt: int

    @property
    def fine(self) -> bool:
        """Whether the format is float64 or float32."""
        return self.precision.limit is not None

    def matrix(self, rows: int, columns: int) -> HostArray:
        """Draw entries for the tier: whole numbers, or numbers of order 1."""
        if self.tier == EXACT:
            top = max(1, 4 - self.attempt // 4)
            drawn = self.rng.integers(-top, top + 1, size=(rows, columns)).astype(float)
            share = min(1.0, 0.4 + 0.6 / (1 + self.attempt / 8))
            return np.where(self.rng.random((rows, columns)) < share, drawn, 0.0)
        return self.precision.representable(self.rng.uniform(-2, 2, size=(rows, columns)))

    def mostly_of_one_sign(self, rows: int, columns: int, low: float, high: float, other: float) -> HostArray:
        """Draw rows in which sums cancel little: one entry in four has the other sign, and `other` times the size."""
        size = self.rng.uniform(low, high, size=(rows, columns))
        if not other:
            return size
        turned = self.rng.random((rows, columns)) < 1 / 4
        if columns > 1:  # both signs in each
            at = self.rng.integers(0, columns, size=rows)
            turned[np.arange(rows), at], turned[np.arange(rows), at - 1] = True, False
        return np.where(turned, -size * other, size)

    def indices(self, samples: int) -> HostArray:
        """Draw the samples of a subsampled lateral rule, with replacement: of two or more, two are the same.

        They stand in the middle: one that is left out at an end is not one that counts once.
        """
        size = max(1, round(float(self.conventions.share) * samples))
        drawn = self.rng.integers(samples, size=size)
        return np.where(np.arange(size) == size // 2, drawn[size // 2 - 1], drawn)

    def symmetric_if_assumed(self, R: HostArray) -> HostArray:
        """Return R as it is, or made symmetric for an implementation that takes it to be."""
        return np.tril(R) + np.tril(R, -1).T if self.conventions.assumes_symmetric_R else R


NINE_BITS = 257.0
"""A whole number that bfloat16 has not, and the formats with 11 bits have, with a few of its multiples."""


def shows_nine_bits(precision: Precision) -> bool:
    """Whether a format is just fine enough that products in bfloat16 have to be told from its own."""
    return precision.bits == 11


def is_narrow(precision: Precision) -> bool:
    """Whether a format has so small a range (float16) that what comes near its lower end is not checked."""
    return precision.tiny > 2.0**-30
