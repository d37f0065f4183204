"""Inference Learning, which is predictive coding: energies, inference, updates (Alonso et al. 2022, arXiv 2206.00164).

Each layer has a state h_l beside its prediction from the layer below. Inference lowers an energy of the prediction
errors e_l over the states; then each weight learns from its own layer's error. Layers are numbered as in COPI, so
W_l leads to layer l; its input may be decorrelated by R_l, and may have a mean subtracted (published networks have
neither). States are a tuple h_1 … h_L, one (…, N, K_l) array per layer; the input y_0 is clamped.

The forms of this family, of which public code runs many: a `Form` says how states are predicted, an `Energy` what is
lowered, names of tables in which order and with which predictions. What the authors of Alonso et al. run is
`copi_ref.AlonsoInferenceLearning` and `copi_ref.AlonsoProx`; `prox_energy` and what belongs to it is this library's.
"""

from copi_ref.inference_learning.alonso import infer_by_two_rates, mixed_target, proximal_share, with_softmax_error
from copi_ref.inference_learning.energy import Energy, il_bias_update, il_energy, il_gradient, il_update
from copi_ref.inference_learning.forms import (
    BIASES,
    ORDERS,
    OUTPUT_ACTIVATIONS,
    WEIGHTS_LAST,
    BiasesName,
    Form,
    OrderName,
    OutputActivationName,
)
from copi_ref.inference_learning.inference import (
    INCREMENTAL_ORDERS,
    PREDICTIONS,
    SCHEDULES,
    Gamma,
    IncrementalOrderName,
    PredictionName,
    ScheduleName,
    incremental_il,
    infer,
)
from copi_ref.inference_learning.output import OUTPUT_STATES, OutputStateName, pull_energy, pull_gradient
from copi_ref.inference_learning.proximal import (
    PROX_SCHEDULES,
    ProxScheduleName,
    il_prox_update,
    infer_prox,
    prox_energy,
    prox_gradient,
)
from copi_ref.inference_learning.states import (
    Settled,
    States,
    forward_states,
    held_predictions,
    predictions,
    weight_errors,
)
from copi_ref.inference_learning.weights import Weights

__all__ = [  # in reading order  # noqa: RUF022
    "States",
    "Weights",
    "Form",
    "ORDERS",
    "OrderName",
    "WEIGHTS_LAST",
    "OUTPUT_ACTIVATIONS",
    "OutputActivationName",
    "BIASES",
    "BiasesName",
    "Settled",
    "predictions",
    "forward_states",
    "held_predictions",
    "weight_errors",
    "Energy",
    "il_energy",
    "il_gradient",
    "il_update",
    "il_bias_update",
    "OUTPUT_STATES",
    "OutputStateName",
    "pull_energy",
    "pull_gradient",
    "Gamma",
    "SCHEDULES",
    "ScheduleName",
    "PREDICTIONS",
    "PredictionName",
    "infer",
    "INCREMENTAL_ORDERS",
    "IncrementalOrderName",
    "incremental_il",
    "infer_by_two_rates",
    "with_softmax_error",
    "mixed_target",
    "proximal_share",
    "prox_energy",
    "prox_gradient",
    "il_prox_update",
    "PROX_SCHEDULES",
    "ProxScheduleName",
    "infer_prox",
]
