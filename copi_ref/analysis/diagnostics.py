"""Measures of a layer: whether R decorrelates and stays well-behaved, and where the perturbations point."""

import math
from typing import Any

import numpy as np

from copi_ref.arrays import checks
from copi_ref.arrays.backend import Array, Namespace, device_of, namespace
from copi_ref.arrays.moments import mean_outer
from copi_ref.credit import backpropagation, backpropagation_through_batch_means, find_credit
from copi_ref.kept_diagonal import BatchCentring
from copi_ref.network import forward, forward_by_batch_means
from copi_ref.recipe import Recipe
from copi_ref.state import State, check_state, generator_of
from copi_ref.task import Task
from copi_ref.training.batches import Samples
from copi_ref.training.prediction import ROWS

MEASURES = ("off_diagonal", "asymmetry", "log_det", "condition", "dead", "angle")
"""What `layer_diagnostics` records of each layer; the names are ``off_diagonal_1``, …, with the layer from 1."""


def layer_diagnostics(recipe: Recipe, state: State, samples: Samples) -> dict[str, float]:
    """Return the measures of every layer by name; it is what ``fit(…, diagnostics=layer_diagnostics)`` records.

    For layer l: ``off_diagonal_l`` (`relative_off_diagonal`), ``condition_l`` (`condition_number`) and ``dead_l``
    (`dead_share`) of x_l; ``asymmetry_l`` and ``log_det_l`` (`log_abs_det`) of R_l; ``angle_l`` (`angle`) between the
    δ_l of the recipe's credit method and backpropagation's on the same forward pass (with ``states="inferred"`` too).

    Random credit methods draw from a copy of the state's generator: measuring leaves training as it is, bit for bit.
    Half-precision networks are measured in float32. A condition number can be infinite, log|det R| −∞, an angle nan.

    Args:
        recipe: gives the credit method, activation, loss and output.
        state: one network, after some epoch.
        samples: inputs and targets, in the library and dtype of the network; only the first 5000 are looked at.

    Raises:
        TypeError, ValueError: arrays that don't fit the network, or a network with ensemble axes.

    Not checked: that activities are finite.
    """
    checks.instance("recipe", recipe, Recipe)
    check_state(state)
    params = state.params
    if params.W[-1].ndim != 2:
        shape = tuple(params.W[-1].shape)
        raise ValueError(f"W of the last layer has shape {shape}: layer_diagnostics takes one network")
    if not isinstance(samples, tuple) or len(samples) != 2:
        raise TypeError(f"samples is a {type(samples).__name__}: needs a pair, (inputs, targets)")
    R, W = params.R[0], params.W[-1]
    checks.arrays(**{"R of layer 1": (R, "KK"), "samples[0]": (samples[0], "NK")})
    checks.arrays(**{"W of the last layer": (W, "MK"), "samples[1]": (samples[1], "NM")})
    for place, array in enumerate(samples):
        if array.ndim != 2:
            raise ValueError(f"samples[{place}] has shape {tuple(array.shape)}: needs (N, K)")
    y0, target = (array[: min(ROWS, array.shape[0]), :] for array in samples)
    task = Task(target, recipe.loss, recipe.activation, state.feedback, generator_of(state), recipe.output)
    row: dict[str, float] = {}
    with np.errstate(over="ignore", invalid="ignore"):  # a δ that overflows has no angle; `fit` says where it began
        if isinstance(recipe.centring, BatchCentring):  # as in training, by the means of these samples
            trace, params = forward_by_batch_means(params, y0, recipe.activation)
            gradients = backpropagation_through_batch_means(params, trace, task)
        else:
            trace = forward(params, y0, recipe.activation)
            gradients = backpropagation(params, trace, task)
        deltas = find_credit(recipe.credit)(params, trace, task)
        layers = zip(trace.x, params.R, deltas, gradients, strict=True)
        for layer, arrays in enumerate(layers, start=1):
            values = _measures(*map(_at_least_float32, arrays))
            row |= {f"{name}_{layer}": float(value) for name, value in zip(MEASURES, values, strict=True)}
    return row


def _measures(x: Array, R: Array, delta: Array, gradient: Array) -> tuple[Array, ...]:
    """Return the measures of one layer in the order of `MEASURES`, with C formed once."""
    scaled = _largest_to_one(x, namespace(x))  # neither that ratio nor the condition depends on the scale of C
    C = mean_outer(scaled, scaled)
    off_diagonal, condition = relative_off_diagonal_of_moment(C), condition_of_moment(C)
    return off_diagonal, asymmetry(R), log_abs_det(R), condition, dead_share(x), angle(delta, gradient)


def relative_off_diagonal(x: Array) -> Array:
    """Return how correlated inputs are: ‖C_off‖_F / ‖diag C‖_F, with C = E[x xᵀ] (not centred).

    0 if and only if all pairs are uncorrelated (E[x_i x_j] = 0), and 0 where all inputs are always 0. It need not
    fall while R learns: with two identical inputs it stays 1 while both shrink.

    Args:
        x: (…, N, K), inputs of a layer; rows are samples.

    Returns:
        (…), without a unit.

    Raises:
        TypeError: `x` is no floating array, or exact (a root is not rational).
        ValueError: `x` has fewer than two axes.
    """
    checks.arrays(x=(x, "NK"))
    return relative_off_diagonal_of_moment(mean_outer(x, x))


def relative_off_diagonal_of_moment(C: Array) -> Array:
    """Return ‖C_off‖_F / ‖diag C‖_F of a second moment C, (…, K, K); result and errors as `relative_off_diagonal`."""
    xp = checks.arrays(C=(C, "KK"))
    checks.not_exact("relative_off_diagonal", C)
    on_diagonal = xp.eye(C.shape[-1], dtype=C.dtype, device=device_of(C)) == 1
    scaled = _largest_to_one(C, xp)  # else the squares of small inputs underflow
    # Squares are summed apart: ‖C‖² − ‖diag C‖² would lose a small off-diagonal part to rounding.
    off = _norm(xp.where(on_diagonal, scaled * 0, scaled), xp)
    return off / _not_zero(_norm(xp.where(on_diagonal, scaled, scaled * 0), xp), xp)


def condition_number(x: Array) -> Array:
    """Return the condition number λmax/λmin of C = E[x xᵀ] (not centred): 1 if all inputs are white.

    Infinite where C is singular to working precision, λmin ≤ K ε λmax with ε of the dtype: where inputs depend on each
    other linearly or are dead (all of them too), or samples are fewer than inputs.

    Args:
        x: (…, N, K), inputs of a layer; rows are samples.

    Returns:
        (…), without a unit, at least 1.

    Raises:
        TypeError: `x` is no floating array, or exact (eigenvalues are not rational).
        ValueError: `x` has fewer than two axes.

    Not checked: that x is finite.
    """
    xp = checks.arrays(x=(x, "NK"))
    checks.solvable("condition_number", "x", x)
    x = _largest_to_one(x, xp)  # so that C neither under- nor overflows
    return condition_of_moment(mean_outer(x, x))


def condition_of_moment(C: Array) -> Array:
    """Return λmax/λmin of a second moment C, (…, K, K); result and errors as `condition_number`."""
    xp = checks.arrays(C=(C, "KK"))
    checks.solvable("condition_number", "C", C)
    eigenvalues = xp.linalg.eigvalsh(C)  # in ascending order
    smallest, largest = eigenvalues[..., 0], eigenvalues[..., -1]
    # Rounding leaves an eigenvalue that is 0 slightly above or below 0.
    singular = smallest <= C.shape[-1] * float(xp.finfo(C.dtype).eps) * largest
    return xp.where(singular, largest * 0 + math.inf, largest / xp.where(singular, largest * 0 + 1, smallest))


def dead_share(x: Array) -> Array:
    """Return the share of inputs that are dead: 0 in all samples, E[x²] = 0.

    Args:
        x: (…, N, K), inputs of a layer; rows are samples.

    Returns:
        (…), from 0 to 1; a Fraction from exact arrays.

    Raises:
        TypeError: `x` is no floating array.
        ValueError: `x` has fewer than two axes.
    """
    xp = checks.arrays(x=(x, "NK"))
    dead = xp.all(x == 0, axis=-2)  # and not E[x²] = 0, which tiny inputs reach by underflow
    zero = x[..., 0, :] * 0
    return xp.sum(xp.where(dead, zero + 1, zero), axis=-1) / x.shape[-1]


def asymmetry(R: Array) -> Array:
    """Return how far R is from being symmetric: ‖R − Rᵀ‖_F / ‖R‖_F (see `copi_ref.decorrelation` on §2.4).

    0 where R is symmetric, and where R is 0; 2 at most, where R = −Rᵀ.

    Args:
        R: (…, K, K), lateral weights.

    Returns:
        (…), without a unit.

    Raises:
        TypeError: `R` is no floating array, or exact (a root is not rational).
        ValueError: `R` is not square.
    """
    xp = checks.arrays(R=(R, "KK"))
    checks.not_exact("asymmetry", R)
    scaled = _largest_to_one(R, xp)
    return _norm(scaled - scaled.mT, xp) / _not_zero(_norm(scaled, xp), xp)


def log_abs_det(R: Array) -> Array:
    """Return ``log |det R|``, the logarithm of how much R changes volumes.

    Decorrelation alone leaves it as it is in the limit of small steps (tr C_off = 0 in §2.4).

    Args:
        R: (…, K, K), lateral weights.

    Returns:
        (…), −∞ where elimination meets a pivot of 0, as R is singular. Rounding can hide that behind a large negative
        number.

    Raises:
        TypeError: `R` is no floating array, or exact (a logarithm is not rational).
        ValueError: `R` is not square.
    """
    xp = checks.arrays(R=(R, "KK"))
    checks.solvable("log_abs_det", "R", R)
    return xp.linalg.slogdet(R)[1]


def angle(delta: Array, reference: Array) -> Array:
    """Return the angle between two perturbations, each taken as one vector over all samples and units.

    2 atan2(‖u − v‖, ‖u + v‖), with u = δ/‖δ‖ and v = reference/‖reference‖: Kahan's formula, which is accurate near 0°
    and 180°, where the arccosine of a rounded cosine loses half of the digits.

    Args:
        delta: (…, N, M).
        reference: (…, N, M), such as backpropagation's δ.

    Returns:
        (…), in degrees, from 0 to 180; nan where one of the two is 0, and there is no angle.

    Raises:
        TypeError: arrays of different libraries or dtypes, not floating, or exact (an angle is not rational).
        ValueError: shapes that don't fit.
    """
    xp = checks.arrays(delta=(delta, "NM"), reference=(reference, "NM"))
    checks.not_exact("angle", delta)
    (u, delta_is_zero), (v, reference_is_zero) = _direction(delta, xp), _direction(reference, xp)
    degrees = 2 * xp.atan2(_norm(u - v, xp), _norm(u + v, xp)) * (180 / math.pi)
    return xp.where(delta_is_zero | reference_is_zero, degrees * 0 + math.nan, degrees)


def _direction(array: Array, xp: Namespace) -> tuple[Array, Any]:
    """Return an array (…, N, M) divided by its norm, and where that is 0, (…)."""
    scaled = _largest_to_one(array, xp)
    norm = _norm(scaled, xp)
    return scaled / _not_zero(norm, xp)[..., None, None], norm == 0


def _norm(array: Array, xp: Namespace) -> Array:
    return xp.sqrt(xp.sum(array * array, axis=(-2, -1)))


def _largest_to_one(array: Array, xp: Namespace) -> Array:
    """Divide each matrix by its largest entry in size, so that squares neither under- nor overflow; 0 stays 0."""
    return array / _not_zero(xp.max(xp.abs(array), axis=(-2, -1), keepdims=True), xp)


def _not_zero(array: Array, xp: Namespace) -> Array:
    """Put 1 for 0: masked before a division, since ``where(v == 0, 0, 1/v)`` still divides."""
    return xp.where(array == 0, array + 1, array)


def _at_least_float32(array: Array) -> Array:
    """Widen half precision, whose sums are coarse and which the linear algebra of most libraries refuses."""
    xp = namespace(array)
    return array if xp.finfo(array.dtype).bits >= 32 else xp.astype(array, xp.float32)
