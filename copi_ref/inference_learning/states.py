"""States and what predicts them: h_l, the prediction p_l from the layer below, and the error e_l = h_l − p_l."""

from dataclasses import dataclass, replace
from functools import cached_property

from copi_ref.activations import Activation
from copi_ref.arrays import checks
from copi_ref.arrays.backend import Array, Namespace
from copi_ref.arrays.products import apply
from copi_ref.arrays.shown import shown
from copi_ref.inference_learning.forms import BIASES, WEIGHTS_LAST, Form, OrderName, find_form
from copi_ref.inference_learning.weights import (
    Weights,
    as_weights,
    check_layer,
    check_lengths,
    check_weights,
    layer_input,
)
from copi_ref.network import Params, Trace

States = tuple[Array, ...]


@dataclass(frozen=True, eq=False)
class Settled:
    """Predictions and errors at given states.

    Args:
        states: h_l.
        trace: x_l, a_l = W_l x_l (with a bias that is inside ψ) and, in the place of y_l, the prediction p_l; all from
            the states below.
        errors: e_l = h_l − p_l.
        phi: φ of each layer's input, the lowest first.
        psi: ψ of each layer.
        predicting: the states that the predictions were made from: h_l, but where predictions are held.
        form: how they were made.
    """

    states: States
    trace: Trace
    errors: States
    phi: tuple[Activation, ...]
    psi: tuple[Activation, ...]
    predicting: States
    form: Form

    __repr__ = shown

    @cached_property
    def powers(self) -> States:
        """‖x_l‖² of each sample, (…, N, 1), layer by layer; IL-prox needs them in each step for more than one thing."""
        xp = checks.floating("x", self.trace.x[0])
        return tuple(squared_length(x, xp) for x in self.trace.x)


def predictions(
    params: Params | Weights,
    y0: Array,
    states: States,
    activation: Activation,
    form: Form | OrderName = WEIGHTS_LAST,
) -> Settled:
    """Predict every state from the one below: p_l = ψ(W_l R_l φ(h_{l−1}) + b_l), and e_l = h_l − p_l.

    Args:
        params: the network; one without R, or with biases, is a `Weights`.
        y0: (…, N, K_0), inputs; rows are samples.
        states: h_l, one (…, N, K_l) array per layer.
        activation: f.
        form: a `Form`, or the name of a plain one.

    Raises:
        TypeError, ValueError: arrays that don't fit the network, an unknown form, or biases that the form has no place
            for.
    """
    check_activation(activation)
    weights, form = checked(params, y0, states, form)
    return predicted(weights, first_layer(weights, y0, activation, form), y0, states, activation, form)


def forward_states(
    params: Params | Weights, y0: Array, activation: Activation, form: Form | OrderName = WEIGHTS_LAST
) -> States:
    """Return the states of a forward pass, where inference starts: each is its own prediction, all errors are 0.

    Arguments and errors as `predictions`.
    """
    check_activation(activation)
    weights, form = _with_form(params, form)
    phi, psi = form.functions(activation, len(weights.W))
    states: list[Array] = []
    y = y0
    for layer, W in enumerate(weights.W):
        check_layer(weights, layer + 1, **{f"y{layer}": y})
        a = apply(W, layer_input(weights, layer, phi[layer](y)))
        y = BIASES[form.biases](psi[layer], a, _bias(weights, layer))[1]
        states.append(y)
    return tuple(states)


def held_predictions(settled: Settled, states: States) -> Settled:
    """Return the errors of other states from predictions that stay as they are: "fixed predictions".

    x_l, a_l, p_l and φ′(h_l) are those of `settled`, and so are the inputs that the weights then learn from.

    Raises:
        TypeError, ValueError: states that don't fit the predictions.
    """
    check_settled(settled)
    checks.same_length(states=(states, len(settled.errors)))
    for layer, (h, p) in enumerate(zip(states, settled.trace.y, strict=True), start=1):
        checks.arrays(**{f"p of layer {layer}": (p, "NM"), f"states of layer {layer}": (h, "NM")})
    errors = tuple(h - p for h, p in zip(states, settled.trace.y, strict=True))
    return replace(settled, states=states, errors=errors)


def weight_errors(settled: Settled) -> States:
    """Return ψ′(a_l) ∘ e_l of every layer, what its weights learn from: e_l itself with weights after activation.

    Raises:
        TypeError: `settled` is no `Settled`.
    """
    check_settled(settled)
    layers = zip(settled.psi, settled.trace.a, settled.errors, strict=True)
    return tuple(psi.derivative(a) * e for psi, a, e in layers)


def check_settled(settled: Settled) -> None:
    """Check that an argument is what `predictions` returns.

    Raises:
        TypeError: it is not.
    """
    checks.instance("settled", settled, Settled, "predictions makes it")


def network_of(params: Params | Weights, settled: Settled) -> Weights:
    """Return the network as weights, checked against predictions that it made; errors as `predictions`."""
    weights = as_weights(params)
    check_lengths(weights)
    checks.same_length(W=(weights.W, len(settled.trace.x)))
    for layer, x in enumerate(settled.trace.x, start=1):
        check_layer(weights, layer, **{f"x of layer {layer}": x})
    return weights


def check_activation(activation: Activation) -> None:
    """Check that an argument is an activation.

    Raises:
        TypeError: it is not.
    """
    checks.instance("activation", activation, Activation, "ACTIVATIONS['relu']")


# --- the parts that inference repeats ---------------------------------------------------------------------------------


def checked(params: Params | Weights, y0: Array, states: States, form: Form | OrderName) -> tuple[Weights, Form]:
    """Return weights and form, checked against each other and against the arrays; errors as `predictions`."""
    weights, form = _with_form(params, form)
    check_weights(weights, y0, states)
    return weights, form


def _with_form(params: Params | Weights, form: Form | OrderName) -> tuple[Weights, Form]:
    weights, form = as_weights(params), find_form(form)
    check_lengths(weights)
    if (weights.b is None) != (form.biases == "none"):
        there = "no biases" if weights.b is None else "biases"
        raise ValueError(f"biases of the form is {form.biases!r}, but the network has {there}")
    return weights, form


def first_layer(weights: Weights, y0: Array, activation: Activation, form: Form) -> tuple[Array, Array]:
    """Return x_1 and W_1 x_1: they depend on the input alone, and inference needs them in each step."""
    phi, _ = form.functions(activation, len(weights.W))
    x = layer_input(weights, 0, phi[0](y0))
    return x, apply(weights.W[0], x)


def predicted(
    weights: Weights, first: tuple[Array, Array], y0: Array, states: States, activation: Activation, form: Form
) -> Settled:
    """Do what `predictions` does, from what `first_layer` gave; nothing is checked."""
    phi, psi = form.functions(activation, len(weights.W))
    xs, products = [first[0]], [first[1]]
    for layer in range(1, len(weights.W)):
        xs.append(layer_input(weights, layer, phi[layer](states[layer - 1])))
        products.append(apply(weights.W[layer], xs[-1]))
    pairs = [BIASES[form.biases](psi[layer], Wx, _bias(weights, layer)) for layer, Wx in enumerate(products)]
    as_, ps = tuple(a for a, _ in pairs), tuple(p for _, p in pairs)
    errors = tuple(h - p for h, p in zip(states, ps, strict=True))
    return Settled(states, Trace(tuple(xs), as_, ps, y0), errors, phi, psi, states, form)


def _bias(weights: Weights, layer: int) -> Array | None:
    return None if weights.b is None else weights.b[layer][..., None, :]


def squared_length(e: Array, xp: Namespace) -> Array:
    """‖e‖² of each sample: (…, N, K) gives (…, N, 1)."""
    return xp.sum(e * e, axis=-1, keepdims=True)
