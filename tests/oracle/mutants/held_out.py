"""Mutants that were held out: a blind measure of how well the oracle names mistakes.

They were written from the equations and from `plain.py` alone, without a look at the catalogue or at the other
mutants, and put into two tuples after one run. In that first run, before any extension of the catalogue:

- rejected: 40 of 40;
- rightly named: 32 of 40 (19 of 25 steps, 13 of 15 functions). Seven of the 32 are verdicts; three of these say only
  what came of the mistake (a shape that is wrong, an exception), not what the mistake is;
- not named: 6; named wrongly: 2 (mistakes that were taken for rounding to bfloat16).

`HELD_OUT` are those that were rightly named, with the name that was reported. `HELD_OUT_UNNAMED` are the others; the
catalogue had none of these eight then, and has them now, under the names given here.
"""

from mutants.mutant import Mutant, edited, replaced

_ZERO_GRAD_FORGOTTEN = """
_right_step = step
_gradients = {}


def step(W, R, y0, target, eta_w, eta_r):
    shapes = tuple(w.shape for w in W)
    new_W, new_R = _right_step(W, R, y0, target, 1.0, 1.0)
    dW = [new - old for new, old in zip(new_W, W)]
    dR = [new - old for new, old in zip(new_R, R)]
    if shapes in _gradients:
        dW = [d + kept for d, kept in zip(dW, _gradients[shapes][0])]
        dR = [d + kept for d, kept in zip(dR, _gradients[shapes][1])]
    _gradients[shapes] = dW, dR
    return [w + eta_w * d for w, d in zip(W, dW)], [r + eta_r * d for r, d in zip(R, dR)]
"""

_ONLINE = """
_right_step = step


def step(W, R, y0, target, eta_w, eta_r):
    for n in range(len(y0)):
        W, R = _right_step(W, R, y0[n : n + 1], target[n : n + 1], eta_w, eta_r)
    return W, R
"""

_R_FIRST = """
_right_step = step


def step(W, R, y0, target, eta_w, eta_r):
    R, y = list(R), y0
    for i in range(len(W)):
        R[i] = R[i] + eta_r * decorrelation_update(y @ R[i].T, R[i])
        y = f(y @ R[i].T @ W[i].T)
    new_W, _ = _right_step(W, R, y0, target, eta_w, eta_r)
    return new_W, R
"""

HELD_OUT: tuple[Mutant, ...] = (
    edited(
        "step",
        "the backward loop stops one layer early, so the first layer has no perturbation (δ_1 = 0)",
        "range(n_layers - 2, -1, -1)",
        "range(n_layers - 2, 0, -1)",
        "step-first-delta-zero",
    ),
    edited(
        "step",
        "the loss is already a mean over the batch, and ΔW takes the mean again: δ is divided by N",
        "2 * (target - ys[-1])",
        "2 * (target - ys[-1]) / n_samples",
        "delta-over-n",
    ),
    edited(
        "step",
        "the loss is a mean over the outputs, as torch's MSELoss: δ is divided by the number of outputs",
        "2 * (target - ys[-1])",
        "2 * (target - ys[-1]) / target.shape[1]",
        "delta-over-outputs",
    ),
    edited(
        "step",
        "the decay of W takes the variance of x (as a batch norm does), not E[x²]",
        "np.mean(x**2, axis=0)",
        "np.var(x, axis=0)",
        "weight-decay-variance",
    ),
    edited(
        "step",
        "np.diag is taken once, so the vector diag(C) is subtracted from every row of C",
        "np.diag(np.diag(C))",
        "np.diag(C)",
        "lateral-diagonal-from-rows",
    ),
    edited(
        "step",
        "only the upper triangle of C is left in C_off",
        "C - np.diag(np.diag(C))",
        "np.triu(C, 1)",
        "lateral-upper-triangle",
        base="left",
    ),
    edited(
        "step",
        "the identity is subtracted from C, not its diagonal (whitening)",
        "C - np.diag(np.diag(C))",
        "C - np.eye(len(C))",
        "lateral-whitening",
        base="symmetric",
    ),
    edited(
        "step",
        "DFA sends back the raw error 2 (y* − y_L), without f′(a_L), where δ_L belongs",
        "deltas[-1] @ B[i].T",
        "error @ B[i].T",
        "dfa_error='output'",
        base="dfa",
    ),
    edited(
        "step",
        "FA replaces W alone by B: R is still in the backward pass, B δ is multiplied by Rᵀ",
        "deltas[i + 1] @ B[i].T",
        "deltas[i + 1] @ B[i].T @ R[i + 1]",
        "delta-R-after-feedback",
        base="fa",
    ),
    edited(
        "df",
        "the derivative of tanh is written for outputs, 1 − y², but is given a: 1 − a²",
        "1 - np.tanh(a) ** 2",
        "1 - a**2",
        "delta-slope-formula-at-a",
        base="tanh",
        checked="step",
    ),
    replaced(
        "step",
        "the slope of the leaky ReLU is 0.01, torch's default, in f and f′",
        "\nSLOPE = 0.01\n",
        "slope=0.01",
    ),
    edited(
        "step",
        "δ_L has no f′(a_L), as the prediction is a_L",
        "df(as_[-1]) * error",
        "error",
        "output_activation='identity'",
        base="tmlr",
    ),
    edited(
        "step",
        "ΔW and ΔR are handed to an optimiser that subtracts: both updates have the wrong sign",
        "W[i] + eta_w * dW\n        new_R[i] = R[i] + eta_r * dR",
        "W[i] - eta_w * dW\n        new_R[i] = R[i] - eta_r * dR",
        "step-subtracted",
    ),
    replaced(
        "step",
        "zero_grad is forgotten: the updates of earlier calls are added to those of later ones",
        _ZERO_GRAD_FORGOTTEN,
        "state-leak",
    ),
    replaced(
        "step",
        "the batch is run as single samples, W and R updated after each of them",
        _ONLINE,
        "step-sample-by-sample",
    ),
    edited(
        "step",
        "the decay is Oja's: E[z²] of the layer's own units multiplies the rows of W, not E[x²] its columns",
        "W[i] * power",
        "W[i] * np.mean(z**2, axis=0)[:, None]",
        "weight-decay-by-output",
    ),
    edited(
        "step",
        "the output is clamped: z_L is the target itself, not a_L + δ_L",
        "z = as_[i] + deltas[i]",
        "z = as_[i] + deltas[i] if i < n_layers - 1 else target",
        "step-z-is-target",
    ),
    replaced(
        "step",
        "R is updated in the forward pass, and all that follows (x, a, δ, ΔW) is made with the new R",
        _R_FIRST,
        "step-R-updated-in-forward",
    ),
    edited(
        "step",
        "R and W are returned in the wrong order",
        "return new_W, new_R",
        "return new_R, new_W",
        "verdict",
    ),
    edited(
        "copi_update",
        "x is squared in place, so the caller's x is overwritten",
        "np.mean(x**2, axis=0)",
        "np.mean(np.square(x, out=x), axis=0)",
        "verdict",
    ),
    edited(
        "copi_update",
        "the decay takes the square of the mean, E[x]², not the mean of the square",
        "np.mean(x**2, axis=0)",
        "np.mean(x, axis=0) ** 2",
        "weight-decay-square-of-mean",
    ),
    edited(
        "copi_update",
        "the Hebbian term is the outer product of batch means, E[z] E[x]ᵀ, not E[z xᵀ]",
        "z.T @ x / N",
        "np.outer(z.mean(axis=0), x.mean(axis=0))",
        "weight-outer-of-means",
    ),
    edited(
        "copi_update",
        "the decay takes the norm of x over the batch, √Σx², not E[x²]",
        "np.mean(x**2, axis=0)",
        "np.linalg.norm(x, axis=0)",
        "weight-decay-norm",
    ),
    edited(
        "sgd_update",
        "divides by the number of outputs, not of samples",
        "N = x.shape[0]",
        "N = delta.shape[1]",
        "sgd-mean-over-units",
    ),
    edited(
        "sgd_update",
        "ΔW is transposed, (inputs, outputs), as a kernel of Flax or Keras",
        "delta.T @ x / N",
        "x.T @ delta / N",
        "verdict",
    ),
    edited(
        "decorrelation_update",
        "the ½ of the symmetrised update is missing",
        "-(M + M.T) / 2",
        "-(M + M.T)",
        "lateral-not-halved",
        base="symmetric",
    ),
    edited(
        "decorrelation_update",
        "the diagonal is taken off the product C R, not off C",
        "return -C_off @ R",
        "M = C @ R\n    return -(M - np.diag(np.diag(M)))",
        "lateral-diagonal-of-product",
        base="left",
    ),
    edited(
        "forward",
        "the last layer has no activation: y_L = a_L, as in a torch Sequential",
        "y = f(a)",
        "y = f(a) if i < len(W) - 1 else a",
        "output_activation='identity'",
    ),
    edited(
        "forward",
        "the list of outputs begins with y0, so it has one entry too many",
        "xs, as_, ys = [], [], []",
        "xs, as_, ys = [], [], [y0]",
        "verdict",
    ),
    edited(
        "forward",
        "all is computed in float32 though float64 came in, as JAX does without x64",
        "    y = y0\n",
        "    y = y0.astype(np.float32)\n    W = [w.astype(np.float32) for w in W]\n"
        "    R = [r.astype(np.float32) for r in R]\n",
        "verdict",
    ),
    edited(
        "perturbations",
        "the list is built from the output back and not reversed: δ_L stands first",
        "back = deltas[0] @ W[i + 1] @ R[i + 1]\n        deltas.insert(0, df(a[i]) * back)",
        "back = deltas[-1] @ W[i + 1] @ R[i + 1]\n        deltas.append(df(a[i]) * back)",
        "verdict",
    ),
    edited(
        "perturbations",
        "the feedback matrices are taken in reverse order, B[L − i] for B[i]",
        "B[i]",
        "B[len(B) - 1 - i]",
        "verdict",
        base="dfa",
    ),
)

HELD_OUT_UNNAMED: tuple[Mutant, ...] = (
    edited(
        "step",
        "the backward loop runs from the first layer to the last, so all hidden errors but the last hidden one are 0",
        "for i in range(n_layers - 2, -1, -1):",
        "for i in range(n_layers - 1):",
        "step-only-upper-deltas",
    ),
    edited(
        "step",
        "on the way back f′ is taken of the layer above, whose δ has it already, and not of this layer",
        "back = deltas[i + 1] @ W[i + 1] @ R[i + 1]\n        deltas[i] = df(as_[i]) * back",
        "deltas[i] = (df(as_[i + 1]) * deltas[i + 1]) @ W[i + 1] @ R[i + 1]",
        "delta-slope-of-layer-above-for-own",
    ),
    edited(
        "step",
        "C is np.cov: centred, and divided by N − 1",
        "C = x.T @ x / n_samples",
        "C = np.cov(x, rowvar=False)",
        "lateral-sample-covariance",
        base="left",
    ),
    edited(
        "step",
        "the output layer is linear: y_L = a_L, and δ_L has no f′(a_L)",
        "error = 2 * (target - ys[-1])\n    deltas[-1] = df(as_[-1]) * error",
        "deltas[-1] = 2 * (target - as_[-1])",
        "output_activation='identity'",
    ),
    edited(
        "step",
        "the loss is softmax cross-entropy on a_L: δ_L = y* − softmax(a_L)",
        "error = 2 * (target - ys[-1])\n    deltas[-1] = df(as_[-1]) * error",
        "e = np.exp(as_[-1] - as_[-1].max(axis=1, keepdims=True))\n"
        "    deltas[-1] = target - e / e.sum(axis=1, keepdims=True)",
        "delta-softmax-cross-entropy",
    ),
    edited(
        "step",
        "the error scale of 1000 is applied at each layer on the way back again, so it compounds",
        "df(as_[i]) * back",
        "1000 * df(as_[i]) * back",
        "delta-error-scale-compounds",
        base="tmlr",
    ),
    edited(
        "decorrelation_update",
        "C is np.corrcoef: correlation coefficients, not second moments",
        "C = x.T @ x / N",
        "C = np.corrcoef(x, rowvar=False)",
        "lateral-pearson",
    ),
    edited(
        "df",
        "the square in the derivative of the sigmoid is missing: e⁻ᵃ/(1 + e⁻ᵃ), which is 1 − f(a)",
        "f(a) * (1 - f(a))",
        "np.exp(-a) / (1 + np.exp(-a))",
        "delta-slope-one-minus-f",
        base="sigmoid",
        checked="perturbations",
    ),
)
