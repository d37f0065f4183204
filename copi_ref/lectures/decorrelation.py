"""Lecture 1: what R's rule does to correlated inputs, and when it is sure to."""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Decorrelation")


@app.cell
def _():
    import marimo as mo
    import numpy as np

    import copi_ref as copi
    from copi_ref.analysis.diagnostics import asymmetry, log_abs_det
    from copi_ref.arrays.moments import mean_outer
    from copi_ref.lectures.panels import BLUE, RED, beside, matrix, number, panels, picture, titled

    return BLUE, RED, asymmetry, beside, copi, log_abs_det, matrix, mean_outer, mo, np, number, panels, picture, titled


@app.cell
def _(mo):
    mo.md(
        r"""
        # Decorrelation

        *Why does COPI need decorrelated inputs, and what is R's rule doing?*

        Inputs $y$ come to a layer. It multiplies them by lateral weights, $x = R y$, and $R$ starts as the identity. In
        every step $R$ learns from the second moment $C = E[x x^\top]$. Choose inputs and let it learn.
        """
    )
    return


@app.cell
def _(mo):
    inputs = mo.ui.radio({"2": 2, "3": 3}, value="2", label="inputs", inline=True)
    correlation = mo.ui.slider(-0.95, 0.95, 0.05, value=0.8, label="correlation of neighbours", show_value=True)
    ratio = mo.ui.slider(1, 4, 0.25, value=1.5, label="scale of the last over the first", show_value=True)
    mean = mo.ui.slider(-2, 2, 0.25, value=0, label="mean", show_value=True)
    rule = mo.ui.dropdown(["left", "right", "symmetric"], value="left", label="rule of R")
    rate = mo.ui.slider(0.1, 8, 0.1, value=0.3, label="η over the rate that is safe for ever", show_value=True)
    mo.hstack([inputs, correlation, ratio, mean, rule, rate], wrap=True, justify="start", gap=1.5)
    return correlation, inputs, mean, rate, ratio, rule


@app.cell
def _(correlation, inputs, mean, np, ratio):
    _places = np.arange(inputs.value)
    _scales = ratio.value ** (_places / _places[-1])
    _covariance = correlation.value ** np.abs(_places[:, None] - _places) * np.outer(_scales, _scales)
    # Of exactly this covariance and mean, and not only about.
    _drawn = np.random.default_rng(0).normal(size=(150, inputs.value))
    _drawn -= _drawn.mean(axis=0)
    _white = _drawn @ np.linalg.inv(np.linalg.cholesky(_drawn.T @ _drawn / len(_drawn))).T
    y = _white @ np.linalg.cholesky(_covariance).T + mean.value
    return (y,)


@app.cell
def _(copi, np):
    def learnt(y, rule, eta, steps):
        """Return R before the first step and after each, (steps + 1, K, K); fewer where they leave the numbers."""
        R = [np.eye(y.shape[1])]
        with np.errstate(all="ignore"):
            while len(R) <= steps:
                after = R[-1] + eta * copi.decorrelation_update(y @ R[-1].T, R[-1], rule)
                if not np.abs(after).max() < 1e30:
                    break
                R.append(after)
        return np.array(R)

    return (learnt,)


@app.cell
def _(copi, learnt, mean_outer, np, rate, rule, y):
    eta = rate.value * float(copi.safe_eta_r(y))
    Rs = learnt(y, rule.value, eta, 60)
    Cs = mean_outer(y @ Rs.mT, y @ Rs.mT)
    C_offs = Cs - Cs * np.eye(y.shape[1])
    sizes = np.linalg.norm(C_offs, axis=(1, 2))
    return C_offs, Cs, Rs, eta, sizes


@app.cell
def _(mo):
    get_step, set_step = mo.state(0)
    return get_step, set_step


@app.cell
def _(Rs, mo, set_step):
    # A cell of its own: one that sets the state is not run again by it, and the slider below has to be.
    _last = len(Rs) - 1

    def _moving(label, by):
        return mo.ui.button(label=label, on_change=lambda _: set_step(lambda at: max(0, min(at + by, _last))))

    # Held by name: what has none is gone before it is pressed.
    buttons = mo.ui.array(
        [_moving("1 step", 1), _moving("10 steps", 10), _moving("run to the end", 60), _moving("rewind", -60)]
    )
    mo.hstack(buttons.elements, wrap=True, justify="start")
    return (buttons,)


@app.cell
def _(Rs, get_step, mo, set_step):
    _last = len(Rs) - 1
    step = mo.ui.slider(
        0, max(_last, 1), value=min(get_step(), _last), label="step", show_value=True, on_change=set_step
    )
    step
    return (step,)


@app.cell
def _(np):
    def theorem(rule, eta, C0, C, R):
        """Return which theorem of docs/results/proofs.md holds for a step of η, and how far it reaches."""
        largest = np.linalg.eigvalsh(C)[-1]
        C_off = C - np.diag(np.diag(C))
        commute = np.allclose(R @ C_off, C_off @ R, rtol=0, atol=1e-9 * (np.abs(R).max() * np.abs(C_off).max() or 1))
        same = "" if rule == "left" else " (R and C_off commute here, so this rule is `left`)"
        if rule == "left" or (commute and len(C) == 2):
            if eta <= 2 / (3 * np.trace(C0)) * (1 + 1e-12):
                return f"**Safe for ever.** η ≤ 2/(3 tr C₀): ‖C_off‖ never rises, and goes to 0{same}."
            if eta * largest <= 2 / 3:
                return f"**This step descends.** η λmax(C) ≤ 2/3: ‖C_off‖ does not rise now; later steps may do{same}."
            return f"**No theorem.** η λmax(C) = {eta * largest:.2f} is above 2/3: ‖C_off‖ may rise."
        if rule == "right":
            return "**No theorem.** Under `right` no rate is safe: below is a case in which every rate blows up."
        holds = eta * np.sqrt(np.linalg.cond(R)) * np.linalg.norm(C_off, 2) < 1
        keeps = "stays positive definite in this step" if holds else "may lose positive definiteness"
        return f"**No theorem on C_off.** R stays symmetric to the last bit, and {keeps}."

    return (theorem,)


@app.cell
def _(Cs, Rs, eta, mo, number, rule, sizes, step, theorem):
    now = min(step.value, len(Rs) - 1)
    says = theorem(rule.value, eta, Cs[0], Cs[now], Rs[now])
    _left = "" if len(Rs) == 61 else f" **After step {len(Rs) - 1} it leaves all bounds.**"
    _now = f"η = {number(eta)}, step {now}: ‖C_off‖ is {number(sizes[now])}, {number(sizes[0])} at the start."
    mo.callout(mo.md(f"{_now} {says}{_left}"))
    return now, says


@app.cell
def _(Cs, Rs, beside, matrix, now):
    beside(
        matrix("C at the start", Cs[0], heat=True),
        matrix("C now", Cs[now], heat=True),
        matrix("R now", Rs[now], heat=True),
    )
    return


@app.cell
def _(BLUE, RED, np, panels, picture, titled):
    def points(x, C, name, colour, limit):
        """Draw the first and the last of the inputs, and the ellipse of their second moment about the origin."""
        figure, (axes,) = panels(2.8, 2.8)
        pair = x[:, [0, -1]]
        axes.plot(*pair.T, ".", color=colour, markersize=3, alpha=0.6)
        values, vectors = np.linalg.eigh(C[np.ix_([0, -1], [0, -1])])
        angles = np.linspace(0, 2 * np.pi, 60)
        circle = np.sqrt(np.maximum(values, 0))[:, None] * np.array([np.cos(angles), np.sin(angles)])
        axes.plot(*(2 * vectors @ circle), color=colour, linewidth=2)
        axes.axhline(0, color="grey", linewidth=0.5)
        axes.axvline(0, color="grey", linewidth=0.5)
        axes.set(xlim=(-limit, limit), ylim=(-limit, limit))
        titled(axes, f"{name}: last over first")
        return picture(figure, f"points of {name} and the ellipse of their second moment")

    def curves(rows, at):
        """Draw measures over steps, with a line at the step that is looked at."""
        figure, grid = panels(4.4, 3.4, 2, 2)
        for axes, (name, values) in zip(grid, rows, strict=True):
            axes.plot(values, color=BLUE)
            axes.axvline(at, color=RED, linewidth=1)
            titled(axes, name)
        return picture(figure, "‖C_off‖, tr C, log|det R| and the asymmetry of R over steps")

    return curves, points


@app.cell
def _(Cs, RED, np, points, y):
    # A cell of its own: it need not be drawn again at every step.
    limit = 1.05 * np.abs(y[:, [0, -1]]).max()
    as_they_come = points(y, Cs[0], "y", RED, limit)
    return as_they_come, limit


@app.cell
def _(BLUE, Cs, Rs, as_they_come, asymmetry, beside, curves, limit, log_abs_det, now, np, points, sizes, y):
    _measures = (
        ("log₁₀ ‖C_off‖", np.log10(np.maximum(sizes, 1e-12))),
        ("tr C", np.trace(Cs, axis1=1, axis2=2)),
        ("log |det R|", log_abs_det(Rs)),
        ("asymmetry of R", np.round(asymmetry(Rs), 12)),
    )
    beside(as_they_come, points(y @ Rs[now].T, Cs[now], "x = R y", BLUE, limit), curves(_measures, now))
    return


@app.cell
def _(mo):
    mo.md(
        r"""
        **What the rule does.** $\Delta R = -C_\text{off} R$: of each input it takes away what the others have in
        common with it, by as much as they are correlated. The ellipse turns until its axes are those of the inputs.
        It shrinks, as nothing is given back.

        **Why COPI needs it.** Without any error, $\delta = 0$, COPI moves a unit's weights by $W C_\text{off}$. These
        moves are no share of any error: they are correlations. As $R$ removes those, they vanish. For a unit with
        weights 1:
        """
    )
    return


@app.cell
def _(C_offs, beside, matrix, now, np):
    W = np.ones((1, C_offs.shape[-1]))
    beside(
        matrix("W C_off of y, without R", W @ C_offs[0], heat=True),
        matrix("W C_off of x now", W @ C_offs[now], heat=True),
    )
    return


@app.cell
def _(mo):
    fraction = mo.ui.dropdown({"1": 1.0, "1/2": 0.5, "1/4": 0.25}, value="1", label="η over the safe rate of `left`")
    mo.vstack(
        [
            mo.md(
                r"""
                ## The rule as printed leaves every bound

                The paper writes its rule in two lines and calls them equal: $-C_\text{off} R$ and $-R\, C_\text{off}$,
                `left` and `right`. From $R = I$ they are, for two inputs. For three they are not, and Algorithm 1 has
                the second. Here are two samples of three inputs, $(-2, -3, -3)$ and $(1, -2, -2)$.
                """
            ),
            fraction,
        ]
    )
    return (fraction,)


@app.cell
def _(BLUE, RED, beside, copi, fraction, learnt, mean_outer, np, panels, picture, titled):
    _y = np.array([[-2.0, -3, -3], [1, -2, -2]])
    _eta = fraction.value * float(copi.safe_eta_r(_y))
    printed = {}
    for _rule in ("left", "right"):
        _Rs = learnt(_y, _rule, _eta, int(330 / fraction.value))
        _Cs = mean_outer(_y @ _Rs.mT, _y @ _Rs.mT)
        printed[_rule] = np.linalg.norm(_Cs - _Cs * np.eye(3), axis=(1, 2))

    _figure, (_axes,) = panels(4.4, 2.8)
    for (_rule, _sizes), _colour, _dashes in zip(printed.items(), (BLUE, RED), ("-", "--"), strict=True):
        _axes.plot(_sizes, _dashes, color=_colour, label=_rule)
    _axes.set(yscale="log", ylim=(1e-3, 1e6))
    titled(_axes, "‖C_off‖ over steps")
    _axes.legend()
    beside(
        picture(_figure, "‖C_off‖ over steps: left falls, right falls at first and then grows without bound"),
        f"<div>Under <code>right</code> ‖C_off‖ is above a thousand times its start after "
        f"<b>{np.argmax(printed['right'] > 1000 * printed['right'][0])} steps</b>. A smaller rate delays it.</div>",
    )
    return (printed,)


@app.cell
def _(mo):
    mo.md(
        r"""
        ## What to try

        1. **How fast is too fast?** Two inputs, `left`. Raise the rate from 1 until the theorem changes, then until
           $\|C_\text{off}\|$ rises. Is the theorem's bound the true one?
        2. **A mean is a correlation too.** Set the correlation to 0 and the mean to 1.5. What does $R$ do, and do the
           *centred* points become less correlated?
        3. **Two lines that are not equal.** Three inputs, correlation .95, rates of 1 to 4: compare `left`, `right` and
           `symmetric`. Which keeps $R$ symmetric? Compare with two inputs.
        """
    )
    return


if __name__ == "__main__":
    app.run()
