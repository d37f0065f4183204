"""Implicit SGD: the proximal step, which takes the gradient where it arrives and not where it starts."""

from dataclasses import replace
from typing import Any

import numpy as np

from copi_ref.arrays import checks
from copi_ref.arrays.backend import Array, HostArray
from copi_ref.arrays.moments import narrow, wide
from copi_ref.arrays.products import apply
from copi_ref.credit import backpropagation
from copi_ref.learning_rules import sgd_update
from copi_ref.network import Params, check_params, forward
from copi_ref.task import OUTPUTS, Task, check_task, output_function
from copi_ref.to_convergence.inference import host_params
from copi_ref.to_convergence.minimise import NotConvergedError, minimise_arrays, on_host


def implicit_sgd_layer(x: Array, W: Array, target: Array, alpha: Any) -> Array:
    """Return W⁺ after an implicit SGD step of a linear layer with the loss ½‖W x − y*‖², in closed form.

    W⁺ = argmin E[½‖W x − y*‖²] + ‖W − W_b‖²/(2α) = W_b + E[(y* − W_b x) xᵀ] (E[x xᵀ] + I/α)⁻¹

    For one sample that is W_b + α/(1 + α‖x‖²) (y* − W_b x) xᵀ: stable for every α > 0. For a batch it is the proximal
    step of its mean loss, and as α grows it tends to the least squares solution that is nearest to W_b. Directions in
    which the samples have less than min(N, K) ε of their largest singular value count as none.

    Args:
        x: (…, N, K), inputs; rows are samples.
        W: (…, M, K), weights W_b where the step begins.
        target: (…, N, M), y*.
        alpha: α > 0, learning rate.

    Returns:
        W⁺, (…, M, K).

    Raises:
        TypeError: arrays of different libraries or dtypes, not floating, or exact (no exact inverse here).
        ValueError: shapes that don't fit, or α is not above 0.

    Not checked: that x is finite. (The array library may raise its own error.)
    """
    xp = checks.arrays(x=(x, "NK"), W=(W, "MK"), target=(target, "NM"))
    checks.not_exact("implicit_sgd_layer", x)
    checks.solvable("implicit_sgd_layer", "x", wide(x))
    checks.positive_number("alpha", alpha)
    alpha = checks.coefficient("alpha", alpha, x)
    error = target - apply(W, x)
    # With X = U S Vᵀ, E[e xᵀ] (E[x xᵀ] + I/α)⁻¹ = eᵀ U (S + N/(α S))⁻¹ Vᵀ. No matrix is formed of which a large α, or
    # samples that depend on each other, would take all digits.
    U, S, Vt = xp.linalg.svd(wide(x), full_matrices=False)
    smallest = S.shape[-1] * xp.finfo(S.dtype).eps * xp.max(S, axis=-1, keepdims=True)
    none = smallest >= S
    S = xp.where(none, xp.ones_like(S), S)
    factor = xp.where(none, xp.zeros_like(S), 1 / (S + x.shape[-2] / alpha / S))
    return W + narrow((wide(error).mT @ U * factor[..., None, :]) @ Vt, x)


def implicit_sgd_step(params: Params, y0: Array, task: Task, alpha: float, tolerance: float = 1e-8) -> Params:
    """Return the network after an implicit SGD step of its forward weights, found numerically.

    θ⁺ = argmin L(θ) + ‖θ − θ_b‖²/(2α), so θ⁺ = θ_b − α ∇L(θ⁺), with θ all W and L the mean loss of the batch

    R and the means stay as they are. For large α there can be several minima; this is one that the search from θ_b
    ends in. Weights are found on the host in float64, and given back in the library and dtype of `params`.

    Args:
        params: the network, θ_b.
        y0: (N, K_0), inputs; rows are samples.
        task: target, loss, activation and output.
        alpha: α > 0, learning rate.
        tolerance: largest entry of θ − θ_b + α ∇L(θ) that is accepted, in units of θ.

    Raises:
        TypeError, ValueError: arrays that don't fit the network, exact arrays, an ensemble, α not above 0, or
            ``output="pre-activation"``, whose δ_L is the gradient of no loss.
        NotConvergedError: no such weights were found; `point` holds the network at the best ones.
    """
    check_params(params)
    check_task(task)
    checks.positive_number("alpha", alpha)
    checks.one_number("tolerance", tolerance, minimum=0)
    tolerance = float(tolerance)
    _check_all(params, y0, task)
    checks.not_exact("implicit_sgd_step", y0)
    output_function(task, "an implicit step")
    predict = OUTPUTS[task.output]
    for name, array in (("W of the last layer", params.W[-1]), ("y0", y0)):
        if array.ndim != 2:
            raise ValueError(f"{name} has shape {tuple(array.shape)}: needs one network and one batch")
    start, (host_y0, target) = host_params(params), on_host((y0, task.target))
    host_task = Task(target, task.loss, task.activation, output=task.output)

    def value_and_gradient(W: tuple[HostArray, ...]) -> tuple[Any, tuple[HostArray, ...]]:
        """α L + ½‖θ − θ_b‖² and its gradient θ − θ_b + α ∇L: in units of θ, whatever α is."""
        there = replace(start, W=W)
        trace = forward(there, host_y0, task.activation)
        deltas = backpropagation(there, trace, host_task)
        shifts = tuple(new - old for new, old in zip(W, start.W, strict=True))
        layers = zip(shifts, trace.x, deltas, strict=True)
        gradient = tuple(shift - alpha * sgd_update(x, delta) for shift, x, delta in layers)
        distance = sum((shift * shift).sum() for shift in shifts)
        return alpha * np.mean(task.loss(predict(trace), target)) + distance / 2, gradient

    try:
        return replace(params, W=minimise_arrays(value_and_gradient, params.W, tolerance))
    except NotConvergedError as error:
        raise NotConvergedError(str(error), replace(params, W=error.point), error.residual) from None


def _check_all(params: Params, y0: Array, task: Task) -> None:
    """Check all arrays by a forward pass: what is searched with is on the host, in float64, whatever they are."""
    trace = forward(params, y0, task.activation)
    checks.arrays(prediction=(trace.y[-1], "NM"), target=(task.target, "NM"))
