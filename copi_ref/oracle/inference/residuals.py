"""What has several right results is judged by what holds at every one of them: a residual."""

from collections.abc import Callable

from copi_ref.oracle.calling.calling import Caller
from copi_ref.oracle.inference.conventions import InferenceConventions
from copi_ref.oracle.inference.convergence import check_converge
from copi_ref.oracle.inference.functions import InferenceFunction
from copi_ref.oracle.inference.implicit_steps import check_implicit, check_implicit_layer
from copi_ref.oracle.report.report import Result

Check = Callable[[Caller, InferenceConventions, InferenceFunction, int], list[Result]]

RESIDUALS: dict[str, Check] = {
    "converge": check_converge,
    "prox_step": check_implicit,
    "implicit_step": check_implicit,
    "implicit_layer": check_implicit_layer,
}
