"""Records of arrays as a reader wants to see them: shapes in the place of numbers."""

from dataclasses import fields, is_dataclass
from typing import Any

from copi_ref.arrays.backend import library_of
from copi_ref.arrays.checks import is_exact


def shown(record: Any) -> str:
    """Return a record's repr without its numbers, for ``__repr__ = shown`` in a dataclass or named tuple.

    ``Params(W=(500×784, 10×500), R=(784×784, 500×500), mean=None; float32 of numpy)``. Functions are shown by name.
    """
    names = [field.name for field in fields(record)] if is_dataclass(record) else record._fields
    kinds: dict[str, None] = {}
    entries = ", ".join(f"{name}={_entry(getattr(record, name), kinds)}" for name in names)
    return f"{type(record).__name__}({entries}{'; ' if kinds else ''}{', '.join(kinds)})"


def kind_of(array: Any) -> str:
    """Return dtype and library of an array: ``float32 of numpy``."""
    dtype = "Fraction" if is_exact(array) else str(array.dtype).rpartition(".")[2]
    return f"{dtype} of {library_of(array)}"


def _entry(value: Any, kinds: dict[str, None]) -> str:
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        kinds[kind_of(value)] = None
        return "×".join(map(str, value.shape)) or "scalar"
    if isinstance(value, tuple) and not hasattr(value, "_fields"):
        return f"({', '.join(_entry(one, kinds) for one in value)}{',' if len(value) == 1 else ''})"
    if callable(value) and hasattr(value, "__qualname__"):  # a function; dataclasses that are called have a repr
        return str(value.__qualname__)
    return repr(value)
