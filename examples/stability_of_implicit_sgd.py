"""
Explicit and implicit SGD over learning rates
=============================================

Explicit SGD and IL-prox over learning rates, one digit at a time: the first diverges, the second does not.

Run: python examples/stability_of_implicit_sgd.py
"""

import numpy as np

import copi_ref as copi
from copi_ref.data import load_digits

digits = load_digits()
few = copi.Dataset(digits.x_train[:100], digits.y_train[:100], digits.x_test, digits.y_test)
common = {"eta_r": 0, "lateral_rule": "none", "batch_size": 1, "loss": copi.half_quadratic}


def accuracy(recipe):
    """Train for one epoch, and return the test accuracy in words."""
    state = copi.init_state(recipe, (64, 20, 10), np.random.default_rng(0))
    try:
        return f"{copi.fit(recipe, state, few, epochs=1).metrics[-1]['test_accuracy']:.3f}"
    except copi.NonFiniteError:
        return "diverges"


print(f"{'rate':>6} {'explicit SGD':>13} {'IL-prox':>9}   (test accuracy after 100 samples)")
for rate in (0.01, 0.1, 1, 2.5, 10, 100):
    explicit = copi.Recipe(eta_w=rate, weight_rule="sgd", **common)
    # α is the learning rate; the states that inference settled on are made the network's own, so η_W = 1.
    proximal = copi.ProximalInferenceLearning(alpha=rate)
    implicit = copi.Recipe(eta_w=1, credit=proximal, states="inferred", weight_rule="nlms", **common)
    print(f"{rate:6} {accuracy(explicit):>13} {accuracy(implicit):>9}")
