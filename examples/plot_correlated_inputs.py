"""
Why correlated inputs slow gradient descent
===========================================

Linear regression, correlated inputs. The rate of SGD is bounded by the largest eigenvalue of C = E[x xᵀ], and
its speed by the smallest: their ratio is the condition number. R lowers it while W learns. COPI needs R for more than
speed: it differs from SGD by W C_off, and without R settles on other weights than those of least squares.
"""

import matplotlib.pyplot as plt
import numpy as np

import copi_ref as copi
from copi_ref.analysis.diagnostics import condition_number
from copi_ref.data import correlated_gaussian
from copi_ref.figures.training import line_style

rng = np.random.default_rng(0)
covariance = 0.1 * np.eye(5) + 0.9  # five inputs of power 1, each pair with E[y_i y_j] = 0.9
y = correlated_gaussian(covariance, 1000, rng)
target = y @ rng.normal(size=(3, 5)).T + 0.1 * rng.normal(size=(1000, 3))
STEPS = 150

METHODS = {
    "SGD": ("sgd", "none"),
    "SGD, decorrelated": ("sgd", "left"),
    "COPI, decorrelated": ("copi", "left"),
    "COPI without R": ("copi", "none"),
}


def train(weight_rule, lateral_rule):
    """Return loss and condition number over steps on all samples; all methods have the same rates and start."""
    rates = {"eta_w": 0.2, "eta_r": float(copi.safe_eta_r(y))}
    fixed = {"activation": copi.identity, "loss": copi.half_quadratic, "dtype": "float64"}
    recipe = copi.Recipe(weight_rule=weight_rule, lateral_rule=lateral_rule, **rates, **fixed)
    state = copi.init_state(recipe, (5, 3), np.random.default_rng(1), np)
    losses, conditions = [], []
    for _ in range(STEPS):
        trace = copi.forward(state.params, y, copi.identity)
        losses.append(copi.half_quadratic(trace.y[-1], target).mean())
        conditions.append(condition_number(trace.x[0]))
        state = copi.step(recipe, state, y, target)
    return np.array(losses), np.array(conditions)


# %%
# The least that a linear map can reach is least squares' loss; shown is what each method is above it.
best = np.linalg.lstsq(y, target)[0]
least = copi.half_quadratic(y @ best, target).mean()
found = {name: train(*rules) for name, rules in METHODS.items()}
print(f"{'':20} {'excess loss':>12} {'condition number':>17}   (after {STEPS} steps)")
for name, (losses, conditions) in found.items():
    print(f"{name:20} {losses[-1] - least:12.1e} {conditions[-1]:17.1f}")
assert found["COPI, decorrelated"][0][-1] < found["SGD"][0][-1] < found["COPI without R"][0][-1]

# %%
# Without R, COPI rests at the fixed point of App. B, E[z xᵀ] diag(E[x²])⁻¹, which here is not least squares.
W = copi.fixed_point(y, target)
elsewhere = copi.half_quadratic(y @ W.T, target).mean() - least
print(f"excess loss at COPI's fixed point without R: {elsewhere:.1e}")
delta, C = target - y @ W.T, y.T @ y / len(y)
assert np.allclose(copi.copi_update(y, target, W) - copi.sgd_update(y, delta), W @ (C - np.diag(np.diag(C))))
assert np.isclose(found["COPI without R"][0][-1] - least, elsewhere)

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
for number, (name, (losses, conditions)) in enumerate(found.items()):
    left.semilogy(losses - least, **line_style(number), label=name)
    right.semilogy(conditions, **line_style(number), label=name)
left.set(xlabel="step", ylabel="loss above least squares")
right.set(xlabel="step", ylabel="condition number of $E[xx^T]$")
left.legend(fontsize=8)
plt.show()
