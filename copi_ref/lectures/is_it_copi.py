"""Lecture 6: code to edit, and what the oracle says of it."""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Is it COPI?")


@app.cell
def _():
    import traceback
    import warnings
    from types import ModuleType

    import marimo as mo

    from copi_ref.lectures.panels import verdict
    from copi_ref.oracle import FUNCTIONS, VARIANTS, Conventions, check

    return Conventions, FUNCTIONS, ModuleType, VARIANTS, check, mo, traceback, verdict, warnings


@app.cell
def _(mo):
    mo.md(
        r"""
        # Is it COPI?

        *How do you know that your own code is right?*

        Below is a small implementation in NumPy. Change it: the oracle runs it on many inputs, compares what comes out
        with what rounding allows, and if it is wrong says which mistake it is. Your code runs in Python on this
        machine, with all that you may do there. It goes nowhere else.
        """
    )
    return


@app.cell
def _():
    RIGHT = '''import numpy as np


def copi_update(x, z, W):
    """E[z xᵀ] − W diag(E[x²]); rows are samples."""
    return z.T @ x / len(x) - W * np.mean(x**2, axis=0)


def decorrelation_update(x, R):
    """−R C_off, line 15."""
    C = x.T @ x / len(x)
    return -R @ (C - np.diag(np.diag(C)))


def forward(W, R, y0):
    """Lists of x, a and y, one array per layer."""
    xs, as_, ys, y = [], [], [], y0
    for W_l, R_l in zip(W, R):
        x = y @ R_l.T
        a = x @ W_l.T
        y = np.where(a >= 0, a, 0.1 * a)
        xs, as_, ys = xs + [x], as_ + [a], ys + [y]
    return xs, as_, ys
'''
    BEGINNINGS = {
        "a right one": RIGHT,
        "the diagonal left in": RIGHT.replace("-R @ (C - np.diag(np.diag(C)))", "-R @ C"),
        "a sum for a mean": RIGHT.replace("z.T @ x / len(x)", "z.T @ x"),
        "the other line of Eq. 4": RIGHT.replace("-R @ (C - np.diag(np.diag(C)))", "-(C - np.diag(np.diag(C))) @ R"),
        "a covariance": RIGHT.replace("C = x.T @ x / len(x)", "C = np.cov(x.T)"),
    }
    return (BEGINNINGS,)


@app.cell
def _(BEGINNINGS, mo):
    beginning = mo.ui.dropdown(list(BEGINNINGS), value="a right one", label="begin with")
    rule = mo.ui.dropdown(["right", "left", "symmetric"], value="right", label="rule of R that you mean")
    mo.hstack([beginning, rule], wrap=True, justify="start", gap=1.5)
    return beginning, rule


@app.cell
def _(BEGINNINGS, beginning, mo):
    code = mo.ui.code_editor(BEGINNINGS[beginning.value], language="python", debounce=100, label="your code")
    code
    return (code,)


@app.cell
def _(ModuleType, code, mo, traceback):
    mine = ModuleType("mine")
    try:
        exec(compile(code.value, "<your code>", "exec"), vars(mine))
    except Exception as _error:
        _said = "".join(traceback.format_exception_only(_error))
        mo.stop(True, mo.callout(mo.plain_text(f"Python can't run it:\n\n{_said}"), kind="warn"))
    return (mine,)


@app.cell
def _(Conventions, check, rule, warnings):
    def judged(mine, only=()):
        """Ask the oracle; what the code itself warns of is not said between the lines of the verdict."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return check(mine, conventions=Conventions(lateral_rule=rule.value), only=only)

    return (judged,)


@app.cell
def _(FUNCTIONS, judged, mine, mo):
    offered = [name for name in FUNCTIONS if hasattr(mine, name)]
    _none = mo.md(f"There is no function to check. Write one of {', '.join(FUNCTIONS)}.")
    mo.stop(not offered, mo.callout(_none, kind="warn"))
    # The others take the oracle seconds: networks of many shapes, and hundreds of mistakes.
    live = tuple(name for name in offered if name in ("copi_update", "sgd_update", "decorrelation_update"))
    report = judged(mine, live) if live else None
    return live, offered, report


@app.cell
def _(live, mo, report, verdict):
    _of = ", ".join(f"`{name}`" for name in live)
    mo.vstack([mo.md(f"**The oracle, live**, on {_of or 'nothing'}:"), verdict(report) if live else mo.md("")])
    return


@app.cell
def _(mo, offered):
    everything = mo.ui.run_button(label="check everything")
    _all = ", ".join(f"`{name}`" for name in offered)
    mo.vstack([mo.md(f"All that is there, {_all}, takes a moment longer:"), everything])
    return (everything,)


@app.cell
def _(everything, judged, mine, mo, verdict):
    mo.stop(not everything.value, mo.md("*Not checked as a whole since the last change.*"))
    full = judged(mine)
    verdict(full)
    return (full,)


@app.cell
def _(VARIANTS, mo):
    mo.md(
        rf"""
        ## What to try

        1. **Break it.** Change a sign, a transpose, a factor. Does the oracle name it? It knows {len(VARIANTS)}
           mistakes.
        2. **Fool it.** Can you write a wrong `copi_update` that passes? What would its error have to be smaller than?
           The column `catches` says.
        3. **Choice or mistake?** Begin with *the other line of Eq. 4*. It is not wrong: what does the oracle suggest,
           and what does it say after you have chosen so?

        Outside this page: `copi-ref check your.module`, and for other languages `copi-ref check --command PROGRAM`.
        """
    )
    return


if __name__ == "__main__":
    app.run()
