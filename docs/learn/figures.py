"""Draw the figures of the course, docs/learn/*.svg. All numbers are the library's.

Run: python docs/learn/figures.py     (needs matplotlib; some seconds)
"""

from pathlib import Path

import matplotlib
import numpy as np

import copi_ref as copi
from copi_ref.figures.training import line_style

matplotlib.use("Agg")
import matplotlib.pyplot as plt

IMAGES = np.array([[2.0, 1, 0, 0], [1, 2, 0, 0], [0, 0, 2, 0], [0, 0, 0, 2]])
NAMES = ("A: bar,\nleft end brighter", "B: bar,\nright end brighter", "spot,\nlower left", "spot,\nlower right")
TARGETS = np.array([[3.0], [0], [2], [0]])
DESIRED = np.array([[2.0, -1, 1, 0]])
APART = np.diag(np.sqrt([5, 5, 4, 4]))  # pixels of the same power, of which no two light up together
BLUE, ORANGE, GREEN, RED, PURPLE = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#A23B7A"


# --- the numbers ------------------------------------------------------------------------------------------------------


def descend(x, eta, steps):
    """Return W after 0, 1, … steps of gradient descent from 0, for targets D x."""
    W = [np.zeros_like(DESIRED)]
    for _ in range(steps):
        W.append(W[-1] + eta * copi.sgd_update(x, x @ (DESIRED - W[-1]).T))
    return np.array(W)


def decorrelate(y, steps):
    """Return R after 0, 1, … steps of the first line of Eq. 4 at the safe rate."""
    R = [np.eye(y.shape[1])]
    for _ in range(steps):
        R.append(R[-1] + copi.safe_eta_r(y) * copi.decorrelation_update(y @ R[-1].T, R[-1], "left"))
    return np.array(R)


def relative_off_diagonal(x):
    """Return ‖C_off‖ / ‖diag C‖."""
    C = x.T @ x / len(x)
    return np.linalg.norm(C - np.diag(np.diag(C))) / np.linalg.norm(np.diag(C))


def losses(weight_rule, with_R, steps, eta=4 / 9):
    """Return the loss before step 1, 2, …, by COPI's rule or gradient descent, with an R that learns or without."""
    W, R, found = np.zeros_like(DESIRED), np.eye(4), []
    for _ in range(steps):
        x = IMAGES @ R.T
        delta = TARGETS - x @ W.T
        found.append(0.5 * np.mean(delta**2))
        dW = copi.copi_update(x, x @ W.T + delta, W) if weight_rule == "copi" else copi.sgd_update(x, delta)
        W = W + eta * dW
        R = R + with_R * copi.safe_eta_r(IMAGES) * copi.decorrelation_update(x, R, "left")
    return found


def settle(steps, gamma=0.2):
    """Return the hidden state of lesson 8's network after 0, 1, … steps of inference, and the energy of each."""
    network = copi.Weights((np.array([[1.0, -1]]), np.array([[1.0]])))
    y0, target = IMAGES[:1, :2], np.array([[3.0]])
    hidden, _ = copi.forward_states(network, y0, copi.leaky_relu)
    found = []
    for _ in range(steps + 1):
        states = (hidden, target)
        settled = copi.predictions(network, y0, states, copi.leaky_relu)
        found.append((hidden.item(), copi.il_energy(settled).item()))
        hidden = copi.infer(network, y0, states, copi.leaky_relu, steps=1, gamma=gamma)[0]
    return np.array(found)


# --- the figures ------------------------------------------------------------------------------------------------------


def four_pixels():
    """The four images with their targets, and C."""
    figure, panels = plt.subplots(1, 5, figsize=(7.2, 2.1), layout="constrained", width_ratios=(1, 1, 1, 1, 1.6))
    for axes, image, name, target in zip(panels, IMAGES, NAMES, TARGETS[:, 0], strict=False):
        matrix(axes, image.reshape(2, 2), "gray", 0, 2.4)
        axes.set_title(name, fontsize=9)
        axes.set_xlabel(f"target {target:g}")
    matrix(panels[4], IMAGES.T @ IMAGES / 4, "Blues", 0, 2.5)
    panels[4].set(title="C = E[x xᵀ]", xlabel="pixel", ylabel="pixel")
    for axis in (panels[4].xaxis, panels[4].yaxis):
        axis.set_ticks(range(4), ["1", "2", "3", "4"])
        axis.set_tick_params(length=0)
    return figure


def matrix(axes, numbers, colours, low, high):
    """Draw a matrix with its numbers in it."""
    axes.imshow(numbers, cmap=colours, vmin=low, vmax=high)
    axes.set(xticks=[], yticks=[])
    for (row, column), number in np.ndenumerate(numbers):
        dark = (number > 1.2) == (colours == "Blues")
        axes.text(column, row, f"{number:g}", ha="center", va="center", color="white" if dark else "black")


def valley():
    """The loss over the weights of pixels 1 and 2, with the way of gradient descent from 0."""
    figure, panels = plt.subplots(1, 2, figsize=(7.2, 3.8), layout="constrained", sharex=True, sharey=True)
    w1, w2 = np.meshgrid(np.linspace(-0.6, 3.2, 200), np.linspace(-2.2, 1.6, 200))
    titles = ("pixels 1 and 2 light up together", "the same power, never together")
    for axes, x, title in zip(panels, (IMAGES, APART), titles, strict=True):
        C, error = (x.T @ x / 4)[:2, :2], np.stack([DESIRED[0, 0] - w1, DESIRED[0, 1] - w2], axis=-1)
        loss = 0.5 * np.einsum("...i,ij,...j", error, C, error)
        axes.contour(w1, w2, loss, levels=[0.05, 0.2, 0.5, 1, 2, 4], colors="0.6", linewidths=1)
        W = descend(x, 4 / 9, 40)[:, 0]
        axes.plot(W[:, 0], W[:, 1], "o-", color=BLUE, markersize=3.5, label="gradient descent, 40 steps")
        single = copi.fixed_point(x, x @ DESIRED.T)[0]
        axes.plot(*single[:2], "s", color=RED, markersize=8, label="each weight by itself")
        axes.plot(*DESIRED[0, :2], "*", color="black", markersize=13, label="the desired weights")
        axes.set(title=title, xlabel="weight of pixel 1", aspect="equal")
    panels[0].set_ylabel("weight of pixel 2")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    return figure


def decorrelating():
    """Images A and B in the plane of units 1 and 2 while R learns, and the correlation that is left."""
    figure, (plane, curve) = plt.subplots(1, 2, figsize=(7.2, 3.5), layout="constrained")
    R = decorrelate(IMAGES, 40)
    for row, name, colour, marker in ((0, "image A", BLUE, "o"), (1, "image B", ORANGE, "s")):
        way = np.array([IMAGES[row] @ one.T for one in R])
        plane.plot(way[:, 0], way[:, 1], marker + "-", color=colour, markersize=3.5)
        plane.plot(*way[0, :2], marker, color=colour, markersize=9, label=name)
        plane.annotate("", way[4, :2], way[1, :2], arrowprops={"arrowstyle": "->", "color": colour})
    plane.axhline(0, color="0.7", linewidth=1, zorder=0)
    plane.axvline(0, color="0.7", linewidth=1, zorder=0)
    plane.set(
        xlabel="x₁", ylabel="x₂", xlim=(-0.2, 2.2), ylim=(-0.2, 2.2), aspect="equal", title="x = R y, step by step"
    )
    plane.legend(loc="upper right", frameon=False)
    curve.semilogy([relative_off_diagonal(IMAGES @ one.T) for one in R], color=BLUE)
    curve.set(xlabel="step", ylabel="‖C_off‖ / ‖diag C‖", title="correlation that is left")
    return figure


def learners():
    """The loss of four learners."""
    figure, axes = plt.subplots(figsize=(6, 3.3), layout="constrained")
    kinds = (("sgd", False, "gradient descent, no R"), ("copi", False, "COPI's rule, no R"),
             ("sgd", True, "gradient descent, R learns"), ("copi", True, "COPI's rule, R learns"))  # fmt: skip
    for number, (rule, with_R, name) in enumerate(kinds):
        axes.semilogy(losses(rule, with_R, 61), **line_style(number), linewidth=2, label=name)
    axes.set(xlabel="step", ylabel="loss", ylim=(1e-10, 10))
    axes.legend(frameon=False, loc="lower left")
    return figure


def credit():
    """How an error comes down a network of three layers, by five methods."""
    figure, panels = plt.subplots(1, 5, figsize=(7.6, 3.2), layout="constrained")
    titles = ("back-\npropagation", "feedback\nalignment", "direct feedback\nalignment", "target\npropagation",
              "node\nperturbation")  # fmt: skip
    for axes, title in zip(panels, titles, strict=True):
        axes.set(xlim=(-0.4, 2.3), ylim=(-0.4, 3.5), xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        axes.set_title(title, fontsize=10)
        for layer, name in enumerate(("y₀", "a₁", "a₂", "a₃")):
            axes.text(0, layer, name, ha="center", va="center", bbox={"boxstyle": "circle", "fc": "white", "ec": "0.4"})
            if layer:
                arrow(axes, (0, layer - 0.72), (0, layer - 0.28), "0.4")
    chains = (
        (panels[0], BLUE, "δ", "(W{0}R{0})ᵀ"),
        (panels[1], GREEN, "δ", "B{0}"),
        (panels[3], "black", "z", "B{0}, f"),
    )
    for axes, colour, sent, way in chains:
        for layer in (3, 2, 1):
            axes.text(0.85, layer, sent + low(layer), color=colour, ha="center", va="center")
        for layer in (3, 2):
            arrow(axes, (0.85, layer - 0.25), (0.85, layer - 0.75), colour)
            axes.text(1.05, layer - 0.5, way.format(low(layer)), color=colour, va="center", fontsize=9)
    panels[2].text(0.85, 3, "δ₃", color=RED, ha="center", va="center")
    for layer, bend in ((2, "arc3,rad=-0.1"), (1, "arc3,rad=-0.35")):
        arrow(panels[2], (0.85, 2.75), (0.35, layer), RED, bend)
        panels[2].text(1.3 - 0.6 * (layer - 1), layer + 0.25, f"B{low(layer + 1)}", color=RED, fontsize=9)
    for layer in (3, 2, 1):
        arrow(panels[4], (1, layer), (0.35, layer), PURPLE)
        panels[4].text(1.1, layer, f"noise ξ{low(layer)}", color=PURPLE, va="center", fontsize=9)
    panels[4].text(0.4, 3.35, "Δℓ, for all", color=PURPLE, fontsize=9)
    return figure


def low(number):
    """Return a digit as an index."""
    return "₀₁₂₃₄"[number]


def arrow(axes, start, end, colour, bend="arc3"):
    """Draw an arrow."""
    axes.annotate("", end, start, arrowprops={"arrowstyle": "->", "color": colour, "lw": 1.6, "connectionstyle": bend})


def states():
    """The energy over the one hidden state of lesson 8's network, its two parts, and how the state settles."""
    figure, axes = plt.subplots(figsize=(6, 3.4), layout="constrained")
    h = np.linspace(0.5, 3.3, 100)
    axes.plot(h, (h - 1) ** 2 / 2, "--", color=GREEN, label="½ e₁²: away from what is predicted")
    axes.plot(h, (3 - h) ** 2 / 2, "-.", color=ORANGE, label="½ e₂²: a wrong prediction of the target")
    axes.plot(h, (h - 1) ** 2 / 2 + (3 - h) ** 2 / 2, color=BLUE, linewidth=2, label="their sum, the energy F")
    axes.plot(*settle(12).T, "o", color="black", markersize=5, label="the state, step by step")
    axes.set(xlabel="hidden state h₁", ylabel="energy", ylim=(0, 3.4))
    axes.legend(frameon=False, fontsize=9, loc="upper center")
    return figure


FIGURES = {"four-pixels": four_pixels, "valley": valley, "decorrelating": decorrelating, "learners": learners,
           "credit": credit, "states": states}  # fmt: skip

if __name__ == "__main__":
    plt.rcParams.update({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False})
    plt.rcParams.update({"svg.hashsalt": "copi_ref", "savefig.facecolor": "white"})  # the same bytes in every run
    for name, draw in FIGURES.items():
        draw().savefig(Path(__file__).with_name(f"{name}.svg"), metadata={"Date": None})
