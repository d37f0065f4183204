"""More inputs for lateral rules that take a part of a batch: so many samples that the part is no single one."""

from collections.abc import Iterator

from copi_ref.oracle.contract.conventions import Conventions
from copi_ref.oracle.contract.functions import Function
from copi_ref.oracle.inputs.drawing import EXACT, LOOSE, ROUNDING, Kind
from copi_ref.oracle.inputs.layers import layer
from copi_ref.oracle.inputs.networks import completed, real_network, whole_numbers


def lateral_layer_kinds(function: Function, conventions: Conventions) -> Iterator[Kind]:
    """Yield kinds of cases of `decorrelation_update`, where the rule takes a part of the batch."""
    if function.name == "decorrelation_update" and conventions.takes_part_of_batch:
        yield Kind("sixteen samples of whole numbers", EXACT, lambda d: layer(d, 16, 3, 2))
        yield Kind("forty samples of whole numbers", EXACT, lambda d: layer(d, 40, 3, 2))
        yield Kind("forty samples", ROUNDING, lambda d: layer(d, 40, 5, 3))


def lateral_network_kinds(function: Function, conventions: Conventions) -> Iterator[Kind]:
    """Yield kinds of cases of `step`, where the rule takes a part of the batch."""
    if function.name == "step" and conventions.takes_part_of_batch:
        yield Kind("sixteen samples of whole numbers", EXACT, whole_numbers(function, 3, 2, N=16), LOOSE)
        yield Kind("forty samples", ROUNDING,
                   lambda d: completed(d, function, real_network(d, (3, 5, 2), 40), (0.5, 0.5)), LOOSE)  # fmt: skip
