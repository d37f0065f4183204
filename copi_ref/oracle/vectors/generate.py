"""Computing the vectors: inputs from a fixed sequence, exact results from the library's own functions on Fractions."""

import itertools
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from copi_ref.arrays.backend import HostArray
from copi_ref.learning_rules import fixed_point, oja_update
from copi_ref.oracle.contract.conventions import AS_PRINTED, Conventions
from copi_ref.oracle.contract.functions import FUNCTIONS, Function
from copi_ref.oracle.contract.pieces import Inputs, Quantities, forward, perturbations, right_pieces, whole_step
from copi_ref.oracle.inputs.cases import with_tracked
from copi_ref.oracle.naming.catalogue import VARIANTS
from copi_ref.oracle.naming.catalogue.moments import C_off, mean_outer, mean_square
from copi_ref.oracle.rounding import PRECISIONS, Tracked, tracked
from copi_ref.oracle.vectors.inputs import Source, layers, network, networks
from copi_ref.oracle.vectors.text import written, written_bound

FORMAT = 1
EXACT = replace(AS_PRINTED, slope=Fraction(1, 10))
TRAJECTORY_STEPS = 5
MISTAKES_OF_V1 = (Path(__file__).parent / "mistakes_of_v1.txt").read_text(encoding="utf-8").split()
"""The mistakes that were catalogued when v1 was made: vectors don't change when others become known."""


def all_vectors() -> dict[str, dict[str, Any]]:
    """Return the content of each file, by its name."""
    contents = {name: list(_equation_cases(FUNCTIONS[name])) for name in _EQUATIONS}
    contents |= {name: list(_network_cases(FUNCTIONS[name])) for name in ("forward", "perturbations", "step")}
    equations = {name: FUNCTIONS[name].equation for name in contents}
    more = {
        "trajectory": (list(_trajectory_cases()), "Alg. 1, lines 3 to 16, five times"),
        "full_update": (list(_full_cases()), "Eq. 2: ΔW = E[z xᵀ] E[x xᵀ]⁻¹ − W"),
        "fixed_point": (list(_fixed_point_cases()), "App. B: W = E[z xᵀ] diag(E[x²])⁻¹; 0 where E[x²] = 0"),
        "oja_update": (list(_oja_cases()), "App. C: ΔM = E[y xᵀ] − diag(E[y²]) M"),
    }
    contents |= {name: cases for name, (cases, _) in more.items()}
    equations |= {name: equation for name, (_, equation) in more.items()}
    return {
        name: {"format": FORMAT, "function": name, "equation": equations[name], "cases": cases}
        for name, cases in contents.items()
    }


# --- exact results ----------------------------------------------------------------------------------------------------


def fractions(value: Any) -> Any:
    """Return float arrays as object arrays of Fractions, exactly."""
    if isinstance(value, tuple):
        return tuple(map(fractions, value))
    if isinstance(value, np.ndarray):
        return np.array([[Fraction(one) for one in row] for row in value.tolist()], dtype=object)
    return Fraction(value)


def _layered(quantities: Quantities, symbol: str, layers: int, write: Callable[[Any], Any]) -> list[Any]:
    return [write(quantities[f"{symbol} of layer {layer}"]) for layer in range(1, layers + 1)]


def _catches(function: Function, conventions: Conventions, inputs: Inputs) -> list[str]:
    """Return the catalogued mistakes that give another result here: by more than 10⁻⁶ of the largest entry, and than
    rounding does. (The ΔR of a single unit is 0, and what is found in its place is rounding, another on each machine.)
    """
    right = right_pieces(replace(conventions, slope=float(conventions.slope)))
    expected = function.expected(right, with_tracked(inputs), {})
    return [
        name
        for name in MISTAKES_OF_V1
        if (changed := VARIANTS[name].change(right)) is not None and _differs(function, changed, inputs, expected)
    ]


def _differs(function: Function, pieces: Any, inputs: Inputs, expected: dict[str, Tracked]) -> bool:
    with np.errstate(all="ignore"):
        try:
            found = function.expected(pieces, inputs, {})
        except np.linalg.LinAlgError:
            return True
        return any(
            name in found and not np.all(np.abs(found[name] - right.value) <= _indistinguishable(right))
            for name, right in expected.items()
            if name.startswith("Δ") or function.name != "step"
        )


def _indistinguishable(right: Tracked) -> HostArray:
    rounding = 2 * right.allowance(PRECISIONS["float64"])  # of both
    return np.asarray(np.maximum(rounding, 1e-6 * np.max(np.abs(right.value))))


def _case(
    name: str,
    changed: dict[str, Any],
    arguments: Inputs,
    intermediates: Any,
    results: Any,
    tolerance: Any,
    catches: Any,
) -> dict[str, Any]:
    return {
        "name": name,
        "conventions": changed,
        "arguments": {key: written(value) for key, value in arguments.items()},
        "intermediates": intermediates,
        "results": results,
        "tolerance": tolerance,
        "catches": catches,
    }


# --- equations --------------------------------------------------------------------------------------------------------

_EQUATIONS: dict[str, tuple[str, Callable[[Inputs], dict[str, HostArray]]]] = {
    "copi_update": ("dW", lambda q: {"E[z xT]": mean_outer(q["z"], q["x"]), "E[x^2]": _powers(q["x"])}),
    "sgd_update": ("dW", lambda q: {}),
    "decorrelation_update": ("dR", lambda q: {"C": mean_outer(q["x"], q["x"]), "C_off": C_off(q["x"])}),
}
"""The name of each result, and what stands on the way to it."""


def _powers(x: HostArray) -> HostArray:
    return mean_square(x)[None, :]


def _equation_cases(function: Function) -> Iterator[dict[str, Any]]:
    result, on_the_way = _EQUATIONS[function.name]
    rules: tuple[dict[str, Any], ...] = ({},)
    if function.name == "decorrelation_update":
        rules = ({}, {"lateral_rule": "left"}, {"lateral_rule": "symmetric"})
    for (name, inputs), changed in itertools.product(layers(), rules):
        conventions = replace(EXACT, **changed)
        pieces = right_pieces(conventions)
        arguments = {key: inputs[key] for key in function.arguments}
        exact = function.expected(pieces, fractions_of(arguments), {})[function.result]
        bound = function.expected(pieces, with_tracked(arguments), {})
        more = {key: written(value) for key, value in on_the_way(fractions_of(arguments)).items()}
        rule = f", rule {changed['lateral_rule']}" if changed else ""
        yield _case(
            name + rule, changed, arguments, more, {result: written(exact)},
            {result: written_bound(bound[function.result])}, _catches(function, conventions, arguments),
        )  # fmt: skip


def fractions_of(inputs: Inputs) -> Inputs:
    """Return inputs with everything as Fractions."""
    return {name: fractions(value) for name, value in inputs.items()}


def _direct_cases(function: Callable[..., Any], names: tuple[str, ...], result: str) -> Iterator[dict[str, Any]]:
    """Cases of an equation that is no part of the contract, so that no mistakes of it are catalogued."""
    for name, layer in layers():
        inputs = {"x": layer["x"], "y": layer["z"], "z": layer["z"], "M": layer["W"]}
        arguments = {key: inputs[key] for key in names}
        exact = function(*(fractions(value) for value in arguments.values()))
        bound = function(*(tracked(value) for value in arguments.values()))
        yield _case(name, {}, arguments, {}, {result: written(exact)}, {result: written_bound(bound)}, [])


def _oja_cases() -> Iterator[dict[str, Any]]:
    return _direct_cases(oja_update, ("x", "y", "M"), "dM")


def _fixed_point_cases() -> Iterator[dict[str, Any]]:
    for name, layer in layers():
        arguments = {"x": layer["x"], "z": layer["z"]}
        exact = np.asarray(fixed_point(*(fractions(value) for value in arguments.values())))
        # E[z xᵀ]/E[x²]: magnitudes of the numerator over the exact denominator, which is a sum of squares.
        numerator, powers = tracked(layer["z"]).mT @ (tracked(layer["x"]) / len(layer["x"])), _powers(layer["x"])
        bound = Tracked(
            exact.astype(float), numerator.magnitude / np.where(powers == 0, 1, powers), 2 * numerator.roundings + 1
        )
        yield _case(name, {}, arguments, {}, {"W": written(exact)}, {"W": written_bound(bound)}, [])


def _full_cases() -> Iterator[dict[str, Any]]:
    """Eq. 2 where E[x xᵀ] has an inverse; no tolerance: it depends on the condition and on how the inverse is found."""
    for name, layer in layers():
        x, z, W = (fractions(layer[key]) for key in ("x", "z", "W"))
        inverse = _inverse(mean_outer(x, x))
        if inverse is None:
            continue
        exact = mean_outer(z, x) @ inverse - W
        arguments = {key: layer[key] for key in ("x", "z", "W")}
        yield _case(name, {}, arguments, {"inverse of E[x xT]": written(inverse)}, {"dW": written(exact)}, {}, [])


def _inverse(C: HostArray) -> HostArray | None:
    """Invert exactly by Faddeev and LeVerrier's recursion; None if C is singular."""
    identity = fractions(np.eye(len(C)))
    M, c = 0 * identity, Fraction(1)
    for k in range(1, len(C) + 1):
        M = C @ M + c * identity
        c = -np.trace(C @ M) / k
    return np.asarray(-M / c) if c else None


# --- networks ---------------------------------------------------------------------------------------------------------


def _network_cases(function: Function) -> Iterator[dict[str, Any]]:
    for name, changed, inputs in networks():
        if function.name == "forward" and changed:
            continue  # nothing of it changes the forward pass
        yield {"forward": _forward_case, "perturbations": _perturbation_case, "step": _step_case}[function.name](
            function, name, changed, inputs
        )


def _forward_case(function: Function, name: str, changed: dict[str, Any], inputs: Inputs) -> dict[str, Any]:
    arguments = {key: inputs[key] for key in function.arguments}
    pieces, layers = right_pieces(EXACT), len(inputs["W"])
    exact = forward(pieces, fractions_of(arguments), {})
    bound = forward(pieces, with_tracked(arguments), {})
    results = {symbol: _layered(exact, symbol, layers, written) for symbol in "xay"}
    tolerance = {symbol: _layered(bound, symbol, layers, written_bound) for symbol in "xay"}
    return _case(name, changed, arguments, {}, results, tolerance, _catches(function, EXACT, arguments))


def _perturbation_case(function: Function, name: str, changed: dict[str, Any], inputs: Inputs) -> dict[str, Any]:
    """x, a and y are those of the forward pass, rounded once; δ is exact for these."""
    conventions = replace(EXACT, **changed)
    pieces, layers = right_pieces(conventions), len(inputs["W"])
    found = forward(pieces, fractions_of({key: inputs[key] for key in ("W", "R", "y0")}), {})
    trace = {symbol: tuple(_layered(found, symbol, layers, lambda array: array.astype(float))) for symbol in "xay"}
    given = {**inputs, **trace}
    arguments = {key: given[key] for key in function.arguments_given(conventions)}
    # In one pass from what is given: a reader of vectors that computes a and y again has its own rounding beside.
    exact, bound = (perturbations(pieces, read(arguments), {}) for read in (fractions_of, with_tracked))
    results = {"delta": _layered(exact, "δ", layers, written)}
    tolerance = {"delta": _layered(bound, "δ", layers, written_bound)}
    return _case(name, changed, arguments, {}, results, tolerance, _catches(function, conventions, arguments))


def _step_case(
    function: Function, name: str, changed: dict[str, Any], inputs: Inputs, eta_w: float = 2.0, eta_r: float = 4.0
) -> dict[str, Any]:
    """Rates above 1, so that a wrong update does not hide in the weights."""
    conventions = replace(EXACT, **changed)
    pieces, layers = right_pieces(conventions), len(inputs["W"])
    given = {**inputs, "eta_w": eta_w, "eta_r": eta_r}
    arguments = {key: given[key] for key in function.arguments_given(conventions)}

    def stepped(write: Callable[[Any], Any], start: Inputs) -> tuple[dict[str, Any], dict[str, Any]]:
        found = whole_step(pieces, start, {})
        new = {
            letter: [
                write(A + start[eta] * found[f"Δ{letter} of layer {at + 1}"]) for at, A in enumerate(start[letter])
            ]
            for letter, eta in (("W", "eta_w"), ("R", "eta_r"))
        }
        symbols = (("x", "x"), ("a", "a"), ("y", "y"), ("delta", "δ"), ("dW", "ΔW"), ("dR", "ΔR"))
        return {key: _layered(found, symbol, layers, write) for key, symbol in symbols}, new

    on_the_way, results = stepped(written, fractions_of(arguments))
    _, tolerance = stepped(written_bound, with_tracked(arguments))
    return _case(name, changed, arguments, on_the_way, results, tolerance, _catches(function, conventions, arguments))


def _trajectory_cases() -> Iterator[dict[str, Any]]:
    """Five steps: each exact for the weights of the one before as they were rounded to float64."""
    source = Source(random.Random(20231115))
    for name, changed in (
        ("rule right", {}),
        ("rule left", {"lateral_rule": "left"}),
        ("rule symmetric", {"lateral_rule": "symmetric"}),
    ):
        inputs = network(source, (3, 4, 2), 5, False, "bp")
        inputs["R"] = tuple(np.eye(len(R)) for R in inputs["R"])
        steps = []
        for number in range(1, TRAJECTORY_STEPS + 1):
            batch = {"y0": source.matrix(5, 3, 0.5), "target": source.matrix(5, 2, 0.5)}
            case = _step_case(FUNCTIONS["step"], f"step {number}", changed, {**inputs, **batch}, 0.25, 0.125)
            steps.append({key: case[key] for key in ("arguments", "intermediates", "results", "tolerance")})
            new = {
                letter: tuple(
                    np.array([[float.fromhex(one) for one in row] for row in A]) for A in case["results"][letter]
                )
                for letter in "WR"
            }
            inputs |= new
        yield {"name": name, "conventions": changed, "steps": steps, "catches": case["catches"]}
