"""Draw docs/_static/digits.svg, one panel of what `copi-ref demo` draws, from the runs that it leaves.

Run: copi-ref demo && python docs/figures/digits.py     (needs matplotlib)
"""

from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np

from copi_ref.experiments.folder import find_runs
from copi_ref.figures.training import line_style, whole_epochs

mpl.rcParams.update({"svg.hashsalt": "copi_ref", "font.size": 11})
NAMES = {
    "copi-bp": "COPI, δ by backpropagation",
    "bp-decorrelated": "backpropagation, decorrelated",
    "bp-adam": "backpropagation, Adam",
    "copi-fa": "COPI, δ by feedback alignment",
}

if __name__ == "__main__":
    runs = find_runs("copi-ref-demo")
    figure, axes = plt.subplots(figsize=(6.4, 4), layout="constrained")
    for number, (method, name) in enumerate(NAMES.items()):
        curves = np.array([[row["test_accuracy"] for row in run.metrics] for run in runs if run.method == method])
        mean, spread = curves.mean(axis=0), curves.std(axis=0, ddof=1)
        (line,) = axes.plot(mean, **line_style(number), label=name)
        axes.fill_between(
            range(len(mean)), mean - spread, mean + spread, color=line.get_color(), alpha=0.15, linewidth=0
        )
    axes.axvspan(-0.5, 2.5, color="0.9", zorder=0)
    axes.text(1, 0.975, "only R learns", rotation=90, ha="center", va="center", fontsize=10)
    whole_epochs(axes, "epoch, from 0")
    axes.set(ylim=(0.95, 0.992), xlim=(-0.5, len(mean) - 0.5), ylabel="test accuracy on digits")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    figure.savefig(Path(__file__).parents[1] / "_static" / "digits.svg", metadata={"Date": None}, facecolor="white")
