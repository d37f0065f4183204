"""Known mistakes in Inference Learning, by name: each exchanges one piece for what people write by mistake.

Formulas here are wrong on purpose. They take NumPy arrays, rows are samples. Some are what a convention chooses: a
result that fits one is called by the convention first.
"""

from copi_ref.oracle.inference.catalogue.inference import INFERENCE_MISTAKES, START_MISTAKES
from copi_ref.oracle.inference.catalogue.predictions import ENERGY_MISTAKES, PREDICTION_MISTAKES
from copi_ref.oracle.inference.catalogue.weights import STEP_MISTAKES, UPDATE_MISTAKES
from copi_ref.oracle.naming.catalogue.variant import Variant

INFERENCE_VARIANTS: dict[str, Variant] = {
    variant.name: variant
    for variant in (
        *PREDICTION_MISTAKES,
        *ENERGY_MISTAKES,
        *START_MISTAKES,
        *INFERENCE_MISTAKES,
        *UPDATE_MISTAKES,
        *STEP_MISTAKES,
    )
}
"""By name, in the order in which a wrong result is compared with them."""
