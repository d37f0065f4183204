"""Draw the gallery's pictures of examples that print and draw nothing, and of an animation: docs/_static/thumbnails.

Each shows what its example prints, so run this again when that changes.

Run: python docs/figures/thumbnails.py     (needs matplotlib, PyTorch and JAX)
"""

import runpy
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt

ROOT = Path(__file__).parents[2]
LINES = {  # which lines of what each prints
    "one_step_by_hand": slice(0, 6),
    "switch_to_cupy": slice(-3, None),
    "test_your_own_torch": slice(0, 6),
    "test_your_own_jax": slice(0, 6),
    "vectors_with_torch": slice(0, 4),
}
WIDTH = 38


def draw(lines, path):
    """Draw lines as a terminal shows them; long ones are cut."""
    figure = plt.figure(figsize=(4, 2.8), facecolor="#14191f")
    for number, line in enumerate(lines):
        text = line if len(line) <= WIDTH else line[: WIDTH - 1] + "…"
        place = {"x": 0.035, "y": 0.92 - 0.15 * number, "va": "top", "family": "DejaVu Sans Mono", "fontsize": 12}
        figure.text(s=text, color="#f0c674" if number == 0 else "#d5dde5", **place)
    figure.savefig(path, dpi=100, facecolor=figure.get_facecolor())
    plt.close(figure)


def draw_last_frame(name, path):
    """Draw what an animation ends with."""
    example = runpy.run_path(str(ROOT / "examples" / f"{name}.py"))
    example["draw"](example["STEPS"])
    example["figure"].savefig(path, dpi=60)


if __name__ == "__main__":
    mpl.use("agg")
    folder = ROOT / "docs" / "_static" / "thumbnails"
    folder.mkdir(exist_ok=True)
    for name, chosen in LINES.items():
        done = subprocess.run([sys.executable, ROOT / "examples" / f"{name}.py"], capture_output=True, text=True)
        printed = [" ".join(line.split()) for line in done.stdout.splitlines() if line.strip()]
        draw(printed[chosen], folder / f"{name}.png")
    draw_last_frame("decorrelate_a_gaussian", folder / "decorrelate_a_gaussian.png")
