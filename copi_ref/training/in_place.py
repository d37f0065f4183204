"""Algorithm 1 as `fit` takes it: the same step, written into the state's own arrays.

`step` makes a new W and a new R; a pass over a matrix of K² costs as much as its product with a batch does, so here
none is made that can be spared. The step's factor η/N goes into z and q, which are N×K, and the rest is

    W ← W (1 − η E[x²]) + Σ (η/N z) xᵀ,    R ← R (1 + η E[x²]) − Σ (η/N q) xᵀ,  q = R x  (rule `right`),

which are Eq. 3 and 4 with their terms in another order: equal up to rounding, not bit for bit. What has no line here
(other rules, optimizers, decay) is added in place from the pure functions, bit for bit as in `step`.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from copi_ref.algorithm import (
    Passed,
    Seen,
    after_updates,
    direction,
    gained,
    lateral_update,
    pass_batch,
    rescaled,
    step,
    weight_update,
)
from copi_ref.arrays.backend import Array, HostArray, is_host, is_writable, namespace
from copi_ref.arrays.moments import is_half, mean_square
from copi_ref.arrays.pieces import pieces
from copi_ref.arrays.products import apply
from copi_ref.optimizers import Plain
from copi_ref.recipe import Recipe
from copi_ref.state import State
from copi_ref.subsampling import Subsampled

BLOCK = 2**20  # entries: 4 MiB of float32; what is written is then still in a cache when it is read again


class Scratch:
    """Memory for products, one place for all layers: it stays in the cache, and is not fetched from the system anew.

    In a step it also keeps the last E[x²], which W and R of a layer both need.
    """

    def __init__(self) -> None:
        self._places: dict[int, HostArray] = {}
        self.forget()

    def forget(self) -> None:
        """Forget E[x²]: the next step's x may come in the same array."""
        self._x: Any = None
        self._power: Any = None

    def power(self, x: Array) -> Array:
        """Return E[x²], (…, K), of x (…, N, K)."""
        if x is not self._x:
            self._x, self._power = x, mean_square(x, namespace(x))
        return self._power

    def product(self, u: Array, v: Array, place: int = 0) -> Array:
        """Return uᵀ v, which stays until the place is used again; (…, N, M) and (…, N, K) give (…, M, K)."""
        if not is_host(u):
            return u.mT @ v  # other libraries keep memory of their own at hand
        leading = np.broadcast_shapes(u.shape[:-2], v.shape[:-2]) if u.ndim + v.ndim > 4 else ()
        return np.matmul(u.mT, v, out=self._at(place, (*leading, u.shape[-1], v.shape[-1]), u.dtype))

    def times(self, factor: Array, R: Array) -> Array:
        """Return factor ∘ R, of the shape of R, which stays until place 1 of `product` is used again."""
        return np.multiply(factor, R, out=self._at(1, R.shape, R.dtype)) if is_host(R) else factor * R

    def _at(self, place: int, shape: tuple[int, ...], dtype: Any) -> HostArray:
        buffer, size = self._places.get(place), math.prod(shape)
        if buffer is None or buffer.size < size or buffer.dtype != dtype:
            buffer = self._places[place] = np.empty(size, dtype=dtype)
        return buffer[:size].reshape(shape)


def step_in_place(recipe: Recipe, state: State, y0: Array, target: Array, scratch: Scratch) -> State:
    """Take the step that `copi_ref.step` takes, into the arrays of `state.params`, and return the new state.

    Arguments, results and errors are those of `step`; `scratch` is kept from step to step. The state that came in is
    no longer of use: `copi_ref.state.own` makes one whose arrays may be overwritten. (JAX's arrays can't be, and in
    half formats η z/N has few digits or none: with them this is `step`.)
    """
    if not is_writable(state.params.W[0]) or is_half(state.params.W[0]):
        return step(recipe, state, y0, target)
    scratch.forget()
    passed = pass_batch(recipe, state, y0, target)
    W, R, memory = state.params.W, list(state.params.R), list(state.optimizer)
    for layer in reversed(range(len(W))):
        if passed.eta_w is not None:
            memory[layer] = _add_to_W(recipe, layer, passed, W[layer], memory[layer], scratch)
        if passed.eta_r is not None:
            R[layer] = gained(recipe, layer, passed, R[layer])
            _add_to_R(recipe, layer, passed, R[layer], scratch)
            R[layer] = rescaled(recipe, layer, passed, R[layer])
    return after_updates(state, passed, W, R, memory)


def _add_to_W(recipe: Recipe, layer: int, passed: Passed, W: Array, memory: Any, scratch: Scratch) -> Any:
    """Add η_W d to W in place, and return the optimizer's memory."""
    seen, eta = passed.seen[layer], passed.eta_w
    add = WEIGHTS.get(recipe.weight_rule) if isinstance(recipe.weight_rule, str) else None
    if add is not None and type(recipe.optimizer) is Plain and not recipe.weight_decay:
        add(W, seen, eta, scratch)
        return memory
    d, memory = direction(recipe, layer, weight_update(recipe, layer, *seen, W), W, memory)
    W += eta * d
    return memory


def _add_to_R(recipe: Recipe, layer: int, passed: Passed, R: Array, scratch: Scratch) -> None:
    """Add η_R ΔR to R in place."""
    part = recipe.lateral_rule if isinstance(recipe.lateral_rule, Subsampled) else None
    rule = recipe.lateral_rule if part is None else part.rule
    add = LATERAL.get(rule) if isinstance(rule, str) else None
    if add is not None:
        x = passed.trace.x[layer]
        add(R, x if part is None else part.drawn(x, passed.rng), passed.eta_r, scratch)
    else:
        R += passed.eta_r * lateral_update(recipe, layer, passed, R)


def _copi(W: Array, seen: Seen, eta: Any, scratch: Scratch) -> None:
    factor = 1 - eta * scratch.power(seen.x)[..., None, :]
    z = seen.a + seen.delta
    _times_rate(z, eta)
    for rows in _blocks(W):
        block, product = W[..., rows, :], scratch.product(z[..., rows], seen.x)
        block *= factor
        block += product


def _sgd(W: Array, seen: Seen, eta: Any, scratch: Scratch) -> None:
    delta = seen.delta / seen.x.shape[-2] * eta
    for rows in _blocks(W):
        block = W[..., rows, :]
        block += scratch.product(delta[..., rows], seen.x)


def _left(R: Array, x: Array, eta: Any, scratch: Scratch) -> None:
    factor = 1 + eta * scratch.power(x)[..., :, None]
    for columns in _blocks(R.mT):
        block = R[..., columns]
        p = apply(block.mT, x)  # p = Rᵀ x needs no other columns, and these are in the cache now
        _times_rate(p, -eta)
        product = scratch.product(x, p)
        block *= factor
        block += product


def _right(R: Array, x: Array, eta: Any, scratch: Scratch) -> None:
    factor = 1 + eta * scratch.power(x)[..., None, :]
    for rows in _blocks(R):
        block = R[..., rows, :]
        q = apply(block, x)  # q = R x needs no other rows, and these are in the cache now
        _times_rate(q, -eta)
        product = scratch.product(q, x)
        block *= factor
        block += product


def _symmetric(R: Array, x: Array, eta: Any, scratch: Scratch) -> None:
    """R ← R − (M + Mᵀ)/2, M = η E[x pᵀ] − η E[x²] R, one pair of blocks after the other."""
    power, p = eta * scratch.power(x)[..., :, None] / 2, apply(R.mT, x)  # p = Rᵀ x
    _times_rate(p, eta)
    p /= 2
    blocks = list(_blocks(R))
    for number, one in enumerate(blocks):
        half = scratch.product(x[..., one], p[..., one])
        half -= scratch.times(power[..., one, :], R[..., one, one])
        R[..., one, one] -= half + half.mT  # a sum of two does not depend on their order: exactly symmetric
        for other in blocks[number + 1 :]:
            both = scratch.product(x[..., one], p[..., other])
            both += scratch.product(p[..., one], x[..., other], place=1)  # Mᵀ, without turning it round
            both -= scratch.times(power[..., one, :], R[..., one, other])
            both -= scratch.times(power[..., other, :], R[..., other, one]).mT
            R[..., one, other] -= both
            R[..., other, one] -= both.mT


WEIGHTS: dict[str, Callable[[Array, Seen, Any, Scratch], None]] = {"copi": _copi, "sgd": _sgd}
LATERAL: dict[str, Callable[[Array, Array, Any, Scratch], None]] = {
    "left": _left,
    "right": _right,
    "symmetric": _symmetric,
}


def _times_rate(v: Array, eta: Any) -> None:
    """v ← η v/N. First the division: η/N is rounded in another format for an array of rates than for a number."""
    v /= v.shape[-2]
    v *= eta


def _blocks(W: Array) -> Iterator[slice]:
    """Cut the rows of W into blocks that fit the cache; elsewhere than on a CPU one block is best."""
    rows = W.shape[-2]
    count = math.ceil(rows * W.shape[-1] / BLOCK) if is_host(W) else 1
    return pieces(rows, math.ceil(rows / count))
