"""
Test your own PyTorch network
=============================

A COPI network as you would write it in PyTorch, and its test against the oracle.

Run: python examples/test_your_own_torch.py   or   pytest examples/test_your_own_torch.py
"""

# sphinx_gallery_thumbnail_path = "_static/thumbnails/test_your_own_torch.png"

import sys

try:
    import torch
    from torch import nn
    from torch.nn.functional import leaky_relu, linear
except ImportError as error:
    if __name__ != "__main__":
        import pytest

        pytest.skip(f"PyTorch is not installed: {error}", allow_module_level=True)
    print(f"skipped: PyTorch is not installed ({error})")
    sys.exit(0)

from copi_ref.oracle import Conventions, check

# --- your code --------------------------------------------------------------------------------------------------------


def copi_update(x, z, W):
    """ΔW = E[z xᵀ] − W diag(E[x²])."""
    return z.mT @ x / len(x) - W * (x**2).mean(dim=0)


def decorrelation_update(x, R):
    """ΔR = −R (E[x xᵀ] − diag(E[x²])): the rule `right`."""
    C = x.mT @ x / len(x)
    return -R @ (C - C.diag().diag())


class CopiLayer(nn.Module):
    """x = R y, a = W x, y = f(a), f leaky ReLU with PyTorch's default slope."""

    def __init__(self, W, R):
        super().__init__()
        # Copies: nn.Parameter shares its memory with the tensor that it is given, and `update` writes into it.
        self.W = nn.Parameter(W.clone(), requires_grad=False)
        self.R = nn.Parameter(R.clone(), requires_grad=False)

    def forward(self, y):
        """Return x, a and f(a)."""
        x = linear(y, self.R)
        a = linear(x, self.W)
        return x, a, leaky_relu(a)

    def update(self, x, z, eta_w, eta_r):
        """Learn from decorrelated inputs x and targets z."""
        self.W += eta_w * copi_update(x, z, self.W)
        self.R += eta_r * decorrelation_update(x, self.R)


class CopiNetwork(nn.Module):
    """Layers, trained on the loss ½‖y_L − y*‖² with errors from autograd."""

    def __init__(self, W, R):
        super().__init__()
        self.layers = nn.ModuleList(map(CopiLayer, W, R))

    def forward(self, y):
        """Return x, a and y of all layers."""
        states = []
        for layer in self.layers:
            states.append(layer(y))
            y = states[-1][-1]
        return tuple(zip(*states, strict=True))

    def deltas(self, a, target):
        """Return δ = −dℓ/da of all layers, by autograd: f′(0) is the slope then."""
        delta = downhill(lambda a: -((leaky_relu(a) - target) ** 2).sum() / 2, a[-1])
        found = [delta]
        for layer, below in zip(self.layers[:0:-1], a[-2::-1], strict=True):
            delta = downhill(lambda a, above=layer: above(leaky_relu(a))[1], below, delta)
            found.insert(0, delta)
        return found

    def step(self, y0, target, eta_w, eta_r):
        """All deltas first, from the old weights; then the updates."""
        x, a, _ = self(y0)
        for layer, x_l, a_l, delta in zip(self.layers, x, a, self.deltas(a, target), strict=True):
            layer.update(x_l, a_l + delta, eta_w, eta_r)


def downhill(function, a, upstream=None):
    """Return the gradient of the function at a, times what comes from above."""
    a = a.detach().requires_grad_()
    return torch.autograd.grad(function(a), a, upstream)[0]


# --- its test ---------------------------------------------------------------------------------------------------------


class Adapter:
    """The network as the oracle calls it: tensors in, tensors out, one per layer."""

    copi_update, decorrelation_update = staticmethod(copi_update), staticmethod(decorrelation_update)

    def forward(self, W, R, y0):
        """Return x, a and y."""
        return CopiNetwork(W, R)(y0)

    def perturbations(self, W, R, x, a, y, target):
        """Return δ, the lowest layer's first."""
        return CopiNetwork(W, R).deltas(a, target)

    def step(self, W, R, y0, target, eta_w, eta_r):
        """Return the new W and R."""
        network = CopiNetwork(W, R)
        network.step(y0, target, eta_w, eta_r)
        return [layer.W for layer in network.layers], [layer.R for layer in network.layers]


# ½‖·‖² has no factor 2; leaky_relu's default slope is 0.01; autograd's f′(0) is that slope.
MINE = Conventions(lateral_rule="right", loss_factor=1, slope=0.01, derivative_at_zero=0.01)


def test_it_is_copi():
    """Every function, in float32."""
    check(Adapter(), conventions=MINE, precision="float32", xp=torch).raise_if_failed()


# --- what a mistake looks like ----------------------------------------------------------------------------------------


class Wrong(Adapter):
    """A copy with a mistake."""

    @staticmethod
    def decorrelation_update(x, R):
        """Leaves the diagonal of E[x xᵀ] in."""
        return -R @ (x.mT @ x) / len(x)


if __name__ == "__main__":
    report = check(Adapter(), conventions=MINE, precision="float32", xp=torch).raise_if_failed()
    print(report.summary(), end="\n\n")
    wrong = check(Wrong(), conventions=MINE, precision="float32", xp=torch)
    print("And a copy that leaves the diagonal in:", wrong.summary().splitlines()[0], sep="\n")
