"""Hypothesis strategies for layers, networks and batches; rank-deficient, badly scaled and dead inputs among them.

Used as in::

    from hypothesis import given
    from copi_ref.oracle.inputs import strategies

    @given(strategies.layers())
    def test_mine(layer):
        mine.copi_update(layer.x, layer.z, layer.W)

Everything is NumPy; rows are samples. Needs Hypothesis (`pip install "copi_ref[test]"`).
"""

import itertools
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from copi_ref.arrays.backend import HostArray
from copi_ref.network import Params

KindName = Literal["ordinary", "whole", "rank-deficient", "badly scaled", "a dead input", "constant"]
KINDS: tuple[KindName, ...] = ("ordinary", "whole", "rank-deficient", "badly scaled", "a dead input", "constant")
"""What batches look like."""


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer on a batch: inputs x (N, K), targets z (N, M), W (M, K) and R (K, K)."""

    x: HostArray
    z: HostArray
    W: HostArray
    R: HostArray


@dataclass(frozen=True, eq=False)
class Network:
    """A network with a batch: its parameters, inputs y0 (N, K₀) and targets (N, K_L)."""

    params: Params
    y0: HostArray
    target: HostArray


@dataclass(frozen=True, eq=False)
class Settling:
    """Inference Learning on a batch: W, inputs y0 (N, K₀), states h_l (N, K_l) near nothing, and a target."""

    W: tuple[HostArray, ...]
    y0: HostArray
    states: tuple[HostArray, ...]
    target: HostArray


def entries(shape: tuple[int, ...], dtype: Any = "float64") -> st.SearchStrategy[HostArray]:
    """Arrays with entries in [−2, 2]; none so small that its square underflows, except 0."""
    width = np.dtype(dtype).itemsize * 8
    smallest = 2.0**-10
    sizes = st.floats(smallest, 2, width=width)
    numbers = st.one_of(st.just(0.0), sizes, sizes.map(lambda number: -number))
    return arrays(dtype, shape, elements=numbers)


@st.composite
def batches(
    draw: st.DrawFn, samples: int, features: int, dtype: Any = "float64", kind: KindName | None = None
) -> HostArray:
    """Batches (N, K) of one of the `KINDS`, or of any."""
    chosen = draw(st.sampled_from(KINDS)) if kind is None else kind
    if chosen not in KINDS:
        raise ValueError(f"kind is {chosen!r}: choose one of {', '.join(map(repr, KINDS))}")
    x = draw(entries((samples, features), dtype))
    if chosen == "whole":
        return np.rint(x)
    if chosen == "rank-deficient":
        signs = np.where(np.arange(features) % 2, -1, 1).astype(dtype)
        return np.asarray(x[:, :1] * signs)
    if chosen == "badly scaled":
        exponents = draw(st.lists(st.integers(-8, 8), min_size=features, max_size=features))
        return np.asarray(x * (2.0 ** np.array(exponents)).astype(dtype))
    if chosen == "a dead input":
        return np.where(np.arange(features) == draw(st.integers(0, features - 1)), np.zeros((), dtype), x)
    return np.broadcast_to(x[:1], x.shape).copy() if chosen == "constant" else x


@st.composite
def layers(draw: st.DrawFn, dtype: Any = "float64", most: int = 6, symmetric_R: bool = False) -> Layer:
    """Layers of 1 to `most` samples, inputs and units."""
    N, K, M = (draw(st.integers(1, most)) for _ in range(3))
    R = draw(entries((K, K), dtype))
    return Layer(
        x=draw(batches(N, K, dtype)),
        z=draw(entries((N, M), dtype)),
        W=draw(entries((M, K), dtype)),
        R=np.asarray((R + R.T) / 2) if symmetric_R else R,
    )


@st.composite
def networks(
    draw: st.DrawFn, dtype: Any = "float64", most: int = 5, deepest: int = 3, symmetric_R: bool = False
) -> Network:
    """Networks of 1 to `deepest` layers with 1 to `most` units each, on 1 to `most` samples."""
    sizes = draw(st.lists(st.integers(1, most), min_size=2, max_size=deepest + 1))
    N = draw(st.integers(1, most))
    drawn = [draw(layer_weights(K, M, dtype, symmetric_R)) for K, M in itertools.pairwise(sizes)]
    return Network(
        params=Params(W=tuple(W for W, _ in drawn), R=tuple(R for _, R in drawn)),
        y0=draw(batches(N, sizes[0], dtype)),
        target=draw(entries((N, sizes[-1]), dtype)),
    )


@st.composite
def settlings(draw: st.DrawFn, dtype: Any = "float64", most: int = 5, deepest: int = 3) -> Settling:
    """Networks of 1 to `deepest` layers with a state in each layer, on 1 to `most` samples."""
    sizes = draw(st.lists(st.integers(1, most), min_size=2, max_size=deepest + 1))
    N = draw(st.integers(1, most))
    states = tuple(draw(entries((N, units), dtype)) for units in sizes[1:])
    return Settling(
        W=tuple(draw(entries((units, inputs), dtype)) for inputs, units in itertools.pairwise(sizes)),
        y0=draw(batches(N, sizes[0], dtype)),
        states=states,
        target=draw(entries((N, sizes[-1]), dtype)),
    )


@st.composite
def layer_weights(
    draw: st.DrawFn, inputs: int, units: int, dtype: Any = "float64", symmetric_R: bool = False
) -> tuple[HostArray, HostArray]:
    """W (M, K) and R (K, K) of a layer."""
    W, R = draw(entries((units, inputs), dtype)), draw(entries((inputs, inputs), dtype))
    return W, np.asarray((R + R.T) / 2) if symmetric_R else R
