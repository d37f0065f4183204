"""Draw docs/results/line-15.png: Algorithm 1's line 15 leaves every bound at the same time, however small its rate.

Run: python docs/results/line_15_figure.py     (needs matplotlib and SciPy; half a minute)
"""

from pathlib import Path

import matplotlib
import numpy as np
from scipy.integrate import solve_ivp

import copi_ref as copi

matplotlib.use("Agg")
import matplotlib.pyplot as plt

Y = np.array([[-2.0, -3, -3], [1, -2, -2]])
TRACE = np.sum(Y**2) / len(Y)
END = 240  # of η n tr C₀
FAR = 100  # times the start


def size(R):
    """‖C_off‖, in units of its start."""
    (C, C0) = ((Y @ one.T).T @ (Y @ one.T) for one in (R, np.eye(3)))
    off, start = (one - np.diag(np.diag(one)) for one in (C, C0))
    return np.linalg.norm(off) / np.linalg.norm(start)


def steps(rule, share):
    """Return η n tr C₀ and ‖C_off‖, step by step, for a share of the rate that is safe under `left`."""
    eta, R, sizes = share * 2 / (3 * TRACE), np.eye(3), [1.0]
    while len(sizes) * eta * TRACE < END and sizes[-1] < FAR:
        R = R + eta * copi.decorrelation_update(Y @ R.T, R, rule)
        sizes.append(size(R))
    return eta * TRACE * np.arange(len(sizes)), sizes


def flow():
    """Return t tr C₀ and ‖C_off‖ under Ṙ = −R C_off."""

    def velocity(t, entries):
        R = entries.reshape(3, 3)
        return copi.decorrelation_update(Y @ R.T, R, "right").ravel() / TRACE

    def far(t, entries):
        return size(entries.reshape(3, 3)) - FAR

    far.terminal = True
    found = solve_ivp(velocity, (0, END), np.eye(3).ravel(), "DOP853", rtol=1e-10, atol=1e-12, events=far)
    return found.t, [size(R.reshape(3, 3)) for R in found.y.T]


def draw(path):
    """‖C_off‖ over η n tr C₀; colours of Okabe and Ito, and a width or dashes for each curve."""
    plt.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
    figure, (whole, end) = plt.subplots(
        1, 2, figsize=(7.2, 3.4), layout="constrained", width_ratios=(3, 2), sharey=True
    )
    rates = ((1, "#D55E00", 1.2), (0.1, "#E69F00", 1.8), (0.01, "#009E73", 2.6), (0.001, "#56B4E9", 4.5))
    curves = [(f"line 15, {share:g} of 2/(3 tr C₀)", steps("right", share), color, width, "-")
              for share, color, width in rates[::-1]]  # fmt: skip
    curves.append(("its flow, solved", flow(), "black", 1, "--"))
    curves.append(("first line of Eq. 4, 1 of 2/(3 tr C₀)", steps("left", 1), "0.6", 1.5, ":"))
    for panel in (whole, end):
        for label, (when, sizes), color, width, style in curves:
            panel.plot(when, sizes, color=color, linewidth=width, linestyle=style, label=label)
        panel.set(yscale="log", ylim=(1e-3, FAR), xlabel="η n tr C₀")
    whole.set(xlim=(0, END), ylabel="‖C_off‖ / its start")
    end.set(xlim=(195, 220), title="the end")
    figure.legend(*whole.get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    with np.errstate(over="ignore", invalid="ignore"):
        draw(Path(__file__).with_name("line-15.png"))
