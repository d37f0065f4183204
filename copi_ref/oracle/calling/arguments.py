"""Arguments as an implementation gets them, made of the inputs of a case: the shape of B is a convention."""

import numpy as np

from copi_ref.arrays.backend import HostArray
from copi_ref.oracle.contract.conventions import DIRECT, Conventions
from copi_ref.oracle.contract.pieces import Inputs


def as_given(conventions: Conventions, inputs: Inputs) -> Inputs:
    """Return inputs with feedback weights in the shape that the conventions say; samples are still in rows."""
    if "B" not in inputs:
        return inputs
    B = inputs["B"]
    if conventions.feedback == "shared":
        B = _whole(conventions, inputs)
    if conventions.feedback_like == "weights":
        B = tuple(one.T for one in B) if isinstance(B, tuple) else B.T
    return {**inputs, "B": B}


def _whole(conventions: Conventions, inputs: Inputs) -> HostArray:
    """Return the matrix of which all feedback weights are the first rows and columns, 0 where no layer has any."""
    units = [len(W) for W in inputs["W"]]
    above = units[-1:] if conventions.credit in DIRECT else units[1:]
    whole = np.zeros((max(units[:-1], default=1), max(above, default=1)))
    for one in inputs["B"]:
        whole[: one.shape[0], : one.shape[1]] = one
    return whole
