"""COPI in plain NumPy, as a user would write it: right, so that each mutant is wrong in one place only.

`step` repeats what the functions above it do, as people write it, so that a bug can sit in a whole step alone.
"""

import numpy as np

SLOPE = 0.1


def f(a):
    return np.where(a > 0, a, SLOPE * a)


def df(a):
    return np.where(a >= 0, 1.0, SLOPE).astype(a.dtype)


def copi_update(x, z, W):
    N = x.shape[0]
    hebb = z.T @ x / N
    decay = W * np.mean(x**2, axis=0)
    return hebb - decay


def sgd_update(x, delta):
    N = x.shape[0]
    return delta.T @ x / N


def decorrelation_update(x, R):
    N = x.shape[0]
    C = x.T @ x / N
    C_off = C - np.diag(np.diag(C))
    return -R @ C_off


def forward(W, R, y0):
    xs, as_, ys = [], [], []
    y = y0
    for i in range(len(W)):
        x = y @ R[i].T
        a = x @ W[i].T
        y = f(a)
        xs.append(x)
        as_.append(a)
        ys.append(y)
    return xs, as_, ys


def perturbations(W, R, x, a, y, target):
    error = 2 * (target - y[-1])
    deltas = [df(a[-1]) * error]
    for i in range(len(W) - 2, -1, -1):
        back = deltas[0] @ W[i + 1] @ R[i + 1]
        deltas.insert(0, df(a[i]) * back)
    return deltas


def step(W, R, y0, target, eta_w, eta_r):
    n_layers = len(W)
    n_samples = y0.shape[0]

    # forward
    xs, as_, ys = [], [], [y0]
    for i in range(n_layers):
        x = ys[i] @ R[i].T
        a = x @ W[i].T
        y = f(a)
        xs.append(x)
        as_.append(a)
        ys.append(y)

    # backward
    deltas = [np.zeros_like(a) for a in as_]
    error = 2 * (target - ys[-1])
    deltas[-1] = df(as_[-1]) * error
    for i in range(n_layers - 2, -1, -1):
        back = deltas[i + 1] @ W[i + 1] @ R[i + 1]
        deltas[i] = df(as_[i]) * back

    # update
    new_W, new_R = list(W), list(R)
    for i in range(n_layers):
        x = xs[i]
        z = as_[i] + deltas[i]
        power = np.mean(x**2, axis=0)
        dW = z.T @ x / n_samples - W[i] * power
        C = x.T @ x / n_samples
        C_off = C - np.diag(np.diag(C))
        dR = -R[i] @ C_off
        new_W[i] = W[i] + eta_w * dW
        new_R[i] = R[i] + eta_r * dR
    return new_W, new_R
