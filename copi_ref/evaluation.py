"""How good a network is on samples: accuracy and loss."""

from typing import NamedTuple

from copi_ref import _checks
from copi_ref.backend import Array
from copi_ref.batches import pieces
from copi_ref.credit import OUTPUTS
from copi_ref.network import Params, forward
from copi_ref.recipe import Recipe

ROWS = 5000  # bounds the memory: activities of so many samples at a time


class Evaluation(NamedTuple):
    """Share of samples whose largest output is the target's, and the mean loss."""

    accuracy: float
    loss: float


def evaluate(recipe: Recipe, params: Params, x: Array, target: Array) -> Evaluation:
    """Return accuracy and mean loss over samples, 5000 at a time.

    Args:
        recipe: gives activation, output and loss.
        params: one network.
        x: (N, K_0), inputs, in the library and dtype of `params`.
        target: (N, K_L), targets; the largest entry of a row is the right class.

    Raises:
        TypeError, ValueError: arrays that don't fit the network, or a network with ensemble axes.
    """
    if params.W[-1].ndim != 2:
        raise ValueError(f"W of the last layer has shape {tuple(params.W[-1].shape)}: evaluate takes one network")
    xp = _checks.arrays(x=(x, "NK"), target=(target, "NM"))
    correct, loss = 0, 0.0
    for rows in pieces(x.shape[0], ROWS):
        prediction = OUTPUTS[recipe.output](forward(params, x[rows, :], recipe.activation))
        hits = xp.argmax(prediction, axis=-1) == xp.argmax(target[rows, :], axis=-1)
        correct += int(xp.count_nonzero(hits))
        loss += float(xp.sum(recipe.loss(prediction, target[rows, :])))
    return Evaluation(correct / x.shape[0], loss / x.shape[0])
