"""What has several right results is judged by what holds at every one of them: a residual.

Different minimisers end in different minima, and a step of implicit SGD in a deep network has no closed form. So states
are judged by the gradient of the energy there, and new weights by W⁺ = W − α ∇ℓ(W⁺), which needs nothing but W⁺.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from copi_ref.arrays.backend import HostArray
from copi_ref.oracle.calling.calling import Caller
from copi_ref.oracle.calling.reading import VerdictError
from copi_ref.oracle.contract.pieces import Inputs
from copi_ref.oracle.inference.conventions import InferenceConventions
from copi_ref.oracle.inference.functions import InferenceFunction, net_of, place_of, states_from
from copi_ref.oracle.inference.implicit import formula_of_layer, iterated, reconstructed
from copi_ref.oracle.inference.kinks import nearest_to_zero
from copi_ref.oracle.inference.rules import At, Rules, States, is_bent, right_rules
from copi_ref.oracle.inputs.cases import Case, with_tracked
from copi_ref.oracle.inputs.drawing import ROUNDING
from copi_ref.oracle.judging.comparison import Outcome
from copi_ref.oracle.report.report import FAILED, NOT_CHECKED, NOT_IMPLEMENTED, PASSED, Result
from copi_ref.oracle.report.reproducer import reproducer
from copi_ref.oracle.rounding import Precision

TOLERANCES = {"float64": 1e-6, "float32": 1e-3}
"""Of the gradient that is left at a minimum, in units of that at the start; coarser formats have none."""

IMPLICIT = 1e-3
"""‖W⁺ − W + α ∇ℓ(W⁺)‖/‖W⁺ − W‖ that is let pass: the mildest known mistake has thirty times that for α ≥ 1/10."""


def _first(found: list[tuple[Case, str, float]], function: InferenceFunction, caller: Caller, cases: int) -> Result:
    """Return a result: what failed, with how far off, or a pass."""
    result = Result(function.name, "residual", function.equation, PASSED, cases=cases)
    if not found:
        return result
    case, says, off = found[0]
    code = reproducer(caller, function, case, Outcome(case, VerdictError(says)))
    return replace(
        result, status=FAILED, worst=off, diagnosis=says, variant=_name_in(says), reproducer=code,
        where=f"On the case {case.name!r}: {says}",
    )  # fmt: skip


def _name_in(says: str) -> str:
    return says[1 : says.index("]")] if says.startswith("[") else ""


def _call(caller: Caller, function: InferenceFunction, case: Case) -> Any:
    """What it returned, read; a text if it can't be, or None if it is a stub."""
    try:
        return caller.call(function, case.inputs).quantities
    except VerdictError as verdict:
        return None if verdict.is_stub else str(verdict)


# --- states at a minimum ----------------------------------------------------------------------------------------------

_NETWORKS = (
    ("two layers", (3, 5, 2), 4),
    ("three layers", (3, 5, 4, 2), 7),
    ("one sample", (3, 4, 2), 1),
    ("many samples", (3, 5, 2), 64),
)


def _cases_of_states(conventions: InferenceConventions, precision: Precision, seed: int) -> Iterator[Case]:
    for number, (name, sizes, N) in enumerate(_NETWORKS):
        if conventions.depth is not None:
            sizes = tuple((3, 5, 4, 2, 3)[at % 5] for at in range(conventions.depth + 1))
        rng = np.random.default_rng([seed, number, 5])
        inputs: Inputs = {
            "W": tuple(rng.normal(size=(units, inputs)) / np.sqrt(inputs) for inputs, units in pairwise(sizes)),
            "y0": rng.normal(size=(N, sizes[0])),
        }
        if conventions.biases != "none":
            inputs["b"] = tuple(rng.normal(size=units) / 4 for units in sizes[1:])
        inputs["states"] = tuple(rng.normal(size=(N, units)) for units in sizes[1:])
        if conventions.output == "pulled":
            inputs["target"] = rng.normal(size=(N, sizes[-1]))
        yield Case(name, ROUNDING, _rounded(inputs, precision))


def _rounded(inputs: Inputs, precision: Precision) -> Inputs:
    """Arguments as the precision under test has them."""
    return {
        name: tuple(map(precision.representable, one)) if isinstance(one, tuple) else precision.representable(one)
        for name, one in inputs.items()
    }


def _gradients(rules: Rules, inputs: Inputs, states: States) -> dict[int, Any]:
    at = place_of(rules, {**inputs, "states": states})
    return {layer: at.rules.gradient(at, layer) for layer in rules.moves(at)}


def check_converge(
    caller: Caller, conventions: InferenceConventions, function: InferenceFunction, seed: int
) -> list[Result]:
    """Judge states where inference has converged, each sample by the gradient that is left there."""
    if caller.precision.name not in TOLERANCES:
        return [Result(function.name, "", function.equation, NOT_CHECKED)]
    tolerance, found, minima, samples, cases = TOLERANCES[caller.precision.name], [], 0, 0, 0
    # The gradient as it stands in the dynamics may have a factor: what has to vanish is that of the energy.
    rules = right_rules(replace(conventions, inference_factor=1, predictions="current", momentum=0))
    for case in _cases_of_states(conventions, caller.precision, seed):
        cases += 1
        told = _call(caller, function, case)
        if told is None:
            return [Result(function.name, "", function.equation, NOT_IMPLEMENTED)]
        if isinstance(told, str):
            found.append((case, told, np.inf))
            continue
        states = states_from(told, "h", len(case.inputs["W"]))
        says, off = _fault(rules, conventions, case.inputs, states, tolerance, caller.precision)
        if says:
            found.append((case, says + _worse_with_samples(caller, function, case, says), off))
        left = nearest_to_zero(rules, case.inputs, states)
        minima += int(np.sum(left <= tolerance * np.maximum(1, _largest(rules, case.inputs, case.inputs["states"]))))
        samples += len(case.inputs["y0"])
    result = _first(found, function, caller, cases)
    kinks = " (a unit at a kink may have any slope between those of both sides)" if conventions.curve.has_kink else ""
    return [replace(result, notes=(*result.notes, f"{minima} of {samples} samples are at a minimum{kinks}"))]


def _fault(
    rules: Rules,
    conventions: InferenceConventions,
    inputs: Inputs,
    states: States,
    tolerance: float,
    precision: Precision,
) -> tuple[str, float]:
    """Say what is wrong with states that should be at a minimum, and by how much."""
    if conventions.output != "pulled" and not np.array_equal(states[-1], inputs["states"][-1]):
        return "[output-moves] the clamped output has moved", float(np.abs(states[-1] - inputs["states"][-1]).max())
    before, after = (_energies(rules, inputs, one) for one in (inputs["states"], states))
    slack = 1e3 * precision.unit * (np.abs(before) + 1)
    if np.any(after > before + slack):
        sample = int(np.argmax(after - before))
        return (
            f"[energy-rises] the energy of sample {sample} is {after[sample]:.4g}, and was {before[sample]:.4g}",
            np.inf,
        )
    if conventions.curve.has_kink:
        return "", 0.0  # good minimisers stop beside kinks: reported, and no fault
    left, at_start = _gradients(rules, inputs, states), _largest(rules, inputs, inputs["states"])
    tracked = {**with_tracked(inputs), "states": with_tracked({"states": states})["states"]}
    allowed = _gradients(rules, tracked, tracked["states"])
    for layer, gradient in left.items():
        excess = np.abs(gradient) - allowed[layer].allowance(precision)
        off = np.max(excess, axis=-1) / np.maximum(1, at_start)
        if np.any(off > tolerance):
            sample = int(np.argmax(off))
            size = float(np.max(np.abs(gradient[sample])))
            says = (
                f"[not-converged] not converged: |∂F/∂h| of layer {layer} is {size:.2g} in sample {sample}, needs at "
                f"most {tolerance:.0e} times max(1, {at_start[sample]:.2g}), that of the start"
            )
            return says, float(off[sample] / tolerance)
    return "", 0.0


def _energies(rules: Rules, inputs: Inputs, states: States) -> HostArray:
    """F of each sample; with what pulls a free output."""
    per_sample = rules.with_changes(
        conventions=replace(rules.conventions, energy_factor=0.5, energy_reduction="per-sample")
    )
    F = np.asarray(per_sample.energy(place_of(per_sample, {**inputs, "states": states})))
    if rules.conventions.output == "pulled":
        F = F + np.sum((states[-1] - inputs["target"]) ** 2, axis=-1) / 2
    return np.asarray(F + rules.conventions.state_decay * sum(np.sum(h * h, axis=-1) for h in states[:-1]) / 2)


def _largest(rules: Rules, inputs: Inputs, states: States) -> HostArray:
    """The largest entry of the gradient of each sample."""
    parts = [np.max(np.abs(g), axis=-1) for g in _gradients(rules, inputs, states).values()]
    return np.max(parts, axis=0) if parts else np.zeros(len(inputs["y0"]))


def _worse_with_samples(caller: Caller, function: InferenceFunction, case: Case, says: str) -> str:
    """Whether the same sample alone comes nearer to its minimum: then there is a 1/N in the dynamics."""
    if not says.startswith("[not-converged]") or len(case.inputs["y0"]) == 1:
        return ""
    samples = {"y0", "target", "states"}
    alone: Inputs = {
        name: (tuple(one[:1] for one in value) if isinstance(value, tuple) else value[:1]) if name in samples else value
        for name, value in case.inputs.items()
    }
    told = _call(caller, function, replace(case, inputs=alone))
    both = _call(caller, function, case)
    if not isinstance(told, dict) or not isinstance(both, dict):
        return ""
    rules, layers = right_rules(replace(caller_conventions(caller), inference_factor=1)), len(alone["W"])
    one = float(_largest(rules, alone, states_from(told, "h", layers))[0])
    many = float(_largest(rules, case.inputs, states_from(both, "h", layers))[0])
    return f"; alone the same sample has {one:.2g}: 1/N in the dynamics?" if one < many / 4 else ""


def caller_conventions(caller: Caller) -> InferenceConventions:
    """The conventions of a caller, which are those of Inference Learning here."""
    assert isinstance(caller.conventions, InferenceConventions)
    return caller.conventions


# --- implicit steps ---------------------------------------------------------------------------------------------------

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
            rounded = _rounded(inputs, precision)
            for alpha in _ALPHAS:
                yield Case(f"{len(sizes) - 1} layers, N = {N}, α = {alpha:g}", ROUNDING, {**rounded, "alpha": alpha})


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
        told = _call(caller, function, case)
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
    result = _first(_one_name(found), function, caller, cases)
    return [replace(result, skipped=skipped)]


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
            told = _call(caller, function, case)
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
    return [_first(_one_name(found), function, caller, cases)]


Check = Callable[[Caller, InferenceConventions, InferenceFunction, int], list[Result]]

RESIDUALS: dict[str, Check] = {
    "converge": check_converge,
    "prox_step": check_implicit,
    "implicit_step": check_implicit,
    "implicit_layer": check_implicit_layer,
}
