"""An implementation and its conventions, as they are named in a command line."""

import importlib
import os
import sys
from dataclasses import fields
from typing import Any

from copi_ref.oracle.contract.conventions import AS_PRINTED, Conventions


class TargetError(Exception):
    """What was named to be checked can't be found or started."""


def find_target(name: str) -> Any:
    """Import ``pkg.mod`` or ``pkg.mod:obj`` (also ``pkg.mod:Class.attribute``), from the working folder too.

    Raises:
        TargetError: it can't be imported, or is not there.
    """
    module, _, path = name.partition(":")
    if module.endswith(".py"):
        raise TargetError(f"{name}: needs the name of a module, as in an import: {module.removesuffix('.py')}")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        found = importlib.import_module(module)
        for attribute in path.split(".") if path else ():
            found = getattr(found, attribute)
    except (Exception, SystemExit) as error:  # somebody else's module may do anything when it is imported
        raise TargetError(f"{name}: {type(error).__name__}: {error}") from error
    return found


def conventions_from_text(text: str) -> Conventions:
    """Read ``lateral_rule=left,slope=0.01``; names that are left out keep their defaults.

    Raises:
        TargetError: an unknown name, or a value that is none.
    """
    values: dict[str, Any] = {}
    for entry in filter(None, text.split(",")):
        name, _, value = entry.partition("=")
        default = getattr(AS_PRINTED, name.strip(), None)
        if name.strip() not in {field.name for field in fields(Conventions)}:
            raise TargetError(
                f"{name!r} is no convention: choose among {', '.join(f.name for f in fields(Conventions))}"
            )
        if isinstance(default, bool):
            if value.strip().lower() not in ("true", "false"):
                raise TargetError(f"{name} is {value!r}: needs true or false")
            values[name.strip()] = value.strip().lower() == "true"
        else:
            values[name.strip()] = value.strip() if isinstance(default, str) else float(value)
    return Conventions(**values)
