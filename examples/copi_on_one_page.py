"""
COPI on one page
================

Constrained Parameter Inference (arXiv 2203.13203) in NumPy alone, with Algorithm 1's line numbers: it learns to read
digits of 8×8 pixels in seconds. Rows are samples: R y is written ``y @ R.T``, and E[…] is the mean over a batch.
"""

from importlib.util import find_spec

import numpy as np


def leaky(a, v):
    """v, or v/10 where a < 0: leaky(a, a) is f(a), and leaky(a, δ) is f′(a) ∘ δ."""
    return np.where(a >= 0, v, v / 10)


def forward(W, R, y0):
    """Lines 4 to 8."""
    x, a, y = [], [], [y0]
    for R_l, W_l in zip(R, W, strict=True):
        x.append(y[-1] @ R_l.T)  # line 5: x_l = R_l y_{l−1}
        a.append(x[-1] @ W_l.T)  # line 6: a_l = W_l x_l
        y.append(leaky(a[-1], a[-1]))  # line 7: y_l = f(a_l)
    return x, a, y[1:]


def perturbations(W, R, x, a, y, target):
    """Lines 9 to 12: δ_L = 2 f′(a_L) ∘ (y* − y_L), δ_l = f′(a_l) ∘ R_{l+1}ᵀ W_{l+1}ᵀ δ_{l+1}."""
    delta = [leaky(a[-1], 2 * (target - y[-1]))]  # downhill for ℓ = ‖y_L − y*‖²
    for layer in range(len(W) - 1, 0, -1):
        delta.insert(0, leaky(a[layer - 1], delta[0] @ W[layer] @ R[layer]))
    return delta


def copi_update(x, z, W):
    """Line 14, Eq. 3: ΔW = E[z xᵀ] − W diag(E[x²])."""
    return z.T @ x / len(x) - W * np.mean(x**2, axis=0)


def decorrelation_update(x, R):
    """Eq. 4, first line: ΔR = −C_off R. For −R C_off, which line 15 prints, no rate is safe."""
    C = x.T @ x / len(x)
    return -(C - np.diag(np.diag(C))) @ R


def step(W, R, y0, target, eta_w, eta_r):
    """Lines 3 to 16. Updates come last: δ goes down through the weights of the forward pass."""
    x, a, y = forward(W, R, y0)
    z = map(np.add, a, perturbations(W, R, x, a, y, target))  # z_l = a_l + δ_l
    new_W = [W_l + eta_w * copi_update(x_l, z_l, W_l) for x_l, z_l, W_l in zip(x, z, W, strict=True)]
    return new_W, [R_l + eta_r * decorrelation_update(x_l, R_l) for x_l, R_l in zip(x, R, strict=True)]


# %%
# Digits. In epoch 0 R learns alone: COPI's rule is gradient descent only where inputs are uncorrelated.
if __name__ == "__main__":
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    y0, target, train = images / 16, np.eye(10)[labels], np.arange(len(labels)) % 5 > 0
    shapes, rng, history = ((100, 64), (100, 100), (10, 100)), np.random.default_rng(0), []
    W, R = [rng.normal(0, np.sqrt(2 / sum(s)), s) for s in shapes], [np.eye(s[1]) for s in shapes]
    eta_r = 2 / 3 / np.mean(np.sum(y0[train] ** 2, axis=1))  # 2/(3 tr C) is safe
    for epoch in range(25):
        for batch in np.array_split(rng.permutation(np.flatnonzero(train)), 29):
            W, R = step(W, R, y0[batch], target[batch], 0.05 if epoch else 0, eta_r)
        x, _, y = forward(W, R, y0)
        right, C = np.argmax(y[-1], axis=1) == labels, x[0][train].T @ x[0][train]
        off_diagonal = np.linalg.norm(C - np.diag(np.diag(C))) / np.linalg.norm(np.diag(C))
        history.append((right[train].mean(), right[~train].mean(), off_diagonal))
        print(f"epoch {epoch:2}: accuracy, test accuracy, off-diagonal", np.round(history[-1], 3))
    if find_spec("matplotlib"):
        import matplotlib.pyplot as plt

        plt.plot(history, label=["accuracy", "test accuracy", "‖C_off‖/‖diag C‖, layer 1"])
        plt.xlabel("epoch")
        plt.legend()
        plt.show()
