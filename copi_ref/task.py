"""What a credit method is told besides the network and its trace."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from copi_ref.activations import Activation, identity, leaky_relu
from copi_ref.arrays import checks
from copi_ref.arrays.backend import Array
from copi_ref.arrays.shown import shown
from copi_ref.losses import Loss, quadratic
from copi_ref.network import Params, Trace, check_params, check_trace

Generators = np.random.Generator | tuple[np.random.Generator, ...]
"""A network's generator, or one for each network of an ensemble."""

OutputName = Literal["activation", "pre-activation", "linear"]

OUTPUTS: dict[str, Callable[[Trace], Array]] = {
    "activation": lambda trace: trace.y[-1],
    "pre-activation": lambda trace: trace.a[-1],
    "linear": lambda trace: trace.a[-1],
}
"""What counts as the network's prediction: y_L (the paper), or a_L (the TMLR experiments, and a linear output)."""

OUTPUT_SLOPES: dict[str, Callable[[Activation], Activation]] = {
    "activation": lambda f: f,
    "pre-activation": lambda f: f,
    "linear": lambda f: identity,
}
"""Whose derivative at a_L is the factor in δ_L.

δ_L is −∂ℓ/∂a_L under "activation" and "linear". Under "pre-activation" it has f′(a_L) beside the derivative at a_L, as
the TMLR experiments were published: the gradient of no loss, and no energy has it for its slope.
"""


@dataclass(frozen=True, eq=False)
class Task:
    """The target y* (…, N, K_L), the loss and f; feedback weights and a generator, for methods that use them.

    `output` says what is compared with the target, and what δ_L is then: a name in `OUTPUTS`.

    Raises:
        TypeError: `loss` or `activation` is something else.
        ValueError: an unknown kind of output.
    """

    target: Array
    loss: Loss = quadratic
    activation: Activation = leaky_relu
    feedback: tuple[Array, ...] | None = None
    rng: Generators | None = None
    output: OutputName = "activation"

    __repr__ = shown

    def __post_init__(self) -> None:
        checks.instance("loss", self.loss, Loss, "LOSSES['quadratic']")
        checks.instance("activation", self.activation, Activation, "ACTIVATIONS['relu']")
        checks.choice("output", self.output, OUTPUTS)


CreditMethod = Callable[[Params, Trace, Task], tuple[Array, ...]]
"""``(params, trace, task) -> deltas``, one δ_l (…, N, K_l) per layer, of the sign that lowers the loss.

The weights that it gets are valid during the call: `fit` updates them in place. To keep them, copy them.
"""


def output_perturbation(params: Params, trace: Trace, task: Task) -> Array:
    """Return δ_L = −o′(a_L) ∘ ∂ℓ/∂prediction (§2.5), o being f, or where the output is linear the identity.

    Every method starts from it. See `OUTPUT_SLOPES` for the one case in which it is no gradient.

    Raises:
        TypeError: the target is no array of the trace's library and dtype, or an argument is of another class.
        ValueError: the target's shape is not the output's, an unknown kind of output, or a trace of another network.
    """
    check_passed(params, trace, task)
    prediction = checks.choice("output", task.output, OUTPUTS)(trace)
    return task.loss.perturbation(prediction, trace.a[-1], task.target, OUTPUT_SLOPES[task.output](task.activation))


def check_passed(params: Params, trace: Trace, task: Task) -> None:
    """Check what every credit method gets, all but the target; errors as `check_trace`."""
    check_task(task)
    check_trace(params, trace)


def check_task(task: Task) -> None:
    """Check that an argument is a task.

    Raises:
        TypeError: it is not.
    """
    checks.instance("task", task, Task, "Task(target)")


def check_target(target: Array) -> None:
    """Refuse labels, (N,), in the place of targets.

    Raises:
        ValueError: it has a single axis.
    """
    axes = getattr(target, "ndim", None)  # of a module such as numpy it is a function
    if isinstance(axes, int) and axes < 2:
        shape = tuple(target.shape)
        raise ValueError(f"target has shape {shape}: needs a row a sample, (…, N, K_L), as np.eye(classes)[labels]")


def output_function(task: Task, method: str) -> Activation:
    """Return the o of a loss ℓ(o(a_L)) of which δ_L is the descent: f, or the identity.

    Raises:
        ValueError: there is none, as δ_L is the gradient of no loss; or an unknown kind of output.
    """
    checks.choice("output", task.output, OUTPUTS)
    if task.output == "pre-activation":
        raise ValueError(
            f"output is 'pre-activation', whose δ_L is the gradient of no loss: {method} needs 'activation' or 'linear'"
        )
    return OUTPUT_SLOPES[task.output](task.activation)


def required_feedback(params: Params, task: Task, method: str) -> tuple[Array, ...]:
    """Return the task's feedback weights, one array per layer above the first.

    Raises:
        ValueError: there are none, or not so many.
    """
    check_task(task)
    check_params(params)
    if task.feedback is None:
        raise ValueError(f"feedback is None: {method} needs weights, as init_feedback makes them")
    checks.same_length(feedback=(task.feedback, len(params.W) - 1))
    return task.feedback
