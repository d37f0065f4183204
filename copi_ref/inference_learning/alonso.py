"""Inference as the authors of Alonso et al. 2022 run it: a step size for each of two terms, and a softmax output."""

from dataclasses import replace
from typing import Any

from copi_ref.activations import Activation
from copi_ref.arrays import checks
from copi_ref.arrays.backend import Array
from copi_ref.arrays.moments import mean_sample
from copi_ref.inference_learning.energy import pulls_from_above
from copi_ref.inference_learning.forms import WEIGHTS_LAST, Form, OrderName
from copi_ref.inference_learning.inference import check_inference
from copi_ref.inference_learning.states import (
    Settled,
    States,
    check_activation,
    check_settled,
    checked,
    first_layer,
    predicted,
    squared_length,
)
from copi_ref.inference_learning.weights import Weights, multiplied_where_cheaper
from copi_ref.losses import softmax
from copi_ref.network import Params


def infer_by_two_rates(
    params: Params | Weights,
    y0: Array,
    states: States,
    target: Array,
    activation: Activation,
    steps: int,
    gamma_top: float,
    gamma_bot: float,
    form: Form | OrderName = WEIGHTS_LAST,
    factor: Any = 1,
) -> States:
    """Take T steps over the hidden states as Alonso et al. 2022 do, with one γ for each of two terms.

    h_l ← h_l − γ_top e_l + γ_bot φ′(h_l) ∘ R_{l+1}ᵀ W_{l+1}ᵀ (ψ′(a_{l+1}) ∘ e_{l+1}),  e_L = c (t − softmax(p_L))

    Unlike `infer`'s this is no step along ∂F/∂h where γ_bot ≠ γ_top. With precisions π_l = (γ_bot/γ_top)^l it is one
    with γ_l = γ_top/π_l, and the cross-entropy in the place of ½‖e_L‖²: it lowers an energy after all.

    Args:
        params: the network.
        y0: (…, N, K_0), inputs; rows are samples.
        states: where to start; the output's state has no part in it.
        target: t, (…, N, K_L), which stays.
        activation: f.
        steps: T.
        gamma_top: γ_top, of a layer's own error.
        gamma_bot: γ_bot, of the error above.
        form: a `Form`, or the name of a plain one.
        factor: c.

    Raises:
        TypeError, ValueError: arrays that don't fit the network, exact ones, or settings that are none.
    """
    check_activation(activation)
    for name, gamma in (("gamma_top", gamma_top), ("gamma_bot", gamma_bot)):
        check_inference(steps, gamma, name)
        checks.one_number(name, gamma)
    weights, form = checked(params, y0, states, form)
    own, above = (checks.coefficient("gamma", gamma, states[-1]) for gamma in (gamma_top, gamma_bot))
    weights = multiplied_where_cheaper(weights, y0.shape[-2], steps)
    first = first_layer(weights, y0, activation, form)
    for _ in range(steps):
        settled = predicted(weights, first, y0, states, activation, form)
        settled = with_softmax_error(settled, target, factor)
        pulls = pulls_from_above(weights, settled)
        layers = zip(states[:-1], settled.errors[:-1], pulls, strict=True)
        states = (*(h - own * e + above * pull for h, e, pull in layers), states[-1])
    return states


def with_softmax_error(settled: Settled, target: Array, factor: Any = 1) -> Settled:
    """Return what settled, with e_L = c (t − softmax(p_L)) in the place of h_L − p_L.

    It is −c times the gradient of the cross-entropy between t and softmax(p_L), where Σ t = 1.

    Raises:
        TypeError, ValueError: the target doesn't fit, or is exact (softmax is not rational).
    """
    check_settled(settled)
    prediction = settled.trace.y[-1]
    checks.arrays(prediction=(prediction, "NM"), target=(target, "NM"))
    error = checks.coefficient("factor", factor, prediction) * (target - softmax(prediction))
    return replace(settled, errors=(*settled.errors[:-1], error))


def mixed_target(prediction: Array, target: Array, share: Any) -> Array:
    """Return t = n y* + (1 − n) softmax(p_L), (…, N, K_L).

    Args:
        prediction: p_L, (…, N, K_L).
        target: y*, (…, N, K_L).
        share: n, a number or an array that broadcasts.

    Raises:
        TypeError, ValueError: arrays that don't fit, or exact ones.
    """
    checks.arrays(prediction=(prediction, "NM"), target=(target, "NM"))
    share = checks.coefficient("share", share, prediction)
    return share * target + (1 - share) * softmax(prediction)


def proximal_share(x: Array, alpha: Any) -> Array:
    """Return n = ν α / (1 + ν α), ν = E‖x_L‖² over the batch: (…, N, K) gives (…, 1, 1).

    With it t = (softmax(p_L) + ν α y*) / (1 + ν α).

    Raises:
        TypeError, ValueError: x is no array of samples, or α no number.
    """
    xp = checks.arrays(x=(x, "NK"))
    nu = mean_sample(squared_length(x, xp), xp)[..., None, :]
    nu_alpha = nu * checks.coefficient("alpha", alpha, x)
    return nu_alpha / (1 + nu_alpha)
