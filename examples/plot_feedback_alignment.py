"""
Feedback alignment, and its angle to backpropagation
====================================================

Feedback alignment sends errors down through fixed random weights B. At first they have nothing to do with W; shown is
how the angle between its perturbations δ and backpropagation's on the same forward pass changes as W learns.
"""

import matplotlib.pyplot as plt
import numpy as np

import copi_ref as copi
from copi_ref.analysis.diagnostics import layer_diagnostics
from copi_ref.data import load_digits
from copi_ref.figures.training import line_style

digits = load_digits()


def train(credit):
    """Return the metrics of all epochs; R alone learns in the first three."""
    recipe = copi.Recipe(eta_w=0.02, eta_r=0.02, lateral_only_epochs=3, error_scale=20, credit=credit)
    state = copi.init_state(recipe, (64, 100, 100, 10), np.random.default_rng(0), np)
    return copi.fit(recipe, state, digits, epochs=12, diagnostics=layer_diagnostics).metrics


found = {credit: train(credit) for credit in ("bp", "fa")}

# %%
# The output's δ is the same in both methods, so that its angle is 0.
print(f"{'epoch':>5} {'angle 1':>8} {'angle 2':>8} {'output':>7} {'fa':>6} {'bp':>6}   (degrees; test accuracy)")
for fa, bp in zip(found["fa"], found["bp"], strict=True):
    angles = f"{fa['angle_1']:8.1f} {fa['angle_2']:8.1f} {fa['angle_3']:7.1f}"
    print(f"{fa['epoch']:5} {angles} {fa['test_accuracy']:6.3f} {bp['test_accuracy']:6.3f}")
for layer in (1, 2):
    assert found["fa"][-1][f"angle_{layer}"] < found["fa"][2][f"angle_{layer}"]
    assert all(row[f"angle_{layer}"] == 0 for row in found["bp"])

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
for number, layer in enumerate((1, 2)):
    left.plot([row[f"angle_{layer}"] for row in found["fa"]], **line_style(number), label=f"hidden layer {layer}")
for number, (credit, rows) in enumerate(found.items()):
    right.plot([row["test_accuracy"] for row in rows], **line_style(number), label=credit)
left.axhline(90, color="0.5", linewidth=1)
left.set(xlabel="epoch (W learns from 3 on)", ylabel="angle to backpropagation's δ (degrees)")
right.set(xlabel="epoch (W learns from 3 on)", ylabel="test accuracy")
left.legend()
right.legend()
plt.show()
