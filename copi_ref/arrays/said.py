"""What the message of an error says of a value that came."""

from typing import Any


def said(value: Any) -> str:
    """Return a value's repr for a message: a long one cut short, as a whole array; and where it has none, its type."""
    try:
        text = repr(value)
    except Exception:  # of an int with thousands of digits, or whatever a user's class does
        return f"a {type(value).__name__} too large to show" if isinstance(value, int) else f"a {type(value).__name__}"
    return text if len(text) <= 200 else f"{text[:200]}…"
