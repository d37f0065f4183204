"""The state of the output: clamped to the target, nudged towards it, or pulled by the loss."""

from collections.abc import Callable
from typing import Any, Literal

from copi_ref.activations import Activation, identity
from copi_ref.arrays import checks
from copi_ref.arrays.backend import Array
from copi_ref.inference_learning.states import States
from copi_ref.task import OUTPUT_SLOPES, Task, check_task, output_function

OutputStateName = Literal["nudged", "clamped", "pulled"]


def clamped(prediction: Array, task: Task, psi: Activation) -> Array:
    """Return h_L = y*, which stays.

    Raises:
        TypeError, ValueError: the target doesn't fit; or it is one for y_L = f(a_L), and h_L is a_L.
    """
    _check(task, psi)
    checks.arrays(prediction=(prediction, "NM"), target=(task.target, "NM"))
    if psi is identity and task.output == "activation" and task.activation is not identity:
        raise ValueError("output is 'activation', but h_L is a_L and no target of y_L fits it: needs 'linear'")
    _check_output(task, psi)
    return task.target


def nudged(prediction: Array, task: Task, psi: Activation) -> Array:
    """Return h_L = p_L + δ_L, which stays; δ_L as `copi_ref.task.output_perturbation`, or of outputs −∂ℓ/∂y_L.

    Raises:
        TypeError, ValueError: the target doesn't fit, or is not one for what h_L is.
    """
    _check(task, psi)
    checks.arrays(prediction=(prediction, "NM"), target=(task.target, "NM"))
    _check_output(task, psi)
    o, slope = identity, identity
    if psi is identity:  # h_L is a_L
        o, slope = _prediction_of_a(task), OUTPUT_SLOPES[task.output](task.activation)
    return prediction + task.loss.perturbation(o(prediction), prediction, task.target, slope)


def pulled(prediction: Array, task: Task, psi: Activation) -> Array:
    """Return h_L = p_L, where it starts: the loss ℓ(h_L) is a part of the energy, and h_L moves.

    Raises:
        TypeError, ValueError: the target doesn't fit, or is not one for what h_L is; or δ_L is the gradient of no loss.
    """
    _check(task, psi)
    checks.arrays(prediction=(prediction, "NM"), target=(task.target, "NM"))
    output_of_state(task, psi)
    return prediction


OUTPUT_STATES: dict[str, Callable[[Array, Task, Activation], Array]] = {
    "nudged": nudged,
    "clamped": clamped,
    "pulled": pulled,
}
"""h_L at the start of inference, from p_L, the task and ψ of the output. A pulled one moves, the others stay."""


def pull_energy(task: Task, states: States, psi: Activation) -> Array:
    """Return ℓ(o(h_L)) of each sample, (…, N); errors as `pulled`."""
    o: Any = output_of_state(task, psi)
    _check_states(states, task)
    return task.loss(o(states[-1]), task.target)


def pull_gradient(task: Task, states: States, psi: Activation) -> Array:
    """Return ∂ℓ(o(h_L))/∂h_L, (…, N, K_L); errors as `pulled`."""
    o = output_of_state(task, psi)
    _check_states(states, task)
    h_L = states[-1]
    return -task.loss.perturbation(o(h_L), h_L, task.target, o)


def output_of_state(task: Task, psi: Activation) -> Activation:
    """Return the o with which the output's state makes the prediction: the identity where h_L is an output already.

    Raises:
        ValueError: the task compares a_L with the target, and h_L is y_L; or δ_L is the gradient of no loss.
    """
    _check(task, psi)
    o = output_function(task, "an energy")
    _check_output(task, psi)
    return o if psi is identity else identity


def _check(task: Task, psi: Activation) -> None:
    check_task(task)
    checks.instance("psi", psi, Activation, "ACTIVATIONS['relu']")


def _check_states(states: States, task: Task) -> None:
    checks.layers("states", states)
    checks.arrays(**{"states of the last layer": (states[-1], "NM"), "target": (task.target, "NM")})


def _check_output(task: Task, psi: Activation) -> None:
    if psi is not identity and task.output != "activation":
        raise ValueError(f"output is {task.output!r}: needs 'activation' where states are outputs")


def _prediction_of_a(task: Task) -> Activation:
    return task.activation if task.output == "activation" else identity
