"""Which library new arrays are made with, and that a choice that can't be met raises."""

import os
import sys
from contextlib import nullcontext
from types import ModuleType

import array_api_compat
import numpy as np
import pytest

import copi_ref as copi
from copi_ref.arrays import backend

SIZES = (4, 3)


def name_of(params):
    xp = array_api_compat.array_namespace(params.W[0])
    return xp.__name__.removeprefix("array_api_compat.")


def test_numpy_is_the_default(monkeypatch):
    monkeypatch.delenv("COPI_REF_BACKEND", raising=False)
    assert name_of(copi.init_params(SIZES, np.random.default_rng(0))) == "numpy"
    monkeypatch.setenv("COPI_REF_BACKEND", "")
    assert name_of(copi.init_params(SIZES, np.random.default_rng(0))) == "numpy"


def test_precedence(monkeypatch):
    """xp= over use_backend over the environment variable, which is read when it is needed."""
    monkeypatch.setenv("COPI_REF_BACKEND", "array_api_strict")
    assert name_of(copi.init_params(SIZES, np.random.default_rng(0))) == "array_api_strict"
    with copi.use_backend("numpy"):
        assert name_of(copi.init_params(SIZES, np.random.default_rng(0))) == "numpy"
        import array_api_strict

        made = copi.init_params(SIZES, np.random.default_rng(0), xp=array_api_strict)
        assert name_of(made) == "array_api_strict"
    assert name_of(copi.init_params(SIZES, np.random.default_rng(0))) == "array_api_strict"


def test_arrays_that_come_in_win_over_the_environment(monkeypatch):
    monkeypatch.setenv("COPI_REF_BACKEND", "array_api_strict")
    assert isinstance(copi.sgd_update(np.ones((2, 3)), np.ones((2, 1))), np.ndarray)


def test_use_backend_is_undone_after_an_error(monkeypatch):
    monkeypatch.setenv("COPI_REF_BACKEND", "numpy")
    with pytest.raises(KeyError), copi.use_backend("array_api_strict"):
        raise KeyError
    assert backend.backend_name() == "numpy"


@pytest.mark.parametrize("choose", ["environment", "use_backend"])
def test_an_unknown_backend_lists_those_there_are(choose, monkeypatch):
    monkeypatch.setenv("COPI_REF_BACKEND", "cuda" if choose == "environment" else "numpy")
    message = "backend 'cuda' is unknown: choose one of numpy, cupy, torch, jax, array_api_strict"
    chosen = nullcontext() if choose == "environment" else copi.use_backend("cuda")
    with pytest.raises(copi.BackendError, match=message), chosen:
        copi.init_params(SIZES, np.random.default_rng(0))


def test_a_backend_that_is_not_installed_says_how_to(monkeypatch):
    monkeypatch.setitem(sys.modules, "array_api_compat.cupy", None)  # as if the import failed
    monkeypatch.setenv("COPI_REF_BACKEND", "cupy")
    with pytest.raises(copi.BackendError, match=r"'cupy' can't be imported .*gpu-cuda12"):
        copi.init_params(SIZES, np.random.default_rng(0))


def test_cupy_without_a_device_is_found_out_by_allocating(monkeypatch):
    """`import cupy` succeeds without a GPU; only the first allocation fails. Nothing falls back to NumPy."""

    def no_device(*_):
        raise RuntimeError("cudaErrorNoDevice: no CUDA-capable device is detected")

    cupy = ModuleType("array_api_compat.cupy")
    cupy.ones = no_device
    monkeypatch.setitem(sys.modules, "array_api_compat.cupy", cupy)
    monkeypatch.setenv("COPI_REF_BACKEND", "cupy")
    with pytest.raises(copi.BackendError, match="can't make an array .*cudaErrorNoDevice.* needs a working device"):
        copi.init_params(SIZES, np.random.default_rng(0))


def test_an_explicit_module_without_a_device_is_found_out_too():
    class NoDevice:
        __name__ = "cupy"
        asarray = None

        def ones(self, shape):
            raise RuntimeError("cudaErrorNoDevice")

    with pytest.raises(copi.BackendError, match=r"'cupy' is installed but can't make an array \(cudaErrorNoDevice\)"):
        copi.init_params(SIZES, np.random.default_rng(0), xp=NoDevice())


@pytest.mark.needs("torch")
def test_a_raw_module_is_as_good_as_its_array_api_wrapper():
    import torch

    made = copi.init_params(SIZES, np.random.default_rng(0), xp=torch)
    assert made.W[0].dtype == torch.float32


@pytest.mark.needs("torch")
def test_bfloat16_comes_back_as_float32(rng):
    import torch

    W = copi.init_params(SIZES, rng, dtype="bfloat16", xp=torch).W[0]
    assert W.dtype == torch.bfloat16
    np.testing.assert_array_equal(backend.to_numpy(W), W.float().numpy())


def test_use_backend_fails_at_the_door(monkeypatch):
    monkeypatch.setitem(sys.modules, "array_api_compat.cupy", None)
    with pytest.raises(copi.BackendError, match="'cupy' can't be imported"), copi.use_backend("cupy"):
        raise AssertionError("entered")


def test_round_trip_through_every_library(xp, rng):
    host = rng.normal(size=(3, 2))
    there = xp.asarray(host)
    assert backend.namespace(there) is xp.xp
    np.testing.assert_array_equal(xp.numpy(there), host)


def test_arrays_are_copied_both_ways(xp, rng):
    """Else a torch tensor made from a NumPy array would change with it."""
    host = rng.normal(size=(3, 2))
    there = xp.asarray(host)
    kept = host.copy()
    host[:] = 0
    back = xp.numpy(there)
    np.testing.assert_array_equal(back, kept)
    back[:] = 0
    np.testing.assert_array_equal(xp.numpy(there), kept)


@pytest.mark.needs("jax")
def test_jax_without_float64_is_refused(rng):
    import jax

    with (
        jax.enable_x64(False),
        pytest.warns(UserWarning, match="float64"),
        pytest.raises(copi.BackendError, match="gave float32 for dtype float64: .*JAX_ENABLE_X64=1"),
    ):
        copi.init_params(SIZES, rng, dtype="float64", xp=jax.numpy)


@pytest.mark.parametrize("dtype", ["float32", np.float32, np.dtype("float32")])
def test_dtype_by_name_or_by_type(dtype, rng):
    assert copi.init_params(SIZES, rng, dtype=dtype, xp=np).W[0].dtype == np.float32


def test_dtype_that_is_not_floating_is_refused(rng):
    with pytest.raises(TypeError, match="dtype is 'int64': need one of float16, bfloat16, float32, float64"):
        copi.init_params(SIZES, rng, dtype="int64")
    with pytest.raises(copi.BackendError, match="has no bfloat16"):
        copi.init_params(SIZES, rng, dtype="bfloat16", xp=np)


def test_environment_says_what_numbers_depend_on(monkeypatch):
    monkeypatch.setenv("COPI_REF_BACKEND", "numpy")
    facts = backend.environment()
    assert facts["backend"] == "numpy"
    assert facts["numpy"] == np.__version__
    assert facts["copi_ref"] == copi.__version__
    assert {"python", "scipy", "blas", "blas threads"} <= set(facts)


def test_cores_are_those_that_the_process_may_use(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 3, 5}, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    assert backend.environment()["machine"].endswith(", 3 cores")
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {3}, raising=False)
    assert backend.environment()["machine"].endswith(", 1 core")
