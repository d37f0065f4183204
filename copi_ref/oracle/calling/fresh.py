"""New copies of an implementation, as it was before its first call: what they do right, and it does not, is state."""

import copy
import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import CellType, FunctionType, ModuleType
from typing import Any, cast

from copi_ref.oracle.calling.program import Program
from copi_ref.oracle.calling.running import running


@dataclass(frozen=True)
class Fresh:
    """Where new copies come from.

    Args:
        make: makes one; None where none can be had.
        words: what a copy is, as "in a new object".
        most: how many may be made in a search; of what takes long to start, few.
    """

    make: Callable[[], Any] | None
    words: str = "in a new object"
    most: int = 60

    @contextmanager
    def opened(self) -> Iterator[Any]:
        """Give a new copy, or None where it can't be made: that is no verdict on the implementation."""
        made = _attempted(self.make) if self.make else None
        try:
            yield made
        finally:
            if isinstance(made, Program):
                made.close()


NO_COPIES = Fresh(None)


def fresh_copies(implementation: Any) -> Fresh:
    """Say how to get new copies; to be called before the first call, as state is copied too.

    Copies share what an object keeps in its module, its class or a closure of a method; C extensions can't be loaded
    twice.
    """
    if isinstance(implementation, Program):
        return Fresh(implementation.again, "in a program started anew", most=8)
    if isinstance(implementation, ModuleType):
        can = _can_be_loaded(implementation)
        return Fresh(lambda: _loaded_anew(implementation), "in a module loaded anew") if can else NO_COPIES
    if isinstance(implementation, type):
        return _of_class(implementation)
    before = _attempted(lambda: _copied(implementation))
    if type(before) is not type(implementation):  # a lock, a generator, an object that answers to every name
        return NO_COPIES
    return Fresh(lambda: _copied(before))


def _copied(implementation: Any) -> Any:
    """Return a deep copy, in which functions that are attributes have new variables of what encloses them."""
    memo: dict[int, Any] = {}
    new = copy.deepcopy(implementation, memo)
    for name, value in list(getattr(new, "__dict__", {}).items()):
        if isinstance(value, FunctionType) and value.__closure__:
            setattr(new, name, _function(value, memo))
    return new


def _function(function: FunctionType, memo: dict[int, Any]) -> FunctionType:
    if id(function) not in memo:
        cells = tuple(_cell(cell, memo) for cell in function.__closure__ or ())
        new = FunctionType(function.__code__, function.__globals__, function.__name__, function.__defaults__, cells)
        new.__kwdefaults__ = function.__kwdefaults__
        memo[id(function)] = new
    return cast(FunctionType, memo[id(function)])


def _cell(cell: CellType, memo: dict[int, Any]) -> CellType:
    """The same new variable for all functions that share it; one that is not set yet stays so."""
    if id(cell) not in memo:
        memo[id(cell)] = new = CellType()
        with suppress(ValueError):
            value = cell.cell_contents
            nested = isinstance(value, FunctionType) and value.__closure__
            new.cell_contents = _function(value, memo) if nested else copy.deepcopy(value, memo)
    return cast(CellType, memo[id(cell)])


def _of_class(implementation: type) -> Fresh:
    """A class is made anew with its module, if that can still be found by name."""
    module = sys.modules.get(implementation.__module__)
    if not _can_be_loaded(module) or _attribute(module, implementation.__qualname__) is not implementation:
        return NO_COPIES
    return Fresh(
        lambda: _attribute(_loaded_anew(module), implementation.__qualname__), "in a class from a module loaded anew"
    )


def _attribute(module: Any, path: str) -> Any:
    for name in path.split("."):
        module = getattr(module, name, None)
    return module


def _can_be_loaded(module: Any) -> bool:
    """Whether it comes of Python source; a script that is run has no spec."""
    spec = getattr(module, "__spec__", None)
    return spec is not None and hasattr(spec.loader, "exec_module") and str(spec.origin).endswith(".py")


_loading: set[str] = set()


def _loaded_anew(module: Any) -> Any:
    """Execute a module under its own name, which is the first one's again afterwards."""
    name = module.__spec__.name
    if name in _loading:  # it runs a check when it is imported
        raise RecursionError(name)
    new = importlib.util.module_from_spec(module.__spec__)
    before = sys.modules.get(name)
    _loading.add(name)
    sys.modules[name] = new  # dataclasses look for themselves there
    try:
        module.__spec__.loader.exec_module(new)
    finally:
        _loading.discard(name)
        with suppress(KeyError):
            del sys.modules[name]
        if before is not None:
            sys.modules[name] = before
    return new


def _attempted(make: Callable[[], Any]) -> Any:
    """What somebody else's code makes, or None: it may do anything when it is copied or imported."""
    try:
        with running("a copy of it"):
            return make()
    except KeyboardInterrupt:
        raise
    except BaseException:
        return None
