"""Minimise a smooth function of arrays to a tolerance, on the host in float64, with SciPy."""

from collections.abc import Callable
from typing import Any

import numpy as np

from copi_ref.arrays.backend import Array, HostArray, device_of, from_numpy, namespace, to_numpy

_ITERATIONS = 20_000
DENSE = 1000  # above so many unknowns a full Jacobian is not formed


class NotConvergedError(RuntimeError):
    """A minimiser did not reach its tolerance, as where rounding is larger than it.

    `point` holds the best point found, as the function that raised it would have returned it, and `residual` is the
    largest entry of the gradient there.
    """

    def __init__(self, message: str, point: Any, residual: float):
        super().__init__(message, point, residual)  # all three, so that it can be pickled
        self.point = point
        self.residual = residual

    def __str__(self) -> str:
        return str(self.args[0])


def minimise_arrays(
    value_and_gradient: Callable[[tuple[HostArray, ...]], tuple[Any, tuple[Array, ...]]],
    start: tuple[Array, ...],
    tolerance: float,
) -> tuple[Array, ...]:
    """Minimise over a tuple of arrays, and return them in the library, dtype and device of `start`.

    Args:
        value_and_gradient: of float64 arrays on the host, shaped as `start`; a value with axes is summed.
        start: where to begin.
        tolerance: the largest entry of the gradient that is accepted.

    Raises:
        NotConvergedError: no such point was found; it carries the best one.
    """
    if not start:
        return ()
    shapes = [tuple(array.shape) for array in start]
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])

    def split(point: HostArray) -> tuple[HostArray, ...]:
        parts = zip(np.split(point, ends[:-1]), shapes, strict=True)
        return tuple(part.reshape(shape) for part, shape in parts)

    def flat(point: HostArray) -> tuple[float, HostArray]:
        value, gradient = value_and_gradient(split(point))
        return float(np.sum(value)), np.concatenate([np.ravel(part) for part in gradient])

    def back(point: HostArray) -> tuple[Array, ...]:
        pairs = zip(split(point), start, strict=True)
        return tuple(from_numpy(part, namespace(like), like.dtype, device_of(like)) for part, like in pairs)

    try:
        return back(minimise(flat, np.concatenate([array.ravel() for array in on_host(start)]), tolerance))
    except NotConvergedError as error:
        raise NotConvergedError(str(error), back(error.point), error.residual) from None


def minimise(
    value_and_gradient: Callable[[HostArray], tuple[float, HostArray]], start: HostArray, tolerance: float
) -> HostArray:
    """Return a vector near `start` where every entry of the gradient is at most `tolerance` in size.

    L-BFGS first; its line search compares values, which stops it near the square root of the unit roundoff, so where
    that is not enough Powell's hybrid method goes on with the gradient alone (up to 1000 unknowns). What comes back
    is stationary, and no higher than where the first search ended; that it is a minimum is not checked.

    Raises:
        NotConvergedError: no such point was found; it carries the best one.
    """
    from scipy import optimize  # here, so that importing copi_ref stays quick

    def gradient(point: HostArray) -> HostArray:
        return value_and_gradient(point)[1]

    best = descend(value_and_gradient, start, tolerance)
    if largest(gradient(best)) > tolerance and best.size <= DENSE:
        polished = optimize.root(gradient, best, method="hybr", options={"xtol": 1e-15}).x
        # A root of the gradient may be a saddle or a top: it counts only if it is no higher, up to rounding.
        low, here = value_and_gradient(polished)[0], value_and_gradient(best)[0]
        if largest(gradient(polished)) < largest(gradient(best)) and low <= here + 1e-9 * abs(here):
            best = polished
    residual = largest(gradient(best))
    if not residual <= tolerance:
        message = f"the gradient's largest entry is {residual:.3g}: needs at most the tolerance, {tolerance:.3g}"
        raise NotConvergedError(message, best, residual)
    return np.asarray(best)


def descend(
    value_and_gradient: Callable[[HostArray], tuple[float, HostArray]], start: HostArray, tolerance: float
) -> HostArray:
    """Return where L-BFGS ends: at the tolerance, or where its line search finds no lower value."""
    from scipy import optimize

    options = {"gtol": tolerance, "ftol": 0, "maxiter": _ITERATIONS, "maxfun": _ITERATIONS, "maxcor": 30}
    return np.asarray(optimize.minimize(value_and_gradient, start, jac=True, method="L-BFGS-B", options=options).x)


def on_host(arrays: tuple[Array, ...]) -> tuple[HostArray, ...]:
    """Copy arrays to the host in float64."""
    return tuple(to_numpy(array).astype(np.float64) for array in arrays)


def largest(gradient: HostArray) -> float:
    """Return the largest entry in size, 0 of none."""
    return float(np.abs(gradient).max(initial=0))
