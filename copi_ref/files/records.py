"""Records of a declared format: a dataclass says what there is, and `record` makes one of what JSON or TOML gave.

Each format is declared once, by the hints of its dataclass's fields: bool, int, float (finite), str, None, Any,
Literal, unions, lists, dicts with names as keys, and other such dataclasses; ``Annotated[int, range(1, 10)]`` bounds an
integer. A field without a default has to be there, and a key that is no field is refused.

This is a page of our own, where msgspec, cattrs or pydantic would do: runs and checkpoints have to be read on the plain
install, and one more library for everybody is much for five small formats.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

Record = TypeVar("Record")

LARGEST = 1 << 27
"""Bytes of a text: twice what the configuration of a million epochs with two schedules takes."""

DEPTH = 20
"""Levels of lists and objects where a format leaves open what there is."""

SHOWN = 60
"""Signs of a wrong value in a message."""

_KINDS: dict[Any, tuple[tuple[type, ...], str]] = {
    bool: ((bool,), "true or false"),
    int: ((int,), "a whole number"),
    float: ((int, float), "a number"),
    str: ((str,), "a text"),
    NoneType: ((NoneType,), "null"),
    list: ((list,), "a list"),
    dict: ((dict,), "an object, with names for its values"),
}


class RecordError(ValueError):
    """Content is not of a declared format; the message names the key, what came and what is needed."""


def parsed(loads: Callable[[str], Any], raw: bytes) -> Any:
    """Return what a text holds, parsed by ``json.loads`` or ``tomllib.loads``.

    Raises:
        ValueError: it is too large, no UTF-8, not of that syntax, or nested too deeply for the parser.
    """
    if len(raw) > LARGEST:
        raise ValueError(f"has {len(raw)} bytes: needs at most {LARGEST}")
    try:
        return loads(raw.decode())
    except RecursionError:
        raise ValueError("is nested too deeply") from None


@contextmanager
def reading(path: Path, what: str, error: type[Exception]) -> Iterator[None]:
    """Make one error, which names the file, of whatever parsers of zip, deflate, .npy or CSV raise on a damaged one."""
    try:
        yield
    except error:
        raise
    except Exception as fault:  # no list of theirs is complete: OverflowError, struct.error and LZMAError have come
        raise error(f"{path}: can't be read as {what} ({fault})") from fault


def record(kind: type[Record], values: Any, others: bool = False) -> Record:
    """Return the dataclass that `values` describe.

    Args:
        kind: the dataclass.
        values: what came, usually a dict.
        others: whether there may be keys that are no fields, which are left out.

    Raises:
        RecordError: a key is missing or unknown, or a value is not what its field says.
    """
    return _record(kind, values, "", others)


def keys_of(kind: type) -> tuple[list[str], list[str]]:
    """Return the keys that a format needs, and those that it may have."""
    optional = [one.name for one in fields(kind) if one.default is not MISSING or one.default_factory is not MISSING]
    return [one.name for one in fields(kind) if one.name not in optional], optional


def _record(kind: type[Record], values: Any, place: str, others: bool = False) -> Record:
    if not isinstance(values, dict):
        raise _wrong(place, values, kind)
    needed, optional = keys_of(kind)
    told = f"required are {', '.join(needed)}" + (f"; optional {', '.join(optional)}" if optional else "")
    where = f"{place}: " if place else ""
    if not others and (unknown := [key for key in values if key not in (*needed, *optional)]):
        raise RecordError(f"{where}has {_short(', '.join(unknown))}, which is no key: {told}")
    if missing := [key for key in needed if key not in values]:
        raise RecordError(f"{where}lacks {', '.join(missing)}: {told}")
    hints = get_type_hints(kind, include_extras=True)
    above = f"{place}." if place else ""
    return kind(**{key: _value(hint, values[key], above + key) for key, hint in hints.items() if key in values})


def _value(hint: Any, value: Any, place: str) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        _check_depth(value, place, DEPTH)
        return value
    if origin is Annotated:
        return _bounded(arguments[1], _value(arguments[0], value, place), place)
    if not _fits(hint, value):
        raise _wrong(place, value, hint)
    if origin in (Union, UnionType):
        return _value(next(one for one in arguments if _fits(one, value)), value, place)
    if is_dataclass(hint):
        return _record(hint, value, place)  # type: ignore[arg-type]  # it is no instance
    if origin is Literal and value not in arguments:
        raise RecordError(f"{place} is {_short(repr(value))}: choose one of {', '.join(map(repr, arguments))}")
    if origin is list:
        return [_value(arguments[0], one, f"{place}[{number}]") for number, one in enumerate(value)]
    if origin is dict:
        return {key: _value(arguments[1], one, f"{place}.{_short(key)}") for key, one in value.items()}
    if hint is float and not _is_finite(value):
        raise RecordError(f"{place} is {_short(repr(value))}: needs a finite number")
    return value


def _fits(hint: Any, value: Any) -> bool:
    """Whether a value is of the kind of a hint, whatever is in it."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin in (Union, UnionType):
        return any(_fits(one, value) for one in arguments)
    if origin is Annotated:
        return _fits(arguments[0], value)
    if origin is Literal:
        return type(value) in map(type, arguments)
    if is_dataclass(hint):
        return isinstance(value, dict)
    is_bool = isinstance(value, bool)  # which Python counts among the integers
    return isinstance(value, _KINDS[origin or hint][0]) and (not is_bool or hint is bool)


def _bounded(bounds: range, value: Any, place: str) -> Any:
    if value not in bounds:
        needed = f"at least {bounds.start}" if value < bounds.start else f"at most {bounds.stop - 1}"
        raise RecordError(f"{place} is {_short(str(value))}: needs {needed}")
    return value


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer above the largest float
        return False


def _check_depth(value: Any, place: str, left: int) -> None:
    if isinstance(value, (dict, list)):
        if not left:
            raise RecordError(f"{place} is nested too deeply: needs at most {DEPTH} levels")
        for one in value.values() if isinstance(value, dict) else value:
            _check_depth(one, place, left - 1)


def _wrong(place: str, value: Any, hint: Any) -> RecordError:
    return RecordError(f"{place or 'the whole'} is {_short(repr(value))}: needs {_needed(hint)}")


def _needed(hint: Any) -> str:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(map(_needed, arguments)))
    if origin is Annotated:
        return _needed(arguments[0])
    if origin is Literal:
        return "one of " + ", ".join(map(repr, arguments))
    return _KINDS[dict if is_dataclass(hint) else origin or hint][1]


def _short(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
