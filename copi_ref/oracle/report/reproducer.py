"""Code that can be pasted, and shows one failure."""

from typing import Any

import numpy as np

from copi_ref.arrays.backend import HostArray
from copi_ref.oracle.calling.calling import Caller
from copi_ref.oracle.contract.functions import SAMPLES_FIRST, Function
from copi_ref.oracle.inputs.cases import Case
from copi_ref.oracle.judging.comparison import Element

_MODULES = {"jax": "jax.numpy"}


def reproducer(caller: Caller, function: Function, case: Case, worst: Element | None) -> str:
    """Return Python that calls the function on a case; `implementation` in it is the user's own."""
    library = library_name(caller)
    names = function.arguments_given(case.inputs)
    lines = [f"import {_MODULES.get(library, library)} as xp"]
    if library == "jax" and caller.precision.dtype == "float64":
        lines.append('import jax; jax.config.update("jax_enable_x64", True)')
    lines += [f"{name} = {_written(caller, name, case.inputs[name])}" for name in names]
    lines.append(f"print(implementation.{function.name}({', '.join(names)}))")
    if worst is not None:
        lines.append(f"# {worst.quantity}{list(worst.index)} has to be {worst.expected!r}: {function.equation}")
    return "\n".join(lines)


def library_name(caller: Caller) -> str:
    """Return the plain name of the array library: "torch"."""
    return str(caller.xp.__name__).removeprefix("array_api_compat.").partition(".")[0]


def _written(caller: Caller, name: str, value: Any) -> str:
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(_written(caller, name, one) for one in value) + "]"
    if isinstance(value, np.ndarray):
        turned = value.T if caller.conventions.samples == "columns" and name in SAMPLES_FIRST else value
        return f"xp.asarray({_numbers(turned, caller.precision.dtype)}, dtype=xp.{caller.precision.dtype})"
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
