"""
Compress a trained network
==========================

One linear map replaces hidden layers, without retraining (App. B). Three formulas make it: E[z xᵀ] diag(E[x²])⁻¹,
which needs no inverse and is the closest map where inputs are uncorrelated; least squares with an inverse; and the
pseudo-inverse. Shown is what each costs in test accuracy.
"""

import matplotlib.pyplot as plt
import numpy as np

import copi_ref as copi
from copi_ref.analysis.compression import compress, responses
from copi_ref.data import load_digits
from copi_ref.figures.training import line_style

FORMULAS = ("diagonal", "inverse", "pseudo-inverse")

digits = load_digits()
recipe = copi.Recipe(eta_w=0.02, eta_r=0.02, lateral_only_epochs=3, error_scale=20)
state = copi.init_state(recipe, (64, 60, 60, 60, 10), np.random.default_rng(0), np)
params = copi.fit(recipe, state, digits, epochs=12).state.params

# %%
# The maps are made from the training samples; the first hidden layer stays.
moments = responses(params, digits.x_train)
target = np.eye(10, dtype=np.float32)[digits.y_test]
found = {
    formula: [
        copi.evaluate(recipe, compress(params, moments, removed, formula), digits.x_test, target).accuracy
        for removed in (0, 1, 2)
    ]
    for formula in FORMULAS
}
print(f"{'formula':15} {'whole':>6} {'1 removed':>10} {'2 removed':>10} {'gap':>6}   (test accuracy)")
for formula, (whole, one, two) in found.items():
    print(f"{formula:15} {whole:6.3f} {one:10.3f} {two:10.3f} {whole - two:6.3f}")
assert len({accuracies[0] for accuracies in found.values()}) == 1

# %%
# The two last formulas lie on each other where there is an inverse.
figure, axes = plt.subplots(figsize=(5.5, 3.8), layout="constrained")
for number, (formula, marker) in enumerate(zip(FORMULAS, "os^", strict=True)):
    axes.plot(found[formula], **line_style(number), marker=marker, label=formula)
axes.set(xticks=(0, 1, 2), xlabel="hidden layers replaced by one linear map", ylabel="test accuracy")
axes.legend()
plt.show()
