"""An implementation and its conventions, as they are named in a command line."""

import importlib
import os
import sys
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from copi_ref.oracle.calling.calling import has
from copi_ref.oracle.calling.reading import whole_text_of
from copi_ref.oracle.calling.running import running
from copi_ref.oracle.contract.asked import of_kind
from copi_ref.oracle.contract.conventions import Conventions
from copi_ref.oracle.contract.functions import FUNCTIONS
from copi_ref.oracle.inference.conventions import InferenceConventions
from copi_ref.oracle.inference.functions import INFERENCE_FUNCTIONS


class TargetError(Exception):
    """What was named to be checked can't be found or started."""


def find_target(name: str) -> Any:
    """Import ``pkg.mod`` or ``pkg.mod:obj`` (also ``pkg.mod:Class.attribute``), from the working folder too.

    Raises:
        TargetError: it can't be imported, or is not there.
    """
    of_kind("name", name, str, "a text, as 'pkg.mod:obj'")
    module, _, path = name.partition(":")
    if module.endswith(".py"):
        raise TargetError(f"{name}: needs the name of a module, as in an import: {module.removesuffix('.py')}")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        with running(f"the import of {module}"):
            found = importlib.import_module(module)
            for attribute in path.split(".") if path else ():
                found = getattr(found, attribute)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # somebody else's module may do anything when it is imported
        raise TargetError(f"{name}: {type(error).__name__}: {whole_text_of(error)}") from error
    return found


AnyOfBoth = Conventions | InferenceConventions


def conventions_for(implementation: Any, inference: bool, texts: Mapping[str, str]) -> AnyOfBoth:
    """Return conventions of COPI or, if asked for or by the functions that are there, of Inference Learning.

    Args:
        implementation: has some of the functions; None if that is not known yet.
        inference: whether Inference Learning is asked for.
        texts: values by name, as they were written; names that are left out keep their defaults.

    Raises:
        TargetError: an unknown name, or a value that is none.
    """
    kind = InferenceConventions if inference or _infers(implementation) else Conventions
    known = {field.name: getattr(kind(), field.name) for field in fields(kind)}
    for name in texts:
        if name not in known:
            raise TargetError(f"{name!r} is no convention of {_SUBJECTS[kind]}: choose among {', '.join(known)}")
    try:
        return kind(**{name: _value(name, text, known[name]) for name, text in texts.items()})
    except (ValueError, TypeError) as error:
        raise TargetError(str(error)) from error


_SUBJECTS: dict[type, str] = {Conventions: "COPI", InferenceConventions: "Inference Learning"}


def _infers(implementation: Any) -> bool:
    """Whether it has functions of Inference Learning and none of COPI; `step` is a name in both."""
    here = {name for name in {**FUNCTIONS, **INFERENCE_FUNCTIONS} if has(implementation, name)} - {"step"}
    return bool(here) and not here & FUNCTIONS.keys()


def _value(name: str, text: str, default: Any) -> Any:
    """Read a value as one of the kind of its default; a list of numbers has : or , between them."""
    if isinstance(default, bool):
        if text.lower() not in ("true", "false"):
            raise TargetError(f"{name} is {text!r}: needs true or false")
        return text.lower() == "true"
    if isinstance(default, str):
        return text
    try:
        if isinstance(default, tuple):
            return tuple(float(one) for one in text.replace(":", ",").split(",") if one.strip())
        return float(text)
    except ValueError:
        return text  # "slope" or "1/N"; of a word that is none, the conventions say what is needed


def conventions_from_text(text: str, implementation: Any = None, inference: bool = False) -> AnyOfBoth:
    """Read ``lateral_rule=left,slope=0.01``; otherwise as `conventions_for`. A list of numbers is written 1:2:0.5."""
    of_kind("text", text, str, "NAME=VALUE with commas between, as 'lateral_rule=left,slope=0.01'")
    pairs = (entry.partition("=") for entry in filter(None, text.split(",")))
    return conventions_for(implementation, inference, {name.strip(): value.strip() for name, _, value in pairs})
