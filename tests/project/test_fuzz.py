"""Junk for every public callable: documented errors that name the argument, and nothing taken for what it is not.

The long form is `python benchmarks/fuzz.py`.
"""

import numpy as np
import pytest
from fuzzing import CALLABLES, Junk, Target, attempt, callables, drawn, failures

import copi_ref as copi
from copi_ref.to_convergence import minimise

DRAWS = 150


@pytest.fixture(scope="module")
def draws():
    return drawn(DRAWS)


@pytest.fixture(autouse=True)
def small(monkeypatch, tmp_path):
    """Searches end early, and text that is a path names nothing here."""
    monkeypatch.setattr(minimise, "_ITERATIONS", 20)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("target", CALLABLES, ids=str)
def test_junk_is_refused_by_name(target, draws):
    assert failures(target, draws) == []


def test_what_the_arguments_take_is_taken():
    """Else every junk would be refused for the sake of another argument."""
    refused = set()
    for target in CALLABLES:
        try:
            with np.errstate(all="ignore"):
                target.call(**target.valid)
        except ValueError:
            refused.add(target.label)
    without_a_file = {
        "load_cifar10",
        "load_mnist",
        "load_named",
        "load_npz",
        "read_idx",
        "load_checkpoint",
        "load_params",
    }
    assert refused <= without_a_file


# --- that it can fail -------------------------------------------------------------------------------------------------

MASKED = Junk("masked", np.ma.masked_array)


def target_of(function, **takes):
    return Target(function.__name__, function, {name: lambda value=value: value for name, value in takes.items()})


def takes_anything(x):
    return x


def changes_its_argument(x):
    x *= 2


def has_another_error(params):
    return params.W


def names_nothing(x):
    raise TypeError("unsupported operand")


@pytest.mark.parametrize(
    ("function", "name", "failure"),
    [
        (takes_anything, "x", "took masked"),
        (changes_its_argument, "x", "changed an argument"),
        (has_another_error, "params", "AttributeError"),
        (names_nothing, "x", "refused without a name"),
    ],
)
def test_faults_are_found(function, name, failure):
    assert attempt(target_of(function, **{name: np.ones((2, 2))}), (name,), MASKED)[0] == failure


def test_a_new_public_function_is_in_it_or_says_what_it_lacks(monkeypatch):
    monkeypatch.setattr(copi, "__all__", [*copi.__all__, "new"])
    monkeypatch.setattr(copi, "new", lambda x: x, raising=False)
    assert "new" in {target.label for target in callables()}
    monkeypatch.setattr(copi, "new", lambda unheard_of: unheard_of)
    with pytest.raises(LookupError, match="new has the argument 'unheard_of': tests/fuzzing.py does not know"):
        callables()
