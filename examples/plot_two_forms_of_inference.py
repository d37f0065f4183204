"""
Inference Learning in its two forms
===================================

Predictive coding, or Inference Learning, predicts each layer's state from the one below. Public code does so in two
orders: the activation comes before the weights, or after them. Both are descents of the same kind of energy, on other
states. Shown is how the energy falls while states settle, and how the weights' updates turn from
backpropagation's direction on the way.
"""

import itertools

import matplotlib.pyplot as plt
import numpy as np

import copi_ref as copi
from copi_ref.data import load_digits
from copi_ref.figures.training import line_style

digits = load_digits()
y0, target = digits.x_train[:200].astype(float), np.eye(10)[digits.y_train[:200]]
rng = np.random.default_rng(0)

# %%
# A network of Inference Learning needs weights, and no lateral ones: ``Weights(W)``. With a linear output the last
# state of either form is a_L, and clamped to the target.
sizes = (64, 50, 50, 10)
W = tuple(rng.normal(0, (1 / k) ** 0.5, (m, k)) for k, m in itertools.pairwise(sizes))
network, f = copi.Weights(W), copi.tanh
forms = {
    "weights after activation, p = W f(h)": copi.Form(),
    "activation after weights, p = f(W h)": copi.Form(order="activation-after-weights", output_activation="identity"),
}


# %%
# The gradient over the weights, for comparison: backpropagation through the same network.
params = copi.Params(W, tuple(np.eye(k) for k in sizes[:-1]))
trace = copi.forward(params, y0, f)
deltas = copi.backpropagation(params, trace, copi.Task(target, copi.half_quadratic, f, output="linear"))
gradient = [copi.sgd_update(x, delta) for x, delta in zip(trace.x, deltas, strict=True)]


def angle(updates):
    """Return the angle of all layers' updates to backpropagation's, in degrees."""
    one, other = (np.concatenate([np.ravel(dW) for dW in parts]) for parts in (updates, gradient))
    return np.degrees(np.arccos(one @ other / np.linalg.norm(one) / np.linalg.norm(other)))


def settle(form, steps=150, gamma=0.1):
    """Return the energy and the angle of the update after each step of inference."""
    states, rows = (*copi.forward_states(network, y0, f, form)[:-1], target), []
    for _ in range(steps):
        settled = copi.predictions(network, y0, states, f, form)
        rows.append((copi.il_energy(settled).mean(), angle(copi.il_update(settled))))
        states = copi.infer(network, y0, states, f, 1, gamma, form)
    return np.transpose(rows)


found = {name: settle(form) for name, form in forms.items()}
for name, (energy, angles) in found.items():
    print(f"{name}: energy {energy[0]:.3f} to {energy[-1]:.3f}, angle {angles[0]:.0f}° to {angles[-1]:.0f}°")
first, second = found.values()
assert np.isclose(first[0, 0], second[0, 0]), "before the first step all errors are at the output, the same in both"
assert all((np.diff(energy) < 0).all() for energy, _ in found.values())
assert abs(first[0, -1] - second[0, -1]) > 1e-3, "they settle at other energies"

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
for number, (name, (energy, angles)) in enumerate(found.items()):
    left.plot(energy, **line_style(number), label=name)
    right.plot(angles, **line_style(number), label=name)
left.set(xlabel="steps of inference", ylabel="energy F")
right.set(xlabel="steps of inference", ylabel="angle to backpropagation's ΔW (degrees)")
left.legend()
plt.show()
