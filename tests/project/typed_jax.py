"""The same with JAX's arrays."""

from typing import assert_type

import jax.numpy as jnp

import copi_ref as copi
from copi_ref.arrays.array import Array

x, z, W, R = jnp.ones((50, 4)), jnp.ones((50, 3)), jnp.ones((3, 4)), jnp.eye(4)
assert_type(copi.copi_update(x, z, W), Array)
copi.decorrelation_update(x, R, "right")
copi.forward(copi.Params(W=(W,), R=(R,)), x, copi.relu)
copi.copi_update(x, z, "W")  # must fail
