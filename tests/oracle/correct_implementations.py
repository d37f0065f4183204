"""Correct implementations of COPI that differ in floating point as real code does, put together at random.

Each piece of a step (a sum, a mean, a product, f, δ, ΔW …) has a table of alternatives that are the same in exact
arithmetic: another order of the samples, another association of the products, another formula. `drawn` picks one of
each. Nothing of the package is used here. All pieces take the implementation `c` first; rows are samples.
"""

import math
from collections import UserList, deque, namedtuple
from dataclasses import dataclass, field
from functools import reduce
from operator import add
from types import SimpleNamespace

import array_api_compat
import numpy as np

AUTOGRAD, VMAP = "autograd", "vmap"  # alternatives that not every library has


def _torch_vmap(function):
    import torch

    return torch.vmap(function)


def _jax_vmap(function):
    import jax

    return jax.vmap(function)


VMAPS = {"torch": _torch_vmap, "jax": _jax_vmap}

# --- sums over samples ------------------------------------------------------------------------------------------------


def _pairwise_sum(terms):
    half = len(terms) // 2
    return _pairwise_sum(terms[:half]) + _pairwise_sum(terms[half:]) if half else terms[0]


def _in_blocks(terms, size=3):
    return reduce(add, [reduce(add, terms[at : at + size]) for at in range(0, len(terms), size)])


def _compensated(terms):
    """Kahan's sum."""
    total, lost = terms[0], 0 * terms[0]
    for term in terms[1:]:
        term = term - lost
        new = total + term
        lost, total = (new - total) - term, new
    return total


def _rounded_once(terms):
    return np.apply_along_axis(math.fsum, 0, np.stack(terms)).astype(terms[0].dtype)


def _permutation(length):
    return np.random.default_rng(length).permutation(length)


SUM = {
    "forwards": lambda terms: reduce(add, terms),
    "backwards": lambda terms: reduce(add, terms[::-1]),
    "pairwise": _pairwise_sum,
    "in blocks": _in_blocks,
    "permuted": lambda terms: reduce(add, [terms[at] for at in _permutation(len(terms))]),
    "from zero": lambda terms: reduce(add, terms, 0 * terms[0]),
    "compensated": _compensated,
    "rounded once": _rounded_once,
}


def _permuted(c, array):
    return c.xp.take(array, c.xp.asarray(_permutation(array.shape[0])), axis=0)


def _blocks(u, v, size=3):
    return [(u[at : at + size], v[at : at + size]) for at in range(0, u.shape[0], size)]


def _single_weights(c, u, v):
    """Loop over single weights, as Appendix C is written."""
    samples = range(u.shape[0])
    rows = [[c.sum([u[n, i] * v[n, j] for n in samples]) for j in range(v.shape[1])] for i in range(u.shape[1])]
    return c.xp.stack([c.xp.stack(row) for row in rows])


def _blocks_of_gram(c, u, v):
    """A corner of the Gram matrix of both side by side."""
    both = c.xp.concat([u, v], axis=1)
    return (both.mT @ both)[: u.shape[1], u.shape[1] :]


# Σ u vᵀ over samples
CONTRACTION = {
    "matmul": lambda c, u, v: u.mT @ v,
    "transposed matmul": lambda c, u, v: (v.mT @ u).mT,
    "einsum": lambda c, u, v: c.xp.einsum("ni,nj->ij", u, v),
    "tensordot": lambda c, u, v: c.xp.tensordot(u, v, axes=([0], [0])),
    "broadcast": lambda c, u, v: c.xp.sum(u[:, :, None] * v[:, None, :], axis=0),
    "outer by outer": lambda c, u, v: c.sum([u[n][:, None] * v[n][None, :] for n in range(u.shape[0])]),
    "block by block": lambda c, u, v: c.sum([one.mT @ other for one, other in _blocks(u, v)]),
    "permuted samples": lambda c, u, v: _permuted(c, u).mT @ _permuted(c, v),
    "reversed samples": lambda c, u, v: c.xp.flip(u, axis=0).mT @ c.xp.flip(v, axis=0),
    "in float64": lambda c, u, v: c.like(c.double(u).mT @ c.double(v), u),
    "single weights": _single_weights,
    "corner of a Gram matrix": _blocks_of_gram,
    "tile by tile": lambda c, u, v: c.xp.concat([u.mT @ v[:, at : at + 2] for at in range(0, v.shape[1], 2)], axis=1),
}

# Σ u ∘ v over samples, where v is a multiple of u: Σ x² where both are x
SQUARES = {
    "sum": lambda c, u, v: c.xp.sum(u * v, axis=0),
    "permuted samples": lambda c, u, v: c.xp.sum(_permuted(c, u) * _permuted(c, v), axis=0),
    "einsum": lambda c, u, v: c.xp.einsum("nk,nk->k", u, v),
    "norm": lambda c, u, v: c.xp.linalg.vector_norm(u, axis=0) * c.xp.linalg.vector_norm(v, axis=0),
    "diagonal": lambda c, u, v: c.xp.linalg.diagonal(c.contraction(u, v)),
    "sample by sample": lambda c, u, v: c.sum([u[n] * v[n] for n in range(u.shape[0])]),
    "column by column": lambda c, u, v: c.xp.stack([u[:, k] @ v[:, k] for k in range(u.shape[1])]),
    "in float64": lambda c, u, v: c.like(c.xp.sum(c.double(u) * c.double(v), axis=0), u),
}

# how a sum over samples, linear in u and in v, becomes a mean; the factor is 1/N, or 1 where sums are the convention
MEAN = {
    "divided": lambda c, total, u, v: total(u, v) / u.shape[0],
    "times 1/N": lambda c, total, u, v: total(u, v) * (1 / u.shape[0]),
    "one factor divided": lambda c, total, u, v: total(u, v / u.shape[0]),
    "the other factor divided": lambda c, total, u, v: total(u / u.shape[0], v),
    "one factor times 1/N": lambda c, total, u, v: total(u, v * (1 / u.shape[0])),
    "both factors by the root": lambda c, total, u, v: total(u / math.sqrt(u.shape[0]), v / math.sqrt(u.shape[0])),
}


def _running(terms):
    """m + (t − m)/n, term by term."""
    mean = terms[0]
    for number, term in enumerate(terms[1:], start=2):
        mean = mean + (term - mean) / number
    return mean


def _outer_of_one(u, v):
    return u[:, None] * v[None, :]


# E[u vᵀ] and E[x²], or sums instead of means
OUTER = {
    "a contraction": lambda c, u, v: c.reduced(c.choices["mean_of_outer"], c.contraction, u, v),
    "mean of outer products": lambda c, u, v: c.from_mean(c.xp.mean(u[:, :, None] * v[:, None, :], axis=0), u),
    "running mean": lambda c, u, v: c.from_mean(_running([_outer_of_one(u[n], v[n]) for n in range(len(u))]), u),
    VMAP: lambda c, u, v: c.from_mean(c.xp.mean(VMAPS[c.library](_outer_of_one)(u, v), axis=0), u),
}
SQUARE = {
    "a sum": lambda c, x: c.reduced(c.choices["mean_of_squares"], c.squares, x, x),
    "mean of squares": lambda c, x: c.from_mean(c.xp.mean(x**2, axis=0), x),
    "mean of products": lambda c, x: c.from_mean(c.xp.mean(x * x, axis=0), x),
    "running mean": lambda c, x: c.from_mean(_running([x[n] * x[n] for n in range(len(x))]), x),
}

# --- products of samples with a matrix --------------------------------------------------------------------------------

# M v for every sample v
PRODUCT = {
    "rows": lambda c, v, M: v @ M.mT,
    "columns": lambda c, v, M: (M @ v.mT).mT,
    "einsum": lambda c, v, M: c.xp.einsum("nk,jk->nj", v, M),
    "sample by sample": lambda c, v, M: c.xp.stack([M @ v[n] for n in range(v.shape[0])]),
    "input by input": lambda c, v, M: c.sum([v[:, k][:, None] * M[:, k][None, :] for k in range(M.shape[1])]),
    "broadcast": lambda c, v, M: c.xp.sum(v[:, None, :] * M[None, :, :], axis=2),
    "permuted samples": lambda c, v, M: c.xp.take(
        _permuted(c, v) @ M.mT, c.xp.asarray(np.argsort(_permutation(v.shape[0]))), axis=0
    ),
}

# a = W x, x = R y
PREACTIVATION = {
    "from x": lambda c, W, R, x, y: c.product(x, W),
    "W R first": lambda c, W, R, x, y: c.product(y, W @ R),
    "Rᵀ Wᵀ first": lambda c, W, R, x, y: y @ (R.mT @ W.mT),
    "multi_dot": lambda c, W, R, x, y: c.multi_dot([y, R.mT, W.mT]),
}

# --- activations ------------------------------------------------------------------------------------------------------


def _quiet(formula):
    """An exponential may overflow where 1/∞ = 0 is right."""

    def quiet(*args):
        with np.errstate(over="ignore"):
            return formula(*args)

    return quiet


def _tanh_by_expm1(c, a):
    t = c.xp.expm1(-2 * c.xp.abs(a))
    return -c.xp.sign(a) * t / (t + 2)


def _sigmoid_by_halves(c, a):
    e = c.xp.exp(-c.xp.abs(a))
    return c.xp.where(a >= 0, 1 / (1 + e), e / (1 + e))


def _zeros(c, a):
    return c.xp.zeros_like(a)


def _mask(c, condition, a):
    return c.xp.astype(condition, a.dtype) if hasattr(c.xp, "astype") else condition.astype(a.dtype)


def _cosh_power(c, a):
    return 1 / c.xp.cosh(c.xp.clip(a, -20, 20)) ** 2


# f(a), by activation; c.s is the slope
F = {
    "leaky_relu": {
        "where": lambda c, a: c.xp.where(a >= 0, a, c.s * a),
        "where above 0": lambda c, a: c.xp.where(a > 0, a, c.s * a),
        "maximum": lambda c, a: c.xp.maximum(a, c.s * a),
        "two parts": lambda c, a: c.xp.maximum(a, _zeros(c, a)) + c.s * c.xp.minimum(a, _zeros(c, a)),
        "a and |a|": lambda c, a: (1 + c.s) / 2 * a + (1 - c.s) / 2 * c.xp.abs(a),
        "mask": lambda c, a: a * (_mask(c, a > 0, a) + c.s * _mask(c, a <= 0, a)),
        "times its derivative": lambda c, a: a * c.xp.where(a > 0, c.xp.ones_like(a), c.s * c.xp.ones_like(a)),
    },
    "relu": {
        "where": lambda c, a: c.xp.where(a > 0, a, _zeros(c, a)),
        "maximum": lambda c, a: c.xp.maximum(a, _zeros(c, a)),
        "a and |a|": lambda c, a: (a + c.xp.abs(a)) / 2,
        "mask": lambda c, a: a * _mask(c, a > 0, a),
    },
    "identity": {"a": lambda c, a: a, "times 1": lambda c, a: 1.0 * a},
    "tanh": {
        "tanh": lambda c, a: c.xp.tanh(a),
        "sigmoid": lambda c, a: 2 * _sigmoid_by_halves(c, 2 * a) - 1,
        "expm1": _tanh_by_expm1,
    },
    "sigmoid": {
        "exp": _quiet(lambda c, a: 1 / (1 + c.xp.exp(-a))),
        "two halves": _sigmoid_by_halves,
        "tanh": lambda c, a: (1 + c.xp.tanh(a / 2)) / 2,
    },
}


@dataclass(frozen=True)
class Slope:
    """A formula for f′, from a and y, and its value at the kink: ``formula(c, a, y)``, ``at_zero(s)``."""

    formula: object
    at_zero: object = lambda s: 1


# f′(a), by activation
F_PRIME = {
    "leaky_relu": {
        "where": Slope(lambda c, a, y: c.xp.where(a >= 0, c.xp.ones_like(a), c.s * c.xp.ones_like(a))),
        "where above 0": Slope(
            lambda c, a, y: c.xp.where(a > 0, c.xp.ones_like(a), c.s * c.xp.ones_like(a)), at_zero=lambda s: s
        ),
        "by y": Slope(lambda c, a, y: c.xp.where(y >= 0, c.xp.ones_like(a), c.s * c.xp.ones_like(a))),
        "mask": Slope(lambda c, a, y: _mask(c, a >= 0, a) + c.s * _mask(c, a < 0, a)),
        "mask of the rest": Slope(lambda c, a, y: c.s + (1 - c.s) * _mask(c, a >= 0, a)),
        "sign": Slope(lambda c, a, y: (1 + c.s) / 2 + (1 - c.s) / 2 * c.xp.sign(a), at_zero=lambda s: (1 + s) / 2),
    },
    "relu": {
        "where": Slope(lambda c, a, y: c.xp.where(a >= 0, c.xp.ones_like(a), _zeros(c, a))),
        "mask": Slope(lambda c, a, y: _mask(c, a > 0, a), at_zero=lambda s: 0),
        "by y": Slope(lambda c, a, y: _mask(c, y > 0, a), at_zero=lambda s: 0),
        "sign": Slope(lambda c, a, y: (1 + c.xp.sign(a)) / 2, at_zero=lambda s: 0.5),
    },
    "identity": {"ones": Slope(lambda c, a, y: c.xp.ones_like(a)), "0 a + 1": Slope(lambda c, a, y: 0 * a + 1)},
    "tanh": {
        "1 − y²": Slope(lambda c, a, y: 1 - y**2),
        "1 − tanh²": Slope(lambda c, a, y: 1 - c.xp.tanh(a) * c.xp.tanh(a)),
        "(1 − y)(1 + y)": Slope(lambda c, a, y: (1 - y) * (1 + y)),
        "cosh": Slope(lambda c, a, y: _cosh_power(c, a)),
    },
    "sigmoid": {
        "y (1 − y)": Slope(lambda c, a, y: y * (1 - y)),
        "y − y²": Slope(lambda c, a, y: y - y**2),
        "from a": Slope(lambda c, a, y: c.f(a) * (1 - c.f(a))),
    },
}


def _torch_activation(name, s):
    from torch.nn import functional

    return {
        "leaky_relu": lambda a: functional.leaky_relu(a, s),
        "relu": functional.relu,
        "identity": lambda a: a,
        "tanh": functional.tanh,
        "sigmoid": functional.sigmoid,
    }[name]


def _jax_activation(name, s):
    from jax import nn

    return {
        "leaky_relu": lambda a: nn.leaky_relu(a, s),
        "relu": nn.relu,
        "identity": lambda a: a,
        "tanh": nn.tanh,
        "sigmoid": nn.sigmoid,
    }[name]


def _torch_vjp(function, a, cotangent):
    import torch

    a = a.detach().clone().requires_grad_()
    return torch.autograd.grad(function(a), a, grad_outputs=cotangent)[0]


def _jax_vjp(function, a, cotangent):
    import jax

    return jax.vjp(function, a)[1](cotangent)[0]


def _torch_gradients(function, arrays):
    import torch

    arrays = [one.requires_grad_() for one in arrays]
    return torch.autograd.grad(function(arrays), arrays, retain_graph=True)


def _jax_gradients(function, arrays):
    import jax

    return jax.grad(function)(arrays)


GRADIENTS = {"torch": _torch_gradients, "jax": _jax_gradients}
LIBRARY_ACTIVATION = {"torch": _torch_activation, "jax": _jax_activation}
VJP = {"torch": _torch_vjp, "jax": _jax_vjp}
AUTOGRAD_AT_ZERO = {  # what the libraries' own (leaky) ReLU has for a derivative at 0
    ("torch", "leaky_relu"): lambda s: s,
    ("torch", "relu"): lambda s: 0,
    ("jax", "leaky_relu"): lambda s: 1,
    ("jax", "relu"): lambda s: 0,
}

# --- perturbations ----------------------------------------------------------------------------------------------------


def _gradient_of_the_loss(c, factor, a, y, t):
    """−dℓ/da_L by autograd, ℓ = factor/2 ‖y* − p‖² summed over samples."""

    def loss(a):
        difference = t - c.library_f_of_output(a)
        return factor / 2 * c.xp.sum(difference * difference)

    return -c.vjp(loss, a, c.xp.ones_like(c.xp.sum(a)))


# δ_L = factor f′(a_L) ∘ (y* − p), p being y_L or a_L; of a linear output without f′
OUTPUT_DELTA = {
    "as printed": lambda c, k, a, y, t: k * c.slope_of_output(a, y) * (t - c.prediction(a, y)),
    "a gradient negated": lambda c, k, a, y, t: -(c.slope_of_output(a, y) * (k * (c.prediction(a, y) - t))),
    "expanded": lambda c, k, a, y, t: (
        k * (c.slope_of_output(a, y) * t) - k * (c.slope_of_output(a, y) * c.prediction(a, y))
    ),
    "factor twice": lambda c, k, a, y, t: (k / 2) * ((t - c.prediction(a, y)) * c.slope_of_output(a, y)) * 2,
    "sum of two": lambda c, k, a, y, t: (k / 2) * c.slope_of_output(a, y) * ((t - c.prediction(a, y)) * 2),
    AUTOGRAD: _gradient_of_the_loss,
}


def _shifted_softmax(c, p):
    e = c.xp.exp(p - c.xp.max(p, axis=-1, keepdims=True))
    return e / c.xp.sum(e, axis=-1, keepdims=True)


def _plain_softmax(c, p):
    e = c.xp.exp(p)
    return e / c.xp.sum(e, axis=-1, keepdims=True)


def _softmax_by_logarithms(c, p):
    shifted = p - c.xp.max(p, axis=-1, keepdims=True)
    return c.xp.exp(shifted - c.xp.log(c.xp.sum(c.xp.exp(shifted), axis=-1, keepdims=True)))


def _softmax_of_each(c, p):
    """Unit by unit, 1/Σ_j exp(a_j − a_i)."""
    with np.errstate(over="ignore"):
        return c.xp.stack([1 / c.xp.sum(c.xp.exp(p - p[:, i : i + 1]), axis=1) for i in range(p.shape[1])], axis=1)


SOFTMAX = {
    "shifted": _shifted_softmax,
    "by logarithms": _softmax_by_logarithms,
    "of each": _softmax_of_each,
    "plain, of half": lambda c, p: (
        _plain_softmax(c, p / 2) ** 2 / c.xp.sum(_plain_softmax(c, p / 2) ** 2, axis=-1, keepdims=True)
    ),
}


def _torch_cross_entropy(logits, target):
    from torch.nn import functional

    return functional.cross_entropy(logits, target.argmax(dim=1), reduction="sum")


def _jax_cross_entropy(logits, target):
    import jax

    return -(target * jax.nn.log_softmax(logits)).sum()


LIBRARY_CROSS_ENTROPY = {"torch": _torch_cross_entropy, "jax": _jax_cross_entropy}


def _gradient_of_cross_entropy(c, scale, a, y, t):
    def loss(a):
        return LIBRARY_CROSS_ENTROPY[c.library](c.library_f_of_output(a), t)

    return -scale * c.vjp(loss, a, c.xp.ones_like(c.xp.sum(a)))


# δ_L = f′(a_L) ∘ (y* − softmax(p)), for one-hot y*
CROSS_ENTROPY = {
    "as printed": lambda c, k, a, y, t: k * (c.slope_of_output(a, y) * c.error(1, a, y, t)),
    "a gradient negated": lambda c, k, a, y, t: -(k * c.softmax(c.prediction(a, y)) - k * t) * c.slope_of_output(a, y),
    AUTOGRAD: _gradient_of_cross_entropy,
}

# the signs of what is sent
SIGN = {
    "sign": lambda c, e: c.xp.sign(e),
    "where": lambda c, e: c.xp.where(e > 0, c.xp.ones_like(e), c.xp.where(e < 0, -c.xp.ones_like(e), 0 * e)),
    "masks": lambda c, e: _mask(c, e > 0, e) - _mask(c, e < 0, e),
    "clipped": lambda c, e: c.xp.clip(e / c.xp.where(e == 0, c.xp.ones_like(e), c.xp.abs(e)), -1, 1),
}

# |B| with the signs of Wᵀ; B is None for sizes of one
SIGNED = {
    "signs": lambda c, W, B: c.xp.sign(W.mT) if B is None else c.xp.abs(B) * c.xp.sign(W.mT),
    "where": lambda c, W, B: c.xp.where(W.mT < 0, -c.size(W, B), c.xp.where(W.mT > 0, c.size(W, B), 0 * W.mT)),
}

# δ_l = f′(a_l) ∘ (Rᵀ Wᵀ δ_{l+1})
BACKWARD = {
    "W, then R": lambda c, a, y, W, R, delta: c.f_prime(a, y) * ((delta @ W) @ R),
    "W R first": lambda c, a, y, W, R, delta: (delta @ (W @ R)) * c.f_prime(a, y),
    "columns": lambda c, a, y, W, R, delta: (R.mT @ (W.mT @ delta.mT)).mT * c.f_prime(a, y),
    "other products": lambda c, a, y, W, R, delta: c.f_prime(a, y) * c.product(c.product(delta, W.mT), R.mT),
    "Rᵀ Wᵀ first": lambda c, a, y, W, R, delta: c.f_prime(a, y) * c.product(delta, R.mT @ W.mT),
    "multi_dot": lambda c, a, y, W, R, delta: c.f_prime(a, y) * c.multi_dot([delta, W, R]),
    AUTOGRAD: lambda c, a, y, W, R, delta: c.vjp(lambda a: (c.library_f(a) @ R.mT) @ W.mT, a, delta),
}


def _layer_by_layer(c, W, R, x, a, y, target, B, factor):
    credit = c.conventions.credit
    of_output = c.cross_entropy if c.conventions.loss == "cross-entropy" else c.output_delta
    deltas = [of_output(factor, a[-1], y[-1], target)]
    sent = deltas[0] if c.conventions.dfa_error == "pre-activation" else c.error(factor, a[-1], y[-1], target)
    sent = {"dfa": lambda: sent, "sdfa": lambda: c.sign(sent), "drtp": lambda: target}.get(credit, lambda: None)()
    for layer in range(len(W) - 2, -1, -1):
        if credit == "bp":
            delta = c.backward(a[layer], y[layer], W[layer + 1], R[layer + 1], deltas[0])
        else:
            weights = c.signed(W[layer + 1], B and B[layer]) if credit.startswith("sign-") else B[layer]
            above = deltas[0] if sent is None else sent
            delta = c.product(above, weights) * c.f_prime(a[layer], y[layer])
        deltas.insert(0, delta)
    return deltas


def _jacobians(c, W, R, x, a, y, target, B, factor):
    """The error times the whole Jacobian ∂y_L/∂a_l of every sample."""
    error = c.error(factor, a[-1], y[-1], target)
    J, deltas = c.slope_of_output(a[-1], y[-1])[:, :, None] * c.eye(target)[None, :, :], []
    for layer in range(len(W) - 1, -1, -1):
        deltas.insert(0, c.xp.sum(error[:, :, None] * J, axis=1))
        if layer:
            J = (J @ (W[layer] @ R[layer])) * c.f_prime(a[layer - 1], y[layer - 1])[:, None, :]
    return deltas


def _network_again(c, W, R, x, a, y, target, B, factor):
    """−dℓ/da_l by autograd, of a network that is run again: as the gradient of zeros that are added to every a_l."""

    def loss(zeros):
        v = x[0]
        for layer in range(len(W)):
            v = v @ R[layer].mT if layer else v
            f = c.library_f if layer < len(W) - 1 else c.library_f_of_output
            v = f(v @ W[layer].mT + zeros[layer])
        if c.conventions.loss == "cross-entropy":
            return factor * LIBRARY_CROSS_ENTROPY[c.library](v, target)
        return factor / 2 * c.xp.sum((target - v) ** 2)

    return [-one for one in GRADIENTS[c.library](loss, [_zeros(c, one) for one in a])]


# δ of all layers; what is not layer by layer is backpropagation only
PERTURBING = {"layer by layer": _layer_by_layer, "Jacobians": _jacobians, AUTOGRAD: _network_again}

# where the error scale comes in
SCALE = {"on the error": None, "on every δ": None}

# --- updates ----------------------------------------------------------------------------------------------------------


def _each_sample(c, x, z, W):
    return c.averaged([z[n][:, None] * x[n][None, :] - W * (x[n] * x[n])[None, :] for n in range(x.shape[0])])


def _each_weight(c, x, z, W):
    """(z_i − w_ij x_j) x_j (Appendix C)."""
    return c.averaged([(z[n][:, None] - W * x[n][None, :]) * x[n][None, :] for n in range(x.shape[0])])


def _one_product(c, x, z, W):
    """[E[z xᵀ], −W diag(E[x²])] as one product of augmented matrices."""
    z = z if c.conventions.reduction == "sum" else z / x.shape[0]
    return c.xp.concat([z.mT, -W * c.square(x)], axis=1) @ c.xp.concat([x, c.eye(x)], axis=0)


# ΔW = E[z xᵀ] − W diag(E[x²])
COPI = {
    "as printed": lambda c, x, z, W: c.outer(z, x) - W * c.square(x)[None, :],
    "diagonal matrix": lambda c, x, z, W: c.outer(z, x) - W @ c.diag(c.square(x)),
    "decay first": lambda c, x, z, W: -W * c.square(x) + c.outer(z, x),
    "negated": lambda c, x, z, W: -(c.square(x)[None, :] * W - c.outer(z, x)),
    "diagonal of C": lambda c, x, z, W: c.outer(z, x) - W * c.xp.linalg.diagonal(c.outer(x, x))[None, :],
    "each sample": _each_sample,
    "each weight": _each_weight,
    "one augmented product": _one_product,
}


def _off_by_mask(c, x):
    C = c.outer(x, x)
    return C * (1 - c.eye(x))


def _off_by_where(c, x):
    C = c.outer(x, x)
    return c.xp.where(c.eye(x) == 1, c.xp.zeros_like(C), C)


def _off_by_difference(c, x):
    return c.outer(x, x) - c.diag(c.square(x))


def _off_by_own_diagonal(c, x):
    C = c.outer(x, x)
    return C - C * c.eye(x)


# C_off
OFF = {
    "mask": _off_by_mask,
    "where": _off_by_where,
    "minus E[x²]": _off_by_difference,
    "minus its diagonal": _off_by_own_diagonal,
}


def _left_each_sample(c, x, R):
    return c.averaged([x[n][:, None] * (x[n] @ R)[None, :] - (x[n] * x[n])[:, None] * R for n in range(x.shape[0])])


def _left_sums_over_others(c, x, R):
    """Σ_{j≠i} C_ij R_j, row by row."""
    C, K = c.outer(x, x), R.shape[0]
    rows = [[C[i, j] * R[j] for j in range(K) if j != i] or [0 * R[0]] for i in range(K)]
    return c.xp.stack([c.sum(row) for row in rows])


# C_off R
LEFT = {
    "C_off first": lambda c, x, R: c.off(x) @ R,
    "x R first": lambda c, x, R: c.outer(x, x @ R) - c.square(x)[:, None] * R,
    "x R first, both sides": lambda c, x, R: c.outer(x, c.product(x, R.mT)) - c.diag(c.square(x)) @ R,
    "C R − D R": lambda c, x, R: c.outer(x, x) @ R - c.square(x)[:, None] * R,
    "each sample": _left_each_sample,
    "sums over the others": _left_sums_over_others,
}
# R C_off
RIGHT = {
    "mirrored": lambda c, x, R: c.left(x, R.mT).mT,
    "C_off first": lambda c, x, R: R @ c.off(x),
    "R x first": lambda c, x, R: c.outer(x @ R.mT, x) - R * c.square(x)[None, :],
    "R C − R D": lambda c, x, R: R @ c.outer(x, x) - R @ c.diag(c.square(x)),
}


def _mean_of_both(c, x, R):
    return -0.5 * (c.left(x, R) + c.right(x, R.mT))


# −½ (M + Mᵀ), M = C_off R
SYMMETRIC = {
    "halved": lambda c, x, R: -(c.left(x, R) + c.left(x, R).mT) / 2,
    "halves": lambda c, x, R: -0.5 * c.left(x, R) - 0.5 * c.left(x, R).mT,
    "both products": _mean_of_both,
}

# --- a step -----------------------------------------------------------------------------------------------------------

# ΔW from x, a, δ and W
WEIGHTS = {
    "z first": lambda c, x, a, delta, W: c.copi(x, a + delta, W),
    "expanded": lambda c, x, a, delta, W: c.outer(a, x) + c.outer(delta, x) - W * c.square(x)[None, :],
    "expanded, δ last": lambda c, x, a, delta, W: (c.outer(a, x) - W * c.square(x)[None, :]) + c.outer(delta, x),
    "SGD and W C_off": lambda c, x, a, delta, W: c.outer(delta, x) + W @ c.off(x),
}


def _one_by_one(c, x, a, delta, W, eta):
    """The weights are what samples are added to."""
    new, rate = W, c.of_one_sample(eta, x)
    for n in range(x.shape[0]):
        new = new + rate * c.weights(x[n : n + 1], a[n : n + 1], delta[n : n + 1], W)
    return new


def _growth_and_decay(c, x, a, delta, W, eta):
    new, rate = W, c.of_one_sample(eta, x)
    for n in range(x.shape[0]):
        new = new + rate * _outer_of_one(a[n] + delta[n], x[n])
        new = new - rate * (W * x[n] ** 2)
    return new


def _mean_of_new_weights(c, x, a, delta, W, eta):
    N = x.shape[0]
    rate = N * c.of_one_sample(eta, x)
    return c.sum([W + rate * c.weights(x[n : n + 1], a[n : n + 1], delta[n : n + 1], W) for n in range(N)]) / N


NEW_W = {
    "W + η ΔW": lambda c, x, a, delta, W, eta: W + eta * c.weights(x, a, delta, W),
    "decay and growth": lambda c, x, a, delta, W, eta: W * (1 - eta * c.square(x)) + eta * c.outer(a + delta, x),
    "η in z": lambda c, x, a, delta, W, eta: W + c.outer(eta * (a + delta), x) - W * (eta * c.square(x)),
    "η in x": lambda c, x, a, delta, W, eta: W + c.outer(a + delta, eta * x) - (eta * W) * c.square(x),
    "sample by sample": _one_by_one,
    "growth and decay of each sample": _growth_and_decay,
    "mean of new weights": _mean_of_new_weights,
}


def _contract_R(c, x, R, eta):
    step = c.eye(x) - eta * c.off(x)
    if c.rule == "symmetric":
        return R - eta / 2 * (c.off(x) @ R + (c.off(x) @ R).mT)
    return step @ R if c.rule == "left" else R @ step


def _R_one_by_one(c, x, R, eta):
    new, rate = R, c.of_one_sample(eta, x)
    for n in range(x.shape[0]):
        new = new + rate * c.lateral(x[n : n + 1], R)
    return new


def _mean_of_new_R(c, x, R, eta):
    N = x.shape[0]
    rate = N * c.of_one_sample(eta, x)
    return c.sum([R + rate * c.lateral(x[n : n + 1], R) for n in range(N)]) / N


NEW_R = {
    "R + η ΔR": lambda c, x, R, eta: R + eta * c.lateral(x, R),
    "R (I − η C_off)": _contract_R,
    "R − η M": lambda c, x, R, eta: R - eta * (-c.lateral(x, R)),
    "sample by sample": _R_one_by_one,
    "mean of new R": _mean_of_new_R,
}


def _upwards(c, W, R, y0):
    xs, as_, ys, y = [], [], [], y0
    for w, r in zip(W, R, strict=True):
        xs.append(c.product(y, r))
        as_.append(c.preactivation(w, r, xs[-1], y))
        y = c.f(as_[-1])
        ys.append(y)
    return xs, as_, [*ys[:-1], c.f_of_output(as_[-1])]


def _from_scratch(c, W, R, y0):
    """Every layer runs those below it again, by other products than they do themselves."""
    xs, as_, ys = [], [], []
    for layer in range(len(W)):
        y = y0
        for w, r in zip(W[:layer], R[:layer], strict=True):
            y = c.f(c.product(y, w @ r))
        xs.append(c.product(y, R[layer]))
        as_.append(c.preactivation(W[layer], R[layer], xs[-1], y))
        ys.append(c.f(as_[-1]))
    return xs, as_, [*ys[:-1], c.f_of_output(as_[-1])]


def _one_matrix(c, W, R, y0):
    """All layers below are one matrix, where f is the identity."""
    xs, as_, below = [], [], c.eye(y0)
    for w, r in zip(W, R, strict=True):
        xs.append(c.product(y0, r @ below))
        below = w @ (r @ below)
        as_.append(c.product(y0, below))
    return xs, as_, [1.0 * a for a in as_]


# x, a and y of all layers
PASSES = {"upwards": _upwards, "every layer from scratch": _from_scratch, "one matrix": _one_matrix}

LAYERS = {
    "upwards": lambda layers: range(layers),
    "downwards": lambda layers: reversed(range(layers)),
    "permuted": lambda layers: _permutation(layers),
}

STATES = {"none": (), "all": ("x", "a", "y", "delta"), "some": ("x", "a")}


def _objects(arrays):
    """An array of arrays, as NumPy makes of matrices whose shapes differ."""
    found = np.empty(len(arrays), dtype=object)
    found[:] = arrays
    return found


def _parameters(arrays):
    import torch

    return torch.nn.ParameterList(torch.nn.Parameter(one) for one in arrays)


# what holds one array per layer
SEQUENCE = {
    "list": list,
    "tuple": tuple,
    "deque": deque,
    "UserList": UserList,
    "named tuple": lambda arrays: namedtuple("Layers", [f"of_{at}" for at in range(len(arrays))])(*arrays),
    "array of objects": _objects,
    "ParameterList": _parameters,
}

TABLES = {
    "sum": SUM,
    "contraction": CONTRACTION,
    "squares": SQUARES,
    "mean_of_outer": MEAN,
    "mean_of_squares": MEAN,
    "outer": OUTER,
    "square": SQUARE,
    "product": PRODUCT,
    "preactivation": PREACTIVATION,
    "output_delta": OUTPUT_DELTA,
    "cross_entropy": CROSS_ENTROPY,
    "softmax": SOFTMAX,
    "sign": SIGN,
    "signed": SIGNED,
    "backward": BACKWARD,
    "scale": SCALE,
    "copi": COPI,
    "off": OFF,
    "left": LEFT,
    "right": RIGHT,
    "symmetric": SYMMETRIC,
    "weights": WEIGHTS,
    "new_W": NEW_W,
    "new_R": NEW_R,
    "layers": LAYERS,
    "states": STATES,
    "passes": PASSES,
    "perturbing": PERTURBING,
    "sequence": SEQUENCE,
}
"""The alternatives of every piece but f and f′, which depend on the activation."""


@dataclass(frozen=True)
class Implementation:
    """The six functions, put together from one alternative of each piece; names of them are in `choices`."""

    library: str
    xp: object = field(repr=False)
    conventions: object
    choices: dict

    # --- pieces, bound ---

    def __getattr__(self, name):
        table = TABLES.get(name)
        if table is None or name not in self.choices:
            raise AttributeError(name)
        piece = table[self.choices[name]]
        return piece if name in ("sum", "layers") else lambda *args: piece(self, *args)

    @property
    def s(self):
        return self.conventions.slope

    @property
    def rule(self):
        return self.conventions.lateral_rule

    def f(self, a):
        if self.choices["f"] == AUTOGRAD:
            return self.library_f(a)
        return F[self.conventions.activation][self.choices["f"]](self, a)

    def f_prime(self, a, y):
        if self.choices["f′"] == AUTOGRAD:
            return self.vjp(self.library_f, a, self.xp.ones_like(a))
        return F_PRIME[self.conventions.activation][self.choices["f′"]].formula(self, a, y)

    def library_f(self, a):
        return LIBRARY_ACTIVATION[self.library](self.conventions.activation, self.s)(a)

    def vjp(self, function, a, cotangent):
        return VJP[self.library](function, a, cotangent)

    @property
    def is_linear(self):
        """Whether the output has no f."""
        return self.conventions.output_activation == "identity"

    def f_of_output(self, a):
        return 1.0 * a if self.is_linear else self.f(a)

    def library_f_of_output(self, a):
        return a if self.is_linear else self.library_f(a)

    def slope_of_output(self, a, y):
        return self.xp.ones_like(a) if self.is_linear else self.f_prime(a, y)

    def prediction(self, a, y):
        return y if self.conventions.output == "activation" else a

    def error(self, factor, a, y, t):
        """−∂ℓ/∂p."""
        p = self.prediction(a, y)
        return factor * (t - (self.softmax(p) if self.conventions.loss == "cross-entropy" else p))

    def size(self, W, B):
        return self.xp.ones_like(W.mT) if B is None else self.xp.abs(B)

    def feedback(self, W, B):
        """B of each layer as (K_l, what comes down), whatever its shape is by convention."""
        if B is None:
            return None
        turned = [one.mT for one in ([B] if self.conventions.feedback == "shared" else B)]
        if self.conventions.feedback_like == "transpose":
            turned = [one.mT for one in turned]
        if self.conventions.feedback == "own":
            return turned
        direct = self.conventions.credit in ("dfa", "sdfa", "drtp")
        above = [W[-1].shape[0] if direct else one.shape[0] for one in W[1:]]
        return [turned[0][: one.shape[0], :m] for one, m in zip(W[:-1], above, strict=True)]

    def reduced(self, mean, total, u, v):
        """Return a mean over samples, or the sum."""
        return total(u, v) if self.conventions.reduction == "sum" else MEAN[mean](self, total, u, v)

    def from_mean(self, mean, u):
        return mean * u.shape[0] if self.conventions.reduction == "sum" else mean

    def averaged(self, terms):
        return self.sum(terms) if self.conventions.reduction == "sum" else self.sum(terms) / len(terms)

    def double(self, u):
        return self.like(u, self.xp.zeros(1, dtype=self.xp.float64))

    def like(self, u, other):
        return u.to(other.dtype) if self.library == "torch" else u.astype(other.dtype)

    def multi_dot(self, arrays):
        linalg = np.linalg if self.library == "numpy" else self.xp.linalg
        return linalg.multi_dot(arrays)

    def of_one_sample(self, eta, x):
        """The part of a rate that one sample has."""
        return eta if self.conventions.reduction == "sum" else eta / x.shape[0]

    def eye(self, x):
        return self.xp.eye(x.shape[1], dtype=x.dtype)

    def diag(self, vector):
        return vector[:, None] * self.xp.eye(vector.shape[0], dtype=vector.dtype)

    def lateral(self, x, R):
        return self.symmetric(x, R) if self.rule == "symmetric" else -getattr(self, self.rule)(x, R)

    # --- the six functions, rows are samples ---

    def copi_update(self, x, z, W):
        return self.copi(x, z, W)

    def sgd_update(self, x, delta):
        return self.outer(delta, x)

    def decorrelation_update(self, x, R):
        return self.lateral(x, R)

    def forward(self, W, R, y0):
        return self.passes(W, R, y0)

    def perturbations(self, W, R, x, a, y, target, B=None):
        scale, factor = self.conventions.error_scale, self.conventions.loss_factor
        factor = 1 if self.conventions.loss == "cross-entropy" else factor
        B = self.feedback(W, B)
        if self.choices["scale"] == "on the error":
            factor, scale = factor * scale, 1
        return [scale * delta for delta in self.perturbing(W, R, x, a, y, target, B, factor)]

    def step(self, W, R, y0, target, eta_w, eta_r, B=None):
        x, a, y = self.forward(W, R, y0)
        deltas = self.perturbations(W, R, x, a, y, target, B)
        new_W, new_R = list(W), list(R)
        for layer in self.layers(len(W)):
            new_R[layer] = self.new_R(x[layer], R[layer], eta_r)
            new_W[layer] = self.new_W(x[layer], a[layer], deltas[layer], W[layer], eta_w)
        states = {"x": x, "a": a, "y": y, "delta": deltas}
        returned = {name: states[name] for name in STATES[self.choices["states"]]}
        return (new_W, new_R, returned) if returned else (new_W, new_R)


# --- drawing ----------------------------------------------------------------------------------------------------------

FUNCTIONS = ("copi_update", "sgd_update", "decorrelation_update", "forward", "perturbations", "step")

# Loops over single numbers: thousands of kernels, each compiled, in JAX
_SLOW_IN_JAX = ("single weights",)

_IN_LIBRARIES = {
    "rounded once": ("numpy",),
    "array of objects": ("numpy",),
    "ParameterList": ("torch",),
    VMAP: tuple(VMAPS),
}

# What is right, and rounds on whole numbers (or leaves their range): rejected where only equality passes
_NOT_EXACT = {
    "squares": ("norm",),
    "mean_of_outer": ("both factors by the root",),
    "mean_of_squares": ("both factors by the root",),
    "outer": ("running mean",),
    "square": ("running mean",),
    "f": ("a and |a|",),
    "f′": ("mask of the rest", "sign"),
    "new_W": ("mean of new weights",),
    "new_R": ("mean of new R",),
}


def drawn_conventions(rng):
    """Draw what an implementer may choose, as keyword arguments of Conventions without f′(0), which f′ decides."""

    def one(*values):
        return values[int(rng.integers(len(values)))]

    return {
        "samples": one("rows", "columns"),
        "lateral_rule": one("left", "right", "symmetric"),
        "loss_factor": one(2, 2, 1, 0.5),
        "credit": one("bp", "bp", "fa", "dfa", "sdfa", "drtp", "sign-symmetric", "sign-symmetric-magnitudes"),
        "activation": one("leaky_relu", "leaky_relu", "relu", "identity", "tanh", "sigmoid"),
        "slope": one(0.1, 0.1, 0.01, 0.2, 0.25, 0.3, 0.5),
        "output": one("activation", "pre-activation"),
        "reduction": one("mean", "mean", "sum"),
        "error_scale": one(1, 1, 1000, 10),
        "assumes_symmetric_R": one(False, False, True),
        "output_activation": one("same", "same", "identity"),
        "loss": one("quadratic", "quadratic", "cross-entropy"),
        "dfa_error": one("pre-activation", "output"),
        "feedback": one("own", "own", "shared"),
        "feedback_like": one("transpose", "weights"),
    }


def alternatives(library, conventions, coarse=False):
    """Return the names of the applicable alternatives of every piece, for conventions as `drawn_conventions` gives.

    `coarse`: for a format in which exact cases have to come out equal.
    """
    autograd = [AUTOGRAD] if library in VJP else []
    names = {piece: [name for name in table if name != AUTOGRAD] for piece, table in TABLES.items()}
    names["f"] = [*F[conventions["activation"]], *autograd]
    names["f′"] = [*F_PRIME[conventions["activation"]], *autograd]
    if conventions["activation"] != "identity":
        names["passes"].remove("one matrix")
    left_out = {name for name, libraries in _IN_LIBRARIES.items() if library not in libraries}
    left_out |= {*_SLOW_IN_JAX} if library == "jax" else set()
    rounding = _NOT_EXACT if coarse else {}
    return {
        piece: [name for name in of if name not in left_out and name not in rounding.get(piece, ())]
        for piece, of in names.items()
    }


def drawn(rng, library, make_conventions, coarse=False):
    """Draw an implementation for a library ("numpy", "torch" or "jax"): ``(implementation, conventions)``.

    `make_conventions` is `copi_ref.oracle.Conventions`, or any callable with its keyword arguments; `coarse` is that of
    `alternatives`.
    """
    given = drawn_conventions(rng)
    choices = {piece: of[int(rng.integers(len(of)))] for piece, of in alternatives(library, given, coarse).items()}
    if given["credit"] != "bp":
        choices["perturbing"] = "layer by layer"
    if given["credit"] in ("sdfa", "drtp"):  # a factor on the error would be lost
        choices["scale"] = "on every δ"
    activation, slope = given["activation"], given["slope"]
    if choices["f′"] == AUTOGRAD:
        at_zero = AUTOGRAD_AT_ZERO.get((library, activation), lambda s: 1)(slope)
        # autograd takes f′(0) from the library: only then may δ come from it too
        if given["output"] == "activation" and rng.random() < 0.7:
            choices["output_delta"] = choices["cross_entropy"] = choices["f"] = AUTOGRAD  # one formula of f throughout
            if given["credit"] == "bp" and rng.random() < 0.5:
                choices["perturbing"] = AUTOGRAD
        if rng.random() < 0.7:
            choices["backward"] = AUTOGRAD
    else:
        at_zero = F_PRIME[activation][choices["f′"]].at_zero(slope)
    conventions = make_conventions(**given, derivative_at_zero=at_zero)
    implementation = Implementation(library, namespace(library), conventions, choices)
    return implementation, conventions


def namespace(library):
    """Return the array-API namespace of a library."""
    if library == "jax":
        import jax

        return jax.numpy
    if library == "torch":
        import torch

        return array_api_compat.array_namespace(torch.ones(1))
    return array_api_compat.array_namespace(np.ones(1))


def as_called(implementation, jit=False):
    """Return the implementation as its caller sees it: samples on its own axis, and compiled with `jax.jit` or not."""
    functions = {name: getattr(implementation, name) for name in FUNCTIONS}
    if implementation.conventions.assumes_symmetric_R:
        functions = {name: _with_transposed_R(name, function) for name, function in functions.items()}
    if implementation.conventions.samples == "columns":
        functions = {name: _columns(name, function) for name, function in functions.items()}
    if jit:
        import jax

        static = {"step": (4, 5)}
        functions = {name: jax.jit(one, static_argnums=static.get(name, ())) for name, one in functions.items()}
    sequence = SEQUENCE[implementation.choices["sequence"]]
    return SimpleNamespace(**{name: _in_sequences(sequence, function) for name, function in functions.items()})


def _in_sequences(sequence, function):
    """Return lists of arrays, on whatever level they are, as another sequence."""

    def held(value):
        if isinstance(value, dict):
            return {name: held(one) for name, one in value.items()}
        if isinstance(value, tuple):
            return tuple(map(held, value))
        return sequence(value) if isinstance(value, list) else value

    return lambda *arguments: held(function(*arguments))


ARGUMENTS = {
    "copi_update": ("x", "z", "W"),
    "sgd_update": ("x", "delta"),
    "decorrelation_update": ("x", "R"),
    "forward": ("W", "R", "y0"),
    "perturbations": ("W", "R", "x", "a", "y", "target", "B"),
    "step": ("W", "R", "y0", "target", "eta_w", "eta_r", "B"),
}
_SAMPLES_FIRST = {"x", "z", "delta", "y0", "target", "a", "y"}


def _turned(value):
    return [one.mT for one in value] if isinstance(value, (list, tuple)) else value.mT


def _with_transposed_R(name, function):
    """R is taken to be symmetric, so that its transpose does as well."""

    def transposed(*args):
        return function(
            *(_turned(value) if of == "R" else value for of, value in zip(ARGUMENTS[name], args, strict=False))
        )

    return transposed


def _columns(name, function):
    """Take and return samples in columns."""

    def columns(*args):
        returned = function(
            *(
                _turned(value) if of in _SAMPLES_FIRST else value
                for of, value in zip(ARGUMENTS[name], args, strict=False)
            )
        )
        if name == "forward":
            return tuple(map(_turned, returned))
        if name == "perturbations":
            return _turned(returned)
        if name == "step" and len(returned) == 3:
            return (*returned[:2], {of: _turned(value) for of, value in returned[2].items()})
        return returned

    return columns
