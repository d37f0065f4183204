"""Wrong steps that take more than an edit: another order of updates, and what is kept between calls."""

from functools import partial

from mutants.mutant import replaced

_replaced = partial(replaced, "step")

REWRITTEN_STEPS = (
    # order
    _replaced("updated on the way down", """
def step(W, R, y0, target, eta_w, eta_r):
    xs, as_, ys = forward(W, R, y0)
    W, R = list(W), list(R)
    delta = 2 * df(as_[-1]) * (target - ys[-1])
    for i in range(len(W) - 1, -1, -1):
        W[i] = W[i] + eta_w * copi_update(xs[i], as_[i] + delta, W[i])
        R[i] = R[i] + eta_r * decorrelation_update(xs[i], R[i])
        if i:
            delta = df(as_[i - 1]) * (delta @ W[i] @ R[i])
    return W, R
""", "step-updated-on-the-way"),
    _replaced("only W updated on the way down", """
def step(W, R, y0, target, eta_w, eta_r):
    xs, as_, ys = forward(W, R, y0)
    new_R = [r + eta_r * decorrelation_update(x, r) for x, r in zip(xs, R)]
    W = list(W)
    delta = 2 * df(as_[-1]) * (target - ys[-1])
    for i in range(len(W) - 1, -1, -1):
        W[i] = W[i] + eta_w * copi_update(xs[i], as_[i] + delta, W[i])
        if i:
            delta = df(as_[i - 1]) * (delta @ W[i] @ R[i])
    return W, new_R
""", "step-W-updated-on-the-way"),
    _replaced("R updated before δ goes through it", """
def step(W, R, y0, target, eta_w, eta_r):
    xs, as_, ys = forward(W, R, y0)
    R = [r + eta_r * decorrelation_update(x, r) for x, r in zip(xs, R)]
    deltas = perturbations(W, R, xs, as_, ys, target)
    W = [w + eta_w * copi_update(x, a + d, w) for x, a, d, w in zip(xs, as_, deltas, W)]
    return W, R
""", "step-R-updated-on-the-way"),
    _replaced("R updated in the forward pass", """
def step(W, R, y0, target, eta_w, eta_r):
    R = list(R)
    y = y0
    for i in range(len(W)):
        R[i] = R[i] + eta_r * decorrelation_update(y @ R[i].T, R[i])
        y = f(y @ R[i].T @ W[i].T)
    xs, as_, ys = forward(W, R, y0)
    deltas = perturbations(W, R, xs, as_, ys, target)
    W = [w + eta_w * copi_update(x, a + d, w) for x, a, d, w in zip(xs, as_, deltas, W)]
    return W, R
""", "step-R-updated-in-forward"),
    _replaced("decorrelates first, then learns", """
def step(W, R, y0, target, eta_w, eta_r):
    xs, as_, ys = forward(W, R, y0)
    R = [r + eta_r * decorrelation_update(x, r) for x, r in zip(xs, R)]
    xs, as_, ys = forward(W, R, y0)
    deltas = perturbations(W, R, xs, as_, ys, target)
    W = [w + eta_w * copi_update(x, a + d, w) for x, a, d, w in zip(xs, as_, deltas, W)]
    return W, R
""", "step-forward-again-with-new-R"),
    _replaced("learns first, then decorrelates", """
def step(W, R, y0, target, eta_w, eta_r):
    xs, as_, ys = forward(W, R, y0)
    deltas = perturbations(W, R, xs, as_, ys, target)
    W = [w + eta_w * copi_update(x, a + d, w) for x, a, d, w in zip(xs, as_, deltas, W)]
    xs, as_, ys = forward(W, R, y0)
    R = [r + eta_r * decorrelation_update(x, r) for x, r in zip(xs, R)]
    return W, R
""", "step-lateral-with-new-W"),
    _replaced("sample by sample", """
def step(W, R, y0, target, eta_w, eta_r):
    for n in range(len(y0)):
        xs, as_, ys = forward(W, R, y0[n : n + 1])
        deltas = perturbations(W, R, xs, as_, ys, target[n : n + 1])
        W = [w + eta_w * copi_update(x, a + d, w) for x, a, d, w in zip(xs, as_, deltas, W)]
        R = [r + eta_r * decorrelation_update(x, r) for x, r in zip(xs, R)]
    return W, R
""", "step-sample-by-sample"),
    _replaced("last sample only", """
def step(W, R, y0, target, eta_w, eta_r):
    xs, as_, ys = forward(W, R, y0)
    deltas = perturbations(W, R, xs, as_, ys, target)
    new_W, new_R = list(W), list(R)
    for n in range(len(y0)):
        one = slice(n, n + 1)
        for i in range(len(W)):
            new_W[i] = W[i] + eta_w * copi_update(xs[i][one], (as_[i] + deltas[i])[one], W[i])
            new_R[i] = R[i] + eta_r * decorrelation_update(xs[i][one], R[i])
    return new_W, new_R
""", "step-last-sample"),
    _replaced("gradient descent with decorrelation", """
def step(W, R, y0, target, eta_w, eta_r):
    xs, as_, ys = forward(W, R, y0)
    deltas = perturbations(W, R, xs, as_, ys, target)
    return (
        [w + eta_w * sgd_update(x, d) for w, x, d in zip(W, xs, deltas)],
        [r + eta_r * decorrelation_update(x, r) for x, r in zip(xs, R)],
    )
""", "step-sgd", "weight-decay-full-matrix"),
    # state between calls
    _replaced("momentum kept in the module", """
velocity = {}

def step(W, R, y0, target, eta_w, eta_r):
    xs, as_, ys = forward(W, R, y0)
    deltas = perturbations(W, R, xs, as_, ys, target)
    new_W = []
    for i in range(len(W)):
        dW = copi_update(xs[i], as_[i] + deltas[i], W[i])
        velocity[W[i].shape] = 0.9 * velocity.get(W[i].shape, 0) + dW
        new_W.append(W[i] + eta_w * velocity[W[i].shape])
    return new_W, [r + eta_r * decorrelation_update(x, r) for x, r in zip(xs, R)]
""", "state-leak"),
    _replaced("weights kept from the first call", """
cache = {}

def step(W, R, y0, target, eta_w, eta_r):
    key = tuple(w.shape for w in W)
    W, R = cache.setdefault(key, (W, R))
    xs, as_, ys = forward(W, R, y0)
    deltas = perturbations(W, R, xs, as_, ys, target)
    new_W = [w + eta_w * copi_update(x, a + d, w) for x, a, d, w in zip(xs, as_, deltas, W)]
    return new_W, [r + eta_r * decorrelation_update(x, r) for x, r in zip(xs, R)]
""", "state-leak"),
    _replaced("δ through weights of the first call", """
cache = {}

def step(W, R, y0, target, eta_w, eta_r):
    xs, as_, ys = forward(W, R, y0)
    old_W, old_R = cache.setdefault(tuple(w.shape for w in W), (W, R))
    deltas = perturbations(old_W, old_R, xs, as_, ys, target)
    new_W = [w + eta_w * copi_update(x, a + d, w) for x, a, d, w in zip(xs, as_, deltas, W)]
    return new_W, [r + eta_r * decorrelation_update(x, r) for x, r in zip(xs, R)]
""", "state-leak"),
    _replaced("running mean of C", """
moments = {}

def step(W, R, y0, target, eta_w, eta_r):
    xs, as_, ys = forward(W, R, y0)
    deltas = perturbations(W, R, xs, as_, ys, target)
    new_R = []
    for i in range(len(R)):
        C = xs[i].T @ xs[i] / len(y0)
        C = moments[i, len(C)] = 0.9 * moments.get((i, len(C)), C) + 0.1 * C
        new_R.append(R[i] - eta_r * R[i] @ (C - np.diag(np.diag(C))))
    return [w + eta_w * copi_update(x, a + d, w) for x, a, d, w in zip(xs, as_, deltas, W)], new_R
""", "state-leak"),
    _replaced("trace of the previous batch", """
last = {}

def step(W, R, y0, target, eta_w, eta_r):
    xs, as_, ys = forward(W, R, y0)
    key = tuple(w.shape for w in W), len(y0)
    trace, last[key] = last.get(key, (xs, as_, ys)), (xs, as_, ys)
    deltas = perturbations(W, R, *trace, target)
    new_W = [w + eta_w * copi_update(x, a + d, w) for x, a, d, w in zip(xs, as_, deltas, W)]
    return new_W, [r + eta_r * decorrelation_update(x, r) for x, r in zip(xs, R)]
""", "state-leak"),
    _replaced("learning rate decays in the module", """
rate = 1.0

def step(W, R, y0, target, eta_w, eta_r):
    global rate
    xs, as_, ys = forward(W, R, y0)
    deltas = perturbations(W, R, xs, as_, ys, target)
    new_W = [w + eta_w * rate * copi_update(x, a + d, w) for x, a, d, w in zip(xs, as_, deltas, W)]
    rate *= 0.95
    return new_W, [r + eta_r * decorrelation_update(x, r) for x, r in zip(xs, R)]
""", "state-leak"),
    _replaced("buffer of the forward pass is reused", """
buffers = {}

def step(W, R, y0, target, eta_w, eta_r):
    xs, as_, ys = forward(W, R, y0)
    deltas = perturbations(W, R, xs, as_, ys, target)
    new_W, new_R = [], []
    for i in range(len(W)):
        buffer = buffers.setdefault((i, W[i].shape), np.zeros_like(W[i]))
        buffer += (as_[i] + deltas[i]).T @ xs[i] / len(y0)
        new_W.append(W[i] + eta_w * (buffer - W[i] * np.mean(xs[i] ** 2, axis=0)))
        new_R.append(R[i] + eta_r * decorrelation_update(xs[i], R[i]))
    return new_W, new_R
""", "state-leak"),
)  # fmt: skip
