"""Lecture 5: Inference Learning: states that settle, and steps that may be large."""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Inference Learning")


@app.cell
def _():
    from dataclasses import replace

    import marimo as mo
    import numpy as np

    import copi_ref as copi
    from copi_ref.data import load_digits
    from copi_ref.lectures.panels import BLUE, COLOURS, RED, beside, number, panels, picture, table, titled

    return (
        BLUE, COLOURS, RED, beside, copi, load_digits, mo, np, number, panels, picture, replace, table,
        titled,
    )  # fmt: skip


@app.cell
def _(mo):
    mo.md(
        r"""
        # Inference Learning

        *Which activities should the units have had, and what if weights move only to make those likely?*

        In Inference Learning (predictive coding) each layer has a state $h_l$ beside its prediction $W_l f(h_{l-1})$
        from below. The output's state is set to the target. Then the hidden states lower the energy $F =
        \tfrac12\sum_l \|e_l\|^2$ of the prediction errors $e_l = h_l - W_l f(h_{l-1})$, in $T$ steps of size
        $\gamma$. One digit, a network of 64, 20, 12 and 10 units, no $R$.
        """
    )
    return


@app.cell
def _(mo):
    sample = mo.ui.slider(0, 49, label="digit", show_value=True)
    steps = mo.ui.slider(0, 100, value=25, label="T", show_value=True)
    gamma = mo.ui.slider(steps=[0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 0.7, 1], value=0.1, label="γ", show_value=True)
    seed = mo.ui.slider(0, 9, label="seed", show_value=True)
    mo.hstack([sample, steps, gamma, seed], wrap=True, justify="start", gap=1.5)
    return gamma, sample, seed, steps


@app.cell
def _(copi, load_digits, np, sample, seed):
    digits = load_digits()
    f = copi.leaky_relu
    params = copi.init_params((64, 20, 12, 10), np.random.default_rng(seed.value), "float64", np)
    y0 = digits.x_train[sample.value : sample.value + 1].astype(float)
    target = np.eye(10)[digits.y_train[sample.value : sample.value + 1]]
    start = (*copi.forward_states(params, y0, f)[:-1], target)
    return digits, f, params, start, target, y0


@app.cell
def _(copi, f, gamma, np, params, start, steps, y0):
    settling = [start]
    with np.errstate(all="ignore"):
        for _ in range(steps.value):
            settling.append(copi.infer(params, y0, settling[-1], f, 1, gamma.value))
        settled = [copi.predictions(params, y0, states, f) for states in settling]
        energies = np.array([float(copi.il_energy(one)[0]) for one in settled])
        by_layer = np.array([[float(np.sum(e * e) / 2) for e in one.errors] for one in settled])
    return by_layer, energies, settled, settling


@app.cell
def _(COLOURS, beside, by_layer, energies, mo, np, number, panels, picture, settling, titled):
    _figure, (_energy, _states) = panels(4.6, 4.4, 2, 1)
    _energy.plot(energies, color="black", label="F")
    for _layer, _colour, _dashes in zip(range(3), COLOURS, ("--", "-.", ":"), strict=False):
        _energy.plot(by_layer[:, _layer], _dashes, color=_colour, label=f"½‖e{'₁₂₃'[_layer]}‖²")
    _energy.legend(fontsize=8, ncols=4, loc="upper right")
    titled(_energy, "energy over steps of inference")
    for _unit, _colour in zip(np.array([states[1][0] for states in settling]).T, 2 * COLOURS, strict=True):
        _states.plot(_unit, linewidth=1, color=_colour)
    titled(_states, "the 12 states of hidden layer 2")
    _rises = int(np.sum(~(np.diff(energies) <= 1e-12)))
    _said = (
        f"<div>F fell from {number(energies[0])} to <b data-energy>{number(energies[-1])}</b>.</div>"
        if not _rises
        else f"<div>F went from {number(energies[0])} to <b data-energy>{number(energies[-1])}</b>, "
        f"and <b>rose in {_rises} steps: γ is too large.</b></div>"
    )
    mo.vstack([mo.md("## States settle"), beside(picture(_figure, "energy and states over steps"), _said)])
    return


@app.cell
def _(mo):
    mo.md(
        r"""
        At first all of the error is at the output. As the states give way, it spreads to all layers: each bears a
        part of the blame. Then every weight learns from its own layer alone, $\Delta W_l = e_l f(h_{l-1})^\top$.

        ## How large may a step be?

        Two ways to go on. **IL** multiplies $\Delta W$ with a learning rate. **Proximal IL** takes the rate $\alpha$
        into the energy of its states, and then the smallest step of the weights that makes those states come true:
        nearly the implicit step of gradient descent, $W^+ = W - \alpha\nabla\ell(W^+)$. Here is the loss on this
        digit after one step.
        """
    )
    return


@app.cell
def _(copi, f, np, params, replace, settled, target, y0):
    RATES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
    task = copi.Task(target, copi.half_quadratic, f, output="linear")

    def loss_after(updates, rate):
        """The loss on the digit once the weights have moved."""
        moved = replace(params, W=tuple(W + rate * dW for W, dW in zip(params.W, updates, strict=True)))
        return float(copi.half_quadratic(copi.forward(moved, y0, f).a[-1], target)[0])

    def proximal_update(alpha):
        """The step of proximal IL for a rate α; its states start at the forward pass and settle in 100 steps."""
        forward = copi.forward_states(params, y0, f)
        states = copi.infer_prox(params, y0, forward, task, alpha, steps=100, gamma=0.5)
        return copi.il_prox_update(copi.predictions(params, y0, states, f))

    with np.errstate(all="ignore"):
        before = loss_after([0 * W for W in params.W], 1)
        explicit = [loss_after(copi.il_update(settled[-1]), rate) for rate in RATES]
        proximal = [loss_after(proximal_update(rate), 1) for rate in RATES]
    return RATES, before, explicit, proximal


@app.cell
def _(BLUE, RATES, RED, before, beside, explicit, number, panels, picture, proximal, table, titled):
    _figure, (_axes,) = panels(4.6, 3.0)
    _axes.plot(RATES, explicit, "s--", color=RED, label="IL", markersize=4)
    _axes.plot(RATES, proximal, "o-", color=BLUE, label="proximal IL", markersize=4)
    _axes.axhline(before, color="grey", linewidth=0.8, linestyle=":")
    _axes.set(xscale="log", yscale="log")
    titled(_axes, "loss after one step, by rate (dotted: before)")
    _axes.legend(fontsize=8)
    _rows = [(number(rate), number(a), number(b)) for rate, a, b in zip(RATES, explicit, proximal, strict=True)]
    beside(
        picture(_figure, "loss after one step of IL and of proximal IL, by rate"),
        table(("rate", "IL", "proximal IL"), _rows),
    )
    return


@app.cell
def _(mo):
    rate = mo.ui.slider(steps=[0.01, 0.1, 1, 2.5, 10, 100], value=1, label="rate", show_value=True)
    train = mo.ui.run_button(label="train on 100 digits, one at a time")
    mo.vstack([mo.md("## A hundred digits"), mo.hstack([rate, train], wrap=True, justify="start")])
    return rate, train


@app.cell
def _(beside, copi, digits, mo, np, rate, seed, table, train):
    mo.stop(not train.value, mo.md("*Not trained at this rate yet.*"))
    _few = copi.Dataset(digits.x_train[:100], digits.y_train[:100], digits.x_test, digits.y_test)
    _common = {"eta_r": 0, "lateral_rule": "none", "batch_size": 1, "loss": copi.half_quadratic}
    _inferred = {"states": "inferred", **_common}
    recipes = {
        "backpropagation": copi.Recipe(eta_w=rate.value, weight_rule="sgd", **_common),
        "IL": copi.Recipe(eta_w=rate.value, credit="il", weight_rule="sgd", **_inferred),
        "proximal IL": copi.Recipe(
            eta_w=1, credit=copi.ProximalInferenceLearning(alpha=rate.value), weight_rule="nlms", **_inferred
        ),
    }

    def _trained(recipe):
        state = copi.init_state(recipe, (64, 20, 10), np.random.default_rng(seed.value), np)
        try:
            return f"test accuracy {copi.fit(recipe, state, _few, 1).metrics[0]['test_accuracy']:.3f}"
        except copi.NonFiniteError as error:
            return str(error)

    reached = {name: _trained(recipe) for name, recipe in recipes.items()}
    beside(table(("method", f"at a rate of {rate.value:g}"), list(reached.items())))
    return (reached,)


@app.cell
def _(mo):
    mo.md(
        r"""
        ## What to try

        1. **Too hasty.** Raise $\gamma$ until the energy rises in some steps. Which states swing?
        2. **No inference.** Set $T = 0$. Which layers learn now, and why? What changes with $T = 1$, and with $T = 2$?
        3. **Growing rates.** Train on a hundred digits at rates from 0.01 to 100. Which methods leave the finite
           numbers? Does the one that stays learn well there?
        """
    )
    return


if __name__ == "__main__":
    app.run()
