"""Lecture 4: digits, epoch by epoch."""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Train")


@app.cell
def _():
    import marimo as mo
    import numpy as np

    import copi_ref as copi
    from copi_ref.analysis.diagnostics import relative_off_diagonal
    from copi_ref.analysis.receptive_fields import receptive_fields
    from copi_ref.arrays.moments import mean_outer
    from copi_ref.data import load_digits
    from copi_ref.experiments.presets import changed, experiment
    from copi_ref.figures.training import correlation
    from copi_ref.lectures.panels import BLUE, RED, beside, number, panels, picture, titled

    return (
        BLUE, RED, beside, changed, copi, correlation, experiment, load_digits, mean_outer, mo, np, number,
        relative_off_diagonal, panels, picture, receptive_fields, titled,
    )  # fmt: skip


@app.cell
def _(mo):
    mo.md(
        r"""
        # Train

        *What happens inside a network while it learns by COPI, and is it any slower than Adam?*

        1437 digits of 8×8 pixels, a network of 64, 100, 100 and 10 units, batches of 50. For the first three epochs
        only $R$ learns. Choose, and switch the training on; off stops it, and on goes on where it was. Adam trains by
        backpropagation beside it, from the same weights.
        """
    )
    return


@app.cell
def _(mo):
    _methods = ["copi-bp", "copi-fa", "bp-decorrelated", "copi-dfa", "copi-node", "copi-il"]
    _rates = [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2]
    method = mo.ui.dropdown(_methods, value="copi-bp", label="method")
    rule = mo.ui.dropdown(["symmetric", "left", "right"], value="symmetric", label="rule of R")
    eta_w = mo.ui.slider(steps=_rates, value=0.02, label="η_W", show_value=True)
    eta_r = mo.ui.slider(steps=_rates, value=0.02, label="η_R", show_value=True)
    seed = mo.ui.slider(0, 9, label="seed", show_value=True)
    going = mo.ui.switch(label="train")
    mo.hstack([method, rule, eta_w, eta_r, seed], wrap=True, justify="start", gap=1.5)
    return eta_r, eta_w, going, method, rule, seed


@app.cell
def _(changed, copi, eta_r, eta_w, experiment, load_digits, method, np, rule, seed):
    digits = load_digits()
    LAST = 30

    def _start(name, changes):
        settings = experiment("demo", name, "digits")
        recipe = changed(settings.recipe, changes)
        return recipe, copi.init_state(recipe, settings.sizes(digits), np.random.default_rng(seed.value), np)

    begun = {
        method.value: _start(method.value, {"eta_w": eta_w.value, "eta_r": eta_r.value, "lateral_rule": rule.value}),
        "bp-adam": _start("bp-adam", {}),
    }
    return LAST, begun, digits


@app.cell
def _(begun, mo):
    # By method: the states and rows of metrics so far, and why it can't go on.
    get_runs, set_runs = mo.state({name: ((state,), (), "") for name, (_, state) in begun.items()})
    return get_runs, set_runs


@app.cell
def _(going, mo):
    clock = mo.ui.refresh(default_interval=1, options=[1]) if going.value else None
    mo.hstack([going, clock or ""], justify="start")
    return (clock,)


@app.cell
def _(LAST, begun, clock, copi, digits, get_runs, going, set_runs):
    def one_more(name, run):
        """Return a run with one more epoch; it stays as it is after the last, or where it has diverged."""
        states, rows, why = run
        if why or len(rows) == LAST:
            return run
        try:
            result = copi.fit(begun[name][0], states[-1], digits, 1)
        except copi.NonFiniteError as error:
            return states, rows, str(error)
        return (*states, result.state), (*rows, *result.metrics), ""

    clock  # at each of its ticks
    if going.value:
        _runs = get_runs()
        _after = {name: one_more(name, run) for name, run in _runs.items()}
        if any(_after[name] is not _runs[name] for name in _runs):  # else nothing is drawn again for nothing
            set_runs(_after)
    return (one_more,)


@app.cell
def _(BLUE, LAST, RED, beside, get_runs, mo, panels, picture, titled):
    runs = get_runs()
    _figure, _panels = panels(4.6, 3.8, 2, 1)
    for _axes, _metric in zip(_panels, ("test_accuracy", "train_accuracy"), strict=True):
        for (_name, (_, _rows, _)), _colour, _dashes in zip(runs.items(), (BLUE, RED), ("o-", "s--"), strict=True):
            _epochs = range(1, len(_rows) + 1)
            _axes.plot(_epochs, [row[_metric] for row in _rows], _dashes, markersize=3, color=_colour, label=_name)
        _axes.set(xlim=(0, LAST), ylim=(0, 1.02))
        titled(_axes, f"{_metric.replace('_', ' ')} by epoch")
    _panels[0].legend(fontsize=8, loc="lower right")
    _said = [
        f"<li><b>{name}</b>, {len(rows)} epochs: "
        + (f"test accuracy {rows[-1]['test_accuracy']:.4f}" if rows else "not trained yet")
        + (f"<br><b>It diverged:</b> {why}" if why else "")
        + "</li>"
        for name, (_, rows, why) in runs.items()
    ]
    mo.vstack([beside(picture(_figure, "test and train accuracy by epoch"), f"<ul>{''.join(_said)}</ul>")])
    return (runs,)


@app.cell
def _(method, mo, runs):
    _last = len(runs[method.value][1])
    epoch = mo.ui.slider(0, max(_last, 1), value=_last, label="epoch to look at", show_value=True)
    mo.vstack([mo.md("## Inside"), epoch])
    return (epoch,)


@app.cell
def _(begun, copi, digits, epoch, mean_outer, method, relative_off_diagonal, receptive_fields, runs):
    _states = runs[method.value][0]
    params = _states[min(epoch.value, len(_states) - 1)].params
    _trace = copi.forward(params, digits.x_train, begun[method.value][0].activation)
    moments = mean_outer(digits.x_train, digits.x_train), mean_outer(_trace.x[0], _trace.x[0])
    off_diagonals = [float(relative_off_diagonal(x)) for x in _trace.x]
    fields = receptive_fields(params, digits.x_test)
    return fields, moments, off_diagonals, params


@app.cell
def _(beside, correlation, fields, mo, moments, np, number, off_diagonals, panels, params, picture, titled):
    def image(pixels, title, limit):
        """Draw a matrix, blue above 0 and red below."""
        figure, (axes,) = panels(2.6, 2.8)
        figure.subplots_adjust(left=0.02, right=0.98, bottom=0.02)
        axes.imshow(pixels, cmap="RdBu", vmin=-limit, vmax=limit, interpolation="nearest")
        titled(axes, title)
        axes.set(xticks=[], yticks=[])
        return picture(figure, title)

    def mosaic(images):
        """Put sixteen images of 8×8 pixels side by side, with a line between."""
        padded = np.pad(images[:16].reshape(16, 8, 8), ((0, 0), (0, 1), (0, 1)))
        return padded.reshape(4, 4, 9, 9).transpose(0, 2, 1, 3).reshape(36, 36)

    _R = params.R[0]
    _beside_diagonal = _R - np.diag(np.diag(_R))
    mo.vstack(
        [
            beside(
                image(correlation(moments[0]), "correlations of the pixels", 1),
                image(correlation(moments[1]), "correlations of x₁ = R₁ y₀", 1),
                image(_beside_diagonal, "R₁ without its diagonal", np.abs(_beside_diagonal).max() or 1),
                image(mosaic(fields[0]), "receptive fields of 16 units, layer 1", 1),
            ),
            mo.md(
                "‖C_off‖ / ‖diag C‖ of the inputs of layers 1 to 3: "
                f"<b data-off>{', '.join(number(one) for one in off_diagonals)}</b>."
            ),
        ]
    )
    return


@app.cell
def _(mo):
    mo.md(
        r"""
        ## What to try

        1. **First R, then W.** Train ten epochs, then move the slider of the epoch. What do the correlations do in the
           first three epochs, and accuracy after them?
        2. **Too fast.** Raise $\eta_R$ to 0.2. `symmetric` bears it; does `right`, the rule as printed? Then raise
           $\eta_W$. What diverges says where it began.
        3. **Without help.** Set $\eta_R$ to its least and train ten epochs, with *copi-bp* and with *bp-decorrelated*.
           Only one of them needs $R$. Why does COPI feed back on itself? (Lecture 2: $W C_\text{off}$.)
        """
    )
    return


if __name__ == "__main__":
    app.run()
