"""Models that are small enough for tests."""

from functools import partial

from torch.optim import AdamW

from aevq.models import AE, VAE, VQVAE
from aevq.nn import MLP, Conv, DeadCodeRestart, EMAUpdate, Gaussian

SHAPE = (1, 28, 28)


def small_model(name: str):
    """Return an untrained model of a few thousand parameters."""
    parts = {"likelihood": Gaussian(0.2), "optimizer": partial(AdamW, lr=1e-3), "schedule": None}
    if name == "ae":
        return AE(latent_dim=4, network=MLP([64]), **parts)
    if name == "vae":
        return VAE(latent_dim=4, network=MLP([64]), **parts)
    restart = DeadCodeRestart(threshold=0.1, every=5)
    conv = Conv([4, 8])
    return VQVAE((1, 28, 28), (7, 7), 16, 4, 0.25, conv, EMAUpdate(0.9), restart, "normal", **parts)
