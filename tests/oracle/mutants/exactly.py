"""Whether a mutated library gives the same results as the library, exactly: in Fractions, nothing is rounded."""

import itertools
import sys
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np

import copi_ref
from copi_ref.oracle import Conventions
from mutants.library import COPY, Implementation, imported

DRAWS = 4
SHAPES = ((3, 2), (3, 4, 2), (2, 5, 4, 3), (1, 1), (2, 3, 1, 4, 2))
"""Networks: units of each layer, the input first."""

EVERYWHERE, BUT_FOR_ENSEMBLES, BUT_FOR_EXACT_MODE, NOT = "everywhere", "but for ensembles", "but for exact mode", "not"

Call = tuple[str, tuple[Any, ...]]


def where_same(conventions: list[Conventions]) -> str:
    """Say where the mutated copy that is imported now gives the library's results, under conventions that are rational.

    Values and their types are compared, on random inputs, zeros among them; errors count as results.
    """
    conventions = [one for one in conventions if one.activation != "tanh"]
    same_in_fractions = _same(conventions, (), "object")
    if not same_in_fractions:
        floats = _same(conventions, (), "float64") and _same(conventions, (), "float32")
        return BUT_FOR_EXACT_MODE if floats else NOT
    return EVERYWHERE if _same(conventions, (2,), "object") else BUT_FOR_ENSEMBLES


def _same(conventions: list[Conventions], ensemble: tuple[int, ...], dtype: str) -> bool:
    return all(_results(one, ensemble, dtype) == _of_the_library(one, ensemble, dtype) for one in conventions)


@cache
def _of_the_library(conventions: Conventions, ensemble: tuple[int, ...], dtype: str) -> list[Any]:
    kept = {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] == COPY}
    with imported():
        results = _results(conventions, ensemble, dtype)
    sys.modules.update(kept)
    return results


def _results(conventions: Conventions, ensemble: tuple[int, ...], dtype: str) -> list[Any]:
    """The results of the copy that is imported now, in plain lists."""
    implementation = Implementation(conventions)
    return [
        _result(getattr(implementation, name), arguments) for name, arguments in _calls(conventions, ensemble, dtype)
    ]


def _result(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    try:
        return _plain(function(*arguments))
    except Exception as error:
        return type(error).__name__


def _plain(value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        return [_plain(one) for one in value]
    return value.tolist(), value.shape, str(value.dtype), {type(one) for one in value.ravel()}


# --- inputs -----------------------------------------------------------------------------------------------------------


@cache
def _calls(conventions: Conventions, ensemble: tuple[int, ...], dtype: str) -> tuple[Call, ...]:
    return tuple(
        call
        for seed in range(DRAWS)
        for sizes, samples in itertools.product(SHAPES, (1, 4))
        for call in _calls_of(
            np.random.default_rng([seed, samples, *sizes]), conventions, ensemble, sizes, samples, dtype
        )
    )


def _calls_of(
    rng: np.random.Generator,
    conventions: Conventions,
    ensemble: tuple[int, ...],
    sizes: tuple[int, ...],
    N: int,
    dtype: str,
) -> Iterator[Call]:
    """Calls of all six functions: names with arguments."""

    def drawn(*shape: int) -> Any:
        p, q = (rng.integers(low, 4, size=(*ensemble, *shape)) for low in (-3, 1))
        fractions = [Fraction(int(one), int(other)) for one, other in zip(p.ravel(), q.ravel(), strict=True)]
        return np.array(fractions, dtype=object).reshape(p.shape).astype(dtype)

    pairs = list(itertools.pairwise(sizes))
    W, R = tuple(drawn(m, k) for k, m in pairs), tuple(drawn(k, k) for k, _ in pairs)
    x, z, y0, target = drawn(N, sizes[0]), drawn(N, sizes[1]), drawn(N, sizes[0]), drawn(N, sizes[-1])
    above = [sizes[-1]] * (len(pairs) - 1) if conventions.credit == "dfa" else sizes[2:]
    B = () if conventions.credit == "bp" else (tuple(drawn(k, m) for k, m in zip(sizes[1:-1], above, strict=True)),)
    trace = copi_ref.forward(copi_ref.Params(W=W, R=R), y0, _activation(conventions))
    yield "copi_update", (x, z, W[0])
    yield "sgd_update", (x, z)
    yield "decorrelation_update", (x, R[0])
    yield "forward", (W, R, y0)
    yield "perturbations", (W, R, trace.x, trace.a, trace.y, target, *B)
    yield "step", (W, R, y0, target, 3, 2, *B)


def _activation(conventions: Conventions) -> copi_ref.Activation:
    if conventions.activation == "leaky_relu":
        return copi_ref.leaky_relu_with(Fraction(conventions.slope).limit_denominator(1000))
    return copi_ref.ACTIVATIONS[conventions.activation]
