"""Neural networks: backbones, likelihoods, the quantizer, autoregressive networks, the feature net.

They know nothing of losses, which are in `aevq.models`; functions without parameters are in `aevq.ops`. What models and
trained priors do alike in a Trainer is in `trained_module`.
"""

from aevq.nn.backbone import MLP, Backbone
from aevq.nn.conv import Conv
from aevq.nn.likelihood import Bernoulli, Gaussian, Laplace, Likelihood
from aevq.nn.quantizer import CodebookUpdate, DeadCodeRestart, EMAUpdate, GradientUpdate, VectorQuantizer

__all__ = [
    "MLP",
    "Backbone",
    "Bernoulli",
    "CodebookUpdate",
    "Conv",
    "DeadCodeRestart",
    "EMAUpdate",
    "Gaussian",
    "GradientUpdate",
    "Laplace",
    "Likelihood",
    "VectorQuantizer",
]
