"""Inference run to convergence: states at a minimum of the energy, found on the host in float64 with SciPy."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from copi_ref import _checks
from copi_ref.activations import Activation
from copi_ref.backend import Array, HostArray, device_of, from_numpy, namespace, to_numpy
from copi_ref.inference_learning import (
    WEIGHTS_LAST,
    Settled,
    States,
    il_energy,
    il_gradient,
    predictions,
    prox_energy,
    prox_gradient,
)
from copi_ref.network import Params, Trace

if TYPE_CHECKING:
    from copi_ref.credit.task import Task

_ITERATIONS = 20_000


class NotConvergedError(RuntimeError):
    """A minimiser did not reach its tolerance: at a kink of f, or where rounding is larger than the tolerance.

    `point` holds the best point found, as the function that raised it would have returned it, and `residual` is the
    largest entry of the gradient there.
    """

    def __init__(self, message: str, point: Any, residual: float):
        super().__init__(message, point, residual)  # all three, so that it can be pickled
        self.point = point
        self.residual = residual

    def __str__(self) -> str:
        return str(self.args[0])


def minimise(
    value_and_gradient: Callable[[HostArray], tuple[float, HostArray]], start: HostArray, tolerance: float
) -> HostArray:
    """Return a point near `start` where every entry of the gradient is at most `tolerance` in size.

    L-BFGS first; its line search compares values, which stops it near the square root of the unit roundoff, so where
    that is not enough Powell's hybrid method goes on with the gradient alone.

    Raises:
        NotConvergedError: no such point was found; it carries the best one.
    """
    from scipy import optimize  # here, so that importing copi_ref stays quick

    def gradient(point: HostArray) -> HostArray:
        return value_and_gradient(point)[1]

    options = {"gtol": tolerance, "ftol": 0, "maxiter": _ITERATIONS, "maxfun": _ITERATIONS, "maxcor": 30}
    best = optimize.minimize(value_and_gradient, start, jac=True, method="L-BFGS-B", options=options).x
    if _largest(gradient(best)) > tolerance:
        polished = optimize.root(gradient, best, method="hybr", options={"xtol": 1e-15}).x
        # A root of the gradient may be a saddle: it counts only if it is no higher, up to rounding.
        low, here = value_and_gradient(polished)[0], value_and_gradient(best)[0]
        if _largest(gradient(polished)) < _largest(gradient(best)) and low <= here + 1e-9 * abs(here):
            best = polished
    residual = _largest(gradient(best))
    if not residual <= tolerance:
        message = f"the gradient's largest entry is {residual:.3g}: needs at most the tolerance, {tolerance:.3g}"
        raise NotConvergedError(message, best, residual)
    return np.asarray(best)


def _largest(gradient: HostArray) -> float:
    return float(np.abs(gradient).max())


def infer_to_convergence(
    params: Params,
    trace: Trace,
    states: States,
    activation: Activation,
    tolerance: float = 1e-8,
    convention: str = WEIGHTS_LAST,
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
    there = _on_host(params), _host_trace(trace)
    clamped = to_numpy(states[-1]).astype(np.float64)

    def settle(hidden: States) -> Settled:
        return predictions(*there, (*hidden, clamped), activation, convention)

    def value_and_gradient(hidden: States) -> tuple[Array, States]:
        settled = settle(hidden)
        return il_energy(settled), il_gradient(there[0], settled)[:-1]

    return (*_minimised(value_and_gradient, states[:-1], tolerance, (states[-1],)), states[-1])


def infer_prox_to_convergence(
    params: Params, trace: Trace, states: States, task: "Task", alpha: float, tolerance: float = 1e-8
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
        TypeError, ValueError: arrays that don't fit the network, or exact arrays.
        NotConvergedError: no such states were found; `point` holds the best ones.
    """
    there = _on_host(params), _host_trace(trace)
    host_task = replace(task, target=to_numpy(task.target).astype(np.float64))

    def value_and_gradient(states: States) -> tuple[Array, States]:
        settled = predictions(*there, states, task.activation)
        return prox_energy(settled, host_task, alpha), prox_gradient(there[0], settled, host_task, alpha)

    return _minimised(value_and_gradient, states, tolerance)


def _minimised(
    value_and_gradient: Callable[[States], tuple[Array, States]],
    start: States,
    tolerance: float,
    rest: States = (),
) -> States:
    """Minimise over a tuple of arrays, each sample's value added to the sum; `rest` completes an error's point."""
    for h in start:
        _checks.not_exact("inference to convergence", h)
    if not start:
        return ()
    shapes = [tuple(h.shape) for h in start]
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])

    def split(point: HostArray) -> States:
        parts = np.split(point, ends[:-1])
        return tuple(part.reshape(shape) for part, shape in zip(parts, shapes, strict=True))

    def flat(point: HostArray) -> tuple[float, HostArray]:
        value, gradient = value_and_gradient(split(point))
        return float(np.sum(value)), np.concatenate([part.ravel() for part in gradient])

    def back(point: HostArray) -> States:
        arrays = zip(split(point), start, strict=True)
        return tuple(from_numpy(part, namespace(h), h.dtype, device_of(h)) for part, h in arrays)

    origin = np.concatenate([to_numpy(h).astype(np.float64).ravel() for h in start])
    try:
        return back(minimise(flat, origin, tolerance))
    except NotConvergedError as error:
        raise NotConvergedError(str(error), (*back(error.point), *rest), error.residual) from None


def _on_host(params: Params) -> Params:
    mean = None if params.mean is None else _host(params.mean)
    return Params(_host(params.W), _host(params.R), mean)


def _host_trace(trace: Trace) -> Trace:
    return Trace(_host(trace.x), _host(trace.a), _host(trace.y))


def _host(arrays: tuple[Array, ...]) -> tuple[HostArray, ...]:
    return tuple(to_numpy(array).astype(np.float64) for array in arrays)
