"""The energy of Inference Learning, its gradient over the states, and its descent over the weights."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from copi_ref.arrays import checks
from copi_ref.arrays.backend import Array
from copi_ref.arrays.moments import mean_sample
from copi_ref.arrays.said import said
from copi_ref.inference_learning.forms import BIASES
from copi_ref.inference_learning.states import Settled, States, check_settled, network_of, weight_errors
from copi_ref.inference_learning.weights import Weights, back
from copi_ref.learning_rules import sgd_update
from copi_ref.network import Params


@dataclass(frozen=True, kw_only=True)
class Energy:
    """What inference lowers: F = ½ Σ_l π_l ‖e_l‖² + ½ λ Σ_{l<L} ‖h_l‖².

    Args:
        precisions: π_l, one number a layer, the lowest first; (): all are 1.
        decay: λ, how strongly hidden states are drawn to 0.

    Raises:
        TypeError, ValueError: a precision that is no number above 0, or λ no number of at least 0.
    """

    precisions: tuple[float | Fraction, ...] = ()
    decay: float | Fraction = 0

    def __post_init__(self) -> None:
        if not isinstance(self.precisions, (tuple, list)):
            raise TypeError(f"precisions is {said(self.precisions)}: needs a tuple of numbers, one a layer")
        for place, precision in enumerate(self.precisions):
            checks.positive_number(f"precisions[{place}]", precision)
        checks.one_number("decay", self.decay, minimum=0)

    def weighted(self, errors: States) -> States:
        """Return π_l e_l.

        Raises:
            TypeError: `errors` is no tuple of floating arrays.
            ValueError: not one precision a layer.
        """
        check_each("errors", errors)
        if not self.precisions:
            return errors
        checks.same_length(precisions=(self.precisions, len(errors)))
        pairs = zip(self.precisions, errors, strict=True)
        return tuple(checks.coefficient("precision", precision, e) * e for precision, e in pairs)

    def drawn(self, states: States) -> States:
        """Return λ h_l of the hidden states, or nothing where λ is 0.

        Raises:
            TypeError: `states` is no tuple of floating arrays.
        """
        check_each("states", states)
        if self.decay == 0:
            return ()
        return tuple(checks.coefficient("decay", self.decay, h) * h for h in states[:-1])


def check_each(name: str, arrays: States) -> None:
    """Check that there is a tuple of floating arrays; errors as `Energy.weighted`."""
    checks.layers(name, arrays)
    for layer, array in enumerate(arrays, start=1):
        checks.floating(f"{name} of layer {layer}", array)


def check_energy(settled: Settled, energy: Energy) -> None:
    """Check that there are predictions, and an energy of them.

    Raises:
        TypeError: it is something else.
    """
    check_settled(settled)
    checks.instance("energy", energy, Energy, "Energy()")


PLAIN = Energy()
"""F = ½ Σ_l ‖e_l‖²."""


def il_energy(settled: Settled, energy: Energy = PLAIN) -> Array:
    """Return F = ½ Σ_l π_l ‖e_l‖² + ½ λ Σ_{l<L} ‖h_l‖² of each sample, (…, N).

    Raises:
        TypeError: an argument of another class.
        ValueError: not one precision a layer.
    """
    check_energy(settled, energy)
    xp = checks.floating("states", settled.states[-1])
    errors, drawn = energy.weighted(settled.errors), energy.drawn(settled.states)
    total: Any = sum(xp.sum(e * weighted, axis=-1) for e, weighted in zip(settled.errors, errors, strict=True))
    total = total + sum(xp.sum(h * pull, axis=-1) for h, pull in zip(settled.states, drawn, strict=False))
    return total / 2


def il_gradient(params: Params | Weights, settled: Settled, energy: Energy = PLAIN) -> States:
    """Return ∂F/∂h_l of every layer; at the top π_L e_L.

    π_l e_l + λ h_l − φ′(h_l) ∘ R_{l+1}ᵀ W_{l+1}ᵀ (ψ′(a_{l+1}) ∘ π_{l+1} e_{l+1})

    Raises:
        TypeError: an argument of another class.
        ValueError: not one precision a layer.
    """
    check_energy(settled, energy)
    return energy_gradient(network_of(params, settled), settled, energy)


def energy_gradient(weights: Weights, settled: Settled, energy: Energy) -> States:
    """Return what `il_gradient` does, which inference repeats; nothing is checked."""
    gradients = list(energy.weighted(settled.errors))
    for layer, pull in enumerate(pulls_from_above(weights, settled, energy)):
        gradients[layer] = gradients[layer] - pull
    for layer, drawn in enumerate(energy.drawn(settled.states)):
        gradients[layer] = gradients[layer] + drawn
    return tuple(gradients)


def pulls_from_above(weights: Weights, settled: Settled, energy: Energy = PLAIN) -> States:
    """Return what each hidden layer gets from above, φ′(h_l) ∘ R_{l+1}ᵀ W_{l+1}ᵀ (ψ′(a_{l+1}) ∘ π_{l+1} e_{l+1}).

    Raises:
        ValueError: not one precision a layer.

    Not checked: that the network is the one of the predictions.
    """
    errors = energy.weighted(weight_errors(settled))
    hidden = enumerate(settled.predicting[:-1], start=1)
    return tuple(settled.phi[layer].derivative(h) * back(weights, layer, errors[layer]) for layer, h in hidden)


def il_update(settled: Settled, energy: Energy = PLAIN) -> tuple[Array, ...]:
    """Return IL's ΔW_l = E[π_l (ψ′(a_l) ∘ e_l) x_lᵀ] of every layer, (…, K_l, K_{l−1}): −∂E[F]/∂W_l.

    Raises:
        TypeError: an argument of another class.
        ValueError: not one precision a layer.
    """
    check_energy(settled, energy)
    errors = energy.weighted(weight_errors(settled))
    return tuple(sgd_update(x, e) for x, e in zip(settled.trace.x, errors, strict=True))


def il_bias_update(settled: Settled, energy: Energy = PLAIN) -> tuple[Array, ...]:
    """Return Δb_l of every layer, (…, K_l): −∂E[F]/∂b_l, which is E[π_l ψ′(a_l) ∘ e_l], or outside ψ E[π_l e_l].

    Raises:
        TypeError: an argument of another class.
        ValueError: the form has no biases, or not one precision a layer.
    """
    check_energy(settled, energy)
    errors = checks.choice("biases of the form", settled.form.biases, _BIAS_ERRORS)(settled)
    xp = checks.floating("states", settled.states[-1])
    return tuple(mean_sample(e, xp) for e in energy.weighted(errors))


_BIAS_ERRORS = {"inside": weight_errors, "outside": lambda settled: settled.errors}
assert set(_BIAS_ERRORS) == set(BIASES) - {"none"}
