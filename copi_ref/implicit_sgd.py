"""Implicit SGD: the proximal step, which takes the gradient where it arrives and not where it starts."""

from typing import Any

import numpy as np

from copi_ref import _checks
from copi_ref.backend import Array, HostArray, device_of, from_numpy, namespace, to_numpy
from copi_ref.convergence import NotConvergedError, minimise
from copi_ref.credit import Task, backpropagation
from copi_ref.credit.task import OUTPUTS
from copi_ref.learning_rules import sgd_update
from copi_ref.moments import mean_outer
from copi_ref.network import Params, forward


def implicit_sgd_layer(x: Array, W: Array, target: Array, alpha: Any) -> Array:
    """Return W⁺ after an implicit SGD step of a linear layer with the loss ½‖W x − y*‖², in closed form.

    W⁺ = argmin E[½‖W x − y*‖²] + ‖W − W_b‖²/(2α) = W_b + E[(y* − W_b x) xᵀ] (E[x xᵀ] + I/α)⁻¹

    For one sample that is W_b + α/(1 + α‖x‖²) (y* − W_b x) xᵀ: stable for every α > 0. (Alonso et al. 2022 for one
    sample; for a batch it is the proximal step of its mean loss.)

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
    """
    xp = _checks.arrays(x=(x, "NK"), W=(W, "MK"), target=(target, "NM"))
    _checks.not_exact("implicit_sgd_layer", x)
    _checks.positive_number("alpha", alpha)
    alpha = _checks.coefficient("alpha", alpha, x)
    error = target - x @ W.mT
    identity = xp.eye(x.shape[-1], dtype=x.dtype, device=device_of(x))
    # ΔW (E[x xᵀ] + I/α) = E[e xᵀ], solved from the other side as the matrix is symmetric; times α, so that it is
    # well-conditioned for small α.
    return W + alpha * xp.linalg.solve(alpha * mean_outer(x, x) + identity, mean_outer(x, error)).mT


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
            ``output="pre-activation"``, where δ is not the gradient of the loss.
        NotConvergedError: no such weights were found; `point` holds the network at the best ones.
    """
    _checks.positive_number("alpha", alpha)
    _checks.arrays(y0=(y0, "NK"))
    _checks.not_exact("implicit_sgd_step", y0)
    if task.output != "activation":
        raise ValueError(f"output is {task.output!r}: needs 'activation', where δ is the gradient of the loss")
    if params.W[-1].ndim != 2:
        raise ValueError(f"W of the last layer has shape {tuple(params.W[-1].shape)}: needs one network")
    start = tuple(to_numpy(W).astype(np.float64) for W in params.W)
    R = tuple(to_numpy(R).astype(np.float64) for R in params.R)
    mean = None if params.mean is None else tuple(to_numpy(m).astype(np.float64) for m in params.mean)
    x0, target = (to_numpy(array).astype(np.float64) for array in (y0, task.target))
    host_task = Task(target, task.loss, task.activation)
    ends = np.cumsum([W.size for W in start])
    base = np.concatenate([W.ravel() for W in start])

    def network(theta: HostArray) -> Params:
        parts = zip(np.split(theta, ends[:-1]), start, strict=True)
        return Params(tuple(part.reshape(W.shape) for part, W in parts), R, mean)

    def value_and_gradient(theta: HostArray) -> tuple[float, HostArray]:
        """α L + ½‖θ − θ_b‖² and its gradient: in units of θ, whatever α is."""
        there = network(theta)
        trace = forward(there, x0, task.activation)
        deltas = backpropagation(there, trace, host_task)
        descent = [sgd_update(x, delta).ravel() for x, delta in zip(trace.x, deltas, strict=True)]
        loss = np.mean(task.loss(OUTPUTS["activation"](trace), target))
        shift = theta - base
        return float(alpha * loss + shift @ shift / 2), shift - alpha * np.concatenate(descent)

    def back(theta: HostArray) -> Params:
        pairs = zip(network(theta).W, params.W, strict=True)
        W = tuple(from_numpy(new, namespace(old), old.dtype, device_of(old)) for new, old in pairs)
        return Params(W, params.R, params.mean)

    try:
        return back(minimise(value_and_gradient, base, tolerance))
    except NotConvergedError as error:
        raise NotConvergedError(str(error), back(error.point), error.residual) from None
