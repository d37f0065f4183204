"""Lecture 2: one step of Algorithm 1, every number of it, and what mistakes do to them."""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="One step of Algorithm 1")


@app.cell
def _():
    from fractions import Fraction

    import marimo as mo
    import numpy as np

    import copi_ref as copi
    from copi_ref.arrays.moments import mean_outer
    from copi_ref.lectures.panels import beside, line, matrix, verdict
    from copi_ref.oracle import VARIANTS, Conventions, check
    from copi_ref.oracle.contract.implementation import OfPieces
    from copi_ref.oracle.contract.pieces import right_pieces, whole_step
    from copi_ref.oracle.report.explain import example

    return (
        Conventions, Fraction, OfPieces, VARIANTS, beside, check, copi, example, line, matrix, mean_outer, mo, np,
        right_pieces, verdict, whole_step,
    )  # fmt: skip


@app.cell
def _(mo):
    mo.md(
        r"""
        # One step of Algorithm 1

        *What does one step compute, and where does COPI differ from gradient descent?*

        A network of 2, 3 and 2 units, two samples. Change any number: drag it, or press Enter on it and type. All that
        follows from it is below, in the order of the algorithm. Rows of a batch are samples.
        """
    )
    return


@app.cell
def _(example, mo):
    _start = example()

    def _box(label, array):
        return mo.ui.matrix(array.tolist(), step=0.25, precision=2, min_value=-9, max_value=9, label=label)

    numbers = mo.ui.dictionary(
        {
            "y0": _box("y₀", _start["y0"]),
            "target": _box("y*", _start["target"]),
            "W1": _box("W₁", _start["W"][0]),
            "W2": _box("W₂", _start["W"][1]),
            "R1": _box("R₁", _start["R"][0]),
            "R2": _box("R₂", _start["R"][1]),
        }
    )
    return (numbers,)


@app.cell
def _(mo):
    arithmetic = mo.ui.radio(["decimal", "fractions"], value="decimal", label="numbers", inline=True)
    rule = mo.ui.dropdown(["right", "left", "symmetric"], value="right", label="rule of R")
    eta_w = mo.ui.slider(0, 0.5, 0.01, value=0.05, label="η_W", show_value=True)
    eta_r = mo.ui.slider(0, 0.2, 0.01, value=0.01, label="η_R", show_value=True)
    no_error = mo.ui.switch(label="no error: set the targets to what the network says")
    return arithmetic, eta_r, eta_w, no_error, rule


@app.cell
def _(arithmetic, eta_r, eta_w, mo, no_error, numbers, rule):
    mo.vstack(
        [
            mo.hstack(numbers.elements.values(), wrap=True, justify="start", gap=1.5),
            mo.hstack([eta_w, eta_r, rule, arithmetic], wrap=True, justify="start", gap=1.5),
            no_error,
        ]
    )
    return


@app.cell
def _(Fraction, arithmetic, copi, eta_r, eta_w, no_error, np, numbers, rule):
    def taken(value):
        """Numbers as they were typed: 0.1 is 1/10 among fractions."""
        if arithmetic.value == "decimal":
            return np.asarray(value, dtype=float)
        return np.vectorize(lambda one: Fraction(str(one)), otypes=[object])(value)

    given = {name: taken(value) for name, value in numbers.value.items()}
    W, R = (given["W1"], given["W2"]), (given["R1"], given["R2"])
    params = copi.Params(W, R)

    trace = copi.forward(params, given["y0"])
    target = trace.y[-1] if no_error.value else given["target"]
    deltas = copi.CREDIT["bp"](params, trace, copi.Task(target))
    z = tuple(a + delta for a, delta in zip(trace.a, deltas, strict=True))

    dW = tuple(copi.copi_update(trace.x[at], z[at], W[at]) for at in (0, 1))
    descent = tuple(copi.sgd_update(trace.x[at], deltas[at]) for at in (0, 1))
    dR = tuple(copi.decorrelation_update(trace.x[at], R[at], rule.value) for at in (0, 1))
    new_W = tuple(W[at] + taken(eta_w.value) * dW[at] for at in (0, 1))
    new_R = tuple(R[at] + taken(eta_r.value) * dR[at] for at in (0, 1))
    return R, W, dR, dW, deltas, descent, given, new_R, new_W, target, trace, z


@app.cell
def _(R, W, given, line, matrix, mo, trace):
    _inputs = (given["y0"], trace.y[0])
    _shown = [mo.md("## Up: lines 4 to 8")]
    for _at, _l in enumerate("₁₂"):
        _below = "₀₁"[_at]
        _shown += [
            line(
                f"line 5: x{_l} = R{_l} y{_below}", matrix(f"x{_l}", trace.x[_at]), matrix(f"R{_l}", R[_at]),
                matrix(f"y{_below}", _inputs[_at]),
            ),
            line(f"line 6: a{_l} = W{_l} x{_l}", matrix(f"a{_l}", trace.a[_at]), matrix(f"W{_l}", W[_at])),
            line(f"line 7: y{_l} = f(a{_l}), a/10 below 0", matrix(f"y{_l}", trace.y[_at])),
        ]  # fmt: skip
    mo.vstack(_shown)
    return


@app.cell
def _(deltas, line, matrix, mo, target, z):
    mo.vstack(
        [
            mo.md("## Down: lines 9 to 12, who gets the blame"),
            line("line 10: δ₂ = 2 f′(a₂) ∘ (y* − y₂)", matrix("δ₂", deltas[1]), matrix("y*", target)),
            line("line 11: δ₁ = f′(a₁) ∘ R₂ᵀ W₂ᵀ δ₂", matrix("δ₁", deltas[0])),
            line("targets: z = a + δ", matrix("z₁", z[0]), matrix("z₂", z[1])),
        ]
    )
    return


@app.cell
def _(mean_outer, np, trace):
    C = tuple(mean_outer(x, x) for x in trace.x)
    power = tuple(np.diagonal(one) for one in C)
    C_off = tuple(one - np.diag(np.diagonal(one)) for one in C)
    return C_off, power


@app.cell
def _(C_off, W, beside, dW, descent, line, matrix, mean_outer, mo, power, trace, z):
    _shown = [mo.md("## W learns: line 14, and what gradient descent would do")]
    for _at, _l in enumerate("₁₂"):
        _shown += [
            line(
                f"ΔW{_l} = E[z{_l} x{_l}ᵀ] − W{_l} diag(E[x{_l}²])",
                matrix("E[z xᵀ]", mean_outer(z[_at], trace.x[_at])), matrix("E[x²]", power[_at]),
            ),
            beside(
                matrix(f"COPI: ΔW{_l}", dW[_at], heat=True), "−",
                matrix(f"gradient descent: E[δ{_l} x{_l}ᵀ]", descent[_at], heat=True), "=",
                matrix("the difference", dW[_at] - descent[_at], heat=True), "=",
                matrix(f"W{_l} C_off", W[_at] @ C_off[_at], heat=True),
            ),
        ]  # fmt: skip
    _shown.append(
        mo.md(
            r"""
            The difference is $W C_\text{off}$, for any numbers. It has no $\delta$ in it: it is not about the error at
            all. **COPI takes all that a unit does for the work of each single input.** That is right where inputs are
            uncorrelated, $C_\text{off} = 0$. Where they are not, it moves weights even without an error: try the switch
            above. So something must make the inputs uncorrelated. That is what $R$ is for.
            """
        )
    )
    mo.vstack(_shown)
    return


@app.cell
def _(C_off, copi, dR, given, line, matrix, mean_outer, mo, new_R, new_W, np, rule, trace):
    _formula = {"right": "−R C_off", "left": "−C_off R", "symmetric": "−½ (C_off R + (C_off R)ᵀ)"}[rule.value]
    _shown = [mo.md("## R learns: line 15")]
    for _at, _l in enumerate("₁₂"):
        _y = (given["y0"], trace.y[0])[_at]
        _x = copi.forward(copi.Params((new_W[_at],), (new_R[_at],)), _y).x[0]
        _C = mean_outer(_x, _x)
        _shown.append(
            line(
                f"ΔR{_l} = {_formula}", matrix(f"ΔR{_l}", dR[_at], heat=True),
                matrix("C_off before", C_off[_at], heat=True),
                matrix(f"C_off of R{_l} + η_R ΔR{_l}", _C - np.diag(np.diagonal(_C)), heat=True),
            )
        )  # fmt: skip
    _shown += [
        mo.md("What two inputs have in common is taken from each, by the strength of their correlation. With a small "
              "rate $C_\\text{off}$ shrinks; with a large one it overshoots."),
        mo.md("## After the step: line 16"),
        line("W + η_W ΔW", matrix("new W₁", new_W[0]), matrix("new W₂", new_W[1])),
        line("R + η_R ΔR", matrix("new R₁", new_R[0]), matrix("new R₂", new_R[1])),
    ]  # fmt: skip
    mo.vstack(_shown)
    return


@app.cell
def _(VARIANTS, mo):
    _often = (
        "weight-no-decay", "weight-hebb-sum", "weight-hebb-n-minus-1", "step-z-from-y", "step-z-without-a",
        "lateral-diagonal", "lateral-sign", "forward-R-transposed", "delta-R-transposed", "delta-no-slope-in-hidden",
        "delta-sign", "step-updated-on-the-way",
    )  # fmt: skip
    _names = dict.fromkeys((*_often, *VARIANTS))
    mistake = mo.ui.dropdown(
        {f"[{name}] {VARIANTS[name].says}": name for name in _names},
        label="a mistake",
        searchable=True,
        full_width=True,
    )
    mo.vstack(
        [
            mo.md(
                f"""
                ## Make a mistake

                The oracle knows {len(VARIANTS)} mistakes by name. Choose one, and what comes out wrong is marked
                with ≠.
                """
            ),
            mistake,
        ]
    )
    return (mistake,)


@app.cell
def _(Conventions, VARIANTS, mistake, mo, right_pieces, rule):
    mo.stop(mistake.value is None)
    conventions = Conventions(lateral_rule=rule.value)
    right = right_pieces(conventions)
    wrong = VARIANTS[mistake.value].change(right)
    mo.stop(wrong is None, mo.md("It has no meaning for this rule and this network: choose another."))
    return conventions, right, wrong


@app.cell
def _(VARIANTS, beside, eta_r, eta_w, given, matrix, mistake, mo, np, right, target, whole_step, wrong):
    def _as_floats(value):
        return np.asarray(value, dtype=float)

    _inputs = {
        "y0": _as_floats(given["y0"]), "target": _as_floats(target), "eta_w": eta_w.value, "eta_r": eta_r.value,
        "W": tuple(map(_as_floats, (given["W1"], given["W2"]))),
        "R": tuple(map(_as_floats, (given["R1"], given["R2"]))),
    }  # fmt: skip
    with np.errstate(all="ignore"):
        expected, found = whole_step(right, _inputs, {}), wrong.step(wrong, _inputs, {})
    changed = [name for name in expected if not np.array_equal(found[name], expected[name], equal_nan=True)]

    _groups = ("x", "a", "y", "δ", "ΔW", "ΔR")
    _rows = [
        beside(
            *(
                matrix(f"{group} of layer {layer}", found[name], right=expected[name])
                for layer in (1, 2)
                for name in [f"{group} of layer {layer}"]
            )
        )
        for group in _groups
    ]
    _says = f"**{len(changed)} of {len(expected)} quantities come out wrong**: {', '.join(changed)}."
    _nothing = (
        "With these numbers **nothing changes**. That is why one example proves little: the oracle tries many, among "
        "them some on which this mistake shows."
    )
    mo.vstack([mo.md(f"*{VARIANTS[mistake.value].says}.* {_says if changed else _nothing}"), *_rows])
    return changed, expected, found


@app.cell
def _(OfPieces, changed, check, conventions, mo, np, verdict, wrong):
    _parts = {"ΔW": "copi_update", "ΔR": "decorrelation_update", "δ": "perturbations"}
    _of = (*dict.fromkeys(_parts.get(name.split()[0], "forward") for name in changed), "step")
    with np.errstate(all="ignore"):
        for _only in _of:
            report = check(OfPieces(wrong), conventions=conventions, only=(_only,))
            if not report.ok:
                break
    mo.vstack(
        [
            mo.md(f'**What the oracle says** of an implementation that does so (`check(…, only=("{_only}",))`):'),
            verdict(report),
        ]
    )
    return (report,)


@app.cell
def _(mo):
    mo.md(
        r"""
        ## What to try

        1. **No error.** Switch the error off. Gradient descent stands still; COPI still moves $W$, by $W C_\text{off}$.
           Now make the inputs uncorrelated: $R_1 = I$ and $y_0$ = (1, 1), (1, −1). What does COPI do to $W_1$ now?
        2. **Too fast.** Raise $\eta_R$ from 0.01 to 0.2 and watch $C_\text{off}$ after the step. Where does it begin to
           overshoot?
        3. **A mistake that hides.** Choose `forward-R-transposed` and make both $R$ symmetric. Who notices now?
        """
    )
    return


if __name__ == "__main__":
    app.run()
