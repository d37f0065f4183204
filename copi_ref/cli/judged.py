"""`copi-ref check` of a module, in the process that was started for it: what it tells the first one."""

import io
import json
import os
import sys
from contextlib import redirect_stdout
from typing import Any

from copi_ref.cli.main import main as command
from copi_ref.experiments.parent import end_with
from copi_ref.oracle.calling.running import told_to


def main() -> None:
    """Run the command; tell on stdout, a JSON object a line, what of somebody else's code runs, and what came of it."""
    _open_what_is_closed()
    tells = os.dup(1)
    os.dup2(2, 1)  # what C code prints is no part of a report either
    end_with(os.getppid())  # nobody waits for the report when the first process has ended

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
