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
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any

import numpy as np

from copi_ref.arrays.backend import Array, device_of, float_name, from_numpy, namespace, to_numpy
from copi_ref.oracle.contract.conventions import Conventions
from copi_ref.oracle.contract.functions import FUNCTIONS, AnyConventions, AnyFunction
from copi_ref.oracle.inference.functions import INFERENCE_FUNCTIONS


class ProgramError(RuntimeError):
    """The program can't be started, died, does not answer, or does not speak the protocol."""


class Program:
    """A running program, as an implementation that `check` takes; a context manager, which ends it.

    Args:
        command: the program with its arguments, as in a shell, but run without one.
        conventions: told to the program when it starts.
        timeout: seconds to wait for the answer to a request.

    Raises:
        ProgramError: it can't be started, or does not say which functions it has.
    """

    def __init__(self, command: str, conventions: AnyConventions, timeout: float = 60):
        self.command, self.conventions, self.timeout = command, conventions, timeout
        self._table: Mapping[str, AnyFunction] = (
            FUNCTIONS if isinstance(conventions, Conventions) else INFERENCE_FUNCTIONS
        )
        try:
            self._process = subprocess.Popen(
                shlex.split(command, posix=os.name != "nt"), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, text=True, encoding="utf-8", errors="replace",
                start_new_session=True,  # so that what a wrapper script starts can be ended with it
            )  # fmt: skip
        except (OSError, ValueError, IndexError) as error:
            raise ProgramError(f"{command!r} can't be started: {error}") from error
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._complaints: list[str] = []
        self._threads = [threading.Thread(target=read, daemon=True) for read in (self._read_answers, self._read_errors)]
        for thread in self._threads:
            thread.start()
        self._id = 0
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
        """Whether there will be no more answers: it died, or was too late."""
        return bool(self._ended)

    def close(self) -> None:
        """End the program: close its stdin, wait a moment, then kill it and what it started."""
        assert self._process.stdin is not None
        with suppress(OSError):  # it died with something unread
            self._process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=0.1 if self._ended else 2)
        self._kill()
        self._process.wait()
        for thread, stream in zip(self._threads, (self._process.stdout, self._process.stderr), strict=True):
            thread.join(timeout=2)
            if stream is not None and not thread.is_alive():  # else closing would wait for its reader
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
                f"answered {str(names)[:200]} to 'functions': needs a list of some of {list(self._table)}"
            )
        return tuple(names)

    def _call(self, function: AnyFunction, arguments: tuple[Any, ...]) -> Any:
        names = function.arguments_given(self.conventions)
        like = _first_array(arguments)
        result = self._ask(
            {
                "function": function.name,
                "dtype": float_name(like.dtype),
                "arguments": {name: _plain(value) for name, value in zip(names, arguments, strict=True)},
            }
        )
        read = _read_result if self._table is FUNCTIONS else _read_inference
        return read(function, self.conventions, result, like)

    def _ask(self, request: dict[str, Any]) -> Any:
        if self._ended:
            raise ProgramError(self._ended)
        assert self._process.stdin is not None
        self._id += 1
        try:
            self._process.stdin.write(json.dumps({"id": self._id - 1, **request}) + "\n")
            self._process.stdin.flush()
        except OSError:
            self._ended = self._why_it_ended()
            raise ProgramError(self._ended) from None
        answer = self._answer()
        if "error" in answer:
            raise ProgramError(str(answer["error"]))
        return answer["result"]

    def _answer(self) -> dict[str, Any]:
        """Return the next line that is not blank, as an answer to the last request."""
        deadline = time.monotonic() + self.timeout  # of the request: blank lines don't put it off
        try:
            line: str | None = "\n"
            while line is not None and not line.strip():
                line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            # A late answer would be taken for that of a later request: there is no more talking to it.
            self._ended = f"no answer within {self.timeout:g} s (is stdout flushed after each line?)"
            raise ProgramError(self._ended) from None
        if line is None:
            self._ended = self._why_it_ended()
            raise ProgramError(self._ended)
        try:
            answer = json.loads(line)
        except (ValueError, RecursionError) as error:
            if self._ends():  # it did not mean to answer
                self._ended = self._why_it_ended(line)
                raise ProgramError(self._ended) from None
            raise ProgramError(f"answered {line[:200]!r}, which is no JSON ({error})") from None
        if not isinstance(answer, dict) or answer.get("id") != self._id - 1 or not {"result", "error"} & answer.keys():
            raise ProgramError(
                f"answered {str(answer)[:200]}: needs an object with id {self._id - 1} and a result or an error"
            )
        return answer

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
            return "closed its stdout"
        for thread in self._threads:
            thread.join(timeout=2)
        while not self._lines.empty():
            printed += self._lines.get() or ""
        said = f"ended with exit code {code}{_last_lines(''.join(self._complaints))}"
        if not printed.strip():
            return said
        return said + ("\n" if "\n" in said else "; ") + f"it printed{_last_lines(printed)}"

    def _read_answers(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def _read_errors(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._complaints = [*self._complaints[-20:], line]


def _last_lines(text: str) -> str:
    """Return the last ten lines as they are, but for their length; one alone in the same line."""
    lines = [line if len(line) <= 200 else f"{line[:200]}…" for line in text.strip("\r\n").splitlines()[-10:]]
    if len(lines) < 2:
        return f": {lines[0].strip()}" if lines and lines[0].strip() else ""
    return ":" + "".join(f"\n    {line}" for line in lines)


def _first_array(arguments: tuple[Any, ...]) -> Array:
    value = arguments[0]
    while isinstance(value, list) and hasattr(value[0], "dtype"):
        value = value[0]
    return value if hasattr(value, "dtype") else np.asarray(value)


def _plain(value: Any) -> Any:
    """Return arrays as lists of Python floats, which json writes so that they read back the same."""
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if not hasattr(value, "dtype"):
        return value
    host = to_numpy(value)
    return host.tolist() if host.dtype.kind == "i" else host.astype(np.float64).tolist()


def _read_result(function: AnyFunction, conventions: AnyConventions, result: Any, like: Array) -> Any:
    if function.name == "forward":
        return tuple(_arrays(_entry(result, name), like) for name in ("xay" if conventions.has_R else "ay"))
    if function.name == "perturbations":
        return _arrays(result, like)
    if function.name == "step":
        letters = "W" + "R" * conventions.has_R + "b" * conventions.biases
        new = [_arrays(_entry(result, letter), like) for letter in letters]
        states = {name: _arrays(result[name], like) for name in ("x", "a", "y", "delta") if name in result}
        return (*new, states)
    return _array(result, like)


def _read_inference(function: AnyFunction, conventions: AnyConventions, result: Any, like: Array) -> Any:
    """Results of Inference Learning: lists of arrays, as they came, but for objects."""
    if function.name == "step":
        told = {name: _arrays(result[name], like) for name in ("start", "states", "errors") if name in result}
        b = (_arrays(result["b"], like),) if "b" in result else ()
        return (_arrays(_entry(result, "W"), like), *b, told)
    if function.name == "weight_update" and isinstance(result, dict):
        return _arrays(_entry(result, "W"), like), _arrays(_entry(result, "b"), like)
    if function.name in ("energy", "implicit_layer"):
        return result if isinstance(result, (int, float)) else _array(result, like)
    return _arrays(result, like)


def _entry(result: Any, name: str) -> Any:
    if not isinstance(result, dict) or name not in result:
        raise ProgramError(f"answered {str(result)[:100]}: needs an object with {name!r}")
    return result[name]


def _arrays(value: Any, like: Array) -> list[Array]:
    if not isinstance(value, list):
        raise ProgramError(f"answered {str(value)[:100]}: needs a list of matrices, one per layer")
    return [_array(one, like) for one in value]


def _array(value: Any, like: Array) -> Array:
    try:
        with np.errstate(over="ignore"):
            host = np.asarray(value, dtype=np.float64)  # null becomes NaN
            return from_numpy(host, namespace(like), like.dtype, device_of(like))
    except (TypeError, ValueError):
        raise ProgramError(f"answered {str(value)[:100]}: needs a matrix as a list of rows of numbers") from None
