"""
A credit method of your own
===========================

A credit method is any function (params, trace, task) -> deltas. Here: only the sign of the error goes down.

Run: python examples/a_credit_method_of_your_own.py
"""

import matplotlib.pyplot as plt
import numpy as np

import copi_ref as copi
from copi_ref.data import load_digits
from copi_ref.figures.training import line_style


def sign_of_backpropagation(params, trace, task):
    """δ_l = f′(a_l) ∘ sign(R_{l+1}ᵀ W_{l+1}ᵀ) δ_{l+1}: backpropagation that knows the signs of weights only."""
    deltas = [task.loss.perturbation(trace.y[-1], trace.a[-1], task.target, task.activation)]
    for layer in reversed(range(len(params.W) - 1)):
        B = np.sign(params.W[layer + 1] @ params.R[layer + 1]).T / params.W[layer + 1].shape[1] ** 0.5
        deltas.append(task.activation.derivative(trace.a[layer]) * (deltas[-1] @ B.T))
    return tuple(reversed(deltas))


# %%
# It plugs into the same recipe as the methods that have a name.
figure, axes = plt.subplots(figsize=(5, 3.4), layout="constrained")
methods = {"bp": "bp", "dfa": "dfa", "sign": sign_of_backpropagation}
for number, (name, credit) in enumerate(methods.items()):
    recipe = copi.Recipe(eta_w=0.02, eta_r=0.02, lateral_only_epochs=3, error_scale=20, credit=credit)
    state = copi.init_state(recipe, (64, 100, 100, 10), np.random.default_rng(0), np)
    result = copi.fit(recipe, state, load_digits(), epochs=10)
    axes.plot([row["test_accuracy"] for row in result.metrics], **line_style(number), label=name)
    print(f"{name:5} test accuracy {result.metrics[-1]['test_accuracy']:.3f}")
axes.set(xlabel="epoch (W learns from 3 on)", ylabel="test accuracy")
axes.legend()
plt.show()
