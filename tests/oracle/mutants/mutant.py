"""What a hand-written mutant is: `plain.py`, under some conventions, with one wrong edit."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from copi_ref.oracle import Conventions, Report, check

PLAIN = Path(__file__).with_name("plain.py").read_text(encoding="utf-8")

Edit = tuple[str, str, str]
"""A top-level function of `plain.py`, the text in it, and what stands there instead."""


@dataclass(frozen=True)
class Base:
    """Right implementations of other conventions, from which mutants are made too."""

    conventions: Conventions
    edits: tuple[Edit, ...] = ()


@dataclass(frozen=True)
class Mutant:
    """One wrong implementation.

    Args:
        name: what is wrong, as the one who made the mistake would put it.
        function: the function that is wrong, and that is checked.
        build: makes the implementation.
        named: the names that are right for it; several where they are truly the same thing.
        conventions: against which it is checked.
        precision: in which it is checked.
    """

    name: str
    function: str
    build: Callable[[], Any]
    named: tuple[str, ...]
    conventions: Conventions
    precision: str = "float64"

    def report(self) -> Report:
        """What the oracle says."""
        with np.errstate(all="ignore"):  # a mutant may divide by 0
            return check(
                self.build(), conventions=self.conventions, precision=self.precision, only=(self.function,), xp=np
            )


def edited(function: str, name: str, old: str, new: str, *named: str, base: str = "printed", **more: Any) -> Mutant:
    """A mutant that has `new` for `old` in one function of a base."""
    edits = (*BASES[base].edits, (function, old, new))
    checked = more.pop("checked", function)
    return Mutant(name, checked, lambda: _module(edits, ""), named, BASES[base].conventions, **more)


def replaced(function: str, name: str, source: str, *named: str, **more: Any) -> Mutant:
    """A mutant that has another function in place of one of `plain.py`."""
    return Mutant(name, function, lambda: _module((), source), named, more.pop("conventions", Conventions()), **more)


def plain(base: str = "printed") -> ModuleType:
    """The right implementation, under the conventions of a base."""
    return _module(BASES[base].edits, "")


def _module(edits: tuple[Edit, ...], more: str) -> ModuleType:
    """A module of its own for each call, so that what one keeps between calls is not seen by the next."""
    source = PLAIN
    for edit in edits:
        source = _with_edit(source, *edit)
    module = ModuleType("mutant")
    exec(compile(source + more, "mutant.py", "exec"), module.__dict__)
    return module


def _with_edit(source: str, function: str, old: str, new: str) -> str:
    found = re.search(rf"^def {function}\(.*?(?=^\S|\Z)", source, flags=re.MULTILINE | re.DOTALL)
    assert found, f"there is no function {function}"
    body = found.group()
    assert body.count(old) == 1, f"{old!r} stands {body.count(old)} times in {function}"
    return source[: found.start()] + body.replace(old, new) + source[found.end() :]


_WITH_FEEDBACK: tuple[Edit, ...] = (
    ("step", "eta_w, eta_r):", "eta_w, eta_r, B):"),
    ("perturbations", "a, y, target):", "a, y, target, B):"),
)

BASES = {
    "printed": Base(Conventions()),
    "left": Base(
        Conventions(lateral_rule="left"),
        (
            ("decorrelation_update", "-R @ C_off", "-C_off @ R"),
            ("step", "-R[i] @ C_off", "-C_off @ R[i]"),
        ),
    ),
    "symmetric": Base(
        Conventions(lateral_rule="symmetric"),
        (
            ("decorrelation_update", "return -R @ C_off", "M = C_off @ R\n    return -(M + M.T) / 2"),
            ("step", "dR = -R[i] @ C_off", "M = C_off @ R[i]\n        dR = -(M + M.T) / 2"),
        ),
    ),
    "sum": Base(
        Conventions(reduction="sum"),
        (
            ("copi_update", "N = x.shape[0]", "N = 1"),
            ("copi_update", "np.mean(x**2, axis=0)", "np.sum(x**2, axis=0)"),
            ("step", "n_samples = y0.shape[0]", "n_samples = 1"),
            ("step", "np.mean(x**2, axis=0)", "np.sum(x**2, axis=0)"),
            ("sgd_update", "N = x.shape[0]", "N = 1"),
            ("decorrelation_update", "N = x.shape[0]", "N = 1"),
        ),
    ),
    "relu": Base(
        Conventions(activation="relu"),
        (("f", "np.where(a > 0, a, SLOPE * a)", "np.maximum(a, 0)"), ("df", "SLOPE", "0.0")),
    ),
    "tanh": Base(
        Conventions(activation="tanh"),
        (
            ("f", "np.where(a > 0, a, SLOPE * a)", "np.tanh(a)"),
            ("df", "np.where(a >= 0, 1.0, SLOPE).astype(a.dtype)", "1 - np.tanh(a) ** 2"),
        ),
    ),
    "sigmoid": Base(
        Conventions(activation="sigmoid"),
        (
            ("f", "np.where(a > 0, a, SLOPE * a)", "1 / (1 + np.exp(-a))"),
            ("df", "np.where(a >= 0, 1.0, SLOPE).astype(a.dtype)", "f(a) * (1 - f(a))"),
        ),
    ),
    "fa": Base(
        Conventions(credit="fa"),
        (
            *_WITH_FEEDBACK,
            ("perturbations", "deltas[0] @ W[i + 1] @ R[i + 1]", "deltas[0] @ B[i].T"),
            ("step", "deltas[i + 1] @ W[i + 1] @ R[i + 1]", "deltas[i + 1] @ B[i].T"),
        ),
    ),
    "dfa": Base(
        Conventions(credit="dfa"),
        (
            *_WITH_FEEDBACK,
            ("perturbations", "deltas[0] @ W[i + 1] @ R[i + 1]", "deltas[-1] @ B[i].T"),
            ("step", "deltas[i + 1] @ W[i + 1] @ R[i + 1]", "deltas[-1] @ B[i].T"),
        ),
    ),
    "tmlr": Base(
        Conventions(lateral_rule="left", loss_factor=1, output="pre-activation", error_scale=1000),
        (
            ("decorrelation_update", "-R @ C_off", "-C_off @ R"),
            ("perturbations", "2 * (target - y[-1])", "1000 * (target - a[-1])"),
            ("step", "-R[i] @ C_off", "-C_off @ R[i]"),
            ("step", "2 * (target - ys[-1])", "1000 * (target - as_[-1])"),
        ),
    ),
}
