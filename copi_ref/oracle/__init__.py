"""The oracle: says whether an implementation is COPI, and which mistake it is if not.

Used as in::

    from copi_ref.oracle import Conventions, check

    check(my_implementation, conventions=Conventions(lateral_rule="left"), precision="float32").raise_if_failed()
"""

from copi_ref.oracle.checks import check
from copi_ref.oracle.contract.conventions import Conventions
from copi_ref.oracle.contract.functions import FUNCTIONS
from copi_ref.oracle.inference.catalogue import INFERENCE_VARIANTS
from copi_ref.oracle.inference.conventions import InferenceConventions
from copi_ref.oracle.inference.functions import INFERENCE_FUNCTIONS
from copi_ref.oracle.naming.catalogue import VARIANTS, Variant
from copi_ref.oracle.report.report import OracleError, Report, Result
from copi_ref.oracle.rounding import PRECISIONS

__all__ = [
    "FUNCTIONS",
    "INFERENCE_FUNCTIONS",
    "INFERENCE_VARIANTS",
    "PRECISIONS",
    "VARIANTS",
    "Conventions",
    "InferenceConventions",
    "OracleError",
    "Report",
    "Result",
    "Variant",
    "check",
]
