"""Wrong steps: right equations put together wrongly, and wrong ones written out in them."""

from functools import partial

from mutants.mutant import edited

_edited = partial(edited, "step")

STEP_MUTANTS = (
    # forward
    _edited("R not transposed", "ys[i] @ R[i].T", "ys[i] @ R[i]", "forward-R-transposed"),
    _edited("R forgotten", "ys[i] @ R[i].T", "ys[i]", "forward-no-R"),
    _edited("a from y", "x @ W[i].T", "ys[i] @ W[i].T", "forward-a-from-y"),
    _edited("linear output", "y = f(a)", "y = f(a) if i < n_layers - 1 else a", "forward-linear-output",
            "output='pre-activation'"),
    _edited("first layer without R", "x = ys[i] @ R[i].T", "x = ys[i] @ R[i].T if i else y0",
            "forward-R-not-in-first-layer"),
    _edited("inputs centred", "ys = [], [], [y0]", "ys = [], [], [y0 - y0.mean(axis=0)]", "forward-input-centred"),
    _edited("inputs divided by 255", "ys = [], [], [y0]", "ys = [], [], [y0 / 255.0]", "forward-input-scaled"),
    _edited("inputs centred in place", "ys = [], [], [y0]", "ys = [], [], [y0]\n    y0 -= y0.mean(axis=0)", "verdict"),
    _edited("softmax output", "as_.append(a)", "as_.append(a)\n" "        if i == n_layers - 1:\n"
            "            y = np.exp(a - a.max(axis=1, keepdims=True))\n"
            "            y = y / y.sum(axis=1, keepdims=True)", "forward-softmax-output"),
    # backward
    _edited("the 2 dropped", "2 * (target", "(target", "loss_factor=1"),
    _edited("gradient for descent", "target - ys[-1]", "ys[-1] - target", "delta-sign"),
    _edited("loss is a mean over the batch", "2 * (target - ys[-1])", "2 * (target - ys[-1]) / n_samples",
            "delta-over-n"),
    _edited("loss is np.mean of everything", "2 * (target - ys[-1])", "2 * (target - ys[-1]) / target.size",
            "delta-over-n-and-outputs"),
    _edited("error of the pre-activation", "target - ys[-1]", "target - as_[-1]", "output='pre-activation'"),
    _edited("f′ of the output dropped", "df(as_[-1]) * error", "error", "delta-no-slope-at-output"),
    _edited("f′ dropped below", "df(as_[i]) * back", "back", "delta-no-slope-in-hidden"),
    _edited("f′ at y", "df(as_[i]) * back", "df(ys[i + 1]) * back", "delta-slope-at-y-in-hidden", base="tanh"),
    _edited("f′ at y everywhere", "# update", "deltas[-1] = df(ys[-1]) * error\n"
            "    for i in range(n_layers - 2, -1, -1):\n"
            "        deltas[i] = df(ys[i + 1]) * (deltas[i + 1] @ W[i + 1] @ R[i + 1])", "delta-slope-at-y",
            base="tanh"),
    _edited("f′ of the layer above", "df(as_[i]) * back",
            "(df(as_[i + 1]) * deltas[i + 1]) @ W[i + 1] @ R[i + 1] * df(as_[i])", "delta-slope-of-layer-above"),
    _edited("f for f′", "df(as_[i]) * back", "f(as_[i]) * back", "delta-f-for-slope-in-hidden"),
    _edited("R dropped", " @ R[i + 1]", "", "delta-no-R"),
    _edited("R transposed", "R[i + 1]", "R[i + 1].T", "delta-R-transposed"),
    _edited("inverse of R", "R[i + 1]", "np.linalg.pinv(R[i + 1]).T", "delta-R-inverse"),
    _edited("W of the wrong layer", "W[i + 1] @ R[i + 1]", "W[i] @ R[i]", "verdict"),
    _edited("loop misses the first layer", "range(n_layers - 2, -1, -1)", "range(n_layers - 2, 0, -1)",
            "step-first-delta-zero"),
    _edited("loop misses the last hidden layer", "range(n_layers - 2, -1, -1)", "range(n_layers - 3, -1, -1)",
            "delta-hidden-zero"),
    _edited("clipped", "deltas[i] = df(as_[i]) * back", "deltas[i] = np.clip(df(as_[i]) * back, -1, 1)",
            "delta-clipped-in-hidden"),
    _edited("float16 on the way", "back = deltas[i + 1] @",
            "back = deltas[i + 1].astype(np.float16).astype(y0.dtype) @", "precision-float16"),
    _edited("mean over the batch on the way", "back = deltas[i + 1] @",
            "back = deltas[i + 1].mean(axis=0, keepdims=True) @", "delta-mean-over-batch"),
    _edited("R after B", "B[i].T", "B[i].T @ R[i + 1]", "delta-R-after-feedback", base="fa"),
    _edited("B below the output's error", "deltas[-1] @ B[i].T", "error @ B[i].T", "dfa_error='output'",
            base="dfa"),
    _edited("W for B", "deltas[i + 1] @ B[i].T", "deltas[i + 1] @ W[i + 1] @ R[i + 1]", "credit='bp'", base="fa"),
    # targets and updates
    _edited("z without a", "z = as_[i] + deltas[i]", "z = deltas[i]", "step-z-without-a"),
    _edited("z without δ", "z = as_[i] + deltas[i]", "z = as_[i]", "step-z-without-delta"),
    _edited("z from y", "z = as_[i] + deltas[i]", "z = ys[i + 1] + deltas[i]", "step-z-from-y"),
    _edited("z is a step along δ", "z = as_[i] + deltas[i]", "z = as_[i] + eta_w * deltas[i]",
            "step-delta-times-eta-w"),
    _edited("z is the target at the output", "z = as_[i] + deltas[i]",
            "z = as_[i] + deltas[i] if i < n_layers - 1 else target", "step-z-is-target"),
    _edited("x from before R in both updates", "x = xs[i]", "x = ys[i]", "step-updates-from-y"),
    _edited("ΔW from y", "dW = z.T @ x / n_samples - W[i] * power",
            "dW = z.T @ ys[i] / n_samples - W[i] * np.mean(ys[i] ** 2, axis=0)", "step-weight-from-y"),
    _edited("Hebbian term from y", "z.T @ x / n_samples", "z.T @ ys[i] / n_samples", "step-hebb-from-y"),
    _edited("decay from y", "np.mean(x**2, axis=0)", "np.mean(ys[i] ** 2, axis=0)", "step-decay-from-y"),
    _edited("ΔR from y", "C = x.T @ x / n_samples", "C = ys[i].T @ ys[i] / n_samples", "step-lateral-from-y"),
    _edited("x of the next layer", "x = xs[i]", "x = xs[i - 1]", "verdict"),
    _edited("ΔR after ΔW's decay", "W[i] * power", "W[i] @ (x.T @ x) / n_samples", "weight-decay-full-matrix",
            "step-sgd"),
    _edited("no decay", " - W[i] * power", "", "weight-no-decay"),
    _edited("square of the mean", "np.mean(x**2, axis=0)", "np.mean(x, axis=0) ** 2", "weight-decay-square-of-mean"),
    _edited("wrong axis", "axis=0", "axis=1", "verdict"),
    _edited("N of features", "y0.shape[0]", "y0.shape[1]", "step-products-over-inputs"),
    _edited("N of the paper", "y0.shape[0]", "50", "step-products-over-50"),
    _edited("N - 1", "y0.shape[0]", "max(y0.shape[0] - 1, 1)", "step-products-over-n-minus-1"),
    _edited("sum for mean", "# update", "n_samples = 1", "step-products-summed"),
    _edited("C is a sum", "x.T @ x / n_samples", "x.T @ x", "step-lateral-sum"),
    _edited("power is taken from C's rows", "power = np.mean(x**2, axis=0)",
            "power = np.mean(x.T @ x, axis=0) / n_samples", "weight-decay-row-mean"),
    _edited("diagonal left in", "dR = -R[i] @ C_off", "dR = -R[i] @ C", "lateral-diagonal"),
    _edited("other order", "dR = -R[i] @ C_off", "dR = -C_off @ R[i]", "lateral_rule='left'"),
    _edited("R dropped in ΔR", "dR = -R[i] @ C_off", "dR = -C_off", "lateral-no-R"),
    _edited("ΔR grows", "dR = -R[i] @ C_off", "dR = R[i] @ C_off", "lateral-sign"),
    _edited("covariance", "C = x.T @ x / n_samples", "C = np.atleast_2d(np.cov(x.T, bias=True))", "lateral-covariance"),
    _edited("symmetrised after the step", "new_R[i] = R[i] + eta_r * dR",
            "new_R[i] = R[i] + eta_r * dR\n        new_R[i] = (new_R[i] + new_R[i].T) / 2", "step-R-symmetrised"),
    _edited("rows of R normalised after the step", "new_R[i] = R[i] + eta_r * dR", "new_R[i] = R[i] + eta_r * dR\n"
            "        new_R[i] = new_R[i] / np.linalg.norm(new_R[i], axis=1, keepdims=True)", "step-R-normalised"),
    _edited("η_W for R", "eta_r * dR", "eta_w * dR", "step-eta-w-for-both"),
    _edited("no η_R", "eta_r * dR", "dR", "step-no-eta-r"),
    _edited("updates taken away", "W[i] + eta_w * dW", "W[i] - eta_w * dW", "weight-sign", "weight-sign"),
    _edited("weight decay besides", "eta_w * dW", "eta_w * (dW - 1e-4 * W[i])", "added-decay(0.0001)"),
    _edited("rates the wrong way round", "eta_w, eta_r):", "eta_r, eta_w):", "step-rates-swapped"),
    _edited("x recomputed with the new R", "z = as_[i] + deltas[i]", "z = as_[i] + deltas[i]\n"
            "        xx = x.T @ x / n_samples\n"
            "        x = ys[i] @ (R[i] - eta_r * R[i] @ (xx - np.diag(np.diag(xx)))).T", "step-everything-with-new-R"),
    # layers
    _edited("last layer left out", "# update", "n_layers -= 1", "step-last-layer-frozen"),
    _edited("first layer left out", "for i in range(n_layers):\n        x = xs[i]",
            "for i in range(1, n_layers):\n        x = xs[i]", "step-first-layer-frozen"),
    _edited("R forgotten in the return", "return new_W, new_R", "return new_W, R", "step-R-frozen"),
    _edited("returns the updates", "W[i] + eta_w * dW", "eta_w * dW", "step-W-returns-updates"),
    _edited("returned the wrong way round", "return new_W, new_R", "return new_R, new_W", "verdict"),
    _edited("empty lists that miss a layer", "return new_W, new_R", "return new_W[:-1], new_R[:-1]", "verdict"),
    # arguments changed
    _edited("W in place", "new_W[i] = W[i] + eta_w * dW", "W[i] += eta_w * dW", "verdict"),
    _edited("R in place, through a shallow copy", "new_R[i] = R[i] + eta_r * dR", "new_R[i] += eta_r * dR", "verdict"),
    _edited("list of arguments changed", "new_W[i] = W[i] + eta_w * dW",
            "W[i] = W[i] + eta_w * dW\n        new_W[i] = W[i]", "verdict"),
    # precision
    _edited("float32 inside", "ys = [], [], [y0]", "ys = [], [], [y0.astype(np.float32).astype(np.float64)]",
            "precision-float32"),
    _edited("everything in float32", "n_layers = len(W)", "n_layers = len(W)\n"
            "    W, R = ([one.astype(np.float32) for one in many] for many in (W, R))\n"
            "    y0, target = y0.astype(np.float32), target.astype(np.float32)",
            "verdict"),
    _edited("everything in float32, cast back", "    return new_W, new_R",
            "    W32, R32 = [w.astype(np.float32) for w in new_W], [r.astype(np.float32) for r in new_R]\n"
            "    return [w.astype(np.float64) for w in W32], [r.astype(np.float64) for r in R32]", "precision-float32"),
    _edited("float64 from float32", "y0.shape[0]", "np.float64(y0.shape[0])", "verdict", precision="float32"),
    # conventions
    _edited("error scale forgotten", "1000 * ", "", "error_scale=1", base="tmlr"),
    _edited("prediction is y", "target - as_[-1]", "target - ys[-1]", "output='activation'", base="tmlr"),
    _edited("error scale multiplies z", "z = as_[i] + deltas[i]", "z = 1000 * as_[i] + deltas[i]",
            "step-scale-before-decay", base="tmlr"),
    _edited("not halved", "-(M + M.T) / 2", "-(M + M.T)", "lateral-not-halved", base="symmetric"),
    _edited("mean of W's update only", "W[i] + eta_w * dW", "W[i] + eta_w * dW / y0.shape[0]", "weight-over-n-again",
            base="sum"),
)  # fmt: skip
