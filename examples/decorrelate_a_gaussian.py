"""Three lateral rules on one correlated Gaussian: how fast each decorrelates, and whether R stays symmetric.

Run: python examples/decorrelate_a_gaussian.py
"""

import numpy as np

import copi_ref as copi
from copi_ref.analysis.diagnostics import off_diagonal_energy
from copi_ref.data import correlated_gaussian

# Three units: with two, and R = I at the start, the three rules coincide.
covariance = np.array(
    [
        [1.0, 0.8, 0.3],
        [0.8, 2.0, 0.5],
        [0.3, 0.5, 0.5],
    ]
)
y = correlated_gaussian(covariance, 1000, np.random.default_rng(0))

# tr C never rises under `left` at this rate, so it is safe for ever: η ≤ 2 / (3 tr C₀).
eta = 2 / (3 * np.trace(y.T @ y / len(y)))

print(f"{'rule':10} {'step':>4} {'energy':>9} {'asymmetry of R':>15} {'det R':>7}")
for rule in copi.LATERAL_RULES:
    R = np.eye(3)
    for step in range(201):
        x = y @ R.T  # x = R y; rows are samples
        if step in (0, 1, 10, 50, 200):
            asymmetry = np.linalg.norm(R - R.T) / np.linalg.norm(R)
            print(f"{rule:10} {step:4} {off_diagonal_energy(x):9.2e} {asymmetry:15.2e} {np.linalg.det(R):7.4f}")
        R = R + eta * copi.decorrelation_update(x, R, rule)
