"""A copy of the library under another name, one file of it mutated, as an implementation of the oracle's contract."""

import importlib
import importlib.abc
import importlib.machinery
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from functools import cache
from types import CodeType, ModuleType
from typing import Any

import numpy as np

from copi_ref.oracle import Conventions
from mutants.mutations import PACKAGE

COPY = "mutated_ref"


@cache
def _code(file: str) -> CodeType:
    """The code of a file as it is; the package's own __init__ is left empty, which saves importing what is not used."""
    source = "" if file == "__init__.py" else (PACKAGE / file).read_text(encoding="utf-8")
    return _compiled(file, source)


def _compiled(file: str, source: str) -> CodeType:
    return compile(source.replace("copi_ref", COPY), f"{COPY}/{file}", "exec")


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds modules of the copy in the library's own files, but for one that has other code."""

    def __init__(self, file: str, source: str):
        self.file, self.source = file, source

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if fullname.partition(".")[0] != COPY:
            return None
        is_package = self._file_of(fullname).endswith("__init__.py")
        return importlib.machinery.ModuleSpec(fullname, self, is_package=is_package)

    def exec_module(self, module: ModuleType) -> None:
        file = self._file_of(module.__name__)
        exec(_compiled(file, self.source) if file == self.file else _code(file), module.__dict__)

    def _file_of(self, fullname: str) -> str:
        path = "/".join(fullname.split(".")[1:])
        file = f"{path}/__init__.py" if path else "__init__.py"
        return file if (PACKAGE / file).exists() else f"{path}.py"


@contextmanager
def imported(file: str = "", source: str = "") -> Iterator[ModuleType]:
    """Import a copy of `algorithm` and all that it needs; leave no trace of it."""
    finder = _Finder(file, source)
    sys.meta_path.insert(0, finder)
    try:
        yield importlib.import_module(f"{COPY}.algorithm")
    finally:
        sys.meta_path.remove(finder)
        for name in [name for name in sys.modules if name.partition(".")[0] == COPY]:
            del sys.modules[name]


class Implementation:
    """The six functions of the contract, by the public functions of an imported copy."""

    def __init__(self, conventions: Conventions):
        self.rule, self.credit = conventions.lateral_rule, conventions.credit
        activations = _module("activations")
        slope = Fraction(conventions.slope).limit_denominator(1000)
        self.activation = (
            activations.leaky_relu_with(slope)
            if conventions.activation == "leaky_relu"
            else activations.ACTIVATIONS[conventions.activation]
        )
        self.rules, self.lateral, self.network = (
            _module(name) for name in ("learning_rules", "decorrelation", "network")
        )
        self.credits, self.algorithm, self.recipes = (_module(name) for name in ("credit", "algorithm", "recipe"))

    def copi_update(self, x: Any, z: Any, W: Any) -> Any:
        return self.rules.copi_update(x, z, W)

    def sgd_update(self, x: Any, delta: Any) -> Any:
        return self.rules.sgd_update(x, delta)

    def decorrelation_update(self, x: Any, R: Any) -> Any:
        return self.lateral.decorrelation_update(x, R, self.rule)

    def forward(self, W: Sequence[Any], R: Sequence[Any], y0: Any) -> Any:
        trace = self.network.forward(self._params(W, R), y0, self.activation)
        return trace.x, trace.a, trace.y

    def perturbations(self, W: Any, R: Any, x: Any, a: Any, y: Any, target: Any, B: Any = None) -> Any:
        trace = self.network.Trace(x=tuple(x), a=tuple(a), y=tuple(y))
        feedback = None if B is None else tuple(B)
        task = self.credits.Task(target=target, activation=self.activation, feedback=feedback)
        return self.credits.CREDIT[self.credit](self._params(W, R), trace, task)

    def step(self, W: Any, R: Any, y0: Any, target: Any, eta_w: Any, eta_r: Any, B: Any = None) -> Any:
        recipe = self.recipes.Recipe(
            eta_w=eta_w, eta_r=eta_r, activation=self.activation, credit=self.credit, lateral_rule=self.rule
        )
        state = self.algorithm.State(
            params=self._params(W, R),
            optimizer=tuple(recipe.optimizer.init(one) for one in W),
            feedback=None if B is None else tuple(B),
            rng_state=dict(np.random.default_rng(0).bit_generator.state),
        )
        after = self.algorithm.step(recipe, state, y0, target)
        return after.params.W, after.params.R

    def _params(self, W: Sequence[Any], R: Sequence[Any]) -> Any:
        return self.network.Params(W=tuple(W), R=tuple(R))


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"{COPY}.{name}")
