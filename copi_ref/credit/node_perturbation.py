"""Node perturbation: noise in the units, and how the loss answers to it (Dembo and Kailath 1990)."""

from dataclasses import dataclass

from copi_ref.arrays import checks
from copi_ref.arrays.backend import Array
from copi_ref.arrays.products import apply
from copi_ref.credit.noise import check_generators, normal_noise
from copi_ref.network import Params, Trace, decorrelated
from copi_ref.task import OUTPUTS, Task, check_passed, output_function


@dataclass(frozen=True)
class NodePerturbation:
    """δ_l = −(ℓ(a + ξ) − ℓ(a)) ξ_l / σ², with noise ξ ~ N(0, σ²) in all pre-activations of all layers at once.

    To first order in σ its mean is −dℓ/da_l, and the variance of its component i is ‖g‖² + g_i², where g is the
    gradient with respect to the pre-activations of all layers together. δ_L is an estimate too.

    Noise is drawn on the host from ``task.rng``, a (…, N, K_l) array per layer, the lowest first; with a tuple of
    generators network s of an ensemble (S, N, K_l) draws from the s-th.

    Args:
        sigma: σ, standard deviation of the noise, in units of a.

    Raises:
        TypeError, ValueError: σ is no number above 0.
    """

    sigma: float = 0.01

    def __post_init__(self) -> None:
        checks.positive_number("sigma", self.sigma)

    def __call__(self, params: Params, trace: Trace, task: Task) -> tuple[Array, ...]:
        """Return one δ_l (…, N, K_l) per layer, the lowest first.

        Raises:
            TypeError: exact arrays (noise is not rational), or ``task.rng`` is no Generator.
            ValueError: the target doesn't fit the trace, or ``output="pre-activation"``, whose δ_L is the gradient
                of no loss.
        """
        check_passed(params, trace, task)
        check_generators(task.rng)
        checks.not_exact("node perturbation", trace.a[-1])
        output_function(task, "node perturbation")
        predict = OUTPUTS[task.output]
        assert task.rng is not None  # checked above
        noises = [normal_noise(a, self.sigma, task.rng) for a in trace.a]
        noisy = _forward_with(params, trace, noises, task)
        change = task.loss(predict(noisy), task.target) - task.loss(predict(trace), task.target)
        sigma = checks.coefficient("sigma", self.sigma, trace.a[-1])
        return tuple(-change[..., None] * noise / sigma**2 for noise in noises)


def _forward_with(params: Params, trace: Trace, noises: list[Array], task: Task) -> Trace:
    """Run the network again with noise added to each pre-activation."""
    as_, ys = [trace.a[0] + noises[0]], []
    for layer in range(1, len(params.W)):
        ys.append(task.activation(as_[-1]))
        as_.append(apply(params.W[layer], decorrelated(params, layer, ys[-1])) + noises[layer])
    ys.append(task.activation(as_[-1]))
    return Trace(x=trace.x, a=tuple(as_), y=tuple(ys))
