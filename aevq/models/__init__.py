"""The models. A fourth one is a file here and a yaml in `conf/model`."""

from aevq.models.ae import AE
from aevq.models.base import LatentModel, LossTerms, VariationalModel
from aevq.models.vae import VAE
from aevq.models.vqvae import VQVAE

__all__ = ["AE", "VAE", "VQVAE", "LatentModel", "LossTerms", "VariationalModel"]
