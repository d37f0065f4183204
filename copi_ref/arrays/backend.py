"""Which array library: the only file that knows their names.

Arrays that come in decide; only *new* arrays (initial weights, data) need a choice. Precedence: an explicit
``xp=`` > the arrays that came in > ``with use_backend("cupy"):`` > the environment variable
``COPI_REF_BACKEND`` > numpy. A backend that can't be used raises; nothing falls back silently.
"""

import importlib
import os
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal, TypeAlias, TypeGuard, cast

import array_api_compat
import numpy as np
from numpy.typing import NDArray

from copi_ref.arrays.array import Array as Array
from copi_ref.arrays.blas import blas_threads
from copi_ref.arrays.said import said

HostArray: TypeAlias = NDArray[Any]
"""A NumPy array in the host's memory."""

Namespace: TypeAlias = Any
"""The module of array functions that belongs to an array, called ``xp`` throughout."""

ENVIRONMENT_VARIABLE = "COPI_REF_BACKEND"
GRAPH_VARIABLE = "COPI_REF_CUDA_GRAPH"

BackendName = Literal["numpy", "cupy", "torch", "jax", "array_api_strict"]

_MODULES = {
    "numpy": "array_api_compat.numpy",
    "cupy": "array_api_compat.cupy",
    "torch": "array_api_compat.torch",
    "jax": "jax.numpy",
    "array_api_strict": "array_api_strict",
}
_INSTALL = {
    "cupy": 'pip install "copi_ref[gpu-cuda12]" (or gpu-cuda13)',
    "torch": 'pip install "copi_ref[interop]"',
    "jax": 'pip install "copi_ref[interop]"',
    "array_api_strict": "pip install array-api-strict",
}
FloatName = Literal["float16", "bfloat16", "float32", "float64"]

FLOAT_DTYPES = ("float16", "bfloat16", "float32", "float64")

_chosen: ContextVar[str | None] = ContextVar("copi_ref_backend", default=None)


class BackendError(RuntimeError):
    """The array library that was asked for is unknown, not installed, or has no device to run on."""


def backend_name() -> BackendName:
    """Name of the backend on which new arrays are made now; an empty environment variable counts as unset."""
    name = _chosen.get() or os.environ.get(ENVIRONMENT_VARIABLE) or "numpy"
    return cast(BackendName, name)  # `load_backend` refuses others


@contextmanager
def use_backend(name: BackendName) -> Iterator[None]:
    """Make new arrays with the backend `name` inside a ``with`` block, in this thread or task only.

    Raises:
        TypeError: `name` is no text.
        BackendError: the backend is unknown or can't be used here.
    """
    if not isinstance(name, str):
        raise TypeError(f"name is a {type(name).__name__}: needs that of a backend, one of {', '.join(_MODULES)}")
    load_backend(name)
    token = _chosen.set(name)
    try:
        yield
    finally:
        _chosen.reset(token)


def load_backend(name: str) -> Namespace:
    """Return the array namespace called `name`, after making one array with it.

    ``import cupy`` succeeds on a machine without a GPU and the first allocation fails: hence the probe.

    Raises:
        BackendError: the name is unknown, the library is not installed, or it can't make an array.
    """
    if name not in _MODULES:
        raise BackendError(
            f"backend {name!r} is unknown: choose one of {', '.join(_MODULES)} "
            f"(with use_backend or the environment variable {ENVIRONMENT_VARIABLE})"
        )
    try:
        xp = importlib.import_module(_MODULES[name])
    except ImportError as error:
        raise BackendError(
            f"backend {name!r} can't be imported ({error}): {_INSTALL[name]}, or choose another backend"
        ) from error
    _probe(name, xp)
    return xp


def _probe(name: str, xp: Namespace) -> Array:
    try:
        return xp.ones(1)
    except Exception as error:
        raise BackendError(
            f"backend {name!r} is installed but can't make an array ({error}): "
            "it needs a working device, or choose another backend"
        ) from error


def default_namespace(xp: Namespace | None = None) -> Namespace:
    """Return the namespace for new arrays: of `xp` (a module such as ``cupy``) if given, else of the chosen backend.

    Raises:
        TypeError: `xp` is no array module.
        BackendError: the backend can't be used.
    """
    if xp is None:
        return load_backend(backend_name())
    if not (hasattr(xp, "asarray") and hasattr(xp, "__name__")):
        raise TypeError(f"xp is {said(xp)}: needs an array module such as numpy or cupy; names go to use_backend")
    return array_api_compat.array_namespace(_probe(xp.__name__, xp))


@cache
def numpy_namespace() -> Namespace:
    """Return the namespace of NumPy's arrays; loaded when first needed, as that takes longer than all other imports."""
    return array_api_compat.array_namespace(np.empty(0))


def namespace(*arrays: Array) -> Namespace:
    """Return the array namespace that all `arrays` belong to.

    Raises:
        TypeError: one of them is no array, or they come from different libraries.
    """
    if all(type(array) is np.ndarray for array in arrays):  # in a step the commonest, and ten times as fast
        return numpy_namespace()
    return array_api_compat.array_namespace(*arrays)


def from_numpy(host: HostArray, xp: Namespace, dtype: Any = None, device: Any = None) -> Array:
    """Copy a NumPy array to the namespace `xp`; `dtype` is a name or a dtype, None keeps the array's own.

    Raises:
        TypeError: `dtype` is not a floating type.
        BackendError: the library has no such dtype, or gives another one.
    """
    if dtype is None:
        return xp.asarray(host, copy=True, device=device)
    name = float_name(dtype)
    if not hasattr(xp, name):
        raise BackendError(f"{xp.__name__} has no {name}: choose another dtype")
    array = xp.asarray(host, dtype=getattr(xp, name), copy=True, device=device)
    if float_name(array.dtype) != name:  # JAX makes float32 of float64 unless it is told not to
        raise BackendError(
            f"{xp.__name__} gave {array.dtype} for dtype {name}: "
            "switch it on (JAX: set JAX_ENABLE_X64=1) or choose another dtype"
        )
    return array


def to_numpy(array: Array) -> HostArray:
    """Copy an array of any library to the host as a NumPy array; PyTorch's bfloat16 becomes float32, exactly."""
    its: Any = array  # the methods of its own library, whose types need not be installed
    if array_api_compat.is_numpy_array(array):
        return np.array(array)
    if array_api_compat.is_cupy_array(array):
        return np.asarray(its.get())
    if array_api_compat.is_torch_array(array):
        host = its.detach().cpu()
        return np.array((host.float() if str(host.dtype) == "torch.bfloat16" else host).numpy())
    if array_api_compat.is_jax_array(array):
        return np.array(array)
    xp = namespace(array)
    return np.array(array_api_compat.to_device(array, xp.Device("CPU_DEVICE")))


def device_of(array: Array) -> Any:
    """Return the device an array lies on."""
    return array_api_compat.device(array)


def library_of(array: Array) -> str:
    """Return the name of the library that an array is of: ``numpy``, ``torch``, ``jax`` …"""
    name = type(array).__module__.partition(".")[0]
    return {"jaxlib": "jax"}.get(name, name)


def is_host(array: Array) -> TypeGuard[HostArray]:
    """Whether an array is NumPy's."""
    return isinstance(array, np.ndarray)


def is_writable(array: Array) -> bool:
    """Whether the library's arrays can be written to; JAX's can't."""
    return not array_api_compat.is_jax_array(array)


def free_memory(array: Array) -> int | None:
    """Return the bytes that CuPy may still take on an array's GPU, its memory pool's included; None elsewhere."""
    if not array_api_compat.is_cupy_array(array):
        return None
    cupy, its = importlib.import_module("cupy"), cast(Any, array)
    with its.device:
        pool = cupy.get_default_memory_pool()
        free = int(cupy.cuda.runtime.memGetInfo()[0] + pool.free_bytes())
        limit = int(pool.get_limit())  # 0: none
        return min(free, limit - int(pool.used_bytes())) if limit else free


def graph_wanted() -> bool:
    """Whether `fit` is to record its step as a CUDA graph: COPI_REF_CUDA_GRAPH is 1; unset, empty or 0 is no.

    Raises:
        BackendError: it is something else.
    """
    value = os.environ.get(GRAPH_VARIABLE) or "0"
    if value not in ("0", "1"):
        raise BackendError(f"{GRAPH_VARIABLE} is {value!r}: needs 1 or 0")
    return value == "1"


def for_graph(array: Array) -> Array:
    """Return an array that lies on an NVIDIA GPU as PyTorch's, in the same memory.

    Raises:
        BackendError: it does not lie there, or PyTorch can't use the GPU.
    """
    if array_api_compat.is_torch_array(array) and array.is_cuda:
        return array
    if not array_api_compat.is_cupy_array(array):
        where = f"{type(array).__module__.partition('.')[0]}'s, on {device_of(array)}"
        raise BackendError(f"{GRAPH_VARIABLE} is 1, but the arrays are {where}: needs CuPy's, or PyTorch's on a GPU")
    try:
        return importlib.import_module("torch").from_dlpack(array)
    except Exception as error:  # no PyTorch, or one without CUDA
        raise BackendError(
            f"{GRAPH_VARIABLE} is 1, but PyTorch, which records the graph, can't use CuPy's arrays ({error}): "
            f"install a build for CUDA, or unset {GRAPH_VARIABLE}"
        ) from error


def from_graph(array: Array, like: Array) -> Array:
    """Return an array of PyTorch as CuPy's, in the same memory, if `like` is CuPy's; else as it is."""
    return importlib.import_module("cupy").from_dlpack(array) if array_api_compat.is_cupy_array(like) else array


def capture(work: Callable[[], Any]) -> Callable[[], None]:
    """Record what `work` launches on PyTorch's arrays, without running it, and return what runs it all again."""
    cuda = importlib.import_module("torch").cuda
    graph = cuda.CUDAGraph()
    with cuda.graph(graph):
        work()
    return cast(Callable[[], None], graph.replay)


def float_name(dtype: Any) -> str:
    """Return the plain name ("float32") of a floating dtype given as a name or as any library's dtype.

    Raises:
        TypeError: it is not one of float16, bfloat16, float32, float64.
    """
    name = dtype_name(dtype)
    if name not in FLOAT_DTYPES:
        raise TypeError(f"dtype is {said(dtype)}: need one of {', '.join(FLOAT_DTYPES)}")
    return name


def host_float(dtype: Any) -> np.dtype[Any]:
    """Return NumPy's floating dtype for one given as a name or as any library's dtype.

    Raises:
        TypeError: it is not one of float16, float32, float64.
    """
    name = float_name(dtype)
    if name == "bfloat16":
        raise TypeError("dtype is bfloat16, which NumPy has not: need one of float16, float32, float64")
    return np.dtype(name)


def dtype_name(dtype: Any) -> str:
    """Return the plain name of any library's dtype, or the text of what is none."""
    name = dtype if isinstance(dtype, str) else getattr(dtype, "name", None)
    return str(name or getattr(dtype, "__name__", None) or said(dtype).rpartition(".")[2])


def usable_cores() -> int:
    """Return how many cores this process may use: in a container, or under ``taskset``, not all that there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def environment() -> dict[str, str]:
    """Describe what numbers depend on: the resolved backend, library versions, BLAS, its threads and its kernel."""
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    cores = usable_cores()
    libraries = ("copi_ref", "numpy", "scipy", "array-api-compat", "cupy", "torch", "jax")
    return {
        "backend": backend_name(),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {cores} core{'s' * (cores > 1)}",
        **{name: found for name in libraries if (found := _installed_version(name))},
        "blas": f"{blas['name']} {blas['version']}",
        "blas threads": blas_threads(),
        **(_gpu() if backend_name() == "cupy" else {}),
    }


def _gpu() -> dict[str, str]:
    """The device, its memory, and what changes CuPy's numbers or speed: TF32, and the limit of the memory pool."""
    try:
        cupy = importlib.import_module("cupy")
        name = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.runtime.getDevice())["name"].decode()
        free, total = cupy.cuda.runtime.memGetInfo()
        limit = cupy.get_default_memory_pool().get_limit()
    except Exception as error:  # whatever CuPy raises without a driver: `load_backend` says what to do
        return {"gpu": f"none that CuPy can use ({error})"}
    return {
        "gpu": name,
        "gpu memory": f"{free / 2**30:.1f} of {total / 2**30:.1f} GiB free",
        "gpu memory pool": f"at most {limit / 2**30:.1f} GiB" if limit else "no limit (CUPY_GPU_MEMORY_LIMIT)",
        "gpu TF32": f"{'on' if os.environ.get('CUPY_TF32') == '1' else 'off'} (CUPY_TF32)",
        "gpu graph": f"{'on' if graph_wanted() else 'off'} ({GRAPH_VARIABLE})",
    }


def _installed_version(library: str) -> str | None:
    names = ("cupy-cuda12x", "cupy-cuda13x", "cupy") if library == "cupy" else (library,)
    for name in names:
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return None
