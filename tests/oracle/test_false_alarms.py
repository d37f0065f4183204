"""The oracle passes correct implementations, however they sum and multiply; benchmarks/false_alarms.py takes more."""

from types import SimpleNamespace

import correct_implementations
import numpy as np
import pytest

from copi_ref.oracle import Conventions, check

LIBRARIES = ("numpy", "torch", "jax")
IN_LIBRARIES = [pytest.param(name, marks=() if name == "numpy" else pytest.mark.needs(name)) for name in LIBRARIES]
DRAWS = {"numpy": 18, "torch": 8, "jax": 2}  # JAX compiles for every new shape
FINE, COARSE = ("float64", "float32"), {"numpy": ("float16",), "torch": ("bfloat16", "float16")}


def drawn(library, number, precisions=FINE):
    """Return an implementation, its conventions and a precision."""
    rng = np.random.default_rng([1, number])
    coarse = precisions is not FINE
    implementation, conventions = correct_implementations.drawn(rng, library, Conventions, coarse)
    return implementation, conventions, precisions[number % len(precisions)]


def sample(library, share=1):
    return [pytest.param(library, number, id=f"{library}-{number}") for number in range(DRAWS[library] // share)]


def assert_passes(library, number, jit=False, only=(), precisions=FINE):
    implementation, conventions, precision = drawn(library, number, precisions)
    called = correct_implementations.as_called(implementation, jit)
    check(
        called, conventions=conventions, precision=precision, xp=implementation.xp, seed=number, only=only
    ).raise_if_failed()


@pytest.mark.parametrize(("library", "number"), sample("numpy"))
def test_numpy(library, number):
    assert_passes(library, number)


@pytest.mark.needs("torch")
@pytest.mark.parametrize(("library", "number"), sample("torch"))
def test_torch(library, number):
    assert_passes(library, number)


# Whole numbers have to come out equal there: no roots, no 0.55 a + 0.45 |a|.


@pytest.mark.parametrize(("library", "number"), sample("numpy", share=3))
def test_numpy_in_coarse_formats(library, number):
    assert_passes(library, number, precisions=COARSE[library])


@pytest.mark.needs("torch")
@pytest.mark.parametrize(("library", "number"), sample("torch", share=2))
def test_torch_in_coarse_formats(library, number):
    assert_passes(library, number, precisions=COARSE[library])


# In JAX every shape of every operation is compiled: a few functions only, each compiled as a whole but for one.


@pytest.mark.needs("jax")
@pytest.mark.parametrize(("library", "number"), sample("jax"))
def test_jax(library, number):
    only = ("copi_update", "decorrelation_update", "forward", "perturbations")
    assert_passes(library, number, jit=True, only=only)


@pytest.mark.needs("jax")
def test_jax_operation_by_operation():
    assert_passes("jax", 3, only=("sgd_update",))


def labelled(activation, piece, name):
    return (activation if piece in ("f", "f′") else "any", piece, name)


@pytest.mark.parametrize("library", IN_LIBRARIES)
def test_every_alternative_is_drawn(library):
    seen, there = set(), set()
    for number in range(400):
        implementation, conventions, _ = drawn(library, number)
        activation = conventions.activation
        seen |= {labelled(activation, *choice) for choice in implementation.choices.items()}
        tables = correct_implementations.alternatives(library, {"activation": activation})
        there |= {labelled(activation, piece, name) for piece, names in tables.items() for name in names}
    assert not there - seen


def test_wrong_in_one_weight_is_rejected():
    # The same way of calling: nothing here passes whatever comes.
    implementation, conventions, _ = drawn("numpy", 0)
    right = correct_implementations.as_called(implementation)

    def wrong(x, z, W):
        update = right.copi_update(x, z, W)
        update[0, 0] *= 1 + 1e-9
        return update

    report = check(SimpleNamespace(copi_update=wrong), conventions=conventions, precision="float64", xp=np)
    assert not report.ok
