"""Known wrong variants, by name: each exchanges one piece of COPI for what people write by mistake.

A variant of an equation is also one of every step that contains it, so a wrong step is looked for here too. Formulas
here are wrong on purpose. They take NumPy arrays, rows are samples, and mean over them as the right ones do.
"""

from copi_ref.oracle.naming.catalogue.biases import FORWARD_BIAS_VARIANTS, STEP_BIAS_VARIANTS
from copi_ref.oracle.naming.catalogue.errors import ERROR_VARIANTS
from copi_ref.oracle.naming.catalogue.feedback import FEEDBACK_VARIANTS
from copi_ref.oracle.naming.catalogue.forward import FORWARD_VARIANTS
from copi_ref.oracle.naming.catalogue.lateral import LATERAL_VARIANTS
from copi_ref.oracle.naming.catalogue.layers import LAYER_VARIANTS
from copi_ref.oracle.naming.catalogue.parts_of_batch import PARTIAL_VARIANTS
from copi_ref.oracle.naming.catalogue.perturbations import PERTURBATION_VARIANTS
from copi_ref.oracle.naming.catalogue.slopes import SLOPE_VARIANTS
from copi_ref.oracle.naming.catalogue.steps import STEP_VARIANTS
from copi_ref.oracle.naming.catalogue.variant import Variant
from copi_ref.oracle.naming.catalogue.weights import SGD_VARIANTS, WEIGHT_VARIANTS
from copi_ref.oracle.naming.catalogue.whitening import WHITENING_VARIANTS

__all__ = ["STEP_VARIANTS", "VARIANTS", "Variant"]

VARIANTS: dict[str, Variant] = {
    variant.name: variant
    for variant in (
        *WEIGHT_VARIANTS,
        *SGD_VARIANTS,
        *LATERAL_VARIANTS,
        *WHITENING_VARIANTS,
        *PARTIAL_VARIANTS,
        *FORWARD_VARIANTS,
        *FORWARD_BIAS_VARIANTS,
        *SLOPE_VARIANTS,
        *ERROR_VARIANTS,
        *PERTURBATION_VARIANTS,
        *FEEDBACK_VARIANTS,
        *LAYER_VARIANTS,
        *STEP_VARIANTS,
        *STEP_BIAS_VARIANTS,
    )
}
"""By name, in the order in which a wrong result is compared with them."""
