"""A mistake that people make in any sum over samples: what it is, and where it can be made.

It gets the right update as a function of the batch, ``update(x, other)``: `other` is z or δ, and x itself for ΔR.
"""

from collections.abc import Callable
from dataclasses import dataclass

from copi_ref.arrays.backend import HostArray
from copi_ref.oracle.contract.conventions import Conventions

Update = Callable[[HostArray, HostArray], HostArray]

FORWARD = frozenset({"weight", "weight-hebb", "weight-decay", "sgd"})
OF_TWO = frozenset({"weight-hebb", "sgd"})
"""Where z or δ comes in: ΔW itself has it in E[z xᵀ] alone."""
LATERAL = frozenset({"lateral", "lateral-product", "lateral-decay"})
WHOLE = frozenset({"weight", "sgd", "lateral"})
TERMS = frozenset({"weight-hebb", "weight-decay", "lateral-product", "lateral-decay"})
EVERYWHERE = FORWARD | LATERAL
DECAYS = frozenset({"weight-decay", "lateral-decay"})


@dataclass(frozen=True)
class Adjustment:
    """A mistake that can be made in several places.

    Args:
        name: as it ends the names of its variants.
        says: in words; ``{}`` stands for what it is done to.
        wrong: ``(update, x, other, summed) -> update``; `summed`: whether the right one is a sum over samples.
        places: in which it has a meaning.
        of_means_only: it is right where sums are.
    """

    name: str
    says: str
    wrong: Callable[[Update, HostArray, HostArray, bool], HostArray]
    places: frozenset[str] = EVERYWHERE
    of_means_only: bool = False

    def said_of(self, what: str) -> str:
        """Return what is done, and to what."""
        return self.says.format(what) if "{}" in self.says else f"{what}: {self.says}"

    def has_meaning(self, conventions: Conventions) -> bool:
        """Whether it is a mistake under these conventions."""
        return not (self.of_means_only and conventions.reduction == "sum")
