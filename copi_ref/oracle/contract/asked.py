"""What the oracle's functions are asked with: of the right kind, or an error that names the argument."""

import reprlib
from typing import Any


def of_kind(name: str, value: Any, kinds: type | tuple[type, ...], needed: str) -> None:
    """Check that an argument is of a kind.

    Raises:
        TypeError: it is not; the message says what is needed.
    """
    if not isinstance(value, kinds):
        raise TypeError(f"{name} is {reprlib.repr(value)}: needs {needed}")


def conventions_of(value: Any, *kinds: type) -> None:
    """Check that conventions are of one of these kinds.

    Raises:
        TypeError: they are not.
    """
    of_kind("conventions", value, kinds, f"copi_ref.oracle.{' or '.join(kind.__name__ for kind in kinds)}")
