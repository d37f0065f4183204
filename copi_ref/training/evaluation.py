"""How good a network is on samples: accuracy and loss."""

from typing import Any, NamedTuple

import numpy as np

from copi_ref.arrays import checks
from copi_ref.arrays.backend import Array, HostArray, namespace, to_numpy
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
    """Return accuracy and mean loss over samples, at most 5000 at a time, and of an ensemble network by network.

    So each network's are what they are of it alone, to the last bit, and the memory is that of one.

    Args:
        recipe: gives activation, output and loss.
        params: a network, or an ensemble of S.
        x: (N, K_0), inputs, in the library and dtype of `params`; or NumPy's of that dtype, moved there in pieces.
        target: (N, K_L), one-hot rows, likewise; the largest entry of a row is the right class.

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
    networks = [params] if W.ndim == 2 else [_network(params, index) for index in range(W.shape[0])]
    counts, losses = [], []
    for rows in pieces(x.shape[0], ROWS):
        piece, wanted = there(x[rows, :], W), there(target[rows, :], W)
        sums = [_of_piece(recipe, network, piece, wanted) for network in networks]
        counts.append([count for count, _ in sums])
        losses.append([loss for _, loss in sums])
    correct, loss = (_sums(each) / x.shape[0] for each in (counts, losses))
    return Evaluation(correct, loss) if W.ndim == 3 else Evaluation(float(correct[0]), float(loss[0]))


def _network(params: Params, index: int) -> Params:
    """Return one network of an ensemble; R or means that all of them share have no axis for it, or one of length 1."""

    def one(array: Array, axes: int) -> Array:
        return array if array.ndim == axes else array[index if array.shape[0] > 1 else 0, ...]

    means = None if params.mean is None else tuple(one(mean, 1) for mean in params.mean)
    return Params(tuple(one(W, 2) for W in params.W), tuple(one(R, 2) for R in params.R), means)


def _sums(values: list[list[Array]]) -> HostArray:
    """Return the sums over pieces in float64, (S,); what is on a device stays there until here: one wait for all."""
    xp, members = namespace(values[0][0]), len(values[0])
    every = to_numpy(xp.stack([value for piece in values for value in piece])).astype(np.float64)
    # Each network's in one piece: along the rows of a table NumPy adds up in another order than a single column.
    return np.asarray(np.ascontiguousarray(every.reshape(-1, members).T).sum(axis=1))


def _of_piece(recipe: Recipe, params: Params, x: Array, target: Array) -> tuple[Array, Array]:
    """Return how many samples one network has right, and the sum of their losses; (), where it is."""
    xp = checks.arrays(**{"W of layer 1": (params.W[0], "MK"), "x": (x, "NK")})
    scores = prediction(recipe, params, x)
    hits = xp.argmax(scores, axis=-1) == xp.argmax(target, axis=-1)
    return xp.count_nonzero(hits, axis=-1), xp.sum(recipe.loss(scores, target), axis=-1)
