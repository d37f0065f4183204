"""The inputs of the vectors, from the one sequence of numbers that Python promises to keep."""

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from copi_ref.arrays.backend import HostArray
from copi_ref.oracle.contract.pieces import Inputs


@dataclass(frozen=True)
class Source:
    """Numbers from `random.random`, the one sequence that Python promises to keep."""

    random: random.Random

    def matrix(self, rows: int, columns: int, scale: float = 1.0, whole: bool = False) -> HostArray:
        """Draw multiples of 2⁻¹⁰ in [−2, 2), or whole numbers from −4 to 4, times a power of two."""

        def one() -> float:
            drawn = self.random.random()
            return int(drawn * 9) - 4 if whole else int(drawn * 4096 - 2048) / 1024

        return np.array([[one() for _ in range(columns)] for _ in range(rows)]) * scale


def _layer(source: Source, N: int, K: int, M: int, whole: bool = False, scale: float = 1.0) -> Inputs:
    x, z = source.matrix(N, K, scale, whole), source.matrix(N, M, 1.0, whole)
    return {"x": x, "z": z, "delta": z, "W": source.matrix(M, K, 1.0, whole), "R": source.matrix(K, K, 1.0, whole)}


def layers() -> Iterator[tuple[str, Inputs]]:
    """Yield the name and the arguments of each case of an equation."""
    source = Source(random.Random(20220313))
    yield "whole numbers", _layer(source, 4, 3, 2, whole=True)
    yield "numbers of order 1", _layer(source, 7, 5, 3)
    yield "one sample", _layer(source, 1, 3, 2)
    yield "one unit, one input", _layer(source, 4, 1, 1)
    dead = _layer(source, 4, 3, 2)
    dead["x"][:, 1] = 0
    yield "a dead input", dead
    deficient = _layer(source, 5, 3, 2)
    deficient["x"][:, 2] = deficient["x"][:, 0]
    yield "two identical inputs", deficient
    yield "fewer samples than inputs", _layer(source, 2, 5, 3)
    yield "huge inputs", _layer(source, 7, 5, 3, scale=2.0**40)
    yield "tiny inputs", _layer(source, 7, 5, 3, scale=2.0**-40)
    mixed = _layer(source, 7, 5, 3)
    mixed["x"] *= 2.0 ** np.array([-20, -10, 0, 10, 20])
    yield "badly scaled inputs", mixed


_NETWORKS: tuple[tuple[str, tuple[int, ...], int, bool, dict[str, Any]], ...] = (
    ("one layer", (3, 2), 4, False, {}),
    ("two layers of whole numbers", (3, 4, 2), 5, True, {}),
    ("three layers", (3, 5, 4, 2), 7, False, {}),
    ("one sample", (2, 3, 4), 1, False, {}),
    ("one unit in every layer", (1, 1, 1), 3, False, {}),
    ("lateral rule left", (3, 4, 2), 5, False, {"lateral_rule": "left"}),
    ("lateral rule symmetric", (3, 4, 2), 5, False, {"lateral_rule": "symmetric"}),
    ("half the loss, pre-activations as output", (3, 4, 2), 5, False, {"loss_factor": 1, "output": "pre-activation"}),
    ("an error scale", (3, 5, 4, 2), 7, False, {"error_scale": 10}),
    ("feedback alignment", (3, 5, 4, 2), 7, False, {"credit": "fa"}),
    ("direct feedback alignment", (3, 5, 4, 2), 7, False, {"credit": "dfa"}),
)


def network(source: Source, sizes: tuple[int, ...], N: int, whole: bool, credit: str) -> Inputs:
    """Draw a network with a batch, and feedback weights if the credit method has some."""
    pairs = list(itertools.pairwise(sizes))
    inputs: Inputs = {
        "W": tuple(source.matrix(m, k, 1.0, whole) for k, m in pairs),
        "R": tuple(source.matrix(k, k, 1.0, whole) for k, _ in pairs),
        "y0": source.matrix(N, sizes[0], 1.0, whole),
        "target": source.matrix(N, sizes[-1], 1.0, whole),
    }
    if credit != "bp":
        above = [sizes[-1]] * (len(pairs) - 1) if credit == "dfa" else sizes[2:]
        inputs["B"] = tuple(source.matrix(k, m) for k, m in zip(sizes[1:-1], above, strict=True))
    return inputs


def networks() -> Iterator[tuple[str, dict[str, Any], Inputs]]:
    """Yield the name, the conventions that differ, and the network of each case."""
    source = Source(random.Random(20230811))
    for name, sizes, N, whole, changed in _NETWORKS:
        yield name, changed, network(source, sizes, N, whole, changed.get("credit", "bp"))
    at_zero = network(source, (3, 4, 2), 5, False, "bp")
    at_zero["y0"] *= np.array([0, 2.0**-20, -(2.0**-20), 1, 1])[:, None]
    yield "pre-activations at and near 0", {}, at_zero
