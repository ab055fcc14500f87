"""Priors over latents: fit, sample, log_prob."""

from aevq.priors.base import Prior
from aevq.priors.code_length import code_length
from aevq.priors.codes import Marginals, Uniform
from aevq.priors.files import build_prior, fitted_to, load_prior, save_prior
from aevq.priors.mixture import Mixture
from aevq.priors.normal import FittedNormal, StandardNormal
from aevq.priors.pixelcnn import PixelCNN

__all__ = [
    "FittedNormal",
    "Marginals",
    "Mixture",
    "PixelCNN",
    "Prior",
    "StandardNormal",
    "Uniform",
    "build_prior",
    "code_length",
    "fitted_to",
    "load_prior",
    "save_prior",
]
