"""The VQ-VAE: an autoencoder whose latent is a grid of codes from a learned codebook.

Each position of an h×w grid of encoder outputs is replaced by the nearest of K code vectors,

    z_q = e_k,  k = argmin_j ‖z_e − e_j‖,

the gradient passes straight through from z_q to z_e, and the loss is (equation 3)

    −log p(x|z_q) + ‖sg[z_e] − e‖² + β‖z_e − sg[e]‖².

The middle term is absent where the codebook follows moving averages. Sampling needs a prior over code grids.

Source: van den Oord, Vinyals & Kavukcuoglu 2017, "Neural Discrete Representation Learning", arXiv:1711.00937.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
from typing_extensions import override

from aevq.config.schema import Count, NonNegative, checked
from aevq.latents import CodeSpec
from aevq.models.base import LatentModel, LossTerms
from aevq.nn.distributed import broadcast_from_first
from aevq.nn.network import ImageShape, Network
from aevq.nn.quantizer import CodebookUpdate, DeadCodeRestart, VectorQuantizer
from aevq.ops.kmeans import kmeans

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["VQVAE", "VQVAETerms"]


@dataclass(frozen=True)
class VQVAETerms(LossTerms):
    """Terms of equation 3, summed over the grid.

    Attributes:
        codebook: ‖sg[z_e] − e‖², `(B,)`; zero where the codebook is not trained by gradient.
        commitment: ‖z_e − sg[e]‖², `(B,)`, without β.
    """

    codebook: Tensor
    commitment: Tensor


@checked("model")
class VQVAE(LatentModel):
    """A VQ-VAE whose latent is a grid of codes.

    Args:
        image_shape: (C, H, W).
        grid: (h, w).
        num_codes: K.
        code_dim: D.
        commitment_cost: β.
        network: Builds encoder and decoder.
        codebook_update: How the codebook learns, by gradient or by moving averages.
        restart: When unused codes are moved; None leaves them.
        codebook_init: `kmeans` over encoder outputs of the first batches, or `normal`.
        **parts: Likelihood, optimizer and schedule; see `LatentModel`.
    """

    def __init__(
        self,
        image_shape: ImageShape,
        grid: tuple[Count, Count],
        num_codes: Count,
        code_dim: Count,
        commitment_cost: NonNegative,
        network: Network,
        codebook_update: CodebookUpdate,
        restart: DeadCodeRestart | None,
        codebook_init: Literal["kmeans", "normal"],
        **parts: Any,
    ) -> None:
        super().__init__(**parts)
        self.quantizer = VectorQuantizer(num_codes, code_dim, codebook_update, restart)
        self.grid = tuple(grid)
        self.commitment_cost = commitment_cost
        self.codebook_init = codebook_init
        latent_shape = (code_dim, *self.grid)
        self.encoder = network.encoder(tuple(image_shape), latent_shape)
        self.decoder = network.decoder(latent_shape, tuple(image_shape))

    @property
    @override
    def latent_spec(self) -> CodeSpec:
        return CodeSpec(self.quantizer.num_codes, *self.grid)

    def encode(self, x: Tensor) -> Tensor:
        """Nearest codes: `(B, C, H, W)` → int64 `(B, h, w)`."""
        return self.quantizer(self.vectors(x)).codes

    def decode(self, latent: Tensor) -> Tensor:
        """Codes, int64 `(B, h, w)` → `(B, C, H, W)`."""
        return self.likelihood.mean(self.decoder(channels_first(self.quantizer.lookup(latent))))

    def embed(self, latent: Tensor) -> Tensor:
        """The code vectors of a grid: int64 `(B, h, w)` → `(B, h·w·D)`."""
        return self.quantizer.lookup(latent).flatten(1)

    def vectors(self, x: Tensor) -> Tensor:
        """z_e: `(B, C, H, W)` → `(B, h, w, D)`."""
        return channels_last(self.encoder(x))

    @override
    def terms(self, x: Tensor) -> VQVAETerms:
        quantized = self.quantizer(self.vectors(x))
        distortion = self.likelihood.nll(x, self.decoder(channels_first(quantized.z_q)))
        codebook = quantized.codebook_loss.sum((1, 2))
        commitment = quantized.commitment_loss.sum((1, 2))
        objective = distortion + codebook + self.commitment_cost * commitment
        return VQVAETerms(objective=objective, distortion=distortion, codebook=codebook, commitment=commitment)

    @override
    def after_optimizer_step(self) -> None:
        self.quantizer.step()

    @torch.no_grad()
    def on_train_start(self) -> None:
        """Before the first step, put the codebook onto the centres of the encoder's outputs."""
        if self.codebook_init == "normal" or self.global_step > 0:
            return
        images = self.trainer.datamodule.images("train")[: 40 * self.quantizer.num_codes // self.grid[0]]  # type: ignore[attr-defined]
        chunks = images.to(self.dtype).split(256)
        vectors = torch.cat([self.vectors(x.to(self.device)).flatten(0, 2) for x in chunks])
        # Machines of one job may round differently; all ranks begin with the centres of the first.
        self.quantizer.start(broadcast_from_first(kmeans(vectors, self.quantizer.num_codes, seed=0)))


def channels_last(grid: Tensor) -> Tensor:
    """`(B, D, h, w)` → `(B, h, w, D)`."""
    return grid.movedim(1, -1)


def channels_first(grid: Tensor) -> Tensor:
    """`(B, h, w, D)` → `(B, D, h, w)`."""
    return grid.movedim(-1, 1)
