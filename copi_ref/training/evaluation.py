"""How good a network is on samples: accuracy and loss."""

from typing import Any, NamedTuple

import numpy as np

from copi_ref.arrays import checks
from copi_ref.arrays.backend import Array, namespace, to_numpy
from copi_ref.arrays.pieces import pieces, there
from copi_ref.network import Params, check_network
from copi_ref.recipe import Recipe
from copi_ref.task import check_target
from copi_ref.training.prediction import ROWS, prediction


class Evaluation(NamedTuple):
    """Share of samples whose largest output is the target's, and the mean loss: two floats, or of an ensemble (S,)."""

    accuracy: Any
    loss: Any


def evaluate(recipe: Recipe, params: Params, x: Array, target: Array) -> Evaluation:
    """Return accuracy and mean loss over samples, at most 5000 at a time.

    Args:
        recipe: gives activation, output and loss.
        params: a network, or an ensemble of S.
        x: (N, K_0), inputs, in the library and dtype of `params`; or NumPy's, which are moved there piece by piece.
        target: (N, K_L), targets, likewise; the largest entry of a row is the right class.

    Raises:
        TypeError, ValueError: arrays that don't fit the network, or a network with more than one ensemble axis.
    """
    checks.instance("recipe", recipe, Recipe)
    check_network(params)
    check_target(target)
    W = params.W[-1]
    if W.ndim > 3:
        raise ValueError(f"W of the last layer has shape {tuple(W.shape)}: evaluate takes one network, or (S, M, K)")
    for name, arrays in (("W", params.W), ("R", params.R)):
        for layer, array in enumerate(arrays, start=1):
            if array.ndim > W.ndim:
                shape = tuple(array.shape)
                raise ValueError(
                    f"{name} of layer {layer} has shape {shape}, of an ensemble: the last layer's W is none"
                )
    checks.arrays(x=(x, "NK"), target=(target, "NM"))
    for name, array in (("x", x), ("target", target)):
        if array.ndim != 2:
            raise ValueError(f"{name} has shape {tuple(array.shape)}: needs (N, K), the same samples for all networks")
    members = W.shape[0] if W.ndim == 3 else 1
    counts, losses = [], []
    for rows in pieces(x.shape[0], max(1, ROWS // members)):
        count, loss = _of_piece(recipe, params, there(x[rows, :], W), there(target[rows, :], W))
        counts.append(count)
        losses.append(loss)
    # What is on a device stays there until here: one wait, not one per piece.
    xp = namespace(W)
    correct, loss = (to_numpy(xp.stack(sums)).astype(np.float64).sum(axis=0) / x.shape[0] for sums in (counts, losses))
    return Evaluation(correct, loss) if W.ndim == 3 else Evaluation(float(correct), float(loss))


def _of_piece(recipe: Recipe, params: Params, x: Array, target: Array) -> tuple[Array, Array]:
    """Return how many samples are right, and the sum of their losses; () or (S,), where the network is."""
    xp = checks.arrays(**{"W of layer 1": (params.W[0], "MK"), "x": (x, "NK")})
    scores = prediction(recipe, params, x)
    hits = xp.argmax(scores, axis=-1) == xp.argmax(target, axis=-1)
    return xp.count_nonzero(hits, axis=-1), xp.sum(recipe.loss(scores, target), axis=-1)
