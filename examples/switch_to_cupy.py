"""
Switch to CuPy
==============

The same code runs on NumPy and on an NVIDIA GPU. What says where new arrays are made, the strongest first: ``xp=``, the
arrays that come in, ``with copi.use_backend(...)``, the environment variable ``COPI_REF_BACKEND``, NumPy. One that
can't be used is an error; nothing falls back silently. Without a GPU this example says so and runs on NumPy.
"""

# sphinx_gallery_thumbnail_path = "_static/thumbnails/switch_to_cupy.png"

import os

import numpy as np

import copi_ref as copi
from copi_ref.arrays.backend import namespace, to_numpy

try:
    with copi.use_backend("cupy"):
        pass
    name = "cupy"
except copi.BackendError as error:
    name = "numpy"
    print(f"CuPy can't be used here, all that follows is on NumPy: {error}")


def library_of(params):
    """Return the last part of the name of the library that a network's arrays belong to."""
    return namespace(params.W[0]).__name__.rpartition(".")[2]


# %%
# One seed gives one network on every backend: the numbers are drawn on the host, and moved.
with copi.use_backend(name):
    params = copi.init_params((4, 3, 2), np.random.default_rng(0), "float64")
on_host = copi.init_params((4, 3, 2), np.random.default_rng(0), "float64", xp=np)
assert all((to_numpy(one) == other).all() for one, other in zip(params.W, on_host.W, strict=True))
print("use_backend:", name, "- the same weights as on NumPy")

# %%
# Precedence: the environment variable names a backend that does not exist, and whatever is stronger does not ask it.
before = os.environ.get("COPI_REF_BACKEND")
os.environ["COPI_REF_BACKEND"] = "abacus"
try:
    copi.init_params((4, 2), np.random.default_rng(0))
except copi.BackendError as error:
    print("COPI_REF_BACKEND=abacus:", error)
with copi.use_backend("numpy"):
    assert library_of(copi.init_params((4, 2), np.random.default_rng(0))) == "numpy"
assert library_of(copi.init_params((4, 2), np.random.default_rng(0), xp=np)) == "numpy"
assert isinstance(copi.forward(on_host, np.ones((5, 4))).y[-1], np.ndarray)
print("use_backend, xp= and the arrays that come in are stronger: no error")
if before is None:
    del os.environ["COPI_REF_BACKEND"]
else:
    os.environ["COPI_REF_BACKEND"] = before
