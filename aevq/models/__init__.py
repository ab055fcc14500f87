"""The models: what each encodes to, decodes from and minimises. A new model is one file here and one in `conf/model`.

Networks, likelihoods and the quantizer are in `aevq.nn`; the priors that draw new latents are in `aevq.priors`.
"""

from aevq.models.ae import AE
from aevq.models.base import LatentModel, LossTerms, VariationalModel
from aevq.models.vae import VAE
from aevq.models.vqvae import VQVAE

__all__ = ["AE", "VAE", "VQVAE", "LatentModel", "LossTerms", "VariationalModel"]
