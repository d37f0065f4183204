"""Fixtures: the array libraries that every equation is run on, and the command's environment."""

import os
from dataclasses import dataclass
from typing import Any

# Set before JAX is imported anywhere: without it JAX makes float32 of float64.
os.environ.setdefault("JAX_ENABLE_X64", "1")

import hypothesis
import numpy as np
import pytest
from idx_files import FILES, idx

from copi_ref.arrays import backend

hypothesis.settings.register_profile("ci", derandomize=True, deadline=None, max_examples=50)
hypothesis.settings.register_profile("dev", deadline=None)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "dev")


def pytest_report_header():
    facts = backend.environment()
    return "copi_ref: " + ", ".join(f"{name} {value}" for name, value in facts.items())


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


LIBRARIES = [
    "numpy",
    "read-only numpy",
    "array_api_strict",
    pytest.param("torch", marks=pytest.mark.interop),
    pytest.param("jax", marks=pytest.mark.interop),
    "cupy",
]


@pytest.fixture(params=LIBRARIES)
def xp(request) -> Library:
    """Each array library that is installed and, for cupy, finds a device; the others are skipped with the reason."""
    name = request.param.rpartition(" ")[2]
    try:
        namespace = backend.load_backend(name)
    except backend.BackendError as error:
        pytest.skip(str(error))
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
