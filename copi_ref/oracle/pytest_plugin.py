"""An opt-in pytest plugin: one test per function of an implementation::

    pytest -p copi_ref.oracle.pytest_plugin --copi-target=pkg.mod:obj --copi-precision=float32 \
        --copi-conventions=lateral_rule=left,slope=0.01

Each function that the implementation has becomes a test; one that it lacks is skipped, with the reason.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytest

from copi_ref.arrays.backend import BackendError, load_backend
from copi_ref.oracle.calling.calling import has
from copi_ref.oracle.calling.named import TargetError, conventions_from_text, find_target
from copi_ref.oracle.checks import check
from copi_ref.oracle.contract.functions import FUNCTIONS, FunctionName
from copi_ref.oracle.inference.conventions import InferenceConventions
from copi_ref.oracle.inference.functions import INFERENCE_FUNCTIONS
from copi_ref.oracle.report.report import NOT_IMPLEMENTED, OracleError, Report
from copi_ref.oracle.rounding import PRECISIONS


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("copi_ref", "is it COPI?")
    group.addoption("--copi-target", metavar="PKG.MOD[:OBJ]", help="the implementation to check")
    group.addoption("--copi-precision", choices=list(PRECISIONS), default="float64", help="what it computes in")
    group.addoption("--copi-backend", default=None, help="array library of its arguments")
    group.addoption(
        "--copi-conventions", default="", metavar="NAME=VALUE,…", help="as lateral_rule=left,slope=0.01"
    )  # fmt: skip
    group.addoption("--copi-inference", action="store_true", help="it is Inference Learning (predictive coding)")


def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Add a test for each function."""
    name = config.getoption("--copi-target")
    if name is None:
        return
    with _as_usage("--copi-target", name):
        implementation = find_target(name)
    text, backend = config.getoption("--copi-conventions"), config.getoption("--copi-backend")
    with _as_usage("--copi-conventions", text):
        conventions = conventions_from_text(text, implementation, config.getoption("--copi-inference"))
    settings = {"conventions": conventions, "precision": config.getoption("--copi-precision")}
    if backend:
        with _as_usage("--copi-backend", backend):
            settings["xp"] = load_backend(backend)
    functions = [*(INFERENCE_FUNCTIONS if isinstance(conventions, InferenceConventions) else FUNCTIONS)]
    if not any(has(implementation, function) for function in functions):
        raise pytest.UsageError(f"{name} has none of {', '.join(functions)}: name the module or object that has them")
    items += [
        CopiItem.from_parent(session, name=f"{name}::{function}", function=function, run=(implementation, settings))
        for function in functions
    ]


@contextmanager
def _as_usage(option: str, value: str) -> Iterator[None]:
    """Say of an error in an option's value which option it is, and nothing else."""
    try:
        yield
    except (BackendError, TargetError, ValueError, TypeError) as error:
        raise pytest.UsageError(f"{option}={value}: {error}") from error


class CopiItem(pytest.Item):
    """The check of one function."""

    def __init__(self, *, function: str, run: tuple[Any, dict[str, Any]], **rest: Any):
        super().__init__(**rest)
        self.function = function
        self.implementation, self.settings = run

    def runtest(self) -> None:
        """Check; skip if the function is not there."""
        report: Report = check(self.implementation, only=(cast(FunctionName, self.function),), **self.settings)
        if report.results[0].status == NOT_IMPLEMENTED:
            pytest.skip(f"{self.function} is not implemented")
        report.raise_if_failed()

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Show the report, and no traceback of the oracle's."""
        if isinstance(excinfo.value, (BackendError, OracleError)):
            return str(excinfo.value)
        return super().repr_failure(excinfo)

    def reportinfo(self) -> tuple[str, int, str]:
        """Say what is checked."""
        return "copi_ref", 0, f"copi_ref oracle: {self.name}"
