"""Inference Learning as credit assignment: the states that inference settles on are the targets."""

from dataclasses import dataclass

from copi_ref.arrays import checks
from copi_ref.arrays.backend import Array
from copi_ref.inference_learning import (
    CONVENTIONS,
    WEIGHTS_LAST,
    ConventionName,
    infer,
    infer_prox,
    predictions,
    weight_errors,
)
from copi_ref.network import Params, Trace
from copi_ref.task import Task, output_perturbation


@dataclass(frozen=True)
class InferenceLearning:
    """Inference Learning: δ_l = z_l − a_l, with z_l the state h_l after T steps of inference on one energy.

    After Alonso et al. 2022, whose own code differs: activation after weights, a step size for each of the two terms
    (no descent of one energy), and a softmax output with e_L = ½ (t − softmax(a_L)).

    The output is clamped to h_L = a_L + δ_L, where every method starts; with ``half_quadratic`` and a linear output
    that is the target y* itself (with ``quadratic``, whose gradient is twice as large, as far beyond it again). Then
    see `copi_ref.inference_learning.infer`.

    As a credit method it gives targets to any weight rule. Inference Learning's own weight update takes the inferred
    states on both sides, ΔW_l = E[e_l x_lᵀ]: a recipe with ``states="inferred"`` and ``weight_rule="sgd"``.

    Args:
        steps: T.
        gamma: γ, step size of inference.
        convention: a name in `copi_ref.inference_learning.CONVENTIONS`. Under "activation-after-weights" states are
            outputs: h_L = y_L − ∂ℓ/∂y_L, δ_l = f′(a_l) ∘ (h_l − y_l), and the task's output has to be "activation".

    Raises:
        TypeError, ValueError: settings that are none of these.
    """

    steps: int = 25
    gamma: float = 0.02
    convention: ConventionName = WEIGHTS_LAST

    def __post_init__(self) -> None:
        checks.whole_number("steps", self.steps, minimum=0)
        checks.one_number("gamma", self.gamma, minimum=0)
        checks.choice("convention", self.convention, CONVENTIONS)

    def __call__(self, params: Params, trace: Trace, task: Task) -> tuple[Array, ...]:
        """Return one δ_l (…, N, K_l) per layer, the lowest first.

        Raises:
            TypeError, ValueError: the target doesn't fit the trace.
        """
        states, f = self._states(params, trace, task), task.activation
        if self.convention == WEIGHTS_LAST:
            return tuple(h - a for h, a in zip(states, trace.a, strict=True))
        return tuple(f.derivative(a) * (h - y) for h, a, y in zip(states, trace.a, trace.y, strict=True))

    def infer(self, params: Params, trace: Trace, task: Task) -> tuple[Trace, tuple[Array, ...]]:
        """Return the inferred x_l and the predictions a_l from them, and the errors for the weights of each layer."""
        settled = predictions(params, trace, self._states(params, trace, task), task.activation, self.convention)
        return settled.trace, weight_errors(settled)

    def _states(self, params: Params, trace: Trace, task: Task) -> tuple[Array, ...]:
        if self.convention == WEIGHTS_LAST:
            clamped = (*trace.a[:-1], trace.a[-1] + output_perturbation(params, trace, task))
        elif task.output != "activation":
            raise ValueError(
                f"output is {task.output!r}: needs 'activation' where states are outputs ({self.convention})"
            )
        else:
            xp = checks.arrays(y=(trace.y[-1], "NM"), target=(task.target, "NM"))
            clamped = (*trace.y[:-1], trace.y[-1] + task.loss.descent(trace.y[-1], task.target, xp))
        return infer(params, trace, clamped, task.activation, self.steps, self.gamma, self.convention)


@dataclass(frozen=True)
class ProximalInferenceLearning:
    """Proximal Inference Learning: as `InferenceLearning`, with the energy whose minimum is an implicit SGD step.

    This library's form of IL-prox (Alonso et al. 2022). What its authors run is another algorithm: hidden errors are
    not weighted by 1/(2α‖x_l‖²), and weights learn by a ratio of means over the batch, E[e xᵀ]/(E‖x‖² + 1 + ε). The
    weight steps are the same only for one sample, ε = 0, no bias and the same states.

    The output is not clamped but pulled by the loss, see `copi_ref.inference_learning.infer_prox`. T steps stop short
    of the minimum, and of the implicit step with it (docs/equations.md says how far); for the step itself see
    `copi_ref.infer_prox_to_convergence`.

    IL-prox's own weight update is ΔW_l = E[e_l x_lᵀ/‖x_l‖²]: a recipe with ``states="inferred"``,
    ``weight_rule="nlms"`` and ``eta_w=1``; α is the learning rate then.

    Args:
        alpha: α > 0, the learning rate of the implicit step.
        steps: T.
        gamma: γ, step size of inference, relative to a bound of each layer's curvature; below 1 for every α.

    Raises:
        TypeError, ValueError: settings that are none of these.
    """

    alpha: float = 1.0
    steps: int = 25
    gamma: float = 0.5

    def __post_init__(self) -> None:
        checks.positive_number("alpha", self.alpha)
        checks.whole_number("steps", self.steps, minimum=0)
        checks.one_number("gamma", self.gamma, minimum=0)

    def __call__(self, params: Params, trace: Trace, task: Task) -> tuple[Array, ...]:
        """Return one δ_l = h_l − a_l (…, N, K_l) per layer, the lowest first.

        Raises:
            TypeError, ValueError: the target doesn't fit the trace.
        """
        return tuple(h - a for h, a in zip(self._states(params, trace, task), trace.a, strict=True))

    def infer(self, params: Params, trace: Trace, task: Task) -> tuple[Trace, tuple[Array, ...]]:
        """Return the inferred x_l and the predictions a_l from them, and the errors for the weights of each layer."""
        settled = predictions(params, trace, self._states(params, trace, task), task.activation)
        return settled.trace, weight_errors(settled)

    def _states(self, params: Params, trace: Trace, task: Task) -> tuple[Array, ...]:
        return infer_prox(params, trace, trace.a, task, self.alpha, self.steps, self.gamma)
