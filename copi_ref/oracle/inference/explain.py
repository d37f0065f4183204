"""Every intermediate of one step of Inference Learning on a small network, to lay beside one's own."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from copi_ref.oracle.contract.asked import conventions_of
from copi_ref.oracle.contract.pieces import Inputs
from copi_ref.oracle.inference.composition import changes, inferred, started, without_target
from copi_ref.oracle.inference.conventions import THIS_LIBRARY, InferenceConventions
from copi_ref.oracle.inference.functions import in_step, net_of
from copi_ref.oracle.inference.right import factor_of, right_rules
from copi_ref.oracle.inference.rules import At

_STEPS = 2


def example(conventions: InferenceConventions = THIS_LIBRARY) -> Inputs:
    """Return a network of 2, 3 and 2 units, or of as many layers as there are precisions, two samples and a target."""
    conventions_of(conventions, InferenceConventions)
    sizes = [2, *(3 for _ in range((conventions.depth or 2) - 1)), 2]
    numbers = iter(np.tile([1.0, -1.0, 0.5, 2.0, -0.5, 1.5], 40))

    def matrix(rows: int, columns: int) -> Any:
        return np.array([[next(numbers) for _ in range(columns)] for _ in range(rows)])

    inputs: Inputs = {
        "y0": np.array([[1.0, 2.0], [3.0, -1.0]]),
        "target": np.array([[1.0, 0.0], [0.0, 1.0]]),
        "W": tuple(matrix(units, below) for below, units in pairwise(sizes)),
        "gamma": 0.25,
        "eta": 0.5,
    }
    if conventions.inference_rate == "per-layer":
        inputs["gamma"] = [0.25 / layer for layer in range(1, len(sizes))]
    if conventions.biases != "none":
        inputs["b"] = tuple(matrix(1, units)[0] for units in sizes[1:])
    return inputs


def explain_inference(conventions: InferenceConventions = THIS_LIBRARY) -> dict[str, dict[str, Any]]:
    """Return all quantities of a step with two steps of inference, in the order in which they are computed.

    Returns:
        Sections "given", "start", "after 1 steps" …, "updates", each a dict of arrays (samples as in the conventions).
    """
    inputs = example(conventions)
    rules, net = in_step(right_rules(conventions)), net_of(inputs)
    place = At(rules, without_target(rules, net), started(rules, net))
    sections = {"given": _given(inputs), "start": _of_place(place)}
    for step in range(1, _STEPS + 1):
        place = inferred(rules, place, 1)
        sections[f"after {step} step{'s' * (step > 1)} of inference"] = _of_place(place)
    sections["updates"] = {}
    for name, change in changes(place).items():
        letter, layer = name[1], int(name.rpartition(" ")[2])
        old = (net.W if letter == "W" else net.b or ())[layer - 1]
        new = f"{letter}{layer} + η Δ{letter}{layer}"
        sections["updates"] |= {f"Δ{letter}{layer}": change, new: old + net.eta * change}
    if conventions.samples == "rows":
        return sections
    return {title: {name: _turned(name, one) for name, one in part.items()} for title, part in sections.items()}


def _given(inputs: Inputs) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for name, value in inputs.items():
        if isinstance(value, (tuple, list)):
            given |= {f"{name}{layer}": one for layer, one in enumerate(value, start=1)}
        else:
            given[name] = value
    return given


def _of_place(at: At) -> dict[str, Any]:
    """What the network sees at some states, layer by layer."""
    section: dict[str, Any] = {}
    moving = set(at.rules.moves(at))
    for k in range(1, at.net.layers + 1):
        sign = at.rules.conventions.error_sign
        section |= {f"h{k}": at.h(k), f"x{k}": at.x(k), f"a{k}": at.a(k), f"p{k}": at.p(k), f"e{k}": sign * at.e(k)}
        if k in moving:
            section[f"∂F/∂h{k}"] = at.rules.gradient(at, k) / factor_of(at)
    per_sample = at.rules.with_changes(conventions=replace(at.rules.conventions, energy_reduction="per-sample"))
    section["F of each sample"] = per_sample.energy(at.with_rules(per_sample))
    return section


def _turned(name: str, value: Any) -> Any:
    has_samples = name in ("y0", "target") or name[0] in "hxape∂"
    return value.T if has_samples and isinstance(value, np.ndarray) and value.ndim > 1 else value
