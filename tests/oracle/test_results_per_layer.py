"""One array per layer, as a result: any sequence of arrays is read, and what is none gets a verdict."""

from collections import UserList, deque
from types import MappingProxyType, SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest
from mutants import plain

from copi_ref.oracle import check


class Trace(NamedTuple):
    x: object
    a: object
    y: object


def objects(arrays):
    """An array of arrays, as NumPy makes of matrices whose shapes differ."""
    found = np.empty(len(arrays), dtype=object)
    found[:] = arrays
    return found


def results_in(sequence, make=lambda array: array):
    """All functions with several arrays, their results in another kind of sequence."""

    def again(arrays):
        return sequence([make(array) for array in arrays])

    def forward(W, R, y0):
        return Trace(*map(again, plain.forward(W, R, y0)))

    def perturbations(*arguments):
        return again(plain.perturbations(*arguments))

    def step(W, R, y0, target, eta_w, eta_r):
        x, a, _ = plain.forward(W, R, y0)
        new_W, new_R = plain.step(W, R, y0, target, eta_w, eta_r)
        return deque([again(new_W), again(new_R), MappingProxyType({"x": again(x), "a": again(a)})])

    return {"forward": forward, "perturbations": perturbations, "step": step}


@pytest.mark.parametrize("sequence", [tuple, deque, UserList, objects, lambda arrays: dict(enumerate(arrays)).values()])
def test_results_in_any_sequence(sequence):
    check(SimpleNamespace(**results_in(sequence)), xp=np).raise_if_failed()


@pytest.mark.needs("torch")
def test_results_as_parameters_in_a_parameter_list():
    import torch

    def on_torch(function):
        def called(*arguments):
            given = [[one.numpy() for one in of] if isinstance(of, list) else of for of in arguments]
            return function(*(one.numpy() if isinstance(one, torch.Tensor) else one for one in given))

        return called

    of_parameters = results_in(torch.nn.ParameterList, lambda array: torch.nn.Parameter(torch.asarray(array)))
    functions = {name: on_torch(function) for name, function in of_parameters.items()}
    check(SimpleNamespace(**functions), precision="float32", xp=torch).raise_if_failed()


@pytest.mark.needs("torch")
def test_results_that_require_a_gradient():
    import torch

    def copi_update(x, z, W):
        W = torch.nn.Parameter(W)
        return z.mT @ x / len(x) - W * (x**2).mean(dim=0)

    check(SimpleNamespace(copi_update=copi_update), precision="float32", xp=torch).raise_if_failed()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda arrays: dict(enumerate(arrays)), "δ is a dict: needs one array per layer, as a tuple or list"),
        (lambda arrays: dict(enumerate(arrays)).keys(), "δ is a dict_keys: needs one array per layer"),
        (lambda arrays: {id(one): one for one in arrays}.items(), "δ is a dict_items: needs one array per layer"),
        (lambda arrays: set(map(id, arrays)), "δ is a set: needs one array per layer"),
        (lambda arrays: "δ" * len(arrays), "δ is a str: needs one array per layer"),
        (lambda arrays: np.stack(arrays[:1] * len(arrays)), "δ is a ndarray: needs one array per layer"),
        (lambda arrays: (one for one in arrays), "δ is a generator: needs one array per layer, as a tuple or list; l"),
        (lambda arrays: map(np.copy, arrays), "δ is a map: needs one array per layer, as a tuple or list; list()"),
        (lambda arrays: [arrays] * len(arrays), "returned a list for δ of layer 1: needs an array"),
        (None, "δ is a NoneType: needs one array per layer"),
    ],
)  # fmt: skip
def test_what_is_no_sequence_of_arrays_gets_a_verdict(make, says):
    def perturbations(*arguments):
        return make and make(plain.perturbations(*arguments))

    assert says in check(SimpleNamespace(perturbations=perturbations)).diagnosis
