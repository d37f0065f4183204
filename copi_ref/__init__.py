"""copi_ref: the reference implementation of Constrained Parameter Inference (COPI).

Read in this order: the network, how it decorrelates, how its weights learn, who gets the blame, and Algorithm 1.
"""

from copi_ref.activations import (
    ACTIVATIONS,
    Activation,
    identity,
    leaky_relu,
    leaky_relu_with,
    relu,
    sigmoid,
    tanh,
)
from copi_ref.algorithm import init_state, step
from copi_ref.arrays.backend import BackendError, use_backend
from copi_ref.credit import (
    CREDIT,
    DifferenceTargetPropagation,
    GaitProp,
    InferenceLearning,
    NodePerturbation,
    PreActivationDifferenceTargetPropagation,
    ProximalInferenceLearning,
    RenormalizedGaitProp,
    TargetPropagation,
    backpropagation,
    backpropagation_through_batch_means,
    direct_feedback_alignment,
    direct_random_target_projection,
    feedback_alignment,
    init_feedback,
    sign_direct_feedback_alignment,
    sign_symmetric_feedback,
    sign_symmetric_feedback_with_magnitudes,
    target_propagation_as_printed,
)
from copi_ref.data.dataset import Dataset
from copi_ref.decorrelation import (
    LATERAL_GAINS,
    LATERAL_RULES,
    decorrelation_update,
    preserving_gain,
    safe_eta_r,
)
from copi_ref.kept_diagonal import BatchCentring, KeptDiagonal, NormGain
from copi_ref.learning_rules import (
    WEIGHT_RULES,
    copi_update,
    fixed_point,
    full_update,
    nlms_update,
    oja_update,
    scaled_copi_update,
    sgd_update,
)
from copi_ref.losses import LOSSES, Loss, half_quadratic, quadratic, softmax_cross_entropy
from copi_ref.network import Fused, Params, Trace, forward, fuse, fused_forward, init_params
from copi_ref.optimizers import (
    OPTIMIZERS,
    Adam,
    Momentum,
    Plain,
    adam,
    adam_tmlr,
    momentum,
    plain,
)
from copi_ref.recipe import Recipe
from copi_ref.state import State, member, stack
from copi_ref.subsampling import Subsampled
from copi_ref.task import Task
from copi_ref.to_convergence.implicit_sgd import implicit_sgd_layer, implicit_sgd_step
from copi_ref.to_convergence.inference import infer_prox_to_convergence, infer_to_convergence
from copi_ref.to_convergence.minimise import NotConvergedError
from copi_ref.training.evaluation import Evaluation, evaluate
from copi_ref.training.fit import FitResult, NonFiniteError, fit
from copi_ref.whitening import NormalizedWhitening, RowWhitening, TriangularWhitening, Whitening

__version__ = "0.1.0"

__all__ = [  # in reading order  # noqa: RUF022
    "Params",
    "Trace",
    "init_params",
    "forward",
    "fuse",
    "fused_forward",
    "Fused",
    "ACTIVATIONS",
    "Activation",
    "identity",
    "relu",
    "leaky_relu",
    "leaky_relu_with",
    "tanh",
    "sigmoid",
    "LATERAL_RULES",
    "decorrelation_update",
    "Whitening",
    "NormalizedWhitening",
    "TriangularWhitening",
    "RowWhitening",
    "KeptDiagonal",
    "NormGain",
    "BatchCentring",
    "Subsampled",
    "safe_eta_r",
    "LATERAL_GAINS",
    "preserving_gain",
    "WEIGHT_RULES",
    "copi_update",
    "full_update",
    "scaled_copi_update",
    "sgd_update",
    "nlms_update",
    "oja_update",
    "fixed_point",
    "LOSSES",
    "Loss",
    "quadratic",
    "half_quadratic",
    "softmax_cross_entropy",
    "CREDIT",
    "Task",
    "backpropagation",
    "backpropagation_through_batch_means",
    "feedback_alignment",
    "direct_feedback_alignment",
    "sign_direct_feedback_alignment",
    "direct_random_target_projection",
    "sign_symmetric_feedback",
    "sign_symmetric_feedback_with_magnitudes",
    "target_propagation_as_printed",
    "TargetPropagation",
    "DifferenceTargetPropagation",
    "PreActivationDifferenceTargetPropagation",
    "GaitProp",
    "RenormalizedGaitProp",
    "NodePerturbation",
    "InferenceLearning",
    "ProximalInferenceLearning",
    "init_feedback",
    "infer_to_convergence",
    "infer_prox_to_convergence",
    "NotConvergedError",
    "implicit_sgd_layer",
    "implicit_sgd_step",
    "OPTIMIZERS",
    "Plain",
    "Momentum",
    "Adam",
    "plain",
    "momentum",
    "adam",
    "adam_tmlr",
    "Recipe",
    "State",
    "init_state",
    "step",
    "stack",
    "member",
    "Dataset",
    "fit",
    "FitResult",
    "evaluate",
    "Evaluation",
    "NonFiniteError",
    "use_backend",
    "BackendError",
    "__version__",
]
