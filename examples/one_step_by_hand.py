"""
One step by hand
================

A network of 2 inputs, 3 hidden units and 2 outputs takes one step of Algorithm 1 on two samples. Each quantity stands
beside its formula, as a fraction: nothing is rounded, so that pencil and paper suffice. The library then
takes the same step, and has to agree with ``==`` and not only nearly.
"""

# sphinx_gallery_thumbnail_path = "_static/thumbnails/one_step_by_hand.png"

from dataclasses import replace
from fractions import Fraction

import numpy as np

import copi_ref as copi


def exact(rows):
    """Return whole numbers or texts such as "1/2" as an array of fractions."""
    return np.array([[Fraction(number) for number in row] for row in rows])


def show(name, formula, array):
    """Print a formula and the numbers that it gives."""
    print(f"{name} = {formula}")
    for row in array:
        print("    ", *(f"{number!s:>12}" for number in row))


def f(a):
    """Leaky ReLU with the paper's slope."""
    return np.where(a >= 0, a, a / 10)


def slope(a):
    """f′, with f′(0) = 1."""
    return np.where(a >= 0, Fraction(1), Fraction(1, 10))


def off_diagonal(x):
    """C_off = E[x xᵀ] − diag(E[x²]), E the mean over the two samples."""
    C = x.T @ x / 2
    return C - np.diag(np.diag(C))


def delta_w(x, z, W):
    """COPI's ΔW; rows of x and z are samples, so that zᵀ x is the paper's z xᵀ, summed over them."""
    return z.T @ x / 2 - W @ np.diag((x * x).sum(axis=0) / 2)


# %%
# The network: R starts as I in training; here R₁ is as it might be a few steps later.
y0, target = exact([[1, 2], [3, -1]]), exact([[1, 0], [0, 1]])
R1, W1 = exact([[1, "-1/2"], ["-1/2", 1]]), exact([[1, -1], [2, 1], [0, "1/2"]])
R2, W2 = exact([[1, 0, 0], [0, 1, 0], [0, 0, 1]]), exact([[1, 0, 2], [-1, "1/2", 1]])
eta_w, eta_r = Fraction(1, 10), Fraction(1, 100)

# %%
# Forward, lines 4 to 8. Rows are samples, so that R y is written y Rᵀ.
show("x1", "R1 y0", x1 := y0 @ R1.T)
show("a1", "W1 x1", a1 := x1 @ W1.T)
show("y1", "f(a1), f leaky ReLU with slope 1/10", y1 := f(a1))
show("x2", "R2 y1, with R2 = I", x2 := y1 @ R2.T)
show("a2", "W2 x2", a2 := x2 @ W2.T)
show("y2", "f(a2)", y2 := f(a2))

# %%
# Who gets the blame, lines 9 to 12: the loss is ‖y₂ − y*‖², and the blame goes down by backpropagation.
show("δ2", "2 f′(a2) ∘ (y* − y2)", delta2 := 2 * slope(a2) * (target - y2))
show("δ1", "f′(a1) ∘ R2ᵀ W2ᵀ δ2", delta1 := slope(a1) * (delta2 @ W2 @ R2))
show("z1", "a1 + δ1", z1 := a1 + delta1)
show("z2", "a2 + δ2", z2 := a2 + delta2)

# %%
# What is learnt, lines 13 to 16.
show("ΔW1", "E[z1 x1ᵀ] − W1 diag(E[x1²])", dW1 := delta_w(x1, z1, W1))
show("ΔW2", "E[z2 x2ᵀ] − W2 diag(E[x2²])", dW2 := delta_w(x2, z2, W2))
show("ΔR1", "−R1 C_off, C_off = E[x1 x1ᵀ] − diag(E[x1²])", dR1 := -R1 @ off_diagonal(x1))
show("ΔR2", "−R2 C_off, of x2", dR2 := -R2 @ off_diagonal(x2))
show("W1 after the step", "W1 + 1/10 ΔW1", W1 + eta_w * dW1)
show("R1 after the step", "R1 + 1/100 ΔR1", R1 + eta_r * dR1)

# %%
# The library takes the same step.
recipe = copi.Recipe(eta_w=eta_w, eta_r=eta_r, lateral_rule="right")
start = copi.init_state(recipe, (2, 3, 2), np.random.default_rng(0), np)
after = copi.step(recipe, replace(start, params=copi.Params((W1, W2), (R1, R2))), y0, target).params

by_hand = (W1 + eta_w * dW1, W2 + eta_w * dW2, R1 + eta_r * dR1, R2 + eta_r * dR2)
assert all((one == other).all() for one, other in zip(by_hand, (*after.W, *after.R), strict=True))
assert all(isinstance(number, Fraction) for array in (*after.W, *after.R) for number in array.flat)
print("By hand and by copi.step: the same fractions, in all", sum(array.size for array in by_hand), "weights")
