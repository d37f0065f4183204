"""Inference Learning and IL-prox as the authors of Alonso et al. 2022 run them (arXiv 2206.00164)."""

from dataclasses import dataclass

from copi_ref.arrays import checks
from copi_ref.arrays.backend import Array
from copi_ref.inference_learning import (
    Form,
    Settled,
    States,
    forward_states,
    infer_by_two_rates,
    mixed_target,
    predictions,
    proximal_share,
    weight_errors,
    with_softmax_error,
)
from copi_ref.inference_learning.inference import check_inference
from copi_ref.inference_learning.weights import input_of
from copi_ref.network import Params, Trace
from copi_ref.task import Task, check_passed


@dataclass(frozen=True)
class AlonsoInferenceLearning:
    """Inference Learning as the authors of Alonso et al. 2022 run it: activation after weights, two γ, softmax output.

    p_l = f(W_l R_l h_{l−1}), p_L = a_L;  h_l ← h_l − γ_top e_l + γ_bot R_{l+1}ᵀ W_{l+1}ᵀ (f′(a_{l+1}) ∘ e_{l+1})

    e_l = h_l − p_l, and at the output e_L = ½ (t − softmax(a_L)), with t = n y* + (1 − n) softmax(a_L) of the forward
    pass. The network's output is linear and its loss a cross-entropy: what the task's `loss` and `output` say is not
    asked. Its own update is ΔW_l = E[(f′(a_l) ∘ e_l) x_lᵀ], a recipe with ``states="inferred"``,
    ``weight_rule="sgd"``, ``output="linear"`` and ``loss=softmax_cross_entropy``; that is the method "il-alonso".

    As theirs, but: they have biases and no R. Of t it is not known whether the softmax in it is that of the forward
    pass or of each step; with n = 1 that is no matter. With Adam they take T = 20, γ_bot = .02, γ_top = .01.

    Args:
        steps: T.
        gamma_bot: γ_bot, of the error above.
        gamma_top: γ_top, of a layer's own error.
        share: n, from 0 to 1; the value that they use is not known.

    Raises:
        TypeError, ValueError: settings that are none of these.
    """

    steps: int = 25
    gamma_bot: float = 0.02
    gamma_top: float = 0.015
    share: float = 1

    def __post_init__(self) -> None:
        check_inference(self.steps, self.gamma_bot, "gamma_bot")
        check_inference(self.steps, self.gamma_top, "gamma_top")
        checks.one_number("share", self.share, minimum=0, maximum=1)

    def __call__(self, params: Params, trace: Trace, task: Task) -> tuple[Array, ...]:
        """Return δ_l = f′(a_l) ∘ (h_l − y_l), one (…, N, K_l) per layer, and ½ (t − softmax(a_L)), the lowest first.

        Raises:
            TypeError, ValueError: the target doesn't fit the trace, or arrays are exact.
        """
        states, target = self._states(params, trace, task)
        f, layers = task.activation, zip(states[:-1], trace.a, trace.y, strict=False)
        start = predictions(params, input_of(trace), _outputs(trace), f, AFTER_WEIGHTS)
        return (*(f.derivative(a) * (h - y) for h, a, y in layers), with_softmax_error(start, target, HALF).errors[-1])

    def infer(self, params: Params, trace: Trace, task: Task) -> tuple[Trace, tuple[Array, ...]]:
        """Return the inferred x_l and the a_l from them, and the errors for the weights of each layer."""
        states, target = self._states(params, trace, task)
        settled = predictions(params, input_of(trace), states, task.activation, AFTER_WEIGHTS)
        settled = with_softmax_error(settled, target, HALF)
        return settled.trace, weight_errors(settled)

    def _states(self, params: Params, trace: Trace, task: Task) -> tuple[States, Array]:
        """Return the states that inference ends with, and t."""
        check_passed(params, trace, task)
        target = mixed_target(trace.a[-1], task.target, self.share)
        y0, start, f = input_of(trace), _outputs(trace), task.activation
        states = infer_by_two_rates(
            params, y0, start, target, f, self.steps, self.gamma_top, self.gamma_bot, AFTER_WEIGHTS, HALF
        )
        return states, target


@dataclass(frozen=True)
class AlonsoProx:
    """IL-prox as the authors of Alonso et al. 2022 run it: weights after activation, f on the input too.

    p_l = W_l R_l f(h_{l−1}), of y_0 too;  h_l ← h_l − γ_top e_l + γ_bot f′(h_l) ∘ R_{l+1}ᵀ W_{l+1}ᵀ e_{l+1}

    e_l = h_l − p_l, and at the output e_L = t − softmax(p_L), t = (softmax(p_L) + ν α y*) / (1 + ν α) of the forward
    pass, ν = E‖x_L‖² over the batch. The task's `loss` and `output` are not asked, as in `AlonsoInferenceLearning`. Its
    own update is ΔW_l = E[e_l x_lᵀ] / (E‖x_l‖² + 1 + ε), `copi_ref.batch_nlms_update`: a recipe with
    ``states="inferred"``, ``weight_rule="nlms-batch"``, ``eta_w=1``, ``output="linear"`` and
    ``loss=softmax_cross_entropy``; that is the method "il-prox". This library's own, which is an implicit step, is
    `ProximalInferenceLearning`.

    A forward pass of this library (`copi_ref.forward`, `evaluate`) takes y_0 as it is. Where f(y_0) = y_0, with a
    (leaky) ReLU and inputs of at least 0, as images are, that is the same network; else hand in f(y_0) as the data,
    with ``input_activation=False``.

    As theirs, but: they have biases, to which the 1 in the update belongs, and no R; their α is not known, and neither
    is whether t follows each step. "Fast" is ``AlonsoProx(steps=12, gamma_top=0)``.

    Args:
        alpha: α > 0.
        steps: T.
        gamma_bot: γ_bot, of the error above.
        gamma_top: γ_top, of a layer's own error.
        input_activation: whether f is applied to y_0.

    Raises:
        TypeError, ValueError: settings that are none of these.
    """

    alpha: float = 1.0
    steps: int = 25
    gamma_bot: float = 0.015
    gamma_top: float = 0.015
    input_activation: bool = True

    def __post_init__(self) -> None:
        checks.positive_number("alpha", self.alpha)
        check_inference(self.steps, self.gamma_bot, "gamma_bot")
        check_inference(self.steps, self.gamma_top, "gamma_top")
        Form(input_activation=self.input_activation)

    def __call__(self, params: Params, trace: Trace, task: Task) -> tuple[Array, ...]:
        """Return δ_l = h_l − p_l of its own forward pass, one (…, N, K_l) per layer, and t − softmax(p_L).

        Raises:
            TypeError, ValueError: the target doesn't fit the trace, or arrays are exact.
        """
        start, states, target = self._states(params, trace, task)
        hidden = zip(states[:-1], start.states[:-1], strict=True)
        return (*(h - p for h, p in hidden), with_softmax_error(start, target).errors[-1])

    def infer(self, params: Params, trace: Trace, task: Task) -> tuple[Trace, tuple[Array, ...]]:
        """Return the inferred x_l and the predictions a_l from them, and the errors for the weights of each layer."""
        _, states, target = self._states(params, trace, task)
        settled = predictions(params, input_of(trace), states, task.activation, self._form())
        settled = with_softmax_error(settled, target)
        return settled.trace, weight_errors(settled)

    def _form(self) -> Form:
        return Form(input_activation=self.input_activation)

    def _states(self, params: Params, trace: Trace, task: Task) -> tuple[Settled, States, Array]:
        """Return its forward pass, the states that inference ends with, and t."""
        check_passed(params, trace, task)
        y0, f, form = input_of(trace), task.activation, self._form()
        start = predictions(params, y0, forward_states(params, y0, f, form), f, form)
        target = mixed_target(start.states[-1], task.target, proximal_share(start.trace.x[-1], self.alpha))
        states = infer_by_two_rates(
            params, y0, start.states, target, f, self.steps, self.gamma_top, self.gamma_bot, form
        )  # fmt: skip
        return start, states, target


AFTER_WEIGHTS = Form(order="activation-after-weights", output_activation="identity")

HALF = 0.5


def _outputs(trace: Trace) -> States:
    """Return the states of a forward pass with a linear output: y_1 … y_{L−1}, a_L."""
    return (*trace.y[:-1], trace.a[-1])
