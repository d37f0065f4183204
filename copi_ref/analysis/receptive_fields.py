"""Receptive fields: what each unit answers to, by its correlation with the decorrelated input (§3.2, Fig. 3B)."""

from collections.abc import Callable
from typing import Literal

from copi_ref.activations import Activation, leaky_relu
from copi_ref.analysis.linear_maps import diagonal_map
from copi_ref.arrays import checks
from copi_ref.arrays.backend import Array
from copi_ref.arrays.moments import mean_outer, mean_square
from copi_ref.arrays.pieces import in_double, mean_over_pieces
from copi_ref.network import Params, check_network, forward


def correlation(yx: Array, y_power: Array, x_power: Array) -> Array:
    """Return E[y_i x_j] / √(E[y_i²] E[x_j²]): from −1 to 1, not centred; 0 where a unit or an input is always 0.

    Args:
        yx: (…, M, K), E[y xᵀ].
        y_power: (…, M), E[y²].
        x_power: (…, K), E[x²].

    Returns:
        (…, M, K), without a unit.

    Raises:
        TypeError: arrays of different libraries or dtypes, not floating, or exact (a root is not rational).
        ValueError: shapes that don't fit.
    """
    rows, columns = checks.as_row("y_power", y_power).mT, checks.as_row("x_power", x_power)
    xp = checks.arrays(yx=(yx, "MK"), y_power=(rows, "MO"), x_power=(columns, "OK"))
    checks.not_exact("correlation", yx)
    # Two roots and not one of the product, which underflows first; a dead unit's row of yx is 0 already.
    y_size, x_size = (xp.sqrt(xp.where(power == 0, power + 1, power)) for power in (rows, columns))
    return yx / y_size / x_size


MeasureName = Literal["correlation", "moment", "linear"]
MEASURES: dict[MeasureName, Callable[[Array, Array, Array], Array]] = {
    "correlation": correlation,
    "moment": lambda yx, y_power, x_power: yx,
    "linear": lambda yx, y_power, x_power: diagonal_map(yx, x_power),
}
"""From E[y xᵀ], E[y²] and E[x²] to a field a unit, (…, M, K).

The paper says that x and y "could be correlated" and calls E[x xᵀ] a correlation matrix, and that the result is "a
linear approximation", the mechanism of App. B: each of the three has a case. In "linear", pixels that are hardly ever
on outshine the others; "correlation" treats all alike.
"""


def receptive_fields(
    params: Params, y0: Array, activation: Activation = leaky_relu, measure: MeasureName = "correlation"
) -> tuple[Array, ...]:
    """Return the receptive fields of all units: each y_l against the decorrelated input x_1 = R_1 y_0 over all samples.

    (The paper calls this input x_0.)

    Args:
        params: the network.
        y0: (N, K_0), samples in the network's library and dtype, or NumPy's, which are moved there piece by piece.
        activation: f.
        measure: a name in `MEASURES`.

    Returns:
        One (…, K_l, K_0) array per layer, float64; row i, in the shape of an image, is the field of unit i.

    Raises:
        TypeError, ValueError: samples that don't fit the network, or an unknown measure.
    """
    find = checks.choice("measure", measure, MEASURES)
    check_network(params)
    checks.instance("activation", activation, Activation, "ACTIVATIONS['relu']")
    layers = len(params.W)

    def moments(piece: Array) -> tuple[Array, ...]:
        trace = forward(params, piece, activation)
        x, ys = in_double(trace.x[0]), [in_double(y) for y in trace.y]
        xp = checks.arrays(x=(x, "NK"))
        return (mean_square(x, xp), *(mean_outer(y, x) for y in ys), *(mean_square(y, xp) for y in ys))

    x_power, *rest = mean_over_pieces(y0, params.W[0], moments, "y0")
    return tuple(find(yx, y_power, x_power) for yx, y_power in zip(rest[:layers], rest[layers:], strict=True))
