"""One COPI step as different programs write it, each ready to be timed in a process of its own.

    python benchmarks/contenders.py NAME     # a worker: requests on stdin, answers on stdout, one JSON object a line

All make the same step, Algorithm 1 as printed: lateral rule `right`, quadratic loss with its factor 2, leaky ReLU with
slope 0.1, backpropagation, float32. `step.py` makes sure of that before it times them.
"""

import importlib
import itertools
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from turns import Contender, serve  # which has the package on the path; each contender imports only what it needs

NETWORKS = {"mnist": (784, *(500,) * 6, 10), "cifar10": (3072, *(1000,) * 4, 10)}
BATCH = 50
TIMED_RATE = 1e-5  # so small that thousands of steps on one batch leave all numbers of their size
LIBRARY, PURE = "copi_ref, in place", "copi_ref, pure step"
GRAPH = "copi_ref, graph"
MATMUL = "NumPy, matrix product"
PRODUCTS = "NumPy, products alone"
LITERAL, ORDERED, ORDERED_GRAPH = "PyTorch, literal", "PyTorch, best ordered", "PyTorch, ordered, graph"
LATERAL_RULES = {f"copi_ref, {rule}": rule for rule in ("left", "right", "symmetric")}
ON_CPU = (LIBRARY, PURE, LITERAL, ORDERED, MATMUL, PRODUCTS)
FLOORS = (MATMUL, PRODUCTS)
"""They make no step."""
MATMUL_SIZE = {"cpu": 2048, "cuda": 8192}


@dataclass(frozen=True)
class Problem:
    """Weights and a batch in float32, the same numbers for every contender; with S members, stacked S times.

    R is neither I nor symmetric: a wrong order or a missing transpose would show.
    """

    W: list[Any]
    R: list[Any]
    y0: Any
    target: Any


def draw_problem(sizes: Sequence[int], batch: int, members: int = 1) -> Problem:
    """Draw weights as training starts with them, R = I with noise, and a batch with pixels in [0, 1]."""
    rng = np.random.default_rng(0)

    def normal(rows: int, columns: int, scale: float) -> Any:
        return rng.standard_normal((rows, columns), dtype=np.float32) * np.float32(scale)

    W = [normal(m, k, (2 / (m + k)) ** 0.5) for k, m in itertools.pairwise(sizes)]
    R = [np.eye(k, dtype=np.float32) + normal(k, k, 0.1 / k**0.5) for k in sizes[:-1]]
    y0 = rng.random((batch, sizes[0]), dtype=np.float32)
    target = np.eye(sizes[-1], dtype=np.float32)[rng.integers(sizes[-1], size=batch)]
    if members == 1:
        return Problem(W, R, y0, target)

    def stacked(array: Any) -> Any:
        return np.repeat(array[None], members, axis=0)

    return Problem([stacked(each) for each in W], [stacked(each) for each in R], stacked(y0), stacked(target))


def copi_ref_in_place(
    problem: Problem, eta_w: float, eta_r: float, device: str, lateral_rule: str = "right"
) -> Contender:
    """What `fit` does."""
    from copi_ref.state import own
    from copi_ref.training.in_place import Scratch, step_in_place

    recipe, state, y0, target = copi_ref_start(problem, eta_w, eta_r, device, lateral_rule)
    held, scratch = [own(state)], Scratch()

    def step() -> None:
        held[0] = step_in_place(recipe, held[0], y0, target, scratch)

    return Contender(step, lambda: _copi_ref_weights(held[0]), copi_ref_wait(device))


def copi_ref_graph(problem: Problem, eta_w: float, eta_r: float, device: str) -> Contender:
    """What `fit` does with COPI_REF_CUDA_GRAPH=1; the batch is copied into the recording's in each step."""
    from copi_ref.arrays.backend import for_graph
    from copi_ref.state import own
    from copi_ref.training.cuda_graph import GraphSteps, state_for_graph

    recipe, state, *batch = copi_ref_start(problem, eta_w, eta_r, device)
    held, take = [own(state_for_graph(state))], GraphSteps(recipe)
    y0, target = map(for_graph, batch)
    take(own(held[0]), y0, target)  # warms up, so that the first step is recorded and replayed

    def step() -> None:
        held[0] = take(held[0], y0, target)

    return Contender(step, lambda: _copi_ref_weights(held[0]), copi_ref_wait(device))


def copi_ref_pure(problem: Problem, eta_w: float, eta_r: float, device: str) -> Contender:
    """The public function `step`, which leaves the state that it gets as it was."""
    import copi_ref as copi

    recipe, state, y0, target = copi_ref_start(problem, eta_w, eta_r, device)
    held = [state]

    def step() -> None:
        held[0] = copi.step(recipe, held[0], y0, target)

    return Contender(step, lambda: _copi_ref_weights(held[0]), copi_ref_wait(device))


def copi_ref_start(
    problem: Problem, eta_w: float, eta_r: float, device: str, lateral_rule: str = "right"
) -> tuple[Any, Any, Any, Any]:
    """Return the recipe, a state with the problem's weights (an ensemble's, if they are stacked), y0 and the target."""
    from dataclasses import replace

    import copi_ref as copi

    recipe: Any = copi.Recipe(eta_w=eta_w, eta_r=eta_r, loss=copi.quadratic, lateral_rule=lateral_rule)
    xp = copi_ref_namespace(device)
    W, R = (tuple(xp.asarray(array) for array in arrays) for arrays in (problem.W, problem.R))
    # The rest of the state is that of any network: this recipe has no optimizer's memory and no feedback weights.
    members = W[0].shape[0] if W[0].ndim > 2 else None
    rng = np.random.default_rng(0) if members is None else [np.random.default_rng(seed) for seed in range(members)]
    state = copi.init_state(recipe, (1,) * (len(W) + 1), rng, xp)
    state = replace(state, params=copi.Params(W=W, R=R))
    return recipe, state, xp.asarray(problem.y0), xp.asarray(problem.target)


def _copi_ref_weights(state: Any) -> tuple[list[Any], list[Any]]:
    from copi_ref.arrays.backend import to_numpy

    return [to_numpy(W) for W in state.params.W], [to_numpy(R) for R in state.params.R]


def pytorch(step: Callable[..., None]) -> Callable[[Problem, float, float, str], Contender]:
    """Return what makes a contender of one of the two PyTorch steps below."""

    def make(problem: Problem, eta_w: float, eta_r: float, device: str) -> Contender:
        W, R, y0, target = pytorch_start(problem, device)
        weights = partial(_pytorch_weights, W, R)
        return Contender(lambda: step(W, R, y0, target, eta_w, eta_r), weights, pytorch_wait(device))

    return make


def pytorch_graph(problem: Problem, eta_w: float, eta_r: float, device: str) -> Contender:
    """The best-ordered step, recorded as a CUDA graph and replayed."""
    import torch

    W, R, y0, target = pytorch_start(problem, device)
    ordered_step([each.clone() for each in W], [each.clone() for each in R], y0, target, eta_w, eta_r)  # warms up
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        ordered_step(W, R, y0, target, eta_w, eta_r)
    return Contender(graph.replay, partial(_pytorch_weights, W, R), pytorch_wait(device))


def _pytorch_weights(W: list[Any], R: list[Any]) -> tuple[list[Any], list[Any]]:
    return [each.cpu().numpy() for each in W], [each.cpu().numpy() for each in R]


def literal_step(W: list[Any], R: list[Any], y0: Any, target: Any, eta_w: float, eta_r: float) -> None:
    """Algorithm 1 as written, with new tensors: C = xᵀx/N, its diagonal masked, R times it."""
    import torch

    xs, as_, y = _pytorch_forward(W, R, y0)
    deltas = _pytorch_backward(W, R, as_, y, target)
    for layer in reversed(range(len(W))):
        x, z = xs[layer], as_[layer] + deltas[layer]
        C = x.T @ x / len(x)
        square = torch.diagonal(C)
        C_off = C - torch.diag(square)
        W[layer] = W[layer] + eta_w * (z.T @ x / len(x) - W[layer] * square)
        R[layer] = R[layer] - eta_r * (R[layer] @ C_off)


def ordered_step(W: list[Any], R: list[Any], y0: Any, target: Any, eta_w: float, eta_r: float) -> None:
    """The same step without a K×K×K product and without a new K×K tensor: R x first, then in place."""
    import torch

    xs, as_, y = _pytorch_forward(W, R, y0)
    deltas = _pytorch_backward(W, R, as_, y, target)
    for layer in reversed(range(len(W))):
        x, z = xs[layer], as_[layer] + deltas[layer]
        square = torch.sum(x * x, 0) / len(x)
        q = x @ R[layer].T
        W[layer].mul_(1 - eta_w * square).addmm_(z.T, x, alpha=eta_w / len(x))
        R[layer].mul_(1 + eta_r * square).addmm_(q.T, x, alpha=-eta_r / len(x))


def pytorch_start(problem: Problem, device: str) -> tuple[list[Any], list[Any], Any, Any]:
    """Return W, R, y0 and the target as tensors; from then on nothing is recorded for autograd."""
    import torch

    torch.set_grad_enabled(False)

    def there(array: Any) -> Any:
        return torch.tensor(array, device=device)

    return [there(W) for W in problem.W], [there(R) for R in problem.R], there(problem.y0), there(problem.target)


def _pytorch_forward(W: list[Any], R: list[Any], y: Any) -> tuple[list[Any], list[Any], Any]:
    from torch.nn.functional import leaky_relu

    xs, as_ = [], []
    for W_l, R_l in zip(W, R, strict=True):  # not (R @ y.T).T: PyTorch's BLAS is up to a fifth slower with that
        xs.append(y @ R_l.T)
        as_.append(xs[-1] @ W_l.T)
        y = leaky_relu(as_[-1], 0.1)
    return xs, as_, y


def _pytorch_backward(W: list[Any], R: list[Any], as_: list[Any], y: Any, target: Any) -> list[Any]:
    import torch

    def times_slope(a: Any, error: Any) -> Any:
        return torch.where(a < 0, 0.1 * error, error)

    deltas = [times_slope(as_[-1], 2 * (target - y))]
    for W_l, R_l, a in zip(W[:0:-1], R[:0:-1], as_[-2::-1], strict=True):
        deltas.append(times_slope(a, deltas[-1] @ W_l @ R_l))
    return deltas[::-1]


def matrix_product(problem: Problem, eta_w: float, eta_r: float, device: str) -> Contender:
    """No step, but what the floor is measured with: a square product of `MATMUL_SIZE`."""
    xp, size = copi_ref_namespace(device), MATMUL_SIZE[device]
    A, B, out = (xp.ones((size, size), dtype=np.float32) for _ in range(3))
    return Contender(lambda: xp.matmul(A, B, out=out), lambda: ([], []), copi_ref_wait(device))


def products_alone(problem: Problem, eta_w: float, eta_r: float, device: str) -> Contender:
    """The products of the library's step and nothing else: its shapes, memory layouts, blocks and order."""
    from copi_ref.arrays.products import apply
    from copi_ref.training.in_place import Scratch, _blocks

    xp, scratch = copi_ref_namespace(device), Scratch()
    W, R = [xp.asarray(each) for each in problem.W], [xp.asarray(each) for each in problem.R]
    ys, xs, zs = [xp.asarray(problem.y0)], [], []
    for W_l, R_l in zip(W, R, strict=True):
        xs.append(apply(R_l, ys[-1]))
        zs.append(apply(W_l, xs[-1]))
        ys.append(zs[-1])

    def step() -> None:
        for W_l, R_l, y in zip(W, R, ys[:-1], strict=True):
            apply(W_l, apply(R_l, y))
        for W_l, R_l, z in zip(W[:0:-1], R[:0:-1], zs[:0:-1], strict=True):
            apply(R_l.T, apply(W_l.T, z))
        for W_l, R_l, x, z in zip(W[::-1], R[::-1], xs[::-1], zs[::-1], strict=True):
            for rows in _blocks(W_l):
                scratch.product(z[:, rows], x)
            for rows in _blocks(R_l):
                scratch.product(apply(R_l[rows], x), x)

    return Contender(step, lambda: ([], []), copi_ref_wait(device))


# What depends on the device


def copi_ref_namespace(device: str) -> Any:
    """Return the array module: NumPy, or CuPy for "cuda"."""
    return importlib.import_module({"cpu": "numpy", "cuda": "cupy"}[device])


def copi_ref_wait(device: str) -> Callable[[], Any]:
    """Return what waits until CuPy's work is done."""
    return (lambda: None) if device == "cpu" else copi_ref_namespace(device).cuda.Device().synchronize


def pytorch_wait(device: str) -> Callable[[], Any]:
    """Return what waits until PyTorch's work is done."""
    return (lambda: None) if device == "cpu" else importlib.import_module("torch").cuda.synchronize


CONTENDERS = {
    LIBRARY: copi_ref_in_place,
    **{name: partial(copi_ref_in_place, lateral_rule=rule) for name, rule in LATERAL_RULES.items()},
    PURE: copi_ref_pure,
    GRAPH: copi_ref_graph,
    LITERAL: pytorch(literal_step),
    ORDERED: pytorch(ordered_step),
    ORDERED_GRAPH: pytorch_graph,
    MATMUL: matrix_product,
    PRODUCTS: products_alone,
}


def flops(sizes: Sequence[int], batch: int) -> dict[str, int]:
    """Floating-point operations of the matrix products of one step, term by term; all but LITERAL need no more."""
    layers = list(itertools.pairwise(sizes))
    R_sizes, W_sizes = [k * k for k, _ in layers], [m * k for k, m in layers]
    return {
        "R y": 2 * batch * sum(R_sizes),
        "W x": 2 * batch * sum(W_sizes),
        "δ W R, above the first layer": 2 * batch * (sum(W_sizes[1:]) + sum(R_sizes[1:])),
        "z xᵀ": 2 * batch * sum(W_sizes),
        "R x": 2 * batch * sum(R_sizes),
        "(R x) xᵀ": 2 * batch * sum(R_sizes),
    }


def make_step(name: str) -> Callable[[dict[str, Any]], Contender]:
    """Return what makes the contender of that name from a request."""

    def make(request: dict[str, Any]) -> Contender:
        problem = draw_problem(request["sizes"], request["batch"], request.get("members", 1))
        return CONTENDERS[name](problem, request["eta_w"], request["eta_r"], request.get("device", "cpu"))

    return make


if __name__ == "__main__":
    serve(make_step(sys.argv[1]))
