"""`copi-ref check` of a module, in the process that was started for it: what it tells the first one."""

import io
import json
import os
import sys
import threading
import time
from contextlib import redirect_stdout
from typing import Any

from copi_ref.cli.main import main as command
from copi_ref.oracle.calling.running import told_to

_SECONDS = 0.5
"""Between two looks at whether the first process is still there."""


def main() -> None:
    """Run the command; tell on stdout, a JSON object a line, what of somebody else's code runs, and what came of it."""
    _open_what_is_closed()
    tells = os.dup(1)
    os.dup2(2, 1)  # what C code prints is no part of a report either
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()

    def tell(message: dict[str, Any]) -> None:
        os.write(tells, json.dumps(message).encode() + b"\n")

    printed = io.StringIO()
    with redirect_stdout(printed), told_to(lambda what: tell({"running": what})):
        try:
            status = command(sys.argv[1:])
        except SystemExit as ends:  # of the parser: of help, or of arguments that are wrong
            status = ends.code if isinstance(ends.code, int) else 2
    tell({"status": status, "printed": printed.getvalue()})


def _open_what_is_closed() -> None:
    """Else the first thing to be opened would be stdout or stderr, and get what is printed there."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(number)


def _end_with(parent: int) -> None:
    """End when the first process has ended: nobody waits for the report."""
    while os.getppid() == parent:
        time.sleep(_SECONDS)
    os._exit(2)
