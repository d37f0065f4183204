"""Code that can be pasted, and shows one failure."""

from typing import Any

import numpy as np

from copi_ref.arrays.backend import HostArray
from copi_ref.oracle.calling.arguments import as_given
from copi_ref.oracle.calling.calling import Call, Caller
from copi_ref.oracle.contract.functions import SAMPLES_FIRST, AnyFunction
from copi_ref.oracle.contract.pieces import Inputs
from copi_ref.oracle.inputs.cases import Case
from copi_ref.oracle.judging.comparison import Element, Outcome
from copi_ref.oracle.judging.replaying import Replay

_MODULES = {"jax": "jax.numpy"}
_RATES = {"W": "eta_w", "R": "eta_r", "b": "eta_w"}


def reproducer(
    caller: Caller, function: AnyFunction, case: Case, failed: Outcome, earlier: tuple[Call, ...] = ()
) -> str:
    """Return Python that calls the function on a case, after earlier calls; `implementation` in it is a new one."""
    lines = _imports(caller)
    if earlier:
        lines.append("# State is kept from call to call: make a new `implementation`. What comes first:")
    before: Inputs = {}
    for call in earlier:
        lines += [*_arguments(caller, call, before), _written_call(caller, call)]
        before = call.inputs
    last = Call(function, case.inputs, case.strided)
    if earlier:
        lines.append("# And what is wrong then:")
    lines += [*_arguments(caller, last, before), f"print({_written_call(caller, last)})"]
    if failed.worst is not None:
        lines += _what_it_has_to_be(caller, function, case, failed.worst)
    elif failed.verdict is not None:
        lines.append(f"# {failed.verdict}")
    return "\n".join(lines)


def overwriting(caller: Caller, function: AnyFunction, first: Replay, later: Call) -> str:
    """Return Python that shows how a later call writes over what the first has returned."""
    call = Call(function, first.case.inputs, first.case.strided)
    lines = [*_imports(caller), *_arguments(caller, call, {}), f"first = {_written_call(caller, call)}", "print(first)"]
    lines += [*_arguments(caller, later, call.inputs), _written_call(caller, later)]
    return "\n".join([*lines, "print(first)", "# the same was printed twice if the second call left it alone"])


def element_shown(caller: Caller, case: Case, worst: Element) -> str:
    """Return the element in words; of an update of a step, what became of the weight too."""
    if (new := _new_weight(caller, case, worst)) is None:
        return str(worst)
    name, actual, expected = new
    return f"{worst}; the {name} is {actual!r}, has to be {expected!r}"


def _what_it_has_to_be(caller: Caller, function: AnyFunction, case: Case, worst: Element) -> list[str]:
    index = worst.index
    if caller.conventions.samples == "columns" and worst.quantity[0] in "xayδhep":
        index = index[::-1]
    place = f"{worst.quantity}{[*index]}"
    if (new := _new_weight(caller, case, worst)) is None:
        return [f"# {place} is {worst.actual!r}, has to be {worst.expected!r}: {function.equation}"]
    name, actual, expected = new
    letter = worst.quantity[1]
    rate = _RATES[letter]
    return [
        f"# {name} is {actual!r}, has to be {expected!r}: {function.equation}",
        f"# that is, (new {letter} − {letter})/{rate} is {worst.actual!r}, has to be {worst.expected!r}",
    ]


def _new_weight(caller: Caller, case: Case, worst: Element) -> tuple[str, float, float] | None:
    """Name the weight that an element of ΔW or ΔR of a step was recovered from, as it is and as it has to be."""
    letter = worst.quantity[1:2]
    eta = _RATES.get(letter, "")
    if not (worst.quantity.startswith("Δ") and " of layer " in worst.quantity and eta in case.inputs):
        return None
    layer = int(worst.quantity.rpartition(" ")[2])
    old, rate = float(case.inputs[letter][layer - 1][worst.index]), float(case.inputs[eta])
    actual, expected = (
        float(caller.precision.representable(np.asarray(old + rate * update)))
        for update in (worst.actual, worst.expected)
    )
    return f"new {letter} of layer {layer}{[*worst.index]}", actual, expected


def _imports(caller: Caller) -> list[str]:
    library = library_name(caller)
    lines = [f"import {_MODULES.get(library, library)} as xp"]
    if library == "jax" and caller.precision.dtype == "float64":
        lines.append('import jax; jax.config.update("jax_enable_x64", True)')
    return lines


def _written_call(caller: Caller, call: Call) -> str:
    return f"implementation.{call.function.name}({', '.join(call.function.arguments_given(caller.conventions))})"


def _arguments(caller: Caller, call: Call, before: Inputs) -> list[str]:
    """Set the arguments, unless the call before had the same."""
    if call.inputs is before:
        return []
    given = as_given(caller.conventions, call.inputs)
    return [
        f"{name} = {_written(caller, name, given[name], call.strided)}"
        for name in call.function.arguments_given(caller.conventions)
    ]


def library_name(caller: Caller) -> str:
    """Return the plain name of the array library: "torch"."""
    return str(caller.xp.__name__).removeprefix("array_api_compat.").partition(".")[0]


def _written(caller: Caller, name: str, value: Any, strided: bool) -> str:
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(_written(caller, name, one, strided) for one in value) + "]"
    if isinstance(value, np.ndarray) and value.dtype.kind == "i":
        return f"xp.asarray({value.tolist()})"
    if isinstance(value, np.ndarray):
        dtype, columns = caller.precision.dtype, caller.conventions.samples == "columns" and name in SAMPLES_FIRST
        # Handed over as the transpose of another array, where it was: code may go wrong for such memory only.
        turned = value.T if columns != strided else value
        return f"xp.asarray({_numbers(turned, dtype)}, dtype=xp.{dtype})" + (".T" if strided else "")
    return repr(value)


def _numbers(array: HostArray, dtype: str) -> str:
    if array.ndim > 1:
        return "[" + ", ".join(_numbers(row, dtype) for row in array) + "]"
    return "[" + ", ".join(_number(float(one), dtype) for one in array) + "]"


def _number(value: float, dtype: str) -> str:
    """As few digits as read back the same in the format."""
    if value == int(value):
        return f"{value:.0f}."
    return str(np.float32(value)) if dtype != "float64" else repr(value)
