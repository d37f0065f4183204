"""Test vectors of Inference Learning: inputs from a fixed sequence, results computed in Fractions and rounded once."""

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np

from copi_ref.oracle.contract.pieces import Inputs, Quantities
from copi_ref.oracle.inference.catalogue import INFERENCE_VARIANTS
from copi_ref.oracle.inference.conventions import InferenceConventions
from copi_ref.oracle.inference.functions import INFERENCE_FUNCTIONS, InferenceFunction
from copi_ref.oracle.inference.right import right_rules
from copi_ref.oracle.inference.rules import Rules
from copi_ref.oracle.inputs.cases import with_tracked
from copi_ref.oracle.rounding import PRECISIONS, Tracked
from copi_ref.oracle.vectors.inputs import Source
from copi_ref.oracle.vectors.text import written, written_bound

EXACT = InferenceConventions(slope=Fraction(1, 10), energy_factor=Fraction(1, 2))  # type: ignore[arg-type]

_CONVENTIONS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("weights after activation", {}),
    ("activation after weights", {"form": "activation-after-weights"}),
    ("activation after weights, linear output, biases inside",
     {"form": "activation-after-weights", "output_activation": "identity", "biases": "inside"}),
    ("biases outside, top-down", {"form": "activation-after-weights", "biases": "outside", "schedule": "top-down"}),
    ("sums, gradients", {"reduction": "sum", "returns": "gradient"}),
)  # fmt: skip

_NETWORKS: tuple[tuple[str, tuple[int, ...], int], ...] = (
    ("one layer", (3, 2), 4),
    ("two layers", (3, 4, 2), 5),
    ("three layers, one sample", (2, 3, 4, 2), 1),
)

MISTAKES_OF_V1 = (Path(__file__).parents[1] / "vectors" / "mistakes_of_inference_v1.txt").read_text("utf-8").split()
"""The mistakes that were catalogued when these vectors were made: they don't change when others become known."""

_STEPS = {"infer": (1, 2), "step": (2,)}
"""T, of functions that take it."""

_FUNCTIONS = ("errors", "predictions", "energy", "start", "infer", "weight_update", "step")


def inference_vectors(format_: int) -> dict[str, dict[str, Any]]:
    """Return the content of each file, by its name."""
    return {
        name: {
            "format": format_,
            "function": name,
            "equation": INFERENCE_FUNCTIONS[name].equation,
            "cases": list(_cases(INFERENCE_FUNCTIONS[name])),
        }
        for name in _FUNCTIONS
    }


def _cases(function: InferenceFunction) -> Iterator[dict[str, Any]]:
    source = Source(random.Random(20220602))
    for (network, sizes, N), (says, changed) in product(_NETWORKS, _CONVENTIONS):
        drawn: Inputs = {
            "W": tuple(source.matrix(m, k) for k, m in pairwise(sizes)),
            "y0": source.matrix(N, sizes[0]),
            "states": tuple(source.matrix(N, m) for m in sizes[1:]),
            "target": source.matrix(N, sizes[-1]),
        }
        biases = tuple(source.matrix(1, m)[0] for m in sizes[1:])
        if changed.get("biases", "none") != "none":
            drawn["b"] = biases
        for steps in _STEPS.get(function.name, (0,)):
            given = {**drawn, "gamma": 0.25, "steps": steps, "eta": 2.0}
            arguments = {name: given[name] for name in function.arguments_given(replace(EXACT, **changed))}
            ending = f", T = {steps}" if function.name in _STEPS else ""
            yield _case(function, f"{network}, {says}{ending}", changed, arguments)


def _case(function: InferenceFunction, name: str, changed: dict[str, Any], arguments: Inputs) -> dict[str, Any]:
    conventions = replace(EXACT, **changed)
    rules = right_rules(conventions)
    exact = function.expected(rules, _fractions(arguments), {})
    bound = function.expected(right_rules(_in_floats(conventions)), with_tracked(arguments), {})
    return {
        "name": name,
        "conventions": changed,
        "arguments": {key: written(value) for key, value in arguments.items()},
        "results": _by_symbol(_with_new_weights(exact, arguments), written),
        "tolerance": _by_symbol(bound, written_bound),
        "catches": _catches(function, right_rules(_in_floats(conventions)), arguments, bound),
    }


def _with_new_weights(exact: Quantities, arguments: Inputs) -> Quantities:
    """What a step returns besides what leads to it: W + η ΔW, b + η Δb."""
    if "eta" not in arguments:
        return exact
    new = {}
    for letter in ("W", "b") if "b" in arguments else ("W",):
        for layer, old in enumerate(_fractions({letter: arguments[letter]})[letter], start=1):
            change = exact[f"Δ{letter} of layer {layer}"]
            new[f"{letter} of layer {layer}"] = old + Fraction(arguments["eta"]) * change
    return exact | new


def _by_symbol(quantities: Quantities, write: Callable[[Any], Any]) -> dict[str, Any]:
    """Quantities of layers in a list each, the lowest first: "dW", "h" …"""
    found: dict[str, Any] = {}
    for name, value in quantities.items():
        symbol, of_layer, _ = name.replace("Δ", "d").partition(" of layer ")
        if of_layer:
            found.setdefault(symbol, []).append(write(value))
        else:
            found[symbol] = write(value)
    return found


def _in_floats(conventions: InferenceConventions) -> InferenceConventions:
    return replace(conventions, slope=float(conventions.slope), energy_factor=float(conventions.energy_factor))


def _fractions(inputs: Inputs) -> Inputs:
    """Arguments in Fractions, but for the number of steps."""

    def exact(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(map(exact, value))
        if isinstance(value, np.ndarray):
            return np.vectorize(Fraction, otypes=[object])(value)
        return Fraction(value)

    return {name: value if name == "steps" else exact(value) for name, value in inputs.items()}


def _catches(function: InferenceFunction, rules: Rules, inputs: Inputs, bound: dict[str, Tracked]) -> list[str]:
    """Return the catalogued mistakes that give another result here, by far more than rounding does."""
    found = []
    for name in MISTAKES_OF_V1:
        change: Callable[[Any], Any] = INFERENCE_VARIANTS[name].change
        changed = change(rules)
        if changed is not None and _differs(function.expected(changed, inputs, {}), bound):
            found.append(name)
    return found


def _differs(values: Quantities, bound: dict[str, Tracked]) -> bool:
    for name, right in bound.items():
        rounding = np.maximum(2 * right.allowance(PRECISIONS["float64"]), 1e-6 * np.max(np.abs(right.value)))
        if not np.all(np.abs(np.asarray(values[name]) - right.value) <= rounding):
            return True
    return False
