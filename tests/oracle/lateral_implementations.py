"""Right lateral updates by the rules of the follow-up papers, as differently as people write them.

Nothing of the package is used. All take NumPy or PyTorch arrays with rows as samples, and are ``(x, R, κ) -> ΔR``, or
``(x, R, share) -> ΔR`` for a kept diagonal, and ``(y, x, share) -> g`` for its gain.
"""

import math

import numpy as np


def library_of(array):
    if type(array).__module__.startswith("torch"):
        import torch

        return torch
    return np


def eye(x):
    return library_of(x).eye(x.shape[1], dtype=x.dtype)


def root(a):
    return library_of(a).sqrt(a)


def tril(a, k):
    return library_of(a).tril(a, k)


def stacked(rows):
    return library_of(rows[0]).stack(rows)


def counted(x):
    """0, 1, 2 … of each input, as a column."""
    return stacked([0 * x[0, 0] + i for i in range(x.shape[1])])[:, None]


def covariance_and_rest(x):
    C = x.T @ x / len(x)
    return C * (1 - eye(x)), (x**2).mean(0) - 1


# --- v scales the columns of R ----------------------------------------------------------------------------------------


def columns_by_matrices(x, R, kappa):
    C_off, v = covariance_and_rest(x)
    return -((1 - kappa) * C_off @ R + kappa * R @ (v * eye(x)))


def columns_by_broadcast(x, R, kappa):
    n = len(x)
    off = x.T @ (x @ R) / n - (x * x).sum(0)[:, None] / n * R
    return (kappa - 1) * off - kappa * (R * ((x * x).sum(0) / n)) + kappa * R


def columns_by_sample(x, R, kappa):
    total = 0 * R
    for one in x:
        C = one[:, None] * one[None, :]
        C_off, v = C - C * eye(x), one * one - 1
        total = total - ((1 - kappa) * (C_off @ R) + kappa * (R * v[None, :]))
    return total / len(x)


def columns_by_weight(x, R, kappa):
    K, N = x.shape[1], len(x)
    v = [x[:, j] @ x[:, j] / N - 1 for j in range(K)]
    C = [[x[:, i] @ x[:, k] / N for k in range(K)] for i in range(K)]

    def entry(i, j):
        off = sum((C[i][k] * R[k, j] for k in range(K) if k != i), 0 * R[0, 0])
        return -(1 - kappa) * off - kappa * R[i, j] * v[j]

    return stacked([stacked([entry(i, j) for j in range(K)]) for i in range(K)])


def columns_transposed(x, R, kappa):
    """D = Rᵀ, as where y D is written."""
    C_off, v = covariance_and_rest(x)
    D = R.T
    return -((1 - kappa) * D @ C_off + kappa * v[:, None] * D).T


def columns_with_rounded_kappa(x, R, kappa):
    """κ is a number of the format, and 1 − κ is made of it."""
    k = 0 * x[0, 0] + kappa
    C_off, v = covariance_and_rest(x)
    return -((1 - k) * (C_off @ R)) - k * (R * v)


# --- others -----------------------------------------------------------------------------------------------------------


def rows_by_matrices(x, R, kappa):
    C_off, v = covariance_and_rest(x)
    return -((1 - kappa) * C_off + kappa * (v * eye(x))) @ R


def rows_by_where(x, R, kappa):
    C, one = x.T @ x / len(x), eye(x)
    return -(one * (kappa * (C - 1)) + (1 - one) * ((1 - kappa) * C)) @ R


def normalized_as_two_means(x, R, kappa):
    C_off, v = covariance_and_rest(x)
    return -((1 - kappa) * (C_off @ R) / max(x.shape[1] - 1, 1) + kappa * 2 * (R * v))


def normalized_by_factors(x, R, kappa):
    n, K = x.shape
    off = (x.T @ (x @ R) - (x * x).sum(0)[:, None] * R) * ((1 - kappa) / (n * max(K - 1, 1)))
    return -off - 2 * kappa * R * (x * x).mean(0) + 2 * kappa * R


def triangular_by_rows(x, R, kappa):
    C, v = x.T @ x / len(x), (x * x).mean(0) - 1
    T = root(counted(x)) * tril(C, -1)
    return -((1 - kappa) * (T @ R) + kappa * R * v)


def triangular_by_loop(x, R, kappa):
    C, v, rows = x.T @ x / len(x), (x * x).mean(0) - 1, []
    for i in range(len(R)):
        below = sum((C[i, j] * R[j] for j in range(i)), 0 * R[0])
        rows.append(-(1 - kappa) * math.sqrt(i) * below - kappa * R[i] * v)
    return stacked(rows)


def kept_by_matrices(x, R, share):
    part = x[: int(share * len(x)) + 1]
    return -R @ (part.T @ part / len(part))


def kept_by_samples(x, R, share):
    """R x of each sample first, as what goes through the layer again."""
    part = x[: int(share * len(x)) + 1]
    return -((part @ R.T).T @ part) / len(part)


def kept_transposed(x, R, share):
    part = x[: int(share * len(x)) + 1]
    return -((part.T @ part) @ R.T / len(part)).T


def gain_by_norms(y, x, share):
    n = min(int(share * len(x)) + 1, len(x))
    return (root((y[:n] ** 2).sum(1)) / root((x[:n] ** 2).sum(1) + 1e-8)).mean()


def gain_by_loop(y, x, share):
    n = min(int(share * len(x)) + 1, len(x))
    return sum(root((y[i] @ y[i]) / (x[i] @ x[i] + 1e-8)) for i in range(n)) / n


def gain_by_roots(y, x, share):
    n = min(int(share * len(x)) + 1, len(x))
    return ((y[:n] * y[:n]).sum(1) ** 0.5 * ((x[:n] * x[:n]).sum(1) + 1e-8) ** -0.5).sum() / n


RULES = {
    "whitening": (columns_by_matrices, columns_by_broadcast, columns_by_sample, columns_by_weight, columns_transposed,
                  columns_with_rounded_kappa),
    "whitening-rows": (rows_by_matrices, rows_by_where),
    "whitening-normalized": (normalized_as_two_means, normalized_by_factors),
    "whitening-triangular": (triangular_by_rows, triangular_by_loop),
    "kept-diagonal": (kept_by_matrices, kept_by_samples, kept_transposed),
}  # fmt: skip
GAINS = (gain_by_norms, gain_by_loop, gain_by_roots)


def regained_at_once(R, g, update, eta):
    return g * R + eta * update(g * R)


def regained_by_factor(R, g, update, eta):
    """The rule is linear in R."""
    return g * (R + eta * update(R))


REGAINED = (regained_at_once, regained_by_factor)


class Rule:
    """`decorrelation_update` and `step` by one of the rules above.

    Args:
        plain: an implementation of the paper's algorithm: its forward pass, errors and ΔW are taken.
        update: ``(x, R, number) -> ΔR``.
        number: κ, or the share.
        gain: ``(y, x, share) -> g``; None: none.
        regained: how it comes together with the step.
        samples: takes samples of x, given indices: ``(x, indices) -> x``.
    """

    def __init__(self, plain, update, number, gain=None, regained=regained_at_once, samples=None):
        self.plain, self.update, self.number = plain, update, number
        self.gain, self.regained, self.samples = gain, regained, samples or (lambda x, indices: x[indices])

    def decorrelation_update(self, x, R, *more):
        if self.gain is None:
            taken = self.samples(x, more[0]) if more else x
            return self.update(taken, R, self.number)
        y, eta = more
        return self.new_R(x, R, y, eta) - R

    def new_R(self, x, R, y, eta, indices=None):
        taken = x if indices is None else self.samples(x, indices)
        if self.gain is None:
            return R + eta * self.update(taken, R, self.number)
        return self.regained(R, self.gain(y, x, self.number), lambda R: self.update(taken, R, self.number), eta)

    def step(self, W, R, y0, target, eta_w, eta_r, indices=None):
        x, a, y = self.plain.forward(W, R, y0)
        deltas = self.plain.perturbations(W, R, x, a, y, target)
        below = [y0, *y[:-1]]
        indices = indices or [None] * len(W)
        new_R = [self.new_R(*one, eta_r, drawn) for *one, drawn in zip(x, R, below, indices, strict=True)]
        new_W = [
            w + eta_w * self.plain.copi_update(one, pre + delta, w)
            for w, one, pre, delta in zip(W, x, a, deltas, strict=True)
        ]
        return new_W, new_R
