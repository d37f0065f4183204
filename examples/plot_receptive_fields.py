"""
Receptive fields of a network trained on digits
===============================================

A unit's receptive field is its correlation with each decorrelated input over all training samples (§3.2). Shown are
a few units of both hidden layers and those of the output, before training and after it: white for a positive
correlation, black for a negative one.
"""

import matplotlib.pyplot as plt
import numpy as np

import copi_ref as copi
from copi_ref.analysis.receptive_fields import receptive_fields
from copi_ref.data import load_digits
from copi_ref.figures.paper import mosaic

# %%
# Three epochs in which R alone learns, then seven in which W learns, too.
digits = load_digits()
recipe = copi.Recipe(eta_w=0.02, eta_r=0.02, lateral_only_epochs=3, error_scale=20)
start = copi.init_state(recipe, (64, 100, 100, 10), np.random.default_rng(0), np)
result = copi.fit(recipe, start, digits, epochs=10)
for row in result.metrics:
    print(f"epoch {row['epoch']}: test accuracy {row['test_accuracy']:.3f}")
assert result.metrics[-1]["test_accuracy"] > result.metrics[2]["test_accuracy"]

# %%
# The same units before and after training.
figure, grid = plt.subplots(2, 3, figsize=(8, 5.6), layout="constrained")
for panels, when, params in zip(grid, ("before", "after"), (start.params, result.state.params), strict=True):
    fields = receptive_fields(params, digits.x_train)
    assert all(np.abs(field).max() <= 1 + 1e-6 for field in fields)
    sizes = ", ".join(f"{np.abs(field).max(axis=-1).mean():.2f}" for field in fields)
    print(f"{when} training, the largest correlation of a unit, mean over a layer: {sizes}")
    for axes, name, field in zip(panels, ("hidden layer 1", "hidden layer 2", "output"), fields, strict=True):
        images = field[:25].reshape(-1, 8, 8)
        axes.imshow(mosaic(images), cmap="gray", vmin=-1, vmax=1, interpolation="nearest")
        axes.set(xticks=[], yticks=[], title=f"{name}, {when} training")

plt.show()
