"""`copi-ref check` of a module, which is judged in a process of its own.

Code that ends the process, or never returns, can't pass for code that is right: without a report the exit status is 2.
"""

import argparse
import io
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from contextlib import suppress

TIMEOUT = 60
"""Seconds that `check` waits for what it calls, unless it is told otherwise."""

_SETTLES = 2.0
"""Seconds that a process has to end in after its report: a thread of the module's may keep it for ever."""

_JUDGE = """\
import sys
sys.path[:], sys.argv[0] = {path!a}, {name!a}
import copi_ref_command
copi_ref_command.judge()
"""


def time_limit(arguments: list[str]) -> float | None:
    """Return the seconds to wait for a call of a module; None where a program is checked, or the arguments are wrong.

    A program has a process of its own already, and wrong arguments are told by the parser of all of them.
    """
    parser = argparse.ArgumentParser(add_help=False, exit_on_error=False)
    parser.add_argument("--command")
    parser.add_argument("--timeout", type=float, default=TIMEOUT)
    try:
        found, _ = parser.parse_known_args(arguments)
    except argparse.ArgumentError:
        return None
    return None if found.command is not None else found.timeout


def judged(arguments: list[str], limit: float) -> int:
    """Judge in another process: print its report and return its exit status, or say why there is none and return 2."""
    replace_unknown_signs()
    program = _JUDGE.format(path=sys.path, name=sys.argv[0])
    child = subprocess.Popen([sys.executable, "-c", program, *arguments], stdout=subprocess.PIPE)
    told: queue.Queue[bytes | None] = queue.Queue()
    hearing = threading.Thread(target=_hear, args=(child, told), daemon=True)
    hearing.start()
    threading.Thread(target=_await, args=(child, hearing, told), daemon=True).start()
    running = ""
    while True:
        try:
            line = told.get(timeout=limit if running else None)
        except queue.Empty:
            child.kill()
            return _not_checked(f"{running}: no end within {limit:g} s (--timeout SECONDS waits longer)")
        if line is None:
            return _not_checked(f"{running or 'check'} {how_it_ended(child.wait())} before there was a report")
        message = json.loads(line)
        running = message.get("running", "")
        if "status" in message:
            return _report(child, message)


def _hear(child: "subprocess.Popen[bytes]", told: "queue.Queue[bytes | None]") -> None:
    assert child.stdout is not None
    for line in child.stdout:
        told.put(line)


def _await(child: "subprocess.Popen[bytes]", hearing: threading.Thread, told: "queue.Queue[bytes | None]") -> None:
    """Tell that it has ended: the pipe alone does not, where a process that it started holds the other end."""
    child.wait()
    hearing.join(timeout=0.5)
    told.put(None)


def _report(child: "subprocess.Popen[bytes]", message: dict[str, object]) -> int:
    try:
        say(str(message["printed"]), end="")
    except OSError as error:
        return _not_checked(f"the report can't be written: {error}")
    with suppress(subprocess.TimeoutExpired):
        child.wait(timeout=_SETTLES)
    child.kill()
    status = message["status"]
    assert isinstance(status, int)
    return status


def _not_checked(why: str) -> int:
    print(f"copi-ref: {why}", file=sys.stderr)
    return 2


def say(text: str, end: str = "\n") -> None:
    """Print; a reader that has seen enough, as `head` does, is no error.

    Raises:
        OSError: it can't be written, as on a full disk.
    """
    try:
        print(text, end=end, flush=True)
    except OSError as error:
        nobody_reads()
        if not isinstance(error, BrokenPipeError):
            raise


def replace_unknown_signs() -> None:
    """Print what a terminal has no sign for, as ± or →, as a question mark: that must not cost an hour's results."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def nobody_reads() -> None:
    """Let what is still in the buffer of stdout go nowhere, when the process ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def how_it_ended(code: int) -> str:
    """Say how a process ended, given its exit code or, below 0, the signal that ended it."""
    if code >= 0:
        return f"ended with exit code {code}"
    with suppress(ValueError):
        return f"was ended by {signal.Signals(-code).name}"
    return f"was ended by signal {-code}"
