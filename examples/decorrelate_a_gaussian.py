"""
Decorrelating a Gaussian, by three rules
========================================

R makes x = R y uncorrelated: the axes of the cloud's ellipse turn into those of the inputs. The three
rules start alike and part after the first step: only ``symmetric`` keeps R symmetric, which the paper says of the other
two. With two inputs and R = I at the start they are one rule, so that a picture of it takes three.

Run: python examples/decorrelate_a_gaussian.py
"""

# sphinx_gallery_thumbnail_path = "_static/thumbnails/decorrelate_a_gaussian.png"

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.animation import FuncAnimation

import copi_ref as copi
from copi_ref.analysis.diagnostics import asymmetry
from copi_ref.data import correlated_gaussian
from copi_ref.figures.training import line_style

RULES = ("symmetric", "left", "right")
STEPS = 60


def squared_off_diagonal(x):
    """‖C_off‖², the sum of all squared correlations E[x_i x_j], i ≠ j."""
    C = x.T @ x / len(x)
    return np.sum((C - np.diag(np.diag(C))) ** 2)


def learn(y, rule):
    """Return R after 0, 1, … steps, at a rate at which `left` never raises it: η ≤ 2/(3 tr C)."""
    Rs = [np.eye(y.shape[1])]
    for _ in range(STEPS):
        Rs.append(Rs[-1] + copi.safe_eta_r(y) * copi.decorrelation_update(y @ Rs[-1].T, Rs[-1], rule))
    return np.array(Rs)


# %%
# With two inputs the three rules coincide, but for rounding.
covariance = np.array([[1.0, 0.8, 0.3], [0.8, 2.0, 0.5], [0.3, 0.5, 0.5]])
y = correlated_gaussian(covariance, 500, np.random.default_rng(0))
two = [learn(y[:, :2], rule) for rule in RULES]
assert max(np.abs(one - two[0]).max() for one in two) < 1e-12
print("two inputs: the three rules give the same R in every step, up to 1e-12")

# %%
# With three they don't.
found = {rule: learn(y, rule) for rule in RULES}
norms = {rule: [squared_off_diagonal(y @ R.T) for R in Rs] for rule, Rs in found.items()}
log_dets = {rule: np.linalg.slogdet(Rs)[1] for rule, Rs in found.items()}
print(f"{'rule':10} {'step':>4} {'‖C_off‖²':>9} {'asymmetry of R':>15} {'log det R':>10}")
for rule, Rs in found.items():
    for step in (0, 1, 10, STEPS):
        row = f"{norms[rule][step]:9.2e} {asymmetry(Rs[step]):15.2e} {log_dets[rule][step]:10.4f}"
        print(f"{rule:10} {step:4} {row}")
assert all((R == R.T).all() for R in found["symmetric"])
assert (np.diff(norms["left"]) <= 0).all()

# %%
# The first two inputs with their covariance ellipse (2 standard deviations), R, and three measures. log det R
# stays near 0: decorrelation keeps volumes, and can't whiten.
figure, grid = plt.subplots(2, 3, figsize=(8, 6.5), layout="constrained", height_ratios=(3, 2))
lower = grid[1]
circle = 2 * np.array([np.cos(t := np.linspace(0, 2 * np.pi, 100)), np.sin(t)])
drawn = []
for axes, (number, rule) in zip(grid[0], enumerate(RULES), strict=True):
    (points,) = axes.plot([], [], ".", color="0.6", markersize=2)
    (ellipse,) = axes.plot([], [], **line_style(number), linewidth=2)
    axes.set(xlim=(-5, 5), ylim=(-5, 5), aspect="equal", title=rule, xlabel="$x_1$", ylabel="$x_2$")
    lower[0].semilogy(norms[rule], **line_style(number), label=rule)
    lower[1].plot(log_dets[rule], **line_style(number))
    entries = axes.inset_axes((0.68, 0.68, 0.3, 0.3))
    image = entries.imshow(np.eye(3), cmap="RdBu_r", vmin=-1.5, vmax=1.5)
    entries.set(xticks=[], yticks=[], title="R")
    drawn.append((points, ellipse, image))
    lower[2].plot([asymmetry(R) for R in found[rule]], **line_style(number))
for axes, label in zip(lower, (r"$\|C_{off}\|^2$", r"$\log\,\det R$", "asymmetry of R"), strict=True):
    axes.set(xlabel="step", ylabel=label)
lower[0].legend(fontsize=8)
marks = [axes.axvline(0, color="0.4", linewidth=1) for axes in lower]


def draw(step):
    """Draw the three clouds at a step."""
    for (points, ellipse, image), rule in zip(drawn, RULES, strict=True):
        x = y @ found[rule][step].T
        points.set_data(x[:, 0], x[:, 1])
        ellipse.set_data(np.linalg.cholesky(x[:, :2].T @ x[:, :2] / len(x)) @ circle)
        image.set_data(found[rule][step])
    for mark in marks:
        mark.set_xdata([step, step])


animation = FuncAnimation(figure, draw, frames=range(0, STEPS + 1, 3), interval=200)
plt.show()
