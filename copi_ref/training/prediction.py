"""What a trained network says of new samples: the scores that its loss sees, and classes."""

from collections.abc import Iterator

import numpy as np

from copi_ref.arrays import checks
from copi_ref.arrays.backend import FLOAT_DTYPES, Array, dtype_name, is_host, namespace
from copi_ref.arrays.pieces import copied, pieces
from copi_ref.network import Params, check_params, forward
from copi_ref.recipe import Recipe
from copi_ref.task import OUTPUTS
from copi_ref.training.finiteness import finite

ROWS = 5000
"""Samples at a time, which bounds the memory. Of an ensemble as many: other pieces would round sums another way."""


def scores(recipe: Recipe, params: Params, x: Array) -> Array:
    """Return what the loss compares with the target: y_L, or a_L where the recipe's `output` says so.

    With centring the running means are subtracted, as in evaluation. Memory beside the result is for 5000 samples of
    each network: an ensemble of S takes S times as much.

    Args:
        recipe: gives activation and output.
        params: a network, or an ensemble.
        x: (…, N, K_0), rows are samples, in the library and dtype of `params`; or NumPy's, which are moved there piece
            by piece, as `fit` moves them.

    Returns:
        (…, N, K_L), of the library, dtype and device of `params`.

    Raises:
        TypeError, ValueError: `x` doesn't fit the network or is not finite, or the network doesn't fit the recipe.
    """
    return _joined(list(_scores(recipe, params, x)), axis=-2)


def predict(recipe: Recipe, params: Params, x: Array) -> Array:
    """Return the class of each sample, the unit with the largest score: integers, (…, N); of a tie the first.

    Arguments and errors as `scores`, and ValueError where a score is not finite.
    """
    classes = []
    for piece in _scores(recipe, params, x):
        if not checks.is_exact(piece) and not finite(piece):
            raise ValueError(
                "scores of x are not finite, and so no classes: see scores; of an ensemble take the networks one by "
                "one, as member(state, 0).params"
            )
        classes.append(namespace(piece).argmax(piece, axis=-1))
    return _joined(classes, axis=-1)


def prediction(recipe: Recipe, params: Params, x: Array) -> Array:
    """Return the scores of samples that lie where the network does; not checked: all that `scores` says."""
    return OUTPUTS[recipe.output](forward(params, x, recipe.activation))


def _scores(recipe: Recipe, params: Params, x: Array) -> Iterator[Array]:
    """Yield the scores piece by piece."""
    checks.instance("recipe", recipe, Recipe)
    check_params(params)
    if recipe.centring and params.mean is None:
        raise ValueError(f"centring is {recipe.centring}, but params has no means: needs those it was trained with")
    checks.arrays(x=(x, "NK"))
    W = params.W[0]
    checks.arrays(**{"W of layer 1": (W, "MK")})
    if checks.is_exact(W):
        checks.arrays(**{"W of layer 1": (W, "MK"), "x": (x, "NK")})
    elif dtype_name(W.dtype) not in FLOAT_DTYPES:  # what samples are moved to
        raise TypeError(f"W of layer 1 has dtype {W.dtype}: needs one of {', '.join(FLOAT_DTYPES)}")
    for rows in pieces(x.shape[-2], ROWS):
        piece = _moved(x[..., rows, :], W)
        checks.arrays(**{"W of layer 1": (W, "MK"), "x": (piece, "NK")})
        yield prediction(recipe, params, piece)


def _moved(x: Array, like: Array) -> Array:
    """Return finite samples where the network is, NumPy's in its dtype."""
    if checks.is_exact(x):
        return x
    if not finite(x):
        raise ValueError("x has entries that are not finite: needs none")
    if not is_host(x):
        return x
    with np.errstate(over="ignore"):
        moved = copied(x, like)
    if not finite(moved):
        raise ValueError(f"x has entries too large for {moved.dtype}: scale it down")
    return moved


def _joined(parts: list[Array], axis: int) -> Array:
    return namespace(*parts).concat(parts, axis=axis)
