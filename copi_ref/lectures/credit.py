"""Lecture 3: who gets the blame, by six credit methods."""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Who gets the blame")


@app.cell
def _():
    from dataclasses import replace

    import marimo as mo
    import numpy as np

    import copi_ref as copi
    from copi_ref.analysis.diagnostics import angle, layer_diagnostics
    from copi_ref.data import load_digits
    from copi_ref.lectures.panels import BLUE, COLOURS, ORANGE, beside, panels, picture, table, titled
    from copi_ref.training.batches import move

    return (
        BLUE, COLOURS, ORANGE, angle, beside, copi, layer_diagnostics, load_digits, mo, move, np, panels,
        picture, replace, table, titled,
    )  # fmt: skip


@app.cell
def _(mo):
    mo.md(
        r"""
        # Who gets the blame

        *The output is wrong. Which hidden unit is to change, and by how much, if nobody sends it a gradient?*

        COPI needs a perturbation $\delta_l$ of every layer and does not ask where it comes from. Six methods, on the
        same digits, from the same network of 64, 16, 12 and 10 units. Each has its own answer at the hidden layers,
        and all start from the same $\delta_3$ at the output (node perturbation guesses that too).
        """
    )
    return


@app.cell
def _(copi):
    METHODS = {
        "bp": "backpropagation: δ comes down through the transposed weights",
        "fa": "feedback alignment: down through fixed random weights",
        "dfa": "direct feedback alignment: from the output to each layer, through fixed random weights",
        "tp": "target propagation: a target comes down through a learnt inverse of the layer",
        "node": "node perturbation: add noise to all units, and see how the loss answers",
        "il": "Inference Learning: states settle between what is below and what is above",
    }
    assert METHODS.keys() <= copi.CREDIT.keys()
    LAST = 15
    return LAST, METHODS


@app.cell
def _(METHODS, mo):
    method = mo.ui.dropdown(list(METHODS), value="fa", label="method")
    seed = mo.ui.slider(0, 9, label="seed", show_value=True)
    sample = mo.ui.slider(0, 49, label="sample", show_value=True)
    going = mo.ui.switch(label="train all six")
    return going, method, sample, seed


@app.cell
def _(METHODS, copi, load_digits, move, np, seed):
    digits = load_digits()
    recipes = {
        name: copi.Recipe(eta_w=0.02, eta_r=0.02, credit=name, error_scale=5 if name == "node" else 20)
        for name in METHODS
    }
    starts = {
        name: copi.init_state(recipe, (64, 16, 12, 10), np.random.default_rng(seed.value), np)
        for name, recipe in recipes.items()
    }
    samples, _ = move(starts["bp"].params, digits)
    return digits, recipes, samples, starts


@app.cell
def _(layer_diagnostics, mo, recipes, samples, starts):
    def angles(name, state):
        """The angle of each layer's δ to backpropagation's, over the training samples."""
        measured = layer_diagnostics(recipes[name], state, samples)
        return [measured[f"angle_{layer}"] for layer in (1, 2, 3)]

    get_runs, set_runs = mo.state({name: ((state, angles(name, state)),) for name, state in starts.items()})
    return angles, get_runs, set_runs


@app.cell
def _(METHODS, going, method, mo, sample, seed):
    clock = mo.ui.refresh(default_interval=1, options=[1]) if going.value else None
    mo.vstack(
        [
            mo.hstack([method, mo.md(METHODS[method.value])], wrap=True, justify="start"),
            mo.hstack([sample, seed, going, clock or ""], wrap=True, justify="start", gap=1.5),
        ]
    )
    return (clock,)


@app.cell
def _(LAST, angles, clock, copi, digits, get_runs, going, recipes, set_runs):
    def one_more(name, run):
        """Return a method's run with one more epoch; it stays as it is after the last, or where it has diverged."""
        if len(run) > LAST:
            return run
        try:
            state = copi.fit(recipes[name], run[-1][0], digits, 1).state
        except copi.NonFiniteError:
            return run
        return (*run, (state, angles(name, state)))

    clock  # at each of its ticks
    if going.value:
        _runs = get_runs()
        _after = {name: one_more(name, run) for name, run in _runs.items()}
        if any(_after[name] is not _runs[name] for name in _runs):  # else nothing is drawn again for nothing
            set_runs(_after)
    return (one_more,)


@app.cell
def _(copi, digits, get_runs, method, np, recipes):
    chosen = method.value
    state = get_runs()[chosen][-1][0]
    y0, labels = digits.x_train[:50], digits.y_train[:50]
    _task = copi.Task(np.eye(10, dtype="float32")[labels], feedback=state.feedback, rng=np.random.default_rng(0))
    trace = copi.forward(state.params, y0)
    deltas = copi.CREDIT[recipes[chosen].credit](state.params, trace, _task)
    gradients = copi.CREDIT["bp"](state.params, trace, _task)
    return chosen, deltas, gradients, labels


@app.cell
def _(BLUE, ORANGE, angle, beside, chosen, deltas, gradients, labels, mo, np, panels, picture, sample, titled):
    def _long_as_one(delta):
        return delta / (np.linalg.norm(delta) or 1)

    _figure, _rows = panels(4.6, 4.8, 3, 1)
    for _layer, (_axes, _delta, _gradient) in enumerate(zip(_rows, deltas, gradients, strict=True), start=1):
        _mine, _bp = (_long_as_one(one[sample.value]) for one in (_delta, _gradient))
        _units = np.arange(len(_mine))
        _axes.bar(_units - 0.2, _bp, 0.4, color=BLUE, label="bp")
        _axes.bar(_units + 0.2, _mine, 0.4, color=ORANGE, edgecolor="black", linewidth=0.5, label=chosen)
        _axes.axhline(0, color="grey", linewidth=0.5)
        _to_bp = float(angle(_delta[sample.value : sample.value + 1], _gradient[sample.value : sample.value + 1]))
        titled(_axes, f"δ of layer {_layer}, scaled to length 1: {_to_bp:.0f}° to bp")
    _rows[0].legend(fontsize=8)
    _says = f"bars of δ of each layer by {chosen} beside those of backpropagation"
    mo.vstack([mo.md(f"Sample {sample.value}, a {labels[sample.value]}:"), beside(picture(_figure, _says))])
    return


@app.cell
def _(COLOURS, LAST, beside, get_runs, mo, panels, picture, table, titled):
    runs = get_runs()
    _figure, _panels = panels(4.6, 3.4, 2, 1)
    for _layer, _axes in enumerate(_panels):
        for (_name, _run), _colour, _mark in zip(runs.items(), COLOURS, "osD^vx", strict=False):
            _axes.plot([at[_layer] for _, at in _run], marker=_mark, markersize=3, color=_colour, label=_name)
        _axes.axhline(90, color="grey", linewidth=0.5, linestyle=":")
        _axes.set(xlim=(0, LAST), ylim=(-5, 125))
        titled(_axes, f"angle to bp in degrees, hidden layer {_layer + 1}, by epoch")
    _panels[0].legend(fontsize=7, ncols=3)
    _rows = [
        (
            name,
            len(run) - 1,
            *(f"{degrees:.0f}°" for degrees in run[0][1]),
            *(f"{degrees:.0f}°" for degrees in run[-1][1]),
        )
        for name, run in runs.items()
    ]
    _heads = ("method", "epochs", "first: δ₁", "δ₂", "δ₃", "now: δ₁", "δ₂", "δ₃")
    _angles = beside(picture(_figure, "angles over epochs"), table(_heads, _rows))
    mo.vstack([mo.md("## The angle to backpropagation"), _angles])
    return (runs,)


@app.cell
def _(mo):
    mo.md(
        r"""
        An angle below 90° is all that a small step needs to lower the loss. A random direction among many units is at
        about 90°.

        ## What to try

        1. **Alignment.** Before training, feedback alignment's $\delta$ is at about 90° to the gradient: the weights
           it comes through are random. Train, and see the angle fall. Its feedback weights stay as they are; so what
           has changed?
        2. **The same on average.** Node perturbation is close to 90° for one batch, and yet its mean is the gradient.
           What does that cost?
        3. **A target is not a gradient.** Target propagation ends near 90°. Compare its bars with backpropagation's,
           sample by sample: where do they agree?
        """
    )
    return


if __name__ == "__main__":
    app.run()
