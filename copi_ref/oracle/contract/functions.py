"""The functions that an implementation may offer: their arguments, the equation of each, and what is expected."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from copi_ref.oracle.contract import pieces as composition
from copi_ref.oracle.contract.conventions import Conventions
from copi_ref.oracle.contract.pieces import Inputs, Pieces, Quantities
from copi_ref.oracle.rounding import AnyArray

AnyConventions: TypeAlias = Any
"""What an implementation chose, of whatever it implements: COPI, or Inference Learning."""

AnyFunction: TypeAlias = Any
"""A function of either contract: it has a name, arguments, a result in words, an equation, and what is expected."""


@dataclass(frozen=True)
class Function:
    """One function of the contract.

    Args:
        name: as the implementation has to call it.
        arguments: in order; ``B`` follows for credit methods with feedback weights, if `takes_feedback`.
        result: what it has to return, in words.
        equation: with its place in the paper.
        expected: ``(pieces, inputs, own) -> quantities``.
        takes_feedback: whether feedback weights follow its arguments.
        takes_biases: whether biases follow, where there are some.
        of_lateral_rule: arguments that follow last, for lateral rules that need more than x and R.
    """

    name: str
    arguments: tuple[str, ...]
    result: str
    equation: str
    expected: Callable[[Pieces, Inputs, Quantities], Quantities]
    takes_feedback: bool = False
    takes_biases: bool = False
    of_lateral_rule: tuple[str, ...] = ()

    def arguments_given(self, conventions: Conventions) -> tuple[str, ...]:
        """Return the arguments with which it is called: without R there is no x but y0 and y, and no rate of R."""
        names = self.arguments
        if self.takes_biases and not conventions.has_R:
            names = tuple("y0" if name == "x" else name for name in names if name not in ("R", "eta_r"))
        B = ("B",) if self.takes_feedback and conventions.has_B else ()
        b = ("b",) if self.takes_biases and conventions.biases else ()
        return (*names, *B, *b, *(name for name in self.of_lateral_rule if _is_asked_for(name, conventions)))


def _is_asked_for(name: str, conventions: Conventions) -> bool:
    """Whether a lateral rule needs an argument besides x and R: samples that are drawn, or what its gain takes."""
    return conventions.subsampled if name == "indices" else conventions.lateral_gain != "none"


SAMPLES_FIRST = frozenset({"x", "z", "delta", "y0", "target", "a", "y", "states"})
"""Arguments with a sample axis: transposed for implementations whose samples are columns."""


def _only(name: str, array: AnyArray) -> Quantities:
    return {name: array}


def _of_layer(pieces: Pieces, inputs: Inputs) -> AnyArray:
    return composition.lateral_change(pieces, inputs, inputs["x"], inputs["R"], inputs.get("y"), inputs.get("indices"))


FunctionName = Literal["copi_update", "sgd_update", "decorrelation_update", "forward", "perturbations", "step"]

FUNCTIONS: dict[str, Function] = {
    function.name: function
    for function in (
        Function(
            "copi_update",
            ("x", "z", "W"),
            "ΔW",
            "Eq. 3: ΔW = E[z xᵀ] − W diag(E[x²])",
            lambda pieces, inputs, own: _only("ΔW", pieces.copi(inputs["x"], inputs["z"], inputs["W"])),
        ),
        Function(
            "sgd_update",
            ("x", "delta"),
            "ΔW",
            "§2.7: ΔW = E[δ xᵀ]",
            lambda pieces, inputs, own: _only("ΔW", pieces.sgd(inputs["x"], inputs["delta"])),
        ),
        Function(
            "decorrelation_update",
            ("x", "R"),
            "ΔR",
            "Eq. 4, 6: ΔR from R and C_off = E[x xᵀ] − diag(E[x²])",
            lambda pieces, inputs, own: _only("ΔR", _of_layer(pieces, inputs)),
            of_lateral_rule=("indices", "y", "eta_r"),
        ),
        Function(
            "forward",
            ("W", "R", "y0"),
            "(x, a, y), each with one array per layer",
            "Alg. 1, lines 4 to 8: x = R y, a = W x, y = f(a)",
            composition.forward,
            takes_biases=True,
        ),
        Function(
            "perturbations",
            ("W", "R", "x", "a", "y", "target"),
            "δ of each layer, the lowest first",
            "Alg. 1, lines 10 to 12: δ_L = −dℓ/da_L, δ_l from δ_{l+1}",
            composition.perturbations_of_given,
            takes_feedback=True,
            takes_biases=True,
        ),
        Function(
            "step",
            ("W", "R", "y0", "target", "eta_w", "eta_r"),
            "(W, R), each with one array per layer",
            "Alg. 1, lines 3 to 16: W + η_W ΔW, R + η_R ΔR",
            lambda pieces, inputs, own: composition.recovered(pieces.step(pieces, inputs, own), inputs),
            takes_feedback=True,
            takes_biases=True,
            of_lateral_rule=("indices",),
        ),
    )
}
"""In the order in which they are checked: a wrong equation is named before a step that contains it."""
