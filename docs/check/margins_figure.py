"""Draw docs/check/margins.png: how far correct code stays below what is allowed, and how far above it mistakes are.

A function's error is the largest of any element on any case, in units of its allowance. Of the correct implementations
the largest over all seeds is shown, of each catalogued mistake the smallest, in the function that it is a mistake of.

Run: python docs/check/margins_figure.py     (needs matplotlib and PyTorch; some ten minutes)
"""

import importlib.util
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import matplotlib
import numpy as np
import torch

from copi_ref.arrays.backend import default_namespace
from copi_ref.oracle import FUNCTIONS, PRECISIONS, VARIANTS, Conventions
from copi_ref.oracle.calling.calling import Caller
from copi_ref.oracle.contract.pieces import forward, perturbations, right_pieces
from copi_ref.oracle.inputs.cases import draw_cases
from copi_ref.oracle.judging.comparison import run_case

matplotlib.use("Agg")
import matplotlib.pyplot as plt

HERE = Path(__file__).parent
SEEDS = 3
SHOWN = ("float64", "float32")
RIGHT_EDGE = 1e18  # beyond it lie mistakes where the right value is 0 and next to nothing is allowed
AS_PRINTED = Conventions()
FAMILIES = {
    "copi_update": "weight-", "sgd_update": "sgd-", "decorrelation_update": "lateral-", "forward": "forward-",
    "perturbations": "delta-", "step": "step-",
}  # fmt: skip
"""By function: how the names of its own mistakes begin."""


# --- implementations --------------------------------------------------------------------------------------------------


class OfPieces:
    """The six functions, from the library's own pieces, or from those of a wrong variant; on any arrays."""

    def __init__(self, pieces):
        self.pieces = pieces
        self.copi_update, self.sgd_update, self.decorrelation_update = pieces.copi, pieces.sgd, pieces.lateral

    def forward(self, W, R, y0):
        """Return x, a and y."""
        found = forward(self.pieces, {"W": W, "R": R, "y0": y0}, {})
        return [[found[f"{name} of layer {at + 1}"] for at in range(len(W))] for name in "xay"]

    def perturbations(self, W, R, x, a, y, target):
        """Return δ of all layers."""
        found = perturbations(self.pieces, {"W": W, "R": R, "a": a, "y": y, "target": target}, {})
        return [found[f"δ of layer {at + 1}"] for at in range(len(W))]

    def step(self, W, R, y0, target, eta_w, eta_r):
        """Return the new W and R."""
        inputs = {"W": W, "R": R, "y0": y0, "target": target, "eta_w": eta_w, "eta_r": eta_r}
        found = self.pieces.step(self.pieces, inputs, {})
        new_W = [A + eta_w * found[f"ΔW of layer {at + 1}"] for at, A in enumerate(W)]
        return new_W, [A + eta_r * found[f"ΔR of layer {at + 1}"] for at, A in enumerate(R)]


class SampleBySample:
    """COPI in loops over samples, which are columns: every sum over the batch is taken in its order."""

    @staticmethod
    def _sum(u, v):
        total = 0 * np.outer(u[0], v[0])
        for one, other in zip(u, v, strict=True):
            total = total + np.outer(one, other)
        return total

    def copi_update(self, x, z, W):
        """Sum first, divide last."""
        return (self._sum(z, x) - W * np.diag(self._sum(x, x))) / len(x)

    def sgd_update(self, x, delta):
        """Sum first, divide last."""
        return self._sum(delta, x) / len(x)

    def decorrelation_update(self, x, R):
        """−R C_off, with the sum over C's columns in order."""
        C = self._sum(x, x) / len(x)
        return -self._sum(R.T, C - np.diag(np.diag(C)))

    def forward(self, W, R, y0):
        """One sample after the other."""
        states, y = [], y0
        for W_l, R_l in zip(W, R, strict=True):
            x = np.stack([R_l @ one for one in y])
            a = np.stack([W_l @ one for one in x])
            y = np.maximum(a, a / 10)
            states.append((x, a, y))
        return list(zip(*states, strict=True))

    def perturbations(self, W, R, x, a, y, target):
        """(W R)ᵀ δ, the product of W and R first."""
        deltas = [np.where(a[-1] < 0, 0.2, 2).astype(a[-1].dtype) * (target - y[-1])]
        for layer in range(len(W) - 1, 0, -1):
            down = np.stack([(W[layer] @ R[layer]).T @ one for one in deltas[0]])
            deltas.insert(0, np.where(a[layer - 1] < 0, 0.1, 1).astype(down.dtype) * down)
        return deltas

    def step(self, W, R, y0, target, eta_w, eta_r):
        """All of it."""
        x, a, y = self.forward(W, R, y0)
        z = [one + delta for one, delta in zip(a, self.perturbations(W, R, x, a, y, target), strict=True)]
        new_W = [A + eta_w * self.copi_update(u, v, A) for A, u, v in zip(W, x, z, strict=True)]
        return new_W, [A + eta_r * self.decorrelation_update(u, A) for A, u in zip(R, x, strict=True)]


def example_in_torch():
    """Return the adapter of examples/test_your_own_torch.py and its conventions."""
    path = HERE.parents[1] / "examples" / "test_your_own_torch.py"
    spec = importlib.util.spec_from_file_location("example", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Adapter(), module.MINE


def correct_implementations():
    """Return implementations that are right, each with its conventions and its array library."""
    return (
        (OfPieces(right_pieces(AS_PRINTED)), AS_PRINTED, np),
        (OfPieces(right_pieces(AS_PRINTED)), AS_PRINTED, torch),
        (SampleBySample(), AS_PRINTED, np),
        (*example_in_torch(), torch),
    )


# --- measuring --------------------------------------------------------------------------------------------------------


def largest_ratio(implementation, conventions, xp, function, precision, cases):
    """Return the largest error of any element on any case, in units of its allowance."""
    caller = Caller(implementation, conventions, precision, default_namespace(xp))
    worst = 0.0
    for case in cases:
        with np.errstate(all="ignore"):
            outcome = run_case(caller, function, case)
            if outcome.verdict is not None:
                return np.inf
            for name, expected in outcome.observation.expected.items():
                error = np.abs(outcome.observation.actual[name] - expected.value)
                ratio = np.where(error == 0, 0.0, error / expected.allowance(precision))
                worst = max(worst, float(np.max(ratio)))
    return worst


def touches(pieces, function, cases):
    """Whether the pieces give anything else than the right ones on any case, and not the same in another order."""
    right = right_pieces(AS_PRINTED)
    with np.errstate(all="ignore"):
        for case in (one for one in cases if "underflow" not in one.name):  # there new weights are the old ones
            expected = function.expected(right, case.inputs, {})
            try:
                found = function.expected(pieces, case.inputs, {})
            except (np.linalg.LinAlgError, ValueError, ZeroDivisionError):
                continue  # it has no meaning there
            for name, right_one in expected.items():
                if not np.allclose(found[name], right_one, rtol=0, atol=3e-9 * np.max(np.abs(right_one))):
                    return True
    return False


def measured(job):
    """Return the largest error of correct code, and that of each mistake, for a function, a precision and a seed."""
    torch.set_num_threads(1)
    name, precision_name, seed = job
    function, precision = FUNCTIONS[name], PRECISIONS[precision_name]
    correct = 0.0
    for implementation, conventions, xp in correct_implementations():
        if hasattr(implementation, name):
            cases = draw_cases(function, conventions, precision, seed)
            correct = max(correct, largest_ratio(implementation, conventions, xp, function, precision, cases))
    cases = draw_cases(function, AS_PRINTED, precision, seed)
    mistakes = {}
    for variant in VARIANTS.values():
        if not variant.name.startswith(FAMILIES[name]) or precision.dtype in variant.name:
            continue  # what is rounded to a format is right in it
        pieces = variant.change(right_pieces(AS_PRINTED))
        if pieces is not None and touches(pieces, function, cases):
            mistakes[variant.name] = largest_ratio(OfPieces(pieces), AS_PRINTED, np, function, precision, cases)
    return correct, mistakes


def measure():
    """Return the largest of correct code and the smallest of each mistake over seeds, by function and precision."""
    jobs = [(name, precision, seed) for precision in SHOWN for name in FUNCTIONS for seed in range(SEEDS)]
    correct, mistakes = {}, {}
    with ProcessPoolExecutor() as pool:
        for (name, precision, _), (of_correct, of_mistakes) in zip(jobs, pool.map(measured, jobs), strict=True):
            key = (name, precision)
            correct[key] = max(correct.get(key, 0.0), of_correct)
            known = mistakes.setdefault(key, {})
            for variant, ratio in of_mistakes.items():
                known[variant] = min(known.get(variant, np.inf), ratio)
    return correct, mistakes


# --- showing ----------------------------------------------------------------------------------------------------------


def smallest(of_mistakes):
    """Return the name and the error of the mistake that shows least."""
    return min(of_mistakes.items(), key=lambda item: item[1])


def table(correct, mistakes):
    """Return everything as text."""
    lines = [f"{'function':21} {'precision':9} {'worst correct':>13} {'mistakes':>8} {'smallest':>9}  of the mistake"]
    for key, worst in correct.items():
        name, ratio = smallest(mistakes[key])
        lines.append(f"{key[0]:21} {key[1]:9} {worst:13.3f} {len(mistakes[key]):8} {ratio:9.2g}  {name}")
    return "\n".join(lines)


def draw(correct, mistakes, path):
    """One panel per precision, one row per function; colours of Okabe and Ito, and a shape for each kind."""
    plt.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
    figure, panels = plt.subplots(len(SHOWN), 1, sharex=True, figsize=(7.2, 5.6), layout="constrained")
    for panel, precision in zip(panels, SHOWN, strict=True):
        for row, name in enumerate(FUNCTIONS):
            of_mistakes = mistakes[name, precision]
            least, ratio = smallest(of_mistakes)
            shown = [one for one in of_mistakes.values() if one < RIGHT_EDGE]
            panel.plot(shown, [row] * len(shown), "|", color="0.6", markersize=6, markeredgewidth=0.6)
            panel.plot(correct[name, precision], row, "o", color="#0072B2", markersize=6)
            panel.plot(ratio, row, "^", color="#D55E00", markersize=7)
            panel.annotate(least, (ratio, row), (0, 5), "data", "offset points", ha="center", fontsize=7)
        panel.axvline(1, color="black", linewidth=1)
        panel.set_yticks(range(len(FUNCTIONS)), FUNCTIONS)
        panel.set(xscale="log", ylim=(len(FUNCTIONS) - 0.5, -0.7), xlim=(1e-2, RIGHT_EDGE))
        panel.set_title(precision, loc="left", fontsize=9, fontweight="bold")
    panels[0].text(2, -0.5, "what rounding allows", fontsize=8, va="center")
    panels[-1].set_xlabel("largest error, in units of what rounding allows")
    handles = [
        plt.Line2D([], [], linestyle="", marker="o", color="#0072B2", label=f"correct code, worst of {SEEDS} seeds"),
        plt.Line2D([], [], linestyle="", marker="^", color="#D55E00", label="the mistake that shows least"),
        plt.Line2D([], [], linestyle="", marker="|", color="0.6", label="the other mistakes"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    found = measure()
    print(table(*found))
    draw(*found, HERE / "margins.png")
