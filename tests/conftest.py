"""What all tests share: what is left out here and why, which warnings are errors, the array libraries, fixtures."""

import os
import shutil
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

# Before NumPy is imported: the workers of pytest-xdist share the cores, and their BLAS threads would fight for them.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")
# Before JAX is imported anywhere: without it JAX makes float32 of float64.
os.environ.setdefault("JAX_ENABLE_X64", "1")

import hypothesis
import numpy as np
import pytest
from idx_files import FILES, idx

from copi_ref.arrays import backend

hypothesis.settings.register_profile("ci", derandomize=True, deadline=None, max_examples=50)
hypothesis.settings.register_profile("dev", deadline=None)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "dev")


# --- what is not here, and so not tested ------------------------------------------------------------------------------


def gpu_answers():
    """Whether CuPy finds a device: importing it succeeds without one."""
    try:
        return find_spec("cupy") is not None and bool(backend.load_backend("cupy"))
    except backend.BackendError:
        return False


def data_there(folder):
    return (Path(os.environ.get("COPI_REF_DATA") or os.devnull) / folder).is_dir()


# What `@pytest.mark.needs(...)` may name: whether it is here, and how it gets here.
NEEDS = {
    "torch": (find_spec("torch"), 'pip install "copi_ref[interop]"'),
    "jax": (find_spec("jax"), 'pip install "copi_ref[interop]"'),
    "cupy": (gpu_answers(), "needs an NVIDIA GPU"),
    "mnist": (data_there("mnist"), "COPI_REF_DATA=folder"),
    "cifar-10": (data_there("cifar-10-batches-bin"), "COPI_REF_DATA=folder"),
    "mypy": (find_spec("mypy"), 'pip install "copi_ref[dev]"'),
    "marimo": (find_spec("marimo"), 'pip install "copi_ref[explore]"'),
    "C++": (shutil.which("g++") or shutil.which("clang++"), "install a compiler"),
    "git": (shutil.which("git"), "install git"),
    "site": (os.environ.get("COPI_REF_SITE"), "COPI_REF_SITE=folder with the built pages"),
    "browser": (find_spec("playwright") and shutil.which("chromium"), "install chromium, pip install playwright"),
}
ABSENT = {name: how for name, (here, how) in NEEDS.items() if not here}


@pytest.hookimpl(tryfirst=True)  # before `-m interop` chooses
def pytest_collection_modifyitems(config, items):
    """Leave out what needs something that is not here, and mark what needs PyTorch or JAX as `interop`."""
    here, left_out = [], []
    for item in items:
        needed = {name for mark in item.iter_markers("needs") for name in mark.args}
        if unknown := needed - NEEDS.keys():
            raise pytest.UsageError(f"{item.nodeid} needs {unknown}: conftest.py knows {', '.join(NEEDS)}")
        if needed & {"torch", "jax"}:
            item.add_marker("interop")
        (left_out if needed & ABSENT.keys() else here).append(item)
    items[:] = here
    config.hook.pytest_deselected(items=left_out)


def pytest_report_header():
    facts = ", ".join(f"{name} {value}" for name, value in backend.environment().items())
    hows = {how: ", ".join(name for name in ABSENT if ABSENT[name] == how) for how in ABSENT.values()}
    absent = "; ".join(f"{names} ({how})" for how, names in hows.items())
    return [f"copi_ref: {facts}", *([f"not here, and so not tested: {absent}"] if ABSENT else [])]


# --- warnings ---------------------------------------------------------------------------------------------------------


def pytest_configure(config):
    """Make a warning of one of our own modules an error.

    One of another library's is shown, and so is what libraries say to their callers about tomorrow: with it, their
    next release would stop a run that is right today. In `.ci/run`, with `-W error`, all are errors.
    """
    ours = "|".join(["copi_ref", "docs", *(path.stem for path in Path(__file__).parent.rglob("*.py"))])
    config.addinivalue_line("filterwarnings", rf"error:::({ours})(\.|$)")
    for category in ("DeprecationWarning", "PendingDeprecationWarning", "FutureWarning", "ResourceWarning"):
        config.addinivalue_line("filterwarnings", f"default::{category}")


# --- fixtures ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Library:
    """An array library under test: `asarray` makes its arrays from NumPy's, `numpy` brings them back."""

    name: str
    xp: Any
    device: Any = None
    read_only: bool = False

    def asarray(self, host, dtype="float64"):
        if isinstance(host, tuple):
            return tuple(self.asarray(one, dtype) for one in host)
        array = backend.from_numpy(np.asarray(host), self.xp, dtype, self.device)
        if self.read_only:
            array.flags.writeable = False
        return array

    def numpy(self, array):
        assert backend.namespace(array) is self.xp, f"{array!r} is not an array of {self.name}"
        assert self.device is None or backend.device_of(array) == self.device, "left its device"
        return backend.to_numpy(array)


OTHERS = [pytest.param(name, marks=pytest.mark.needs(name)) for name in ("torch", "jax", "cupy")]


@pytest.fixture(params=["numpy", "read-only numpy", "array_api_strict", *OTHERS])
def xp(request) -> Library:
    """Each array library that is here."""
    name = request.param.rpartition(" ")[2]
    namespace = backend.load_backend(name)
    # A device that is not the default one: arrays made without `device=` then don't mix with these.
    device = namespace.Device("device1") if name == "array_api_strict" else None
    return Library(name, namespace, device, read_only=request.param.startswith("read-only"))


@pytest.fixture
def mnist_folder(tmp_path):
    """A folder with four small files in MNIST's format."""
    folder = tmp_path / "mnist files"
    folder.mkdir()
    for name, array in FILES.items():
        (folder / name).write_bytes(idx(array))
    return folder


@pytest.fixture
def rng():
    return np.random.default_rng(20220317)
