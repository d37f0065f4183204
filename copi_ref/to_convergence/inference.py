"""Inference run to convergence: states at a minimum of the energy, found on the host in float64, sample by sample."""

from dataclasses import replace
from typing import Any

from copi_ref.activations import Activation
from copi_ref.arrays import checks
from copi_ref.arrays.backend import Array, HostArray
from copi_ref.inference_learning import (
    WEIGHTS_LAST,
    Energy,
    Form,
    OrderName,
    Settled,
    States,
    Weights,
    il_energy,
    il_gradient,
    prox_energy,
    prox_gradient,
)
from copi_ref.inference_learning.energy import PLAIN
from copi_ref.inference_learning.output import output_of_state
from copi_ref.inference_learning.states import check_activation, checked
from copi_ref.network import Params
from copi_ref.task import Task, check_task
from copi_ref.to_convergence.minimise import NotConvergedError, on_host
from copi_ref.to_convergence.samples import Pieces, Problem, sample_by_sample


def infer_to_convergence(
    params: Params | Weights,
    y0: Array,
    states: States,
    activation: Activation,
    tolerance: float = 1e-8,
    form: Form | OrderName = WEIGHTS_LAST,
    *,
    energy: Energy = PLAIN,
) -> States:
    """Return states at a minimum of F = ½ Σ_l ‖e_l‖² over the hidden ones, with the output's clamped.

    Each sample is searched for on its own. Where f has a kink, a minimum can lie on it, where 0 is between the slopes
    of F from both sides: a unit at its kink may have any slope that f has on one side, the other, or between.

    Args:
        params: the network; one without R, or with biases, is a `Weights`.
        y0: (…, N, K_0), inputs; rows are samples.
        states: where to start; the last stays as it is.
        activation: f.
        tolerance: largest entry of the gradient that is accepted.
        form: a `Form`, or the name of a plain one.
        energy: as `copi_ref.infer`.

    Raises:
        TypeError, ValueError: arrays that don't fit the network, exact arrays, or an unknown form.
        NotConvergedError: no such states were found for some of the samples; `point` holds the best ones of all.
    """
    check_activation(activation)
    checks.instance("energy", energy, Energy, "Energy()")
    checks.one_number("tolerance", tolerance, minimum=0)
    tolerance = float(tolerance)
    weights, form = checked(params, y0, states, form)
    checks.not_exact("inference to convergence", states[-1])

    def of_sample(weights: Weights, y0: HostArray, start: Pieces) -> tuple[Problem, Pieces]:
        def energy_and_gradient(settled: Settled, f: Activation) -> tuple[Any, States]:
            return il_energy(settled, energy), il_gradient(weights, settled, energy)[:-1]

        return Problem(weights, y0, form, activation, energy_and_gradient, clamped=start[-1:]), start[:-1]

    found, failures = sample_by_sample(weights, y0, states, of_sample, tolerance)
    return _returned((*found, states[-1]), failures)


def infer_prox_to_convergence(
    params: Params | Weights, y0: Array, states: States, task: Task, alpha: float, tolerance: float = 1e-8
) -> States:
    """Return states at a minimum of proximal IL's energy F_α, over all of them; sample by sample, kinks among them.

    Args:
        params: the network, one without biases.
        y0: (…, N, K_0), inputs; rows are samples.
        states: where to start.
        task: target, loss, activation and output.
        alpha: α.
        tolerance: largest entry of the gradient that is accepted.

    Raises:
        TypeError, ValueError: arrays that don't fit the network, exact arrays, α not above 0, or
            ``output="pre-activation"``, whose δ_L is the gradient of no loss.
        NotConvergedError: no such states were found for some of the samples; `point` holds the best ones of all.
    """
    check_task(task)
    checks.positive_number("alpha", alpha)
    checks.one_number("tolerance", tolerance, minimum=0)
    tolerance = float(tolerance)
    weights, form = checked(params, y0, states, Form())
    checks.not_exact("inference to convergence", states[-1])
    checks.arrays(**{"states of the last layer": (states[-1], "NM"), "target": (task.target, "NM")})
    output_of_state(task, form.functions(task.activation, len(weights.W))[1][-1])  # "pre-activation" is refused

    def of_sample(weights: Weights, y0: HostArray, start: Pieces, target: HostArray) -> tuple[Problem, Pieces]:
        def energy_and_gradient(settled: Settled, f: Activation) -> tuple[Any, States]:
            there = replace(task, target=target, activation=f)
            return prox_energy(settled, there, alpha), prox_gradient(weights, settled, there, alpha)

        return Problem(weights, y0, form, task.activation, energy_and_gradient, bends_at_top=task.output), start

    found, failures = sample_by_sample(weights, y0, states, of_sample, tolerance, task.target)
    return _returned(found, failures)


def _returned(found: States, failures: dict[tuple[int, ...], NotConvergedError]) -> States:
    """Return the states, or raise for those samples that have none."""
    if not failures:
        return found
    place, worst = max(failures.items(), key=lambda item: item[1].residual)
    samples = f"{len(failures)} sample(s) did not converge, the worst is {place[-1] if len(place) == 1 else place}: "
    raise NotConvergedError(samples + str(worst), found, worst.residual)


def host_params(params: Params) -> Params:
    """Copy a network to the host in float64."""
    mean = None if params.mean is None else on_host(params.mean)
    return Params(on_host(params.W), on_host(params.R), mean)
