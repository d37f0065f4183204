"""An implementation in another language: a program that reads one JSON object a line and answers with one::

    → {"id": 0, "function": "functions", "conventions": {"lateral_rule": "right", …}}
    ← {"id": 0, "result": ["copi_update", "step"]}
    → {"id": 1, "function": "copi_update", "dtype": "float64", "arguments": {"x": [[…]], "z": [[…]], "W": [[…]]}}
    ← {"id": 1, "result": [[…]]}                       or {"id": 1, "error": "why not"}

A matrix is a list of rows, one array per layer a list of matrices. Results: ΔW or ΔR for the equations, {"x", "a", "y"}
for `forward`, a list for `perturbations`, {"W", "R"} for `step` (and "x", "a", "y", "delta", if it likes). Numbers are
decimal, with as many digits as it takes to read the same number again (17 for float64). At the end stdin is closed.

Of Inference Learning `conventions` has a "form", and results are: a list with a matrix a layer for most functions; a
list of numbers or a number for `energy`; a list, or {"W", "b"} where there are biases, for `weight_update`; {"W"} for
`step` (and "b"; and "start", "states", "errors", if it likes); a matrix for `implicit_layer`. Biases are lists.
"""

import json
import os
import queue
import shlex
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any

from copi_ref.arrays import checks
from copi_ref.arrays.backend import float_name
from copi_ref.oracle.calling.answers import ProgramError, first_array, plain, read_result
from copi_ref.oracle.calling.shown import last_lines, shown
from copi_ref.oracle.contract.asked import conventions_of, of_kind
from copi_ref.oracle.contract.conventions import Conventions
from copi_ref.oracle.contract.functions import FUNCTIONS, AnyConventions, AnyFunction
from copi_ref.oracle.inference.conventions import InferenceConventions
from copi_ref.oracle.inference.functions import INFERENCE_FUNCTIONS
from copi_ref_command.judging import how_it_ended

__all__ = ["Program", "ProgramError"]

_LONGEST = 5_000_000
"""Characters of an answer. The longest of a right program has less than a million."""

_WAITING = 100
"""Lines that are read ahead of what they answer."""


class Program:
    """A running program, as an implementation that `check` takes; a context manager, which ends it.

    Args:
        command: the program with its arguments, as in a shell, but run without one.
        conventions: told to the program when it starts.
        timeout: seconds to wait for the answer to a request.

    Raises:
        ProgramError: it can't be started, or does not say which functions it has.
        TypeError, ValueError: an argument is none; the message names it.
    """

    def __init__(self, command: str, conventions: AnyConventions, timeout: float = 60):
        conventions_of(conventions, Conventions, InferenceConventions)
        self.command, self.conventions, self.timeout = command, conventions, timeout
        self._table: Mapping[str, AnyFunction] = (
            FUNCTIONS if isinstance(conventions, Conventions) else INFERENCE_FUNCTIONS
        )
        words = _words(command)
        checks.positive_number("timeout", timeout)
        try:
            self._process = subprocess.Popen(
                words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                text=True, encoding="utf-8", errors="replace",
                start_new_session=True,  # so that what a wrapper script starts can be ended with it
            )  # fmt: skip
        except (OSError, ValueError) as error:
            raise ProgramError(f"{command!r} can't be started: {error}") from error
        self._requests: queue.Queue[str | None] = queue.Queue()
        self._lines: queue.Queue[str | None] = queue.Queue(_WAITING)
        self._complaints: deque[str] = deque(maxlen=20)
        follow = (self._write, self._read_answers, self._read_errors)
        self._threads = [threading.Thread(target=one, daemon=True) for one in follow]
        for thread in (*self._threads, threading.Thread(target=self._await_its_end, daemon=True)):
            thread.start()
        self._id = 0
        self._calls = 0  # that were answered
        self._ended = ""  # why there will be no more answers
        try:
            self.functions = self._functions(conventions)
        except BaseException as error:
            self.close()
            if isinstance(error, ProgramError):
                raise ProgramError(f"{command!r}: {error}") from None
            raise

    def __enter__(self) -> "Program":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def again(self) -> "Program":
        """Start the same program once more, beside this one."""
        return Program(self.command, self.conventions, self.timeout)

    @property
    def has_ended(self) -> bool:
        """Whether there will be no more answers: it died, was too late, or is out of step."""
        return bool(self._ended)

    def close(self) -> None:
        """End the program: close its stdin, wait a moment, then kill it and what it started."""
        self._requests.put(None)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=0.1 if self._ended else 2)
        self._kill()
        self._process.wait()
        self._rest()
        streams = (self._process.stdin, self._process.stdout, self._process.stderr)
        for thread, stream in zip(self._threads, streams, strict=True):
            thread.join(timeout=2)
            if stream is not None and not thread.is_alive():  # else closing would wait for its reader
                with suppress(OSError):  # of a stdin with something that it did not read
                    stream.close()

    def _kill(self) -> None:
        with suppress(OSError):  # all have ended already
            if os.name == "posix":
                os.killpg(self._process.pid, signal.SIGKILL)
            else:
                self._process.kill()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("_") or name not in self.__dict__.get("functions", ()):
            raise AttributeError(name)
        return lambda *arguments: self._call(self._table[name], arguments)

    # --- the protocol ---

    def _functions(self, conventions: AnyConventions) -> tuple[str, ...]:
        told = conventions.told() if isinstance(conventions, Conventions) else conventions.as_dict()
        names = self._ask({"function": "functions", "conventions": told})
        if not isinstance(names, list) or not all(isinstance(name, str) and name in self._table for name in names):
            raise ProgramError(
                f"answered {shown(repr(names))} to 'functions': needs a list of some of {list(self._table)}"
            )
        return tuple(names)

    def _call(self, function: AnyFunction, arguments: tuple[Any, ...]) -> Any:
        names = function.arguments_given(self.conventions)
        like = first_array(arguments)
        result = self._ask(
            {
                "function": function.name,
                "dtype": float_name(like.dtype),
                "arguments": {name: plain(value) for name, value in zip(names, arguments, strict=True)},
            }
        )
        self._calls += 1
        return read_result(function, self.conventions, result, like)

    def _ask(self, request: dict[str, Any]) -> Any:
        if self._ended:
            raise ProgramError(self._ended)
        self._requests.put(json.dumps({"id": self._id, **request}) + "\n")
        self._id += 1
        answer = self._answer()
        if "error" in answer:
            raise ProgramError(shown(str(answer["error"]), 500))
        return answer["result"]

    def _answer(self) -> dict[str, Any]:
        """Return the next line that is not blank, as an answer to the last request.

        What is no answer to it ends the conversation: the next line could be the answer to anything.
        """
        line = self._line()
        if line is None:
            raise self._over(self._why_it_ended())
        if len(line) > _LONGEST:
            raise self._over(f"answered a line of more than {_LONGEST} characters, which begins {shown(line, 100)!r}")
        try:
            answer = json.loads(line)
        except (ValueError, RecursionError) as error:
            if self._ends():  # it did not mean to answer
                raise self._over(self._why_it_ended(line)) from None
            raise self._over(f"answered {line[:200]!r}, which is no JSON ({error})") from None
        last = self._id - 1
        if not isinstance(answer, dict) or answer.get("id") != last or not {"result", "error"} & answer.keys():
            again = isinstance(answer, dict) and answer.get("id") in range(last)
            hint = f"; that is one more line for request {answer['id']}" if again else ""
            needs = f"needs an object with id {last} and a result or an error, one line a request"
            raise self._over(f"answered {shown(repr(answer))}: {needs}{hint}")
        return answer

    def _line(self) -> str | None:
        deadline = time.monotonic() + self.timeout  # of the request: blank lines don't put it off
        try:
            line: str | None = "\n"
            while line is not None and not line.strip():
                line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            # A late answer would be taken for that of a later request.
            why = f"no answer within {self.timeout:g} s{self._after()} (is stdout flushed after each line?)"
            raise self._over(why) from None
        return line

    def _over(self, why: str) -> ProgramError:
        """There is no more talking to it."""
        self._ended = why
        return ProgramError(why)

    def _after(self) -> str:
        return f" after {self._calls} call{'s' * (self._calls > 1)}" if self._calls else ""

    def _ends(self) -> bool:
        """Whether it has ended, or is about to."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=0.2)
        return self._process.poll() is not None

    def _why_it_ended(self, printed: str = "") -> str:
        """Say how it ended, with the last lines of its stderr, and of what it printed in the place of an answer."""
        try:
            code = self._process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            return f"closed its stdout{self._after()}"
        self._kill()  # what it started, which may hold its stdout and go on
        printed += self._rest()
        for thread in self._threads[1:]:
            thread.join(timeout=2)
        said = f"{how_it_ended(code)}{self._after()}{last_lines(''.join(self._complaints))}"
        if not printed.strip():
            return said
        return said + ("\n" if "\n" in said else "; ") + f"it printed{last_lines(printed)}"

    def _rest(self) -> str:
        """Return the end of what else it printed, once it has ended: its reader waits for that to be taken."""
        rest: deque[str] = deque(maxlen=_WAITING)
        deadline = time.monotonic() + 2 * self._threads[1].is_alive()
        with suppress(queue.Empty):
            while (line := self._lines.get(timeout=max(0.0, deadline - time.monotonic()))) is not None:
                rest.append(line[:_LONGEST])
        return "".join(rest)

    # --- one thread each ---

    def _write(self) -> None:
        """A program that does not read must not be waited for beyond the time that it has for an answer."""
        assert self._process.stdin is not None
        with suppress(OSError), self._process.stdin as stdin:  # it may die with something unread
            while (line := self._requests.get()) is not None:
                stdin.write(line)
                stdin.flush()

    def _read_answers(self) -> None:
        assert self._process.stdout is not None
        while line := self._process.stdout.readline(_LONGEST + 1):
            self._lines.put(line)
            if len(line) > _LONGEST:
                break
        self._lines.put(None)

    def _await_its_end(self) -> None:
        """Tell that it has ended where its stdout does not: what it started may hold that."""
        self._process.wait()
        self._threads[1].join(timeout=0.5)
        self._lines.put(None)

    def _read_errors(self) -> None:
        assert self._process.stderr is not None
        while line := self._process.stderr.readline(1000):
            self._complaints.append(line)


def _words(command: str) -> list[str]:
    """Return a command's words.

    Raises:
        TypeError, ProgramError: it is no text, has none, or a quotation without an end.
    """
    of_kind("command", command, str, "a text, as in a shell")
    try:
        words = shlex.split(command, posix=os.name != "nt")
    except ValueError as error:
        raise ProgramError(f"{command!r} can't be started: {error}") from error
    if not words:
        raise ProgramError(f"{command!r} can't be started: needs a program, and its arguments")
    return words
