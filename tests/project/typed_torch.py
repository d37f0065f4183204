"""The same with PyTorch's tensors."""

from typing import assert_type

import torch

import copi_ref as copi
from copi_ref.arrays.array import Array

x, z, W, R = torch.randn(50, 4), torch.randn(50, 3), torch.randn(3, 4), torch.eye(4)
assert_type(copi.copi_update(x, z, W), Array)
copi.decorrelation_update(x, R, "right")
copi.forward(copi.Params(W=(W,), R=(R,)), x, copi.relu)
copi.copi_update(x, z, torch.float32)  # must fail
copi.copi_update(x, z, "W")  # must fail
