"""Wrong functions: one equation, forward pass or backward pass."""

from mutants.mutant import edited, replaced

_COPI = "copi_update"
_SGD = "sgd_update"
_LATERAL = "decorrelation_update"
_FORWARD = "forward"
_BACK = "perturbations"

FUNCTION_MUTANTS = (
    # the forward weights
    edited(_COPI, "the sum is not divided by N", "z.T @ x / N", "z.T @ x", "weight-hebb-sum"),
    edited(_COPI, "N is the number of features", "x.shape[0]", "x.shape[1]", "weight-hebb-over-inputs"),
    edited(_COPI, "len of the wrong array", "x.shape[0]", "len(W)", "weight-hebb-over-units"),
    edited(_COPI, "unbiased N - 1", "return hebb - decay", "return (hebb - decay) * N / (N - 1)", "weight-n-minus-1"),
    edited(_COPI, "decay added", "hebb - decay", "hebb + decay", "weight-decay-sign"),
    edited(_COPI, "decay forgotten", "hebb - decay", "hebb", "weight-no-decay"),
    edited(_COPI, "everything negated", "hebb - decay", "decay - hebb", "weight-sign"),
    edited(_COPI, "square of the mean", "np.mean(x**2, axis=0)", "np.mean(x, axis=0) ** 2",
           "weight-decay-square-of-mean"),
    edited(_COPI, "np.var for E[x²]", "np.mean(x**2, axis=0)", "np.var(x, axis=0)", "weight-decay-variance"),
    edited(_COPI, "np.std for E[x²]", "np.mean(x**2, axis=0)", "np.std(x, axis=0)", "weight-decay-standard-deviation"),
    edited(_COPI, "np.linalg.norm for its square", "np.mean(x**2, axis=0)", "np.linalg.norm(x, axis=0)",
           "weight-decay-norm"),
    edited(_COPI, "mean over everything", "np.mean(x**2, axis=0)", "np.mean(x**2)", "weight-decay-mean-power"),
    edited(_COPI, "sum for mean in the decay", "np.mean(x**2, axis=0)", "np.sum(x**2, axis=0)", "weight-decay-sum"),
    edited(_COPI, "square forgotten", "x**2", "x", "weight-decay-not-squared"),
    edited(_COPI, "whole matrix in the decay", "W * np.mean(x**2, axis=0)", "W @ (x.T @ x / N)",
           "weight-decay-full-matrix"),
    edited(_COPI, "Oja's decay", "W * np.mean(x**2, axis=0)", "np.mean(z**2, axis=0)[:, None] * W",
           "weight-decay-by-output"),
    edited(_COPI, "z and x the wrong way round", "z.T @ x", "x.T @ z", "verdict"),
    edited(_COPI, "wrong axis", "axis=0", "axis=1", "verdict"),
    edited(_COPI, "means before the outer product", "z.T @ x / N", "np.outer(z.mean(axis=0), x.mean(axis=0))",
           "weight-outer-of-means"),
    edited(_COPI, "epsilon in the decay", "np.mean(x**2, axis=0)", "(np.mean(x**2, axis=0) + 1e-8)",
           "added-decay(1e-08)"),
    replaced(_COPI, "last sample overwrites the others", """
def copi_update(x, z, W):
    for n in range(len(x)):
        dW = np.outer(z[n], x[n]) - W * x[n] ** 2
    return dW
""", "weight-last-sample"),
    replaced(_COPI, "loop starts at 1", """
def copi_update(x, z, W):
    dW = np.zeros_like(W)
    for n in range(1, len(x)):
        dW += np.outer(z[n], x[n]) - W * x[n] ** 2
    return dW / len(x)
""", "weight-misses-first-sample"),
    replaced(_COPI, "W and the decay in place", """
def copi_update(x, z, W):
    W *= np.mean(x**2, axis=0)
    return z.T @ x / len(x) - W
""", "verdict"),
    # gradient descent
    edited(_SGD, "gradient for descent", "delta.T @ x / N", "-delta.T @ x / N", "sgd-sign"),
    edited(_SGD, "sum for mean", "delta.T @ x / N", "delta.T @ x", "reduction='sum'"),
    edited(_SGD, "divides by 2N", "delta.T @ x / N", "delta.T @ x / (2 * N)", "sgd-factor(0.5)"),
    edited(_SGD, "N is the number of features", "x.shape[0]", "x.shape[1]", "sgd-mean-over-inputs"),
    # the lateral weights
    edited(_LATERAL, "sign", "-R @ C_off", "R @ C_off", "lateral-sign"),
    edited(_LATERAL, "other order", "-R @ C_off", "-C_off @ R", "lateral_rule='left'"),
    edited(_LATERAL, "diagonal left in", "-R @ C_off", "-R @ C", "lateral-diagonal"),
    edited(_LATERAL, "R transposed", "-R @ C_off", "-R.T @ C_off", "lateral-R-transposed"),
    edited(_LATERAL, "elementwise product", "-R @ C_off", "-R * C_off", "lateral-elementwise"),
    edited(_LATERAL, "symmetric part of it", "return -R @ C_off", "M = R @ C_off\n    return -(M + M.T) / 2",
           "lateral-symmetrised"),
    edited(_LATERAL, "covariance", "C = x.T @ x / N", "C = np.atleast_2d(np.cov(x.T, bias=True))",
           "lateral-covariance"),
    edited(_LATERAL, "np.diag once", "C - np.diag(np.diag(C))", "C - np.diag(C)", "lateral-diagonal-from-rows"),
    edited(_LATERAL, "identity for the diagonal", "np.diag(np.diag(C))", "np.eye(len(C))", "lateral-whitening"),
    edited(_LATERAL, "diagonal of the product removed", "return -R @ C_off",
           "dR = -R @ C\n    np.fill_diagonal(dR, 0)\n    return dR", "lateral-diagonal-of-product"),
    edited(_LATERAL, "lower triangle", "C - np.diag(np.diag(C))", "np.tril(C, -1)", "lateral-lower-triangle"),
    edited(_LATERAL, "factor ½ of the loss forgotten", "-R @ C_off", "-2 * R @ C_off", "lateral-factor(2)"),
    edited(_LATERAL, "half of the rule not halved", "-(M + M.T) / 2", "-(M + M.T)", "lateral-not-halved",
           base="symmetric"),
    edited(_LATERAL, "diagonal removed in place from a view", "C_off = C - np.diag(np.diag(C))",
           "C_off = C\n    np.fill_diagonal(R, 0)", "verdict"),
    # forward
    edited(_FORWARD, "R not transposed", "y @ R[i].T", "y @ R[i]", "forward-R-transposed"),
    edited(_FORWARD, "R forgotten", "y @ R[i].T", "y", "forward-no-R"),
    edited(_FORWARD, "a from y", "a = x @ W[i].T", "a = y @ W[i].T", "forward-a-from-y"),
    edited(_FORWARD, "linear output", "y = f(a)", "y = f(a) if i < len(W) - 1 else a",
           "output_activation='identity'"),
    edited(_FORWARD, "slope 0.01", "y = f(a)", "y = np.where(a > 0, a, 0.01 * a)", "slope=0.01"),
    edited(_FORWARD, "ReLU", "y = f(a)", "y = np.maximum(a, 0)", "activation='relu'"),
    edited(_FORWARD, "softmax output", "y = f(a)",
           "y = f(a) if i < len(W) - 1 else np.exp(a) / np.exp(a).sum(axis=1, keepdims=True)",
           "forward-softmax-output"),
    edited(_FORWARD, "x kept before R", "xs.append(x)", "xs.append(y if i == 0 else ys[i - 1])", "forward-x-is-y",
           "verdict"),
    edited(_FORWARD, "input kept in ys", "y = y0\n", "y = y0\n    ys.append(y)\n", "verdict"),
    edited(_FORWARD, "batch normalised on the way", "x = y @", "y = y - y.mean(axis=0)\n        x = y @",
           "forward-centred"),
    # perturbations
    edited(_BACK, "the 2 dropped", "2 * (target", "(target", "loss_factor=1"),
    edited(_BACK, "gradient for descent", "target - y[-1]", "y[-1] - target", "delta-sign"),
    edited(_BACK, "f′ of the output dropped", "df(a[-1]) * error", "error", "delta-no-slope-at-output"),
    edited(_BACK, "R dropped", " @ R[i + 1]", "", "delta-no-R"),
    edited(_BACK, "R transposed", "R[i + 1]", "R[i + 1].T", "delta-R-transposed"),
    edited(_BACK, "f′ dropped below", "df(a[i]) * back", "back", "delta-no-slope-in-hidden"),
    edited(_BACK, "deltas from the top", "deltas.insert(0, df(a[i]) * back)",
           "deltas.insert(0, df(a[i]) * back)\n    deltas.reverse()", "verdict"),
    edited("df", "f′(0) is the slope", ">=", ">", "derivative_at_zero=0.1", checked=_BACK),
    edited("df", "f′ of ReLU", "SLOPE", "0.0", "delta-slope-of-relu", checked=_BACK),
    edited("df", "tanh′ takes y", "np.tanh(a) ** 2", "a**2", "delta-slope-formula-at-a", checked=_BACK, base="tanh"),
    edited("df", "sigmoid′ takes y", "f(a) * (1 - f(a))", "a * (1 - a)", "delta-slope-formula-at-a", checked=_BACK,
           base="sigmoid"),
    edited(_BACK, "B not transposed", "B[i].T", "B[i]", "verdict", base="fa"),
    edited(_BACK, "error scale forgotten", "1000 * ", "", "error_scale=1", base="tmlr"),
)  # fmt: skip
