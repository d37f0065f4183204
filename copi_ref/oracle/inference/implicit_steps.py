"""Steps of implicit SGD and of IL-prox: judged by W⁺ = W − α ∇ℓ(W⁺), which needs nothing but W⁺.

In a deep network they have no closed form, and several results may be right.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np

from copi_ref.arrays.backend import HostArray
from copi_ref.oracle.calling.calling import Caller
from copi_ref.oracle.contract.pieces import Inputs
from copi_ref.oracle.inference.conventions import InferenceConventions
from copi_ref.oracle.inference.functions import InferenceFunction, net_of, states_from
from copi_ref.oracle.inference.implicit import formula_of_layer, iterated, reconstructed
from copi_ref.oracle.inference.residual import IMPLICIT, TOLERANCES, called, result_of, rounded
from copi_ref.oracle.inference.right import is_bent, right_rules
from copi_ref.oracle.inference.rules import At, Rules, States
from copi_ref.oracle.inputs.cases import Case
from copi_ref.oracle.inputs.drawing import ROUNDING
from copi_ref.oracle.report.report import NOT_CHECKED, NOT_IMPLEMENTED, Result
from copi_ref.oracle.rounding import Precision

_ALPHAS = (0.1, 1.0, 10.0)


def _loss_gradient(rules: Rules, inputs: Inputs, W: States) -> tuple[States, float]:
    """∇ of the mean of ½‖prediction − y*‖² by every W, and the least distance of a hidden unit from the kink of f."""
    net = replace(net_of(inputs), W=W)
    place = At(rules, net, tuple(np.zeros((net.samples, one.shape[0])) for one in W))
    for layer in range(1, net.layers + 1):
        place = place.with_state(layer, place.p(layer))
    error, near = -_error(rules, place), np.inf
    gradients: list[HostArray] = []
    for layer in range(net.layers, 0, -1):
        if is_bent(place, layer):
            error = rules.f.derivative(place.a(layer)) * error
            near = min(near, float(np.min(np.abs(place.a(layer)))))
        gradients.append(error.T @ place.x(layer) / net.samples)
        if layer > 1:
            error = error @ W[layer - 1]
            if rules.conventions.weights_last:
                error = rules.f.derivative(place.h(layer - 1)) * error
                near = min(near, float(np.min(np.abs(place.h(layer - 1)))))
    return tuple(reversed(gradients)), near


def _error(rules: Rules, place: At) -> HostArray:
    """−∂ℓ/∂p_L of ℓ = ½‖y_L − y*‖², y_L the prediction that the conventions compare with the target."""
    p, target = place.p(place.net.layers), place.net.target
    chosen = rules.conventions
    if chosen.output == "nudged" and chosen.weights_last and chosen.output_activation == "same":
        return np.asarray(rules.f.derivative(p) * (target - rules.f(p)))
    return np.asarray(target - p)


def implicit_residual(rules: Rules, inputs: Inputs, W: States, alpha: float) -> float:
    """‖W⁺ − W + α ∇ℓ(W⁺)‖/‖W⁺ − W‖, over all layers."""
    gradient, _ = _loss_gradient(rules, inputs, W)
    shifts = [new - old for new, old in zip(W, inputs["W"], strict=True)]
    left = [shift + alpha * g for shift, g in zip(shifts, gradient, strict=True)]
    size = np.sqrt(sum(float(np.sum(one * one)) for one in shifts))
    return float(np.sqrt(sum(float(np.sum(one * one)) for one in left)) / size) if size else np.inf


def _cases_of_steps(
    conventions: InferenceConventions, precision: Precision, seed: int, samples: tuple[int, ...]
) -> Iterator[Case]:
    for number, sizes in enumerate(((5, 7, 4, 3), (3, 4, 2), (4, 3))):
        for N in samples:
            rng = np.random.default_rng([seed, number, N])
            inputs: Inputs = {
                "W": tuple(rng.normal(size=(units, inputs)) / np.sqrt(inputs) for inputs, units in pairwise(sizes)),
                "y0": rng.normal(size=(N, sizes[0])),
                "target": np.tanh(rng.normal(size=(N, sizes[-1]))) / 2,
            }
            given = rounded(inputs, precision)
            for alpha in _ALPHAS:
                yield Case(f"{len(sizes) - 1} layers, N = {N}, α = {alpha:g}", ROUNDING, {**given, "alpha": alpha})


_KINK = 1e-4
"""As near to a kink as that the gradient that a step has to take is not defined: such results are left out."""


def check_implicit(
    caller: Caller, conventions: InferenceConventions, function: InferenceFunction, seed: int
) -> list[Result]:
    """Judge new weights by the equation of an implicit step."""
    if caller.precision.name not in TOLERANCES or conventions.biases != "none":
        return [Result(function.name, "", function.equation, NOT_CHECKED)]
    rules, found, cases, skipped = right_rules(conventions), [], 0, 0
    samples = (1,) if function.name == "prox_step" else (1, 7)
    for case in _cases_of_steps(conventions, caller.precision, seed, samples):
        told = called(caller, function, case)
        if told is None:
            return [Result(function.name, "", function.equation, NOT_IMPLEMENTED)]
        if isinstance(told, str):
            cases += 1
            found.append((case, told, np.inf))
            continue
        W = states_from(told, "W⁺", len(case.inputs["W"]))
        if conventions.curve.has_kink and _loss_gradient(rules, case.inputs, W)[1] < _KINK:
            skipped += 1
            continue
        cases += 1
        r = implicit_residual(rules, case.inputs, W, case.inputs["alpha"])
        if not r <= IMPLICIT:
            says = f"no implicit step: ‖W⁺ − W + α ∇ℓ(W⁺)‖/‖W⁺ − W‖ is {r:.2g}, needs at most {IMPLICIT:g}"
            found.append((case, _named(rules, case.inputs, W) or says, r))
    result = result_of(_one_name(found), function, caller, cases)
    note = "every W⁺ that came puts a unit on the kink of f, where ∇ℓ is not defined"
    return [replace(result, skipped=skipped, notes=result.notes if cases else (note,))]


def _one_name(found: list[tuple[Case, str, float]]) -> list[tuple[Case, str, float]]:
    """Failures, those without a name first if there are any: a name has to explain all."""
    return sorted(found, key=lambda entry: entry[1].startswith("["))


def _named(rules: Rules, inputs: Inputs, W: States) -> str:
    """Which known mistake gives these weights, in words with its name in front; or ""."""
    alpha, N = inputs["alpha"], len(inputs["y0"])
    explicit = _loss_gradient(rules, inputs, tuple(inputs["W"]))[0]
    stepped = [old - alpha * g for old, g in zip(inputs["W"], explicit, strict=True)]
    if all(np.allclose(new, one, rtol=1e-3, atol=1e-6) for new, one in zip(W, stepped, strict=True)):
        return "[explicit-sgd] the gradient is that of the old weights: explicit SGD"
    if all(np.array_equal(new, old) for new, old in zip(W, inputs["W"], strict=True)):
        return "[no-step] no weight moves"
    if name := iterated(lambda W: _loss_gradient(rules, inputs, W)[0], inputs, W) or reconstructed(rules, inputs, W):
        return name
    others = [
        ("alpha-inverted", "1/α stands for α", 1 / alpha),
        ("loss-without-half", "½ is left out of the loss", 2 * alpha),
        ("alpha-halved", "the distance has no ½: α/2 stands for α", alpha / 2),
        ("loss-summed", "the loss is a sum over samples, and not their mean", alpha * N),
        ("alpha-over-n", "α is divided by the number of samples", alpha / N),
        ("ascends", "the step goes up the loss", -alpha),
    ]  # fmt: skip
    for name, says, other in others:
        if other != alpha and implicit_residual(rules, inputs, W, other) <= IMPLICIT:
            return f"[{name}] {says}"
    return ""


def check_implicit_layer(
    caller: Caller, conventions: InferenceConventions, function: InferenceFunction, seed: int
) -> list[Result]:
    """Judge the closed form of one linear layer, by the equation that it solves."""
    if caller.precision.name not in TOLERANCES:
        return [Result(function.name, "", function.equation, NOT_CHECKED)]
    linear = right_rules(replace(conventions, activation="identity", input_activation=False, output="clamped"))
    found, cases = [], 0
    for N in (1, 5):
        rng = np.random.default_rng([seed, N])
        for alpha in (*_ALPHAS, 1000.0):
            x, W, target = (
                caller.precision.representable(rng.normal(size=shape)) for shape in ((N, 4), (3, 4), (N, 3))
            )
            case = Case(f"N = {N}, α = {alpha:g}", ROUNDING, {"x": x, "W": W, "target": target, "alpha": alpha})
            told = called(caller, function, case)
            if told is None:
                return [Result(function.name, "", function.equation, NOT_IMPLEMENTED)]
            cases += 1
            if isinstance(told, str):
                found.append((case, told, np.inf))
                continue
            inputs = {"W": (W,), "y0": x, "target": target, "alpha": alpha}
            new = (told["W⁺"],)
            r = implicit_residual(linear, inputs, new, alpha)
            # What rounding leaves of W⁺ is multiplied by α E[x xᵀ].
            allowed = TOLERANCES[caller.precision.name] * max(1.0, alpha)
            if not r <= allowed:
                says = f"no implicit step: the residual is {r:.2g} of the step, needs at most {allowed:.0e}"
                found.append((case, formula_of_layer(case.inputs, new[0]) or _named(linear, inputs, new) or says, r))
    return [result_of(_one_name(found), function, caller, cases)]
