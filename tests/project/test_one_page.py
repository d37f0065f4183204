"""`examples/copi_on_one_page.py`: what it takes for COPI's step is the library's, and it is one page of NumPy."""

import ast
import importlib.util
import sys
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import copi_ref as copi
from copi_ref.oracle import Conventions, check

PAGE = Path(__file__).parents[2] / "examples" / "copi_on_one_page.py"
FUNCTIONS = ("copi_update", "decorrelation_update", "forward", "perturbations", "step")


@pytest.fixture(scope="module")
def page():
    """Its functions; what trains is not run, as in any import."""
    spec = importlib.util.spec_from_file_location(PAGE.stem, PAGE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def fractions(rng, *shape):
    return np.vectorize(Fraction, otypes=[object])(rng.integers(-6, 7, shape)) / 4


def test_its_step_is_the_librarys_without_any_rounding(page, rng):
    """Both are rational functions: on fractions they agree by `==`, so that no tolerance can hide a difference."""
    sizes, rates = (5, 4, 6, 3), {"eta_w": Fraction(1, 3), "eta_r": Fraction(1, 7)}
    W = [fractions(rng, m, k) for k, m in pairwise(sizes)]
    R = [fractions(rng, k, k) for k in sizes[:-1]]  # not symmetric: a transpose would show
    y0, target = fractions(rng, 7, 5), fractions(rng, 7, 3)
    recipe = copi.Recipe(lateral_rule="left", **rates)
    state = copi.init_state(recipe, sizes, rng, np)
    expected = copi.step(recipe, replace(state, params=copi.Params(tuple(W), tuple(R))), y0, target).params
    new_W, new_R = page.step(W, R, y0, target, **rates)
    for one, other in zip((*new_W, *new_R), (*expected.W, *expected.R), strict=True):
        assert all(isinstance(number, Fraction) for number in one.flat)
        assert (one == other).all()


def test_the_oracle_passes_it_within_the_rounding_of_floats(page):
    """Its bounds are derived from the lengths of the sums and the sizes of their terms."""
    report = check(page, conventions=Conventions(lateral_rule="left")).raise_if_failed()
    assert {result.check for result in report.results if result.status == "passed"} == set(FUNCTIONS)


def test_it_fits_a_page_and_its_functions_need_numpy_alone(page):
    text = PAGE.read_text()
    assert text.count("\n") <= 80
    imported = [node for node in ast.parse(text).body if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {node.module if isinstance(node, ast.ImportFrom) else node.names[0].name for node in imported}
    assert {name for name in names if name.partition(".")[0] not in sys.stdlib_module_names} == {"numpy"}
