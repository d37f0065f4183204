"""What somebody else's code says, as it may stand in a report: a few lines, and nothing that a terminal obeys."""

import re

_LONGEST = 200
_OBEYED = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b.?", re.DOTALL)
"""Sequences that move the cursor, colour, set the title …"""


def shown(text: str, most: int = _LONGEST) -> str:
    """Return a text as one line of at most `most` characters and "…", without what a terminal would obey."""
    plain = _OBEYED.sub("", text[: 10 * most])
    line = "".join(one if one.isprintable() else " " if one.isspace() else "" for one in plain).rstrip()
    return line if len(line) <= most else f"{line[:most]}…"


def last_lines(text: str) -> str:
    """Return ": " and the only line, or ":" and the last ten, each in a line of its own; "" if there is none."""
    lines = [shown(line) for line in text.strip("\r\n").splitlines()[-10:]]
    if len(lines) < 2:
        return f": {lines[0].strip()}" if lines and lines[0].strip() else ""
    return ":" + "".join(f"\n    {line}" for line in lines)
