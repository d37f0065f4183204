"""Inference Learning by loops over samples, layers and units, for every convention; no line of the oracle's."""

import math

import numpy as np


class Loops:
    """All functions of the contract, for any conventions; numbers are of the arguments' format."""

    def __init__(self, conventions):
        self.c = conventions
        self.waa = conventions.form == "weights-after-activation"

    # --- the activation, on one number ---

    def f(self, a):
        name, slope = self.c.activation, a.dtype.type(float(self.c.slope))
        if name == "tanh":
            return np.tanh(a)
        if name == "sigmoid":
            return 1 / (1 + np.exp(-a))
        if name == "identity":
            return a
        below = slope * a if name == "leaky_relu" else a * 0
        return below if a < 0 else a

    def slope(self, a):
        name, slope = self.c.activation, float(self.c.slope)
        kind = a.dtype.type
        if name == "tanh":
            return 1 - np.tanh(a) ** 2
        if name == "sigmoid":
            return self.f(a) * (1 - self.f(a))
        if name == "identity":
            return kind(1)
        below = slope if name == "leaky_relu" else 0
        at_zero = below if self.c.derivative_at_zero == "slope" else float(self.c.derivative_at_zero)
        return kind(below if a < 0 else at_zero if a == 0 else 1)

    def linear_top(self, layer, layers):
        return self.waa or (layer == layers - 1 and self.c.output_activation == "identity")

    # --- one sample: lists of vectors ---

    def seen(self, W, y0, h, b):
        """x, a and p of every layer, for one sample."""
        xs, as_, ps = [], [], []
        for layer, w in enumerate(W):
            below = y0 if layer == 0 else h[layer - 1]
            bends = self.c.input_activation if layer == 0 else self.waa
            x = np.array([self.f(one) if bends else one for one in below])
            a = np.array([sum((w[i, j] * x[j] for j in range(len(x))), w.dtype.type(0)) for i in range(len(w))])
            if b is not None and self.c.biases == "inside":
                a = a + b[layer]
            p = a.copy() if self.linear_top(layer, len(W)) else np.array([self.f(one) for one in a])
            if b is not None and self.c.biases == "outside":
                p = p + b[layer]
            xs.append(x), as_.append(a), ps.append(p)
        return xs, as_, ps

    def precision(self, layer):
        return float(self.c.precisions[layer]) if self.c.precisions else 1.0

    def through(self, seen, h):
        """π ψ′(a) e of every layer, as its weights see it."""
        _, as_, ps = seen
        found = []
        for layer, (a, p) in enumerate(zip(as_, ps, strict=True)):
            error = [self.precision(layer) * (one - other) for one, other in zip(h[layer], p, strict=True)]
            if not self.linear_top(layer, len(ps)):
                error = [self.slope(one) * e for one, e in zip(a, error, strict=True)]
            found.append(error)
        return found

    def gradient(self, layer, W, h, seen, bent, target, N):
        p, kind = seen[2][layer], W[0].dtype.type
        own = [self.precision(layer) * (one - other) for one, other in zip(h[layer], p, strict=True)]
        if layer + 1 < len(W):
            above = self.through(seen, h)[layer + 1]
            for i in range(len(own)):
                pull = sum((W[layer + 1][k, i] * above[k] for k in range(len(above))), kind(0))
                own[i] = own[i] - (self.slope(bent[layer][i]) * pull if self.waa else pull)
        elif target is not None:
            own = [g + one - y for g, one, y in zip(own, h[layer], target, strict=True)]
        factor = 1 / N if self.c.inference_factor == "1/N" else float(self.c.inference_factor)
        decay = float(self.c.state_decay)
        return np.array(
            [kind(factor) * g + kind(decay) * one for g, one in zip(own, h[layer], strict=True)], dtype=kind
        )

    def settle(self, W, y0, h, gamma, steps, b, target, N):
        """One sample through T steps; returns the states and what the weights see of predictions."""
        h = [one.copy() for one in h]
        velocity = [one * 0 for one in h]
        start, first = self.seen(W, y0, h, b), [one.copy() for one in h]
        fixed = self.c.predictions == "fixed"
        free = [*range(len(W) - 1 + (self.c.output == "pulled"))]
        if self.c.schedule == "top-down":
            free = free[::-1]
        for _ in range(steps):
            now, seen = h, start if fixed else self.seen(W, y0, h, b)
            h = [one.copy() for one in h]
            for layer in free:
                if self.c.schedule != "all-at-once":
                    now, seen = h, start if fixed else self.seen(W, y0, h, b)
                g = self.gradient(layer, W, now, seen, first if fixed else now, target, N)
                velocity[layer] = g.dtype.type(self.c.momentum) * velocity[layer] + g
                rate = gamma[layer] if self.c.inference_rate == "per-layer" else gamma
                h[layer] = h[layer] - g.dtype.type(rate) * velocity[layer]
        return h, start if fixed else self.seen(W, y0, h, b)

    # --- the contract ---

    def samples(self, arrays):
        """Arrays with a sample axis as lists of samples."""
        turned = [one.T if self.c.samples == "columns" else one for one in arrays]
        return [[one[n] for one in turned] for n in range(len(turned[0]))]

    def joined(self, rows):
        """Lists of samples as arrays, one a layer."""
        found = [np.array([row[layer] for row in rows]) for layer in range(len(rows[0]))]
        return [one.T.copy() if self.c.samples == "columns" else one for one in found]

    def batch(self, y0):
        return [row[0] for row in self.samples([y0])]

    def predictions(self, W, y0, h, b=None):
        pairs = zip(self.batch(y0), self.samples(h), strict=True)
        return self.joined([self.seen(W, y, states, b)[2] for y, states in pairs])

    def errors(self, W, y0, h, b=None):
        signs = {1: lambda state, p: state - p, -1: lambda state, p: p - state}
        return [signs[self.c.error_sign](one, p) for one, p in zip(h, self.predictions(W, y0, h, b), strict=True)]

    def energy(self, W, y0, h, b=None):
        errors = self.samples(self.errors(W, y0, h, b))
        kind = W[0].dtype.type
        each = [
            kind(self.c.energy_factor)
            * sum(
                (kind(self.precision(layer)) * sum((x * x for x in e), kind(0)) for layer, e in enumerate(row)), kind(0)
            )
            for row in errors
        ]
        if self.c.energy_reduction == "per-sample":
            return np.array(each, dtype=kind)
        total = sum(each, kind(0))
        return total / kind(len(each)) if self.c.energy_reduction == "mean" else total

    def started(self, W, y0, target, b):
        h = [np.zeros(len(w), dtype=w.dtype) for w in W]
        for layer in range(len(W)):
            h[layer] = self.seen(W, y0, h, b)[2][layer]
        top = h[-1]
        if self.c.start == "zeros":
            h = [one * 0 for one in h]
            top = self.seen(W, y0, h, b)[2][-1]
        if self.c.output == "clamped":
            top = target.copy()
        if self.c.output == "nudged":
            if self.waa and self.c.output_activation == "same":
                top = top + np.array([self.slope(a) * (t - self.f(a)) for a, t in zip(top, target, strict=True)])
            else:
                top = top + (target - top)
        h[-1] = top
        if self.c.start == "from-above":
            for layer in range(len(W) - 2, -1, -1):
                h[layer] = W[layer + 1].T @ h[layer + 1]
        return h

    def start(self, W, y0, target, b=None):
        pairs = zip(self.batch(y0), self.batch(target), strict=True)
        return self.joined([self.started(W, y, t, b) for y, t in pairs])

    def infer(self, W, y0, h, gamma, steps, *rest):
        target, b = self._rest(rest)
        N = len(self.batch(y0))
        targets = self.batch(target) if target is not None else [None] * N
        rows = zip(self.batch(y0), self.samples(h), targets, strict=True)
        return self.joined([self.settle(W, y, states, gamma, steps, b, t, N)[0] for y, states, t in rows])

    def _rest(self, rest):
        target = rest[0] if self.c.output == "pulled" else None
        b = rest[-1] if self.c.biases != "none" else None
        return target, b

    def learnt(self, rows, reduction):
        """ΔW and Δb from what each sample's weights see: (x, a, p) and states."""
        kind = rows[0][1][0].dtype.type
        scale = float(self.c.weight_factor) / (len(rows) if reduction == "mean" else 1)
        dW, db = [], []
        for layer in range(len(rows[0][1])):
            total, bias = 0, 0
            for seen, h in rows:
                through = np.array(self.through(seen, h)[layer], dtype=kind)
                total = total + np.array([[one * other for other in seen[0][layer]] for one in through])
                plain = [
                    kind(self.precision(layer)) * (one - p) for one, p in zip(h[layer], seen[2][layer], strict=True)
                ]
                bias = bias + (np.array(plain) if self.c.biases == "outside" else through)
            dW.append(kind(scale) * total), db.append(kind(scale) * bias)
        return dW, db

    def weight_update(self, W, y0, h, b=None):
        pairs = zip(self.batch(y0), self.samples(h), strict=True)
        dW, db = self.learnt([(self.seen(W, y, states, b), states) for y, states in pairs], self.c.reduction)
        sign = -1 if self.c.returns == "gradient" else 1
        dW, db = [sign * one for one in dW], [sign * one for one in db]
        return dW if b is None else (dW, db)

    def step(self, W, y0, target, gamma, steps, eta, b=None):
        ys, targets = self.batch(y0), self.batch(target)
        reduction = self.c.reduction if self.c.step_reduction == "as reduction" else self.c.step_reduction
        states = [self.started(W, y, t, b) for y, t in zip(ys, targets, strict=True)]
        rate, N = W[0].dtype.type(eta), len(ys)
        pulls = targets if self.c.output == "pulled" else [None] * N

        def moved(h, T):
            return [self.settle(W, y, one, gamma, T, b, t, N) for y, one, t in zip(ys, h, pulls, strict=True)]

        def updated(rows):
            dW, db = self.learnt(rows, reduction)
            new = [w + rate * one for w, one in zip(W, dW, strict=True)]
            return new, None if b is None else [w + rate * one for w, one in zip(b, db, strict=True)]

        if self.c.learning == "after":
            W, b = updated([(seen, h) for h, seen in moved(states, steps)])
        else:
            for _ in range(steps):
                here = [(self.seen(W, y, h, b), h) for y, h in zip(ys, states, strict=True)]
                if self.c.incremental_order == "weights-first":
                    W, b = updated(here)
                    states = [h for h, _ in moved(states, 1)]
                elif self.c.incremental_order == "simultaneous":
                    states = [h for h, _ in moved(states, 1)]
                    W, b = updated(here)
                else:
                    states = [h for h, _ in moved(states, 1)]
                    W, b = updated([(self.seen(W, y, h, b), h) for y, h in zip(ys, states, strict=True)])
        return W if b is None else (W, b)

    def prox_update(self, W, y0, h):
        found = [w * 0 for w in W]
        ys = self.batch(y0)
        for y, states in zip(ys, self.samples(h), strict=True):
            xs, _, ps = self.seen(W, y, states, None)
            for layer, (x, p) in enumerate(zip(xs, ps, strict=True)):
                square = math.fsum(float(one) ** 2 for one in x)
                error = states[layer] - p
                change = np.array([[e * one for one in x] for e in error]) / W[0].dtype.type(square)
                found[layer] = found[layer] + change / W[0].dtype.type(len(ys))
        return found
