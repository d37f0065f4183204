"""What of somebody else's code runs, told to whoever watches over it and may end what never returns."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_TELL: ContextVar[Callable[[str], None] | None] = ContextVar("tell", default=None)


@contextmanager
def told_to(tell: Callable[[str], None]) -> Iterator[None]:
    """Have `tell` called with what runs, in words, when it begins; and with "" when it has ended."""
    token = _TELL.set(tell)
    try:
        yield
    finally:
        _TELL.reset(token)


@contextmanager
def running(what: str) -> Iterator[None]:
    """Tell that somebody else's code runs."""
    tell = _TELL.get()
    if tell is None:
        yield
        return
    tell(what)
    try:
        yield
    finally:
        tell("")
