"""Every intermediate of one step on a small network, to lay beside one's own."""

from typing import Any

import numpy as np

from copi_ref.arrays.backend import HostArray
from copi_ref.oracle.calling.arguments import as_given
from copi_ref.oracle.contract.asked import conventions_of
from copi_ref.oracle.contract.conventions import AS_PRINTED, Conventions
from copi_ref.oracle.contract.functions import SAMPLES_FIRST
from copi_ref.oracle.contract.pieces import Inputs, right_pieces, whole_step
from copi_ref.oracle.naming.catalogue.moments import C_off, mean_outer, mean_square


def example(conventions: Conventions = AS_PRINTED) -> Inputs:
    """Return a network of 2, 3 and 2 units, two samples and their targets: small numbers that can be typed in."""
    conventions_of(conventions, Conventions)
    symmetric = conventions.assumes_symmetric_R
    inputs: Inputs = {
        "y0": np.array([[1.0, 2.0], [3.0, -1.0]]),
        "target": np.array([[1.0, 0.0], [0.0, 1.0]]),
        "W": (np.array([[1.0, -1.0], [2.0, 0.5], [-0.5, 1.0]]), np.array([[1.0, -0.5, -1.0], [-0.5, 1.0, 2.0]])),
        "R": (
            np.array([[1.0, 0.5], [0.5 if symmetric else 0.25, 1.0]]),
            np.array([[1.0, 0.5, 0.0], [0.5 if symmetric else 0.0, 1.0, 0.25], [0.0, 0.25, 1.0]]),
        ),
        "eta_w": 0.5,
        "eta_r": 0.25,
    }
    if not conventions.has_R:
        inputs["R"] = (np.eye(2), np.eye(3))
    if conventions.biases:
        inputs["b"] = (np.array([0.5, -1.0, 0.25]), np.array([0.25, -0.5]))
    if conventions.has_B:  # of two layers FA and DFA are the same
        inputs["B"] = (np.array([[0.5, -1.0], [1.0, 0.25], [-0.5, 1.0]]),)
    if conventions.subsampled:
        inputs["indices"] = (np.array([1]), np.array([0]))
    return inputs


def explain(conventions: Conventions = AS_PRINTED) -> dict[str, dict[str, Any]]:
    """Return all quantities of one step, in the order in which they are computed.

    Returns:
        Sections "given", "layer 1" …, "backward", "updates", each a dict of arrays (samples as in the conventions).
    """
    inputs = example(conventions)
    pieces = right_pieces(conventions)
    found = whole_step(pieces, inputs, {})
    layers = range(1, len(inputs["W"]) + 1)
    given = as_given(conventions, inputs)
    if not conventions.has_R:
        given = {name: value for name, value in given.items() if name not in ("R", "eta_r")}
    sections: dict[str, dict[str, Any]] = {"given": _given(given)}
    for layer in layers:
        section = sections[f"layer {layer}, forward"] = {}
        for symbol, says in (("x", "x = R y"), ("a", "a = W x"), ("y", "y = f(a)")):
            section[f"{symbol}{layer}  ({says})"] = found[f"{symbol} of layer {layer}"]
    sections["backward"] = {f"delta{layer}": found[f"δ of layer {layer}"] for layer in reversed(layers)}
    for layer in layers:
        sections[f"layer {layer}, updates"] = _updates(conventions, inputs, found, layer)
    return {
        title: {name: _turned(conventions, name, value) for name, value in section.items()}
        for title, section in sections.items()
    }


def _given(inputs: Inputs) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for name, value in inputs.items():
        if isinstance(value, tuple):
            first = 2 if name == "B" else 1
            given |= {f"{name}{first + at}": one for at, one in enumerate(value)}
        else:
            given[name] = value
    return given


def _updates(conventions: Conventions, inputs: Inputs, found: Inputs, layer: int) -> dict[str, Any]:
    x, W, R = found[f"x of layer {layer}"], inputs["W"][layer - 1], inputs["R"][layer - 1]
    z = right_pieces(conventions).target_state(
        found[f"a of layer {layer}"], found[f"y of layer {layer}"], found[f"δ of layer {layer}"]
    )
    dW, dR = found[f"ΔW of layer {layer}"], found[f"ΔR of layer {layer}"]
    moments = {f"z{layer}  (a + δ)": z, "E[z xᵀ]": mean_outer(z, x), "E[x²]": mean_square(x)}
    updates = moments if conventions.weight_rule == "copi" else {}
    updates |= {f"ΔW{layer}": dW}
    if conventions.has_R:
        updates |= {f"C_off{layer}": C_off(x), f"ΔR{layer}": dR}
    updates |= {f"W{layer} + η_W ΔW{layer}": W + inputs["eta_w"] * dW}
    if conventions.has_R:
        updates |= {f"R{layer} + η_R ΔR{layer}": R + inputs["eta_r"] * dR}
    if conventions.biases:
        db, b = found[f"Δb of layer {layer}"], inputs["b"][layer - 1]
        updates |= {f"Δb{layer}": db, f"b{layer} + η_W Δb{layer}": b + inputs["eta_w"] * db}
    return updates


def _turned(conventions: Conventions, name: str, value: Any) -> Any:
    """Samples on the axis where the implementation has them."""
    symbol = name.split()[0].rstrip("0123456789")
    has_samples = symbol in SAMPLES_FIRST or name == "y0"
    columns = conventions.samples == "columns" and has_samples and isinstance(value, np.ndarray)
    return value.T if columns else value


def as_text(sections: dict[str, dict[str, Any]]) -> str:
    """Lay the quantities out for a terminal."""
    lines = []
    for title, section in sections.items():
        lines += ["", title, "-" * len(title)]
        for name, value in section.items():
            lines += _block(name, value)
    return "\n".join(lines[1:])


def _block(name: str, value: Any) -> list[str]:
    if not isinstance(value, np.ndarray):
        return [f"{name} = {value:g}"]
    return [f"{name} ="] + [f"    [{', '.join(f'{number:.12g}' for number in row)}]" for row in _rows(value)]


def _rows(value: HostArray) -> HostArray:
    return value if value.ndim > 1 else value[None, :]
