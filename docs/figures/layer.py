"""Draw a layer of COPI, and what each of its weights sees: docs/_static/layer.svg, and layer_narrow.svg for a phone.

Run: python docs/figures/layer.py     (needs matplotlib)
"""

from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt

mpl.rcParams.update({"svg.hashsalt": "copi_ref", "mathtext.fontset": "stix", "font.family": "STIXGeneral"})
INK, DATA, LATERAL, FORWARD, BLAME = (
    "#1f2933",
    "#52606d",
    "#0072b2",
    "#c25400",
    "#8a2f7d",
)  # told apart when colour-blind

INPUTS = (1.35, 0.45, -0.45, -1.35)
UNITS = (0.95, 0, -0.95)
R_LEARNS = "learns until  $E[x_i\\,x_j]=0,\\ i\\neq j$"
W_SEES = "each weight sees $x_j$ and $z_i$:"
W_LEARNS = "$\\Delta w_{ij}=E[z_i\\,x_j]-w_{ij}\\,E[x_j^2]$"


def units(axes, x, heights, colour):
    """Draw a column of units."""
    for y in heights:
        axes.add_patch(plt.Circle((x, y), 0.2, facecolor="white", edgecolor=colour, linewidth=1.6, zorder=3))


def wires(axes, left, right, heights, colour):
    """Draw all connections from the inputs' column to another."""
    for y0 in INPUTS:
        for y1 in heights:
            axes.plot([left + 0.2, right - 0.2], [y0, y1], color=colour, linewidth=0.9, alpha=0.75, zorder=1)


def arrow(axes, start, end, colour):
    """Draw an arrow."""
    style = {"arrowstyle": "-|>", "color": colour, "linewidth": 1.8, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 15}
    axes.annotate("", end, start, arrowprops=style)


def layer(size, columns, limits):
    """Draw the units, their connections and their names; return figure and axes."""
    y0, x, a, y = columns
    figure, axes = plt.subplots(figsize=size, facecolor="white")
    axes.set(xlim=limits[0], ylim=limits[1], aspect="equal")
    axes.axis("off")
    figure.subplots_adjust(0, 0, 1, 1)
    wires(axes, y0, x, INPUTS, LATERAL)
    wires(axes, x, a, UNITS, FORWARD)
    for column, heights, colour in ((y0, INPUTS, DATA), (x, INPUTS, LATERAL), (a, UNITS, FORWARD), (y, UNITS, DATA)):
        units(axes, column, heights, colour)
    for height in UNITS:
        arrow(axes, (a + 0.2, height), (y - 0.23, height), DATA)
        axes.text((a + y) / 2, height + 0.1, "$f$", ha="center", va="bottom", fontsize=15, color=INK)
    arrow(axes, (a, 2.05), (a, 1.2), BLAME)
    names = ("$y_{l-1}$", "inputs"), ("$x_l=R_l\\,y_{l-1}$", "decorrelated")
    names += ("$a_l=W_l\\,x_l$", "activation"), ("$y_l=f\\,(a_l)$", "outputs")
    for column, (symbol, meaning) in zip(columns, names, strict=True):
        axes.text(column, -1.83, symbol, ha="center", va="center", fontsize=14, color=INK)
        axes.text(column, -2.17, meaning, ha="center", va="center", fontsize=11.5, color=DATA)
    axes.text((y0 + x) / 2, 1.72, "$R_l$", ha="center", fontsize=19, color=LATERAL)
    axes.text((x + a) / 2, 1.52, "$W_l$", ha="center", fontsize=19, color=FORWARD)
    return figure, axes


def wide():
    """Return the drawing for a page."""
    figure, axes = layer((9.6, 4.6), (0, 2.6, 5.6, 8.2), ((-0.9, 11.1), (-3.05, 2.7)))
    for height in UNITS:
        arrow(axes, (8.42, height), (9.05, height), DATA)
    axes.text(9.95, 0, "the next layer\ndoes the same", ha="center", va="center", fontsize=11.5, color=DATA)
    blame = "perturbation $\\delta_l$ from above:  target state  $z_l=a_l+\\delta_l$"
    axes.text(5.6, 2.23, blame, ha="center", fontsize=14, color=BLAME)
    axes.text(1.3, -2.8, R_LEARNS, ha="center", fontsize=13.5, color=LATERAL)
    axes.text(6.6, -2.8, f"{W_SEES}  {W_LEARNS}", ha="center", fontsize=13.5, color=FORWARD)
    return figure


def narrow():
    """Return the drawing for a phone: the same, with its sentences below each other."""
    figure, axes = layer((5.2, 5.4), (0, 1.95, 4.1, 5.9), ((-0.65, 6.65), (-4.6, 2.98)))
    axes.text(4.1, 2.5, "perturbation $\\delta_l$ from above:", ha="center", fontsize=14, color=BLAME)
    axes.text(4.1, 2.14, "target state  $z_l=a_l+\\delta_l$", ha="center", fontsize=14, color=BLAME)
    for height, text, colour in ((-2.95, f"$R_l$ {R_LEARNS}", LATERAL), (-3.6, f"in $W_l$ {W_SEES}", FORWARD)):
        axes.text(3, height, text, ha="center", fontsize=14, color=colour)
    axes.text(3, -4.15, W_LEARNS, ha="center", fontsize=14, color=FORWARD)
    return figure


if __name__ == "__main__":
    static = Path(__file__).parents[1] / "_static"
    for name, drawn in (("layer", wide()), ("layer_narrow", narrow())):
        drawn.savefig(static / f"{name}.svg", metadata={"Date": None})
