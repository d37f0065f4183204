"""Implementations that keep something from call to call, each as somebody would write it in plain NumPy."""

import numpy as np
from mutants import plain


class MovingPower:
    """E[x²] is a running average, one for each number of inputs."""

    def __init__(self):
        self.power = {}

    def copi_update(self, x, z, W):
        now = np.mean(x**2, axis=0)
        last = self.power.get(W.shape, now)
        self.power[W.shape] = 0.9 * last + 0.1 * now
        return z.T @ x / len(x) - W * self.power[W.shape]


class MomentumOfR:
    """The last ΔR goes on."""

    def __init__(self):
        self.velocity = {}

    def decorrelation_update(self, x, R):
        dR = plain.decorrelation_update(x, R) + 0.9 * self.velocity.get(R.shape, 0)
        self.velocity[R.shape] = dR
        return dR


class MomentumOfSteps:
    """An optimiser with momentum for W."""

    def __init__(self):
        self.velocity = {}

    def step(self, W, R, y0, target, eta_w, eta_r):
        new_W, new_R = plain.step(W, R, y0, target, eta_w, eta_r)
        for layer, (old, new) in enumerate(zip(W, new_W, strict=True)):
            key = layer, old.shape
            self.velocity[key] = 0.9 * self.velocity.get(key, 0) + (new - old) / eta_w
            new_W[layer] = old + eta_w * self.velocity[key]
        return new_W, new_R


class CachedProduct:
    """The backward pass has W R of the first network with such shapes."""

    def __init__(self):
        self.products = {}

    def perturbations(self, W, R, x, a, y, target):
        key = tuple(one.shape for one in W)
        products = self.products.setdefault(key, [w @ r for w, r in zip(W, R, strict=True)])
        eyes = [np.eye(len(r)) for r in R]
        return plain.perturbations(products, eyes, x, a, y, target)


class ProductByLayer:
    """The forward pass has W R by layer, as long as its shape fits."""

    def __init__(self):
        self.products = {}

    def forward(self, W, R, y0):
        xs, as_, ys = [], [], []
        for layer, (w, r) in enumerate(zip(W, R, strict=True)):
            product = self.products.setdefault((layer, w.shape), w @ r)
            xs.append(y0 @ r.T)
            as_.append(y0 @ product.T)
            y0 = plain.f(as_[-1])
            ys.append(y0)
        return xs, as_, ys


class StaleRows:
    """Buffers grow, and never shrink: rows of an earlier, larger batch are still there."""

    def __init__(self):
        self.buffers = {}

    def held(self, name, array):
        buffer = self.buffers.get((name, array.shape[1]))
        if buffer is None or len(buffer) < len(array):
            buffer = self.buffers[name, array.shape[1]] = np.zeros_like(array)
        buffer[: len(array)] = array
        return buffer

    def sgd_update(self, x, delta):
        return self.held("delta", delta).T @ self.held("x", x) / len(x)


class FrozenN:
    """Compiled at the first call: N is a constant from then on."""

    samples = None

    def decorrelation_update(self, x, R):
        if self.samples is None:
            self.samples = len(x)
        C = x.T @ x / self.samples
        return -R @ (C - np.diag(np.diag(C)))


class FrozenRates:
    """Rates are read once."""

    rates = None

    def step(self, W, R, y0, target, eta_w, eta_r):
        if self.rates is None:
            self.rates = eta_w, eta_r
        return plain.step(W, R, y0, target, *self.rates)


class RunningC:
    """C is a running average over batches."""

    def __init__(self):
        self.C = {}

    def decorrelation_update(self, x, R):
        now = x.T @ x / len(x)
        C = self.C[len(R)] = 0.95 * self.C.get(len(R), now) + 0.05 * now
        return -R @ (C - np.diag(np.diag(C)))


class KeptBias:
    """A bias that an earlier backward pass has left."""

    def __init__(self):
        self.biases = {}

    def forward(self, W, R, y0):
        xs, as_, ys = [], [], []
        for layer, (w, r) in enumerate(zip(W, R, strict=True)):
            xs.append(y0 @ r.T)
            bias = self.biases.get((layer, len(w)), 0)
            as_.append(xs[-1] @ w.T + bias)
            self.biases[layer, len(w)] = bias - 0.125 * as_[-1].mean(axis=0)
            y0 = plain.f(as_[-1])
            ys.append(y0)
        return xs, as_, ys


class MaskChangedInPlace:
    """The mask of a layer is made once, and every call takes something off it."""

    def __init__(self):
        self.masks = {}

    def decorrelation_update(self, x, R):
        mask = self.masks.setdefault(len(R), 1 - np.eye(len(R)))
        result = -R @ (x.T @ x / len(x) * mask)
        mask *= 0.5
        return result


class EveryFifth:
    """Weights are updated at every fifth call with a sum."""

    calls = 0

    def sgd_update(self, x, delta):
        self.calls += 1
        return delta.T @ x / (1 if self.calls % 5 == 0 else len(x))


class FirstWeights:
    """The layer's weights are set when it is made, and never again."""

    def __init__(self):
        self.W = {}

    def copi_update(self, x, z, W):
        return plain.copi_update(x, z, self.W.setdefault(W.shape, W.copy()))


class FirstShapes:
    """Memory is made once, for the shapes of the first call."""

    out = None

    def sgd_update(self, x, delta):
        if self.out is None:
            self.out = np.empty((delta.shape[1], x.shape[1]), dtype=x.dtype)
        np.matmul(delta.T, x, out=self.out)
        return self.out / len(x)


class SharedBuffer:
    """What was returned is written over by the next call."""

    def __init__(self):
        self.buffers = {}

    def copi_update(self, x, z, W):
        buffer = self.buffers.setdefault(W.shape, np.empty_like(W))
        buffer[...] = plain.copi_update(x, z, W)
        return buffer


class LastTrace:
    """δ of the output comes from the batch before, where its shape fits."""

    last = None

    def perturbations(self, W, R, x, a, y, target):
        if self.last is None or self.last.shape != target.shape:
            self.last = target.copy()
        kept, self.last = self.last, target.copy()
        return plain.perturbations(W, R, x, a, y, kept)


class StepAfterForward:
    """`step` adds what the last `forward` has left."""

    left = 0.0

    def forward(self, W, R, y0):
        self.left = 1.0
        return plain.forward(W, R, y0)

    def step(self, W, R, y0, target, eta_w, eta_r):
        new_W, new_R = plain.step(W, R, y0, target, eta_w, eta_r)
        return [w + self.left for w in new_W], new_R


class ProductOfForward:
    """`perturbations` takes errors down through W R of the last `forward`, where the shapes are the same."""

    def __init__(self):
        self.products = []

    def forward(self, W, R, y0):
        self.products = [w @ r for w, r in zip(W, R, strict=True)]
        return plain.forward(W, R, y0)

    def perturbations(self, W, R, x, a, y, target):
        fresh = [w @ r for w, r in zip(W, R, strict=True)]
        same = [one.shape for one in self.products] == [one.shape for one in fresh]
        deltas = [2 * plain.df(a[-1]) * (target - y[-1])]
        for at in range(len(W) - 1, 0, -1):
            deltas.insert(0, plain.df(a[at - 1]) * (deltas[0] @ (self.products if same else fresh)[at]))
        return deltas


STATEFUL = (
    MovingPower, MomentumOfR, MomentumOfSteps, CachedProduct, ProductByLayer, StaleRows, FrozenN, FrozenRates, RunningC,
    KeptBias, MaskChangedInPlace, EveryFifth, FirstWeights, FirstShapes, SharedBuffer, LastTrace, StepAfterForward,
    ProductOfForward,
)  # fmt: skip
