"""
Inference Learning and backpropagation over learning rates
==========================================================

Three ways to learn from one digit at a time: the explicit step of gradient descent (backpropagation), Inference
Learning, and IL-prox, whose step is close to the implicit one of the theory. The first two leave the finite numbers
at high rates; the third stays, which does not mean that it learns well there.

Run: python examples/stability_of_implicit_sgd.py
"""

import matplotlib.pyplot as plt
import numpy as np

import copi_ref as copi
from copi_ref.data import load_digits
from copi_ref.figures.training import line_style

digits = load_digits()
few = copi.Dataset(digits.x_train[:100], digits.y_train[:100], digits.x_test, digits.y_test)
RATES = (0.01, 0.1, 1, 2.5, 10, 100)
common = {"eta_r": 0, "lateral_rule": "none", "batch_size": 1, "loss": copi.half_quadratic}


# %%
# The three recipes. In both forms of Inference Learning the states that inference settled on are made the network's
# own.
def backpropagation(rate):
    """δ = −dℓ/da, and the step along E[δ xᵀ]."""
    return copi.Recipe(eta_w=rate, weight_rule="sgd", **common)


def inference_learning(rate):
    """Errors e = h − a of the inferred states h, and the step along E[e xᵀ]."""
    return copi.Recipe(eta_w=rate, credit="il", states="inferred", weight_rule="sgd", **common)


def il_prox(rate):
    """States at low energy for the rate α, and the smallest step that makes the weights give them: so η_W = 1."""
    proximal = copi.ProximalInferenceLearning(alpha=rate)
    return copi.Recipe(eta_w=1, credit=proximal, states="inferred", weight_rule="nlms", **common)


def accuracy(recipe):
    """Train for one epoch, and return the test accuracy; nan for training that leaves the finite numbers."""
    state = copi.init_state(recipe, (64, 20, 10), np.random.default_rng(0), np)
    try:
        return copi.fit(recipe, state, few, epochs=1).metrics[-1]["test_accuracy"]
    except copi.NonFiniteError:
        return np.nan


methods = (backpropagation, inference_learning, il_prox)
found = {method.__name__: [accuracy(method(rate)) for rate in RATES] for method in methods}

# %%
print(f"{'rate':>6}" + "".join(f"{name:>20}" for name in found) + "   (test accuracy after 100 samples)")
for place, rate in enumerate(RATES):
    cells = ("diverges" if np.isnan(row[place]) else f"{row[place]:.3f}" for row in found.values())
    print(f"{rate:6}" + "".join(f"{cell:>20}" for cell in cells))
assert np.isnan(found["backpropagation"][-1])
assert np.isnan(found["inference_learning"][-1])
assert not np.isnan(found["il_prox"]).any()

# %%
figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
for number, (name, row) in enumerate(found.items()):
    axes.semilogx(RATES, row, marker="os^"[number], **line_style(number), label=name.replace("_", " "))
axes.set(xlabel="learning rate; of IL-prox α (where a line ends, it diverges)", ylabel="test accuracy")
axes.legend()
plt.show()
