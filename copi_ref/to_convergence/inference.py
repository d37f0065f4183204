"""Inference run to convergence: states at a minimum of the energy, found on the host in float64."""

from dataclasses import replace

from copi_ref.activations import Activation
from copi_ref.arrays import checks
from copi_ref.arrays.backend import Array
from copi_ref.inference_learning import (
    WEIGHTS_LAST,
    ConventionName,
    States,
    il_energy,
    il_gradient,
    predictions,
    prox_energy,
    prox_gradient,
)
from copi_ref.network import Params, Trace
from copi_ref.task import Task
from copi_ref.to_convergence.minimise import NotConvergedError, minimise_arrays, on_host


def infer_to_convergence(
    params: Params,
    trace: Trace,
    states: States,
    activation: Activation,
    tolerance: float = 1e-8,
    convention: ConventionName = WEIGHTS_LAST,
) -> States:
    """Return states at a minimum of F = ½ Σ_l ‖e_l‖² over the hidden ones, with the output's clamped.

    Args:
        params: the network.
        trace: of a forward pass on the input.
        states: where to start; the last stays as it is.
        activation: f.
        tolerance: largest entry of the gradient that is accepted.
        convention: a name in `copi_ref.inference_learning.CONVENTIONS`.

    Raises:
        TypeError, ValueError: arrays that don't fit the network, exact arrays, or an unknown convention.
        NotConvergedError: no such states were found; `point` holds the best ones.
    """
    checks.not_exact("inference to convergence", states[-1])
    there, host_trace, (clamped,) = host_params(params), _host_trace(trace), on_host(states[-1:])

    def value_and_gradient(hidden: States) -> tuple[Array, States]:
        settled = predictions(there, host_trace, (*hidden, clamped), activation, convention)
        return il_energy(settled), il_gradient(there, settled)[:-1]

    try:
        return (*minimise_arrays(value_and_gradient, states[:-1], tolerance), states[-1])
    except NotConvergedError as error:
        raise NotConvergedError(str(error), (*error.point, states[-1]), error.residual) from None


def infer_prox_to_convergence(
    params: Params, trace: Trace, states: States, task: Task, alpha: float, tolerance: float = 1e-8
) -> States:
    """Return states at a minimum of IL-prox's energy F_α, over all of them.

    Args:
        params: the network.
        trace: of a forward pass on the input.
        states: where to start.
        task: target, loss, activation and output.
        alpha: α.
        tolerance: largest entry of the gradient that is accepted.

    Raises:
        TypeError, ValueError: arrays that don't fit the network, exact arrays, or α not above 0.
        NotConvergedError: no such states were found; `point` holds the best ones.
    """
    checks.not_exact("inference to convergence", states[-1])
    checks.positive_number("alpha", alpha)
    there, host_trace = host_params(params), _host_trace(trace)
    host_task = replace(task, target=on_host((task.target,))[0])

    def value_and_gradient(states: States) -> tuple[Array, States]:
        settled = predictions(there, host_trace, states, task.activation)
        return prox_energy(settled, host_task, alpha), prox_gradient(there, settled, host_task, alpha)

    return minimise_arrays(value_and_gradient, states, tolerance)


def host_params(params: Params) -> Params:
    """Copy a network to the host in float64."""
    mean = None if params.mean is None else on_host(params.mean)
    return Params(on_host(params.W), on_host(params.R), mean)


def _host_trace(trace: Trace) -> Trace:
    return Trace(on_host(trace.x), on_host(trace.a), on_host(trace.y))
