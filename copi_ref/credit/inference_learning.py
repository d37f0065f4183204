"""Inference Learning as credit assignment: the states that inference settles on are the targets."""

from dataclasses import dataclass
from fractions import Fraction

from copi_ref.arrays import checks
from copi_ref.arrays.backend import Array
from copi_ref.inference_learning import (
    ORDERS,
    OUTPUT_STATES,
    PROX_SCHEDULES,
    WEIGHTS_LAST,
    Form,
    OrderName,
    OutputStateName,
    ProxScheduleName,
    States,
    infer,
    infer_prox,
    predictions,
    weight_errors,
)
from copi_ref.inference_learning.inference import check_inference
from copi_ref.inference_learning.weights import input_of
from copi_ref.network import Params, Trace
from copi_ref.task import Task, check_passed


@dataclass(frozen=True)
class InferenceLearning:
    """Inference Learning, this library's form: δ_l = z_l − a_l, with z_l the state h_l after T steps of inference.

    One energy is lowered, with one step size. What the authors of Alonso et al. 2022 run is `AlonsoInferenceLearning`.

    The output is nudged to h_L = a_L + δ_L, where every method starts; with ``half_quadratic`` and a linear output
    that is the target y* itself (with ``quadratic``, whose gradient is twice as large, as far beyond it again). Then
    see `copi_ref.infer`.

    As a credit method it gives targets to any weight rule. Inference Learning's own weight update takes the inferred
    states on both sides, ΔW_l = E[e_l x_lᵀ]: a recipe with ``states="inferred"`` and ``weight_rule="sgd"``.

    Args:
        steps: T.
        gamma: γ, step size of inference.
        order: a name in `copi_ref.inference_learning.ORDERS`. Under "activation-after-weights" states are outputs:
            h_L = y_L − ∂ℓ/∂y_L, δ_l = f′(a_l) ∘ (h_l − y_l), and the task's output has to be "activation" or "linear".
        output_state: a name in `copi_ref.inference_learning.OUTPUT_STATES`: "nudged" as above, "clamped" to y*, or
            "pulled" by the loss.

    Raises:
        TypeError, ValueError: settings that are none of these.
    """

    steps: int = 25
    gamma: float | Fraction = 0.02
    order: OrderName = WEIGHTS_LAST
    output_state: OutputStateName = "nudged"

    def __post_init__(self) -> None:
        check_inference(self.steps, self.gamma)
        checks.choice("order", self.order, ORDERS)
        checks.choice("output_state", self.output_state, OUTPUT_STATES)

    def __call__(self, params: Params, trace: Trace, task: Task) -> tuple[Array, ...]:
        """Return one δ_l (…, N, K_l) per layer, the lowest first.

        Raises:
            TypeError, ValueError: the target doesn't fit the trace, or the task's output not the states.
        """
        start, states = self._states(params, trace, task)
        moved = tuple(h - began for h, began in zip(states, start, strict=True))
        _, psi = self._form(task).functions(task.activation, len(moved))
        layers = zip(psi, trace.a, moved, strict=True)
        return moved if self.order == WEIGHTS_LAST else tuple(one.derivative(a) * m for one, a, m in layers)

    def infer(self, params: Params, trace: Trace, task: Task) -> tuple[Trace, tuple[Array, ...]]:
        """Return the inferred x_l and the predictions a_l from them, and the errors for the weights of each layer."""
        _, states = self._states(params, trace, task)
        settled = predictions(params, input_of(trace), states, task.activation, self._form(task))
        return settled.trace, weight_errors(settled)

    def _form(self, task: Task) -> Form:
        return Form(order=self.order, output_activation="identity" if task.output == "linear" else "same")

    def _states(self, params: Params, trace: Trace, task: Task) -> tuple[States, States]:
        """Return the states of the forward pass, and those that inference ends with."""
        check_passed(params, trace, task)
        form, f = self._form(task), task.activation
        psi = form.functions(f, len(params.W))[1][-1]
        hidden, top = (trace.a, trace.a) if self.order == WEIGHTS_LAST else (trace.y, trace.y)
        top = trace.a if task.output == "linear" else top
        start = (*hidden[:-1], top[-1])
        clamped = (*hidden[:-1], OUTPUT_STATES[self.output_state](start[-1], task, psi))
        pulling = task if self.output_state == "pulled" else None
        y0 = input_of(trace)
        return start, infer(params, y0, clamped, f, self.steps, self.gamma, form, task=pulling)


@dataclass(frozen=True)
class ProximalInferenceLearning:
    """Proximal Inference Learning, this library's: its energy has an implicit SGD step at its minimum.

    After the IL-prox of Alonso et al. 2022, which is `AlonsoProx`, another algorithm: hidden errors are not weighted
    by 1/(2α‖x_l‖²), and weights learn by a ratio of means over the batch. The weight steps are the same only for one
    sample, ε = 0, no bias and the same states.

    The output is not clamped but pulled by the loss, see `copi_ref.infer_prox`. T steps stop short of the minimum, and
    of the implicit step with it (docs/learn/equations.md says how far); for the step itself see
    `copi_ref.infer_prox_to_convergence`.

    Its own weight update is ΔW_l = E[e_l x_lᵀ/‖x_l‖²]: a recipe with ``states="inferred"``, ``weight_rule="nlms"`` and
    ``eta_w=1``; α is the learning rate then.

    Args:
        alpha: α > 0, the learning rate of the implicit step.
        steps: T.
        gamma: γ, step size of inference, relative to a bound of each layer's curvature; below 1 for every α.
        schedule: a name in `copi_ref.inference_learning.PROX_SCHEDULES`; "top-down" comes closer in as many steps.

    Raises:
        TypeError, ValueError: settings that are none of these.
    """

    alpha: float | Fraction = 1.0
    steps: int = 25
    gamma: float | Fraction = 0.5
    schedule: ProxScheduleName = "all-at-once"

    def __post_init__(self) -> None:
        checks.positive_number("alpha", self.alpha)
        check_inference(self.steps, self.gamma)
        checks.choice("schedule", self.schedule, PROX_SCHEDULES)

    def __repr__(self) -> str:
        # Runs record it. Those that were made before there was a schedule are runs of the default, and stay readable.
        schedule = "" if self.schedule == "all-at-once" else f", schedule={self.schedule!r}"
        return f"ProximalInferenceLearning(alpha={self.alpha!r}, steps={self.steps!r}, gamma={self.gamma!r}{schedule})"

    def __call__(self, params: Params, trace: Trace, task: Task) -> tuple[Array, ...]:
        """Return one δ_l = h_l − a_l (…, N, K_l) per layer, the lowest first.

        Raises:
            TypeError, ValueError: the target doesn't fit the trace, or ``output="pre-activation"``, whose δ_L is the
                gradient of no loss.
        """
        return tuple(h - a for h, a in zip(self._states(params, trace, task), trace.a, strict=True))

    def infer(self, params: Params, trace: Trace, task: Task) -> tuple[Trace, tuple[Array, ...]]:
        """Return the inferred x_l and the predictions a_l from them, and the errors for the weights of each layer."""
        settled = predictions(params, input_of(trace), self._states(params, trace, task), task.activation)
        return settled.trace, weight_errors(settled)

    def _states(self, params: Params, trace: Trace, task: Task) -> States:
        check_passed(params, trace, task)
        y0, settings = input_of(trace), (self.alpha, self.steps, self.gamma)
        return infer_prox(params, y0, trace.a, task, *settings, schedule=self.schedule)
