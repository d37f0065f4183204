"""Compression: one linear map in the place of successive hidden layers, without retraining (App. B, Fig. 3C)."""

from typing import NamedTuple

from copi_ref.activations import Activation, leaky_relu
from copi_ref.analysis.linear_maps import LINEAR_MAPS, LinearMapName
from copi_ref.arrays import checks
from copi_ref.arrays.backend import Array, namespace
from copi_ref.arrays.moments import mean_outer
from copi_ref.arrays.pieces import in_double, mean_over_pieces
from copi_ref.network import Params, check_network, forward


class Responses(NamedTuple):
    """What the map is made from: the second layer's inputs, and how later layers respond to them, over all samples.

    Args:
        C: (…, K_1, K_1), E[x_2 x_2ᵀ].
        ax: E[a_l x_2ᵀ] of the layers l = 3 … L, (…, K_l, K_1) each.
    """

    C: Array
    ax: tuple[Array, ...]


def responses(params: Params, y0: Array, activation: Activation = leaky_relu) -> Responses:
    """Return the moments that `compress` needs, in float64 and in pieces: memory O(K²), not O(N K).

    Args:
        params: the network.
        y0: (N, K_0), samples in the network's library and dtype, or NumPy's, which are moved there piece by piece; the
            paper takes all training samples.
        activation: f.

    Raises:
        TypeError: samples that don't fit the network.
        ValueError: samples that don't fit the network, or one with fewer than three layers, of which none can go.
    """
    check_network(params)
    checks.instance("activation", activation, Activation, "ACTIVATIONS['relu']")
    if len(params.W) < 3:
        raise ValueError(
            f"params has {len(params.W)} layers: needs at least 3, the first stays and the output is no hidden one"
        )

    def moments(piece: Array) -> tuple[Array, ...]:
        trace = forward(params, piece, activation)
        x = in_double(trace.x[1])
        return (mean_outer(x, x), *(mean_outer(in_double(a), x) for a in trace.a[2:]))

    C, *ax = mean_over_pieces(y0, params.W[0], moments, "y0")
    return Responses(C, tuple(ax))


def compress(params: Params, responses: Responses, removed: int, formula: LinearMapName = "diagonal") -> Params:
    """Return the network without its hidden layers 2 … removed + 1.

    W_2 … W_{removed+2}, and all between them, become M with a_{removed+2} ≈ M x_2. The first layer stays, "never
    removed", since pixels that are always 0 would have to be divided by (App. B); of L − 1 hidden layers at most L − 2
    can go. A map to y_{removed+1}, with W R after it, would be the same network where nothing is centred.

    Args:
        params: the network that `responses` is of.
        responses: its moments.
        removed: how many hidden layers, from 0 (the network as it is).
        formula: a name in `LINEAR_MAPS`: "diagonal" (fixed_point), "inverse", "pseudo-inverse".

    Returns:
        A network for `forward` and `evaluate`, in the dtype of the old one, with which it shares the other layers.

    Raises:
        TypeError: `removed` is no whole number.
        ValueError: it is below 0 or above L − 2, an unknown formula, moments of another network, or "inverse" where
            there is none.
    """
    find = checks.choice("formula", formula, LINEAR_MAPS)
    checks.whole_number("removed", removed, minimum=0)
    check_network(params)
    checks.instance("responses", responses, Responses, "responses(params, y0) makes them")
    checks.same_length(responses=(responses.ax, len(params.W) - 2))
    if removed > len(params.W) - 2:
        raise ValueError(
            f"removed is {removed}: of {len(params.W) - 1} hidden layers all but the first can go, "
            f"at most {len(params.W) - 2}"
        )
    if removed == 0:
        return params
    M = _like(find(responses.ax[removed - 1], responses.C), params.W[1])
    return Params(
        W=(params.W[0], M, *params.W[removed + 2 :]),
        R=(*params.R[:2], *params.R[removed + 2 :]),
        mean=None if params.mean is None else (*params.mean[:2], *params.mean[removed + 2 :]),
    )


def _like(M: Array, W: Array) -> Array:
    return M if M.dtype == W.dtype else namespace(M).astype(M, W.dtype)
