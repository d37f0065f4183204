"""Functions of one's own in a run: found by their name, ``pkg.mod:obj``, and recorded so that a changed one shows."""

import ast
import hashlib
import inspect
import re
import textwrap
from functools import partial
from typing import Any

from copi_ref.oracle.calling.named import find_target


def find_own(setting: str, name: str) -> Any:
    """Return what is called ``pkg.mod:obj``, from the working folder too.

    Raises:
        TargetError: it can't be imported, or is not there.
        TypeError: it is no function and no instance that can be called.
    """
    found = find_target(name)
    if isinstance(found, type) or not callable(found):
        kind = "a class" if isinstance(found, type) else f"a {type(found).__name__}"
        raise TypeError(f"{setting} is {name}, {kind}: needs a function, or an instance that can be called")
    return found


def is_own(thing: Any) -> bool:
    """Whether a function, or an instance's class, comes from elsewhere than this library."""
    return callable(thing) and _definition(thing).__module__.partition(".")[0] != __name__.partition(".")[0]


def name_of(thing: Any) -> str:
    """Return ``pkg.mod:obj`` of a function, and what an instance prints, without addresses."""
    if inspect.isroutine(thing):
        return f"{thing.__module__}:{thing.__qualname__}"
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(thing))


def name_and_code(thing: Any) -> str:
    """Return the name with the SHA-256 of the code of a function or an instance's class; comments don't count.

    Code that it calls is not in it.
    """
    try:
        code = ast.unparse(ast.parse(textwrap.dedent(inspect.getsource(_definition(thing)))))
    except (OSError, TypeError, SyntaxError):  # not written in Python, or not in a file
        return f"{name_of(thing)}, code unknown"
    return f"{name_of(thing)}, code sha256:{hashlib.sha256(code.encode()).hexdigest()[:16]}"


def _definition(thing: Any) -> Any:
    """Return what has the source: a function, or a class."""
    if isinstance(thing, partial):
        return _definition(thing.func)
    return inspect.unwrap(thing) if inspect.isroutine(thing) else type(thing)
