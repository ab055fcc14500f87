"""Networks, likelihoods and the quantiser: modules that know tensors but no experiment."""

from aevq.nn.conv import Conv
from aevq.nn.likelihood import Bernoulli, Gaussian, Laplace, Likelihood
from aevq.nn.mlp import MLP
from aevq.nn.network import Network
from aevq.nn.quantizer import DeadCodeRestart, EMAUpdate, GradientUpdate, VectorQuantizer

__all__ = [
    "MLP",
    "Bernoulli",
    "Conv",
    "DeadCodeRestart",
    "EMAUpdate",
    "Gaussian",
    "GradientUpdate",
    "Laplace",
    "Likelihood",
    "Network",
    "VectorQuantizer",
]
