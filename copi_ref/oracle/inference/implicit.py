"""What a step is that is not implicit: iterations that stop, other formulas of one layer, other energies of IL-prox."""

from collections.abc import Callable, Iterator
from itertools import product

import numpy as np

from copi_ref.arrays.backend import HostArray
from copi_ref.oracle.contract.pieces import Inputs
from copi_ref.oracle.inference.functions import net_of
from copi_ref.oracle.inference.right import is_bent
from copi_ref.oracle.inference.rules import At, Rules, States

_NEAR = 1e-3


def _same(found: States, others: States) -> bool:
    return all(np.allclose(one, other, rtol=_NEAR, atol=1e-6) for one, other in zip(found, others, strict=True))


def iterated(gradient: Callable[[States], States], inputs: Inputs, W: States) -> str:
    """Name a fixed-point iteration W ← W_b − α ∇ℓ(W) that stopped after a few rounds; or ""."""
    now: States = tuple(inputs["W"])
    for rounds in range(1, 6):
        now = tuple(old - inputs["alpha"] * g for old, g in zip(inputs["W"], gradient(now), strict=True))
        if rounds > 1 and _same(W, now):
            return f"[stopped-iteration] W ← W_b − α ∇ℓ(W) was iterated {rounds} times, and not until it stays"
    return ""


# --- one linear layer -------------------------------------------------------------------------------------------------


def formula_of_layer(inputs: Inputs, new: HostArray) -> str:
    """Name the formula that gave W⁺ of one linear layer; or ""."""
    for name, says, W in _formulas(inputs):
        if np.all(np.isfinite(W)) and np.allclose(new, W, rtol=_NEAR, atol=1e-6):
            return f"[{name}] {says}"
    return ""


def _formulas(inputs: Inputs) -> Iterator[tuple[str, str, HostArray]]:
    x, W, target, alpha = inputs["x"], inputs["W"], inputs["target"], inputs["alpha"]
    N, K = x.shape
    e, unit = target - x @ W.T, np.eye(K)
    factor = alpha / (1 + alpha * np.sum(x * x, axis=-1, keepdims=True))
    yield (
        "averaged-over-samples",
        "each sample's step is solved alone, and the steps are averaged",
        W + (factor * e).T @ x / N,
    )
    yield "summed-over-samples", "each sample's step is solved alone, and the steps are added", W + (factor * e).T @ x
    mean = np.mean(np.sum(x * x, axis=-1))
    yield "mean-length", "E[‖x‖²] stands for E[x xᵀ]", W + alpha / (1 + alpha * mean) * (e.T @ x / N)
    other = np.linalg.pinv(unit - alpha * x.T @ x / N)
    yield "minus-alpha", "−α stands for α in the inverse", (W + alpha * target.T @ x / N) @ other
    for said, where, n, m in (
        ("summed-in-inverse", "I + α E[x xᵀ]", N, 1),
        ("summed-beside-inverse", "W + α E[y* xᵀ]", 1, N),
    ):
        W_new = (W + alpha * target.T @ x / n) @ np.linalg.inv(unit + alpha * x.T @ x / m)
        yield said, f"a sum over samples stands for the mean in {where}", W_new
    numerators = {"E[e xᵀ]": e.T @ x / N, "Σ e xᵀ": e.T @ x}
    matrices = {"E[x xᵀ]": x.T @ x / N, "Σ x xᵀ": x.T @ x, "diag(E[x²])": np.diag(np.mean(x * x, axis=0))}
    ridges = {
        "I/α": 1 / alpha,
        "α I": alpha,
        "−I/α": -1 / alpha,
        "2 I/α": 2 / alpha,
        "I/(2α)": 1 / (2 * alpha),
        "0": 0.0,
        "I": 1.0,
    }
    for (over, numerator), (under, matrix), (words, ridge) in product(
        numerators.items(), matrices.items(), ridges.items()
    ):
        if (over, under, words) == ("E[e xᵀ]", "E[x xᵀ]", "I/α"):
            continue
        try:
            step = np.linalg.solve(matrix + ridge * unit, numerator.T).T
        except np.linalg.LinAlgError:
            continue
        if words == "−I/α":
            yield "minus-alpha", "−α stands for α in the inverse", W - step
        name = {"I/(2α)": "loss-without-half", "2 I/α": "alpha-halved", "α I": "alpha-inverted"}.get(words)
        plain = (over, under) == ("E[e xᵀ]", "E[x xᵀ]")
        summed = (over, under, words) == ("Σ e xᵀ", "Σ x xᵀ", "I/α")
        formula = f"{over} ({under} + {words})⁻¹"
        label = "loss-summed" if summed else name if name and plain else formula.replace("[", "(").replace("]", ")")
        yield label, f"W⁺ = W + {formula}", W + step


# --- IL-prox: the states that a step shows ----------------------------------------------------------------------------

_Weight = Callable[[float, float], float]

_UPDATES: dict[str, _Weight] = {
    "e xᵀ/‖x‖²": lambda alpha, square: 1 / square,
    "α e xᵀ": lambda alpha, square: alpha,
    "α e xᵀ/‖x‖²": lambda alpha, square: alpha / square,
    "e xᵀ": lambda alpha, square: 1.0,
    "α e xᵀ/(1 + α‖x‖²)": lambda alpha, square: alpha / (1 + alpha * square),
    "e xᵀ/(‖x‖² + 1)": lambda alpha, square: 1 / (square + 1),
}

_ENERGIES: dict[str, _Weight] = {
    "½‖e‖²": lambda alpha, square: 1.0,
    "‖e‖²/(2α)": lambda alpha, square: 1 / alpha,
    "‖e‖²/(2α‖x‖²), ‖x‖ held": lambda alpha, square: 1 / (alpha * square),
    "‖e‖²/(2α(‖x‖² + 1)), ‖x‖ held": lambda alpha, square: 1 / (alpha * (square + 1)),
    "α‖e‖²/2": lambda alpha, square: alpha,
    "‖e‖²/(2‖x‖²), ‖x‖ held": lambda alpha, square: 1 / square,
}


def reconstructed(rules: Rules, inputs: Inputs, W: States) -> str:
    """Name the energy and the update that a step of one sample shows, or "": ΔW_l has the direction of x_l and of e_l.

    With x_1 known, ΔW_1 gives e_1, so h_1 and x_2, and so on: then the gradient of each energy is looked at there.
    """
    alpha, net = inputs["alpha"], net_of(inputs)
    if net.samples != 1 or not rules.conventions.weights_last:
        return ""
    for update, weight in _UPDATES.items():
        place = _states_of(rules, inputs, W, weight)
        if place is None:
            continue
        for (energy, precision), output in product(_ENERGIES.items(), ("clamped", "pulled")):
            if _is_minimum(rules, place, np.asarray(inputs["target"]), alpha, precision, output):
                says = f"the energy is Σ {energy} with the output {output}, and ΔW = {update}"
                return f"[prox: {energy}, {output}, {update}] {says}"
        if update != "e xᵀ/‖x‖²" and _is_minimum_of_prox(rules, place, np.asarray(inputs["target"]), alpha):
            return f"[prox-update: {update}] the states are those of IL-prox, and ΔW = {update}"
    return ""


def _states_of(rules: Rules, inputs: Inputs, W: States, weight: _Weight) -> At | None:
    """The states that an update shows, if ΔW of every layer is e xᵀ of these."""
    net = net_of(inputs)
    place = At(rules, net, tuple(np.zeros((1, one.shape[0])) for one in W))
    for k, (old, new) in enumerate(zip(net.W, W, strict=True), start=1):
        x = np.asarray(place.x(k))[0]
        square = float(x @ x)
        change, factor = new - old, weight(inputs["alpha"], square) if square else 0.0
        if not factor or not square:
            return None
        e = change @ x / (square * factor)
        if np.linalg.norm(change - factor * np.outer(e, x)) > _NEAR * np.linalg.norm(change):
            return None
        place = place.with_state(k, np.asarray(place.p(k)) + e)
    return place


def _down(rules: Rules, place: At, k: int, pull: HostArray) -> HostArray:
    return np.asarray(rules.f.derivative(place.h(k))) * pull


def _is_minimum(rules: Rules, place: At, target: HostArray, alpha: float, precision: _Weight, output: str) -> bool:
    """Whether states are stationary for Σ weight ‖e‖²/2 with weights that are held, the output clamped or pulled."""
    L = place.net.layers
    assert not any(is_bent(place, k) for k in range(1, L + 1))
    weights = [precision(alpha, float(np.sum(np.asarray(place.x(k)) ** 2))) for k in range(1, L + 1)]
    if output == "clamped" and not np.allclose(place.h(L), target, rtol=_NEAR, atol=1e-4):
        return False
    gradients = []
    if output == "pulled":
        gradients.append(weights[-1] * place.e(L) + (place.h(L) - target))
    for k in range(1, L):
        pull = weights[k] * place.e(k + 1) @ place.net.W[k]
        gradients.append(weights[k - 1] * place.e(k) - _down(rules, place, k, np.asarray(pull)))
    scale = max((float(np.abs(w * place.e(k + 1)).max()) for k, w in enumerate(weights)), default=0.0)
    return scale > 0 and all(float(np.abs(g).max()) <= 10 * _NEAR * scale for g in gradients)


def _is_minimum_of_prox(rules: Rules, place: At, target: HostArray, alpha: float) -> bool:
    """Whether states are stationary for IL-prox's energy, with the derivative of ‖x‖²."""
    L = place.net.layers
    squares = [float(np.sum(np.asarray(place.x(k)) ** 2)) for k in range(1, L + 1)]
    errors = [np.asarray(place.e(k)) for k in range(1, L + 1)]
    gradients = [errors[-1] / (alpha * squares[-1]) + (place.h(L) - target)]
    for k in range(1, L):
        e, square = errors[k], squares[k]
        pull = (e @ place.net.W[k] + float(np.sum(e * e)) / square * np.asarray(place.x(k + 1))) / (alpha * square)
        gradients.append(errors[k - 1] / (alpha * squares[k - 1]) - _down(rules, place, k, pull))
    scale = max(float(np.abs(e).max()) / (alpha * s) for e, s in zip(errors, squares, strict=True))
    return all(float(np.abs(g).max()) <= 10 * _NEAR * scale for g in gradients)
