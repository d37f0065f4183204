"""The vectors' numbers and JSON: one key a line, one matrix row a line, so that a difference can be read."""

import json
import re
from fractions import Fraction
from typing import Any

import numpy as np

from copi_ref.oracle.rounding import Tracked


def exact_hex(number: Fraction | int) -> str:
    """Return the float64 nearest to an exact number, as a C hex float."""
    return _short(float(number))


def _short(number: float) -> str:
    """Return a hex float without the zeros at its end."""
    return re.sub(r"\.?0+p", "p", number.hex())


def rounded_hex(number: float) -> str:
    """Return a bound to 16 bits: how magnitudes were summed must not show in a file."""
    mantissa, exponent = np.frexp(number)
    return _short(float(np.ldexp(np.rint(mantissa * 2**16), exponent - 16)))


def written(value: Any) -> Any:
    """Write exact arrays and numbers, and tuples of them, as hex floats."""
    if isinstance(value, (tuple, list)):
        return [written(one) for one in value]
    if isinstance(value, np.ndarray):
        return [written(list(row)) for row in value] if value.ndim > 1 else [exact_hex(one) for one in value]
    return exact_hex(value)


def written_bound(quantity: Tracked) -> dict[str, Any]:
    """Write what rounding may do to a quantity: how often, and the magnitudes."""
    magnitude = np.atleast_2d(quantity.magnitude)
    return {
        "roundings": quantity.roundings,
        "magnitude": [[rounded_hex(float(one)) for one in row] for row in magnitude],
    }


def as_json(vectors: dict[str, Any]) -> str:
    """Return JSON; lists of plain numbers or names stand on one line."""
    return _json(vectors, "") + "\n"


def _json(value: Any, indent: str) -> str:
    deeper = indent + " "
    if isinstance(value, dict) and value:
        entries = (f"{deeper}{json.dumps(key)}: {_json(one, deeper)}" for key, one in value.items())
        return "{\n" + ",\n".join(entries) + f"\n{indent}}}"
    if isinstance(value, list) and any(isinstance(one, (dict, list)) for one in value):
        return "[\n" + ",\n".join(deeper + _json(one, deeper) for one in value) + f"\n{indent}]"
    return json.dumps(value, ensure_ascii=False)
