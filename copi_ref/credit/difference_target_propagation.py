"""Difference target propagation: what the inverse model gets wrong is taken off (Lee et al. 2015), in two forms."""

from dataclasses import dataclass
from fractions import Fraction

from copi_ref.arrays import checks
from copi_ref.arrays.backend import Array
from copi_ref.arrays.moments import mean_outer
from copi_ref.arrays.products import apply
from copi_ref.credit.inverse_model import LearnsInverse
from copi_ref.credit.noise import check_generators, normal_noise
from copi_ref.network import Params, Trace, decorrelated
from copi_ref.task import Task, check_passed, output_perturbation, required_feedback


@dataclass(frozen=True)
class DifferenceTargetPropagation:
    """Difference target propagation (Lee et al. 2015, arXiv 1412.7525): targets of outputs, not of pre-activations.

    t_{L−1} = y_{L−1} + r R_Lᵀ W_Lᵀ δ_L,  t_l = y_l − g_l(y_{l+1}) + g_l(t_{l+1}),  δ_l = f′(a_l) ∘ (t_l − y_l)

    with g_l(y) = f(B_{l+1} y). The output learns by the gradient, and so does the last hidden layer, up to r. The
    inverse models learn from noisy states ỹ_l = y_l + ξ, ξ ~ N(0, σ²), and what the layer above makes of them:

    B_{l+1} ← B_{l+1} + η_B E[(f′(B_{l+1} u) ∘ (ỹ_l − g_l(u))) uᵀ],  u = f(W_{l+1} R_{l+1} ỹ_l)

    ``task.feedback`` holds B_2 … B_L; B_{l+1} is (…, K_l, K_{l+1}), and B_L is not used. Their layers have biases, and
    no R. The text was not at hand: this is what is known of their code, and the defaults are this library's.

    Args:
        rate: r, how far the last hidden layer's target is from its output, in units of the gradient.
        eta_b: η_B, learning rate of the inverse models; 0: their weights are given and stay.
        sigma: σ, in units of y; 0: they learn from the states as they are.

    Raises:
        TypeError, ValueError: r is no number above 0, or η_B or σ none of at least 0.
    """

    rate: float | Fraction = Fraction(1, 2)
    eta_b: float | Fraction = Fraction(1, 100)
    sigma: float | Fraction = Fraction(1, 10)

    def __post_init__(self) -> None:
        checks.positive_number("rate", self.rate)
        checks.one_number("eta_b", self.eta_b, minimum=0)
        checks.one_number("sigma", self.sigma, minimum=0)

    def __call__(self, params: Params, trace: Trace, task: Task) -> tuple[Array, ...]:
        """Return one δ_l (…, N, K_l) per layer, the lowest first.

        Raises:
            TypeError, ValueError: the target or the feedback weights are missing or don't fit the trace.
        """
        feedback = required_feedback(params, task, "difference target propagation")
        deltas = [output_perturbation(params, trace, task)]
        f, top, target = task.activation, len(params.W) - 1, None
        for layer in reversed(range(top)):
            y, B = trace.y[layer], feedback[layer]
            checks.arrays(y_above=(trace.y[layer + 1], "NM"), y=(y, "NK"), B=(B, "KM"))
            if target is None:
                rate = checks.coefficient("rate", self.rate, y)
                target = y + rate * apply(params.R[top].mT, apply(params.W[top].mT, deltas[0]))
            else:
                target = y - f(apply(B, trace.y[layer + 1])) + f(apply(B, target))
            deltas.append(f.derivative(trace.a[layer]) * (target - y))
        return tuple(reversed(deltas))

    def learn_feedback(self, params: Params, trace: Trace, task: Task) -> tuple[Array, ...]:
        """Return the inverse models after one step of gradient descent; noise is drawn from ``task.rng``, lowest first.

        Raises:
            TypeError, ValueError: arrays that don't fit together; with noise exact arrays, or ``task.rng`` is no
                Generator.
        """
        check_passed(params, trace, task)
        f, feedback = task.activation, required_feedback(params, task, "an inverse model")
        if not self.eta_b:
            return feedback
        learnt = []
        for layer, B in enumerate(feedback[:-1]):
            state = trace.y[layer]
            if self.sigma:
                checks.not_exact("noise", state)
                check_generators(task.rng)
                assert task.rng is not None  # checked above
                state = state + normal_noise(state, float(self.sigma), task.rng)
            u = f(apply(params.W[layer + 1], decorrelated(params, layer + 1, state)))
            checks.arrays(u=(u, "NM"), y=(state, "NK"), B=(B, "KM"))
            found = apply(B, u)
            error = f.derivative(found) * (state - f(found))
            learnt.append(B + checks.coefficient("eta_b", self.eta_b, B) * mean_outer(error, u))
        return (*learnt, feedback[-1])


@dataclass(frozen=True)
class PreActivationDifferenceTargetPropagation(LearnsInverse):
    """Difference target propagation with the pre-activations as the layers' states: this library's form of it.

    z_L = a_L + δ_L,  z_l = a_l + B_{l+1} f(z_{l+1}) − B_{l+1} f(a_{l+1}),  δ_l = z_l − a_l

    The inverse model, a_l ≈ B_{l+1} f(a_{l+1}), is that of `TargetPropagation`, without noise. Its error cancels: z = a
    where the target is the output. `DifferenceTargetPropagation` is the published form: it takes the last hidden
    layer's target from the gradient, where this one starts at the output.

    ``task.feedback`` holds B_2 … B_L; B_{l+1} is (…, K_l, K_{l+1}).

    Args:
        eta_b: learning rate of the inverse model, at most 2 (see `learn_inverse`); 0: its weights are given and stay.

    Raises:
        TypeError, ValueError: `eta_b` is no number from 0 to 2.
    """

    def __call__(self, params: Params, trace: Trace, task: Task) -> tuple[Array, ...]:
        """Return one δ_l (…, N, K_l) per layer, the lowest first.

        Raises:
            TypeError, ValueError: the target or the feedback weights are missing or don't fit the trace.
        """
        feedback = required_feedback(params, task, "difference target propagation")
        deltas = [output_perturbation(params, trace, task)]
        layers = zip(reversed(feedback), trace.a[-2::-1], trace.a[:0:-1], trace.y[:0:-1], strict=True)
        for B, a, a_above, y_above in layers:
            checks.arrays(a_above=(a_above, "NM"), a=(a, "NK"), B=(B, "KM"))
            deltas.append(apply(B, task.activation(a_above + deltas[-1]) - y_above))
        return tuple(reversed(deltas))
