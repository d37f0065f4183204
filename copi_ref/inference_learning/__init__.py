"""Inference Learning (Alonso, Millidge, Krichmar and Neftci 2022, arXiv 2206.00164): energies, inference, updates.

Each layer has a state h_l beside its prediction from the layer below. Inference lowers an energy of the prediction
errors e_l over the states; then each weight learns from its own layer's error. Layers are numbered as in COPI, so
W_l leads to layer l, and its input is decorrelated by R_l (the paper has none: R = I). States are a tuple h_1 … h_L,
one (…, N, K_l) array per layer; the input y_0 is clamped. What a forward pass computed comes as its trace, of which
only the first layer's x and a are used: they depend on the input alone.
"""

from copi_ref.inference_learning.inference import il_energy, il_gradient, il_update, infer
from copi_ref.inference_learning.proximal import il_prox_update, infer_prox, prox_energy, prox_gradient
from copi_ref.inference_learning.states import (
    CONVENTIONS,
    WEIGHTS_LAST,
    ConventionName,
    Settled,
    States,
    predictions,
    weight_errors,
)

__all__ = [  # in reading order  # noqa: RUF022
    "States",
    "Settled",
    "CONVENTIONS",
    "ConventionName",
    "WEIGHTS_LAST",
    "predictions",
    "weight_errors",
    "il_energy",
    "il_gradient",
    "il_update",
    "infer",
    "prox_energy",
    "prox_gradient",
    "il_prox_update",
    "infer_prox",
]
