"""Priors over latents: one file each, with `fit`, `sample` and where it exists `log_prob`.

They know latents, never the model that encodes and decodes them. A new prior is one file here and one in `conf/prior`.
"""

from aevq.priors.base import FitTo, Prior, code_length, has_density
from aevq.priors.codes import Marginals, Uniform
from aevq.priors.files import fitted_config, is_fitted, load_prior, save_prior
from aevq.priors.flow import Flow
from aevq.priors.flow_matching import FlowMatching
from aevq.priors.kernel_density import KernelDensity
from aevq.priors.masked import Masked
from aevq.priors.mixture import Mixture
from aevq.priors.normal import FittedNormal, StandardNormal
from aevq.priors.pixelcnn import PixelCNN
from aevq.priors.sampling import SampleOptions, offered_options
from aevq.priors.trained import TrainedPrior
from aevq.priors.transformer import Transformer

__all__ = [
    "FitTo",
    "FittedNormal",
    "Flow",
    "FlowMatching",
    "KernelDensity",
    "Marginals",
    "Masked",
    "Mixture",
    "PixelCNN",
    "Prior",
    "SampleOptions",
    "StandardNormal",
    "TrainedPrior",
    "Transformer",
    "Uniform",
    "code_length",
    "fitted_config",
    "has_density",
    "is_fitted",
    "load_prior",
    "offered_options",
    "save_prior",
]
