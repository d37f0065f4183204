"""Arguments of the oracle's own functions that are of another kind: an error names them, and says what is needed."""

from functools import partial

import pytest

from copi_ref.oracle import Conventions, check
from copi_ref.oracle.calling.named import conventions_from_text, find_target
from copi_ref.oracle.calling.program import Program
from copi_ref.oracle.inference.explain import explain_inference
from copi_ref.oracle.report.explain import explain
from copi_ref.oracle.vectors import SETS, SHIPPED, differences, emit, load


@pytest.mark.parametrize("implementation", [None, "my_package.copi", b"x", 5, 0.5])
def test_an_implementation_is_no_name(implementation):
    with pytest.raises(TypeError, match=r"^implementation is .*: needs an object or a module"):
        check(implementation)


@pytest.mark.parametrize(
    ("function", "argument", "needs"),
    [
        (explain, "conventions", "copi_ref.oracle.Conventions"),
        (explain_inference, "conventions", "copi_ref.oracle.InferenceConventions"),
        (partial(Program, "cat"), "conventions", "copi_ref.oracle.Conventions or InferenceConventions"),
        (partial(Program, conventions=Conventions()), "command", "a text"),
        (partial(Program, "cat", Conventions()), "timeout", "a number"),
        (load, "folder", "a pathlib.Path"),
        (partial(emit, of=SETS["v1"]), "folder", "a pathlib.Path"),
        (partial(emit, SHIPPED), "of", "one of copi_ref.oracle.vectors.SETS"),
        (differences, "folder", "a pathlib.Path"),
        (differences, "of", "one of copi_ref.oracle.vectors.SETS"),
        (find_target, "name", "a text"),
        (conventions_from_text, "text", "NAME=VALUE"),
    ],
)
def test_an_argument_of_another_kind_is_named(function, argument, needs):
    """None, an object, a list, a class in the place of one of its objects."""
    for value in (None, object(), [1], Conventions):
        with pytest.raises(TypeError, match=f"^{argument} is .*: needs {needs}"):
            function(**{argument: value})
