"""Backpropagation: the exact gradient with respect to every pre-activation."""

from copi_ref.activations import Activation
from copi_ref.arrays.backend import Array, namespace
from copi_ref.arrays.moments import mean_sample
from copi_ref.arrays.products import apply
from copi_ref.network import Params, Trace
from copi_ref.task import Task, output_perturbation


def backpropagation(params: Params, trace: Trace, task: Task) -> tuple[Array, ...]:
    """Return δ_l = −dℓ/da_l of every layer (§2.5; Algorithm 1, lines 10 to 12).

    δ_l = f′(a_l) ∘ (R_{l+1}ᵀ W_{l+1}ᵀ δ_{l+1}),  δ_L = −f′(a_L) ∘ ∂ℓ/∂y_L

    Returns:
        One (…, N, K_l) array per layer, the lowest first.

    Raises:
        TypeError, ValueError: the target does not fit the trace.
    """
    deltas = [output_perturbation(params, trace, task)]  # line 9: ℓ comes in through its derivative
    for W, R, a in zip(params.W[:0:-1], params.R[:0:-1], trace.a[-2::-1], strict=True):  # lines 10 to 12
        deltas.append(backpropagated(deltas[-1], W, R, a, task.activation))  # line 11
    return tuple(reversed(deltas))


def backpropagation_through_batch_means(params: Params, trace: Trace, task: Task) -> tuple[Array, ...]:
    """Return δ_l = −dℓ/da_l of every layer where layers' inputs are centred by their mean over the batch.

    δ_l = f′(a_l) ∘ (g_l − E[g_l]),  g_l = R_{l+1}ᵀ W_{l+1}ᵀ δ_{l+1},  with ℓ the loss of all samples of the batch

    For `BatchCentring`: a sample's y is in the mean that all others lose. Returns and raises as `backpropagation`.
    """
    deltas = [output_perturbation(params, trace, task)]
    for W, R, a in zip(params.W[:0:-1], params.R[:0:-1], trace.a[-2::-1], strict=True):
        back = apply(R.mT, apply(W.mT, deltas[-1]))
        mean = mean_sample(back, namespace(back))[..., None, :]
        deltas.append(task.activation.derivative(a) * (back - mean))
    return tuple(reversed(deltas))


def backpropagated(delta: Array, W: Array, R: Array, a: Array, activation: Activation) -> Array:
    """Return δ_l from δ_{l+1}, W_{l+1}, R_{l+1} and a_l: f′(a_l) ∘ (R_{l+1}ᵀ W_{l+1}ᵀ δ_{l+1}).

    Not checked: that the shapes fit.
    """
    return activation.derivative(a) * apply(R.mT, apply(W.mT, delta))  # N K² each; Rᵀ Wᵀ would cost K³
