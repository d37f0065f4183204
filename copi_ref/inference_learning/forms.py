"""How a layer is predicted from the one below: in which order weights and activation come, and where biases go."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from copi_ref.activations import Activation, identity
from copi_ref.arrays import checks
from copi_ref.arrays.backend import Array

OrderName = Literal["weights-after-activation", "activation-after-weights"]

ORDERS: dict[str, Callable[[Activation], tuple[Activation, Activation]]] = {
    "weights-after-activation": lambda f: (f, identity),  # p_l = W_l R_l f(h_{l−1}): states are pre-activations
    "activation-after-weights": lambda f: (identity, f),  # p_l = f(W_l R_l h_{l−1}): states are outputs
}
"""φ and ψ of a prediction p_l = ψ(W_l R_l φ(h_{l−1}))."""

OutputActivationName = Literal["same", "identity"]

OUTPUT_ACTIVATIONS: dict[str, Callable[[Activation], Activation]] = {
    "same": lambda psi: psi,
    "identity": lambda psi: identity,
}
"""ψ of the last layer, from that of the others."""

BiasesName = Literal["none", "inside", "outside"]

BIASES: dict[str, Callable[[Activation, Array, Any], tuple[Array, Array]]] = {
    "none": lambda psi, a, b: (a, psi(a)),
    "inside": lambda psi, a, b: (a + b, psi(a + b)),
    "outside": lambda psi, a, b: (a, psi(a) + b),
}
"""a_l and the prediction p_l, from ψ, W_l x_l and b_l."""


@dataclass(frozen=True, kw_only=True)
class Form:
    """The form of a prediction, p_l = ψ(W_l R_l φ(h_{l−1}) + b_l) and its kin.

    Args:
        order: a name in `ORDERS`. "weights-after-activation": φ = f and ψ is the identity, states are pre-activations;
            "activation-after-weights": the other way round, states are outputs.
        input_activation: whether φ is applied to y_0 too.
        output_activation: "same", or "identity": ψ of the last layer is the identity, whatever f is.
        biases: "none", "inside" ψ, or "outside": p_l = ψ(W_l x_l) + b_l.

    Raises:
        TypeError, ValueError: settings that are none of these.
    """

    order: OrderName = "weights-after-activation"
    input_activation: bool = False
    output_activation: OutputActivationName = "same"
    biases: BiasesName = "none"

    def __post_init__(self) -> None:
        checks.choice("order", self.order, ORDERS)
        checks.true_or_false("input_activation", self.input_activation)
        checks.choice("output_activation", self.output_activation, OUTPUT_ACTIVATIONS)
        checks.choice("biases", self.biases, BIASES)

    def functions(self, f: Activation, layers: int) -> tuple[tuple[Activation, ...], tuple[Activation, ...]]:
        """Return φ of the input of each layer, and ψ of each layer, the lowest first.

        Raises:
            TypeError, ValueError: f is no `Activation`, or `layers` no whole number of at least 1.
        """
        checks.instance("f", f, Activation, "ACTIVATIONS['relu']")
        checks.whole_number("layers", layers, minimum=1)
        phi, psi = ORDERS[self.order](f)
        first = phi if self.input_activation else identity
        last = OUTPUT_ACTIVATIONS[self.output_activation](psi)
        return (first, *[phi] * (layers - 1)), (*[psi] * (layers - 1), last)


WEIGHTS_LAST: OrderName = "weights-after-activation"


def find_form(form: Form | OrderName) -> Form:
    """Return a form, or the plain one of that order: of y_0 itself, f at the output too, no biases.

    Raises:
        ValueError: an unknown name.
    """
    if isinstance(form, Form):
        return form
    checks.choice("form", form, ORDERS)
    return Form(order=form)
