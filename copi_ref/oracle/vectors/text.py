"""The vectors' numbers and JSON: one key a line, one matrix row a line, so that a difference can be read."""

import json
import re
from fractions import Fraction
from typing import Any

import numpy as np


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
