"""The VQ-VAE: an autoencoder whose latent is a grid of codes from a learned codebook.

Each position of the encoder's h×w output grid is replaced by the nearest of K code vectors,

    z_q = e_k,  k = argmin_j ‖z_e − e_j‖,

the gradient is passed straight through from z_q to z_e, and the loss is (equation 3)

    −log p(x|z_q) + ‖sg[z_e] − e‖² + β‖z_e − sg[e]‖².

The middle term is absent where the codebook follows moving averages. Sampling needs a prior over grids of codes.

Source: van den Oord, Vinyals & Kavukcuoglu 2017, "Neural Discrete Representation Learning", arXiv:1711.00937.
"""

from copy import copy
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal

import torch
from pydantic import Strict
from pytorch_lightning.utilities.seed import isolate_rng
from torch import Tensor
from torch.utils.data import DataLoader
from typing_extensions import override

from aevq.config.checks import ImageShape, NonNegativeFloat, PositiveInt
from aevq.latents import CodeSpec
from aevq.models.base import LatentModel, LossTerms
from aevq.models.training import ADAMW, MakeOptimizer
from aevq.nn.backbone import Backbone
from aevq.nn.conv import Conv
from aevq.nn.distributed import broadcast_from_first, gather_objects, world_size
from aevq.nn.quantizer import CodebookUpdate, DeadCodeRestart, EMAUpdate, VectorQuantizer
from aevq.ops.quantize import kmeans


@dataclass(frozen=True)
class VQVAETerms(LossTerms):
    """Terms of equation 3, summed over the grid.

    Attributes:
        codebook: ‖sg[z_e] − e‖², `(B,)`; zero where the codebook is not trained by gradient.
        commitment: ‖z_e − sg[e]‖², `(B,)`, without β.
    """

    codebook: Tensor
    commitment: Tensor


class VQVAE(LatentModel):
    """A VQ-VAE whose latent is a grid of codes.

    Args:
        image_shape: Channels, height and width (C, H, W) of an image.
        grid: Height and width (h, w) of the grid.
        num_codes: Number of codes K.
        code_dim: Number of dimensions D of a code vector.
        commitment_cost: Weight β of the commitment term.
        network: Builds the encoder and the decoder; by default a `Conv` with one residual block in the decoder.
        codebook_update: How the codebook learns, by moving averages (the default) or by gradient.
        restart: When unused codes are moved; None never moves them.
        codebook_init: `kmeans` of the encoder's outputs on the first train batches, or `normal`.
        optimizer: Makes the optimizer from the parameters.
        **parts: Likelihood and schedule; see `LatentModel`.
    """

    def __init__(
        self,
        image_shape: ImageShape = (1, 28, 28),
        grid: Annotated[tuple[PositiveInt, PositiveInt], Strict(False)] = (7, 7),
        num_codes: PositiveInt = 256,
        code_dim: PositiveInt = 16,
        commitment_cost: NonNegativeFloat = 0.25,
        network: Backbone | None = None,
        codebook_update: CodebookUpdate | None = None,
        restart: DeadCodeRestart | None = DeadCodeRestart(),  # noqa: B008 (it has no state)
        codebook_init: Literal["kmeans", "normal"] = "kmeans",
        optimizer: MakeOptimizer = partial(ADAMW, lr=4e-3),  # noqa: B008 (it has no state)
        **parts: Any,
    ) -> None:
        super().__init__(optimizer=optimizer, **parts)
        network = network or Conv(decoder_residual_blocks=1)
        self.quantizer = VectorQuantizer(num_codes, code_dim, codebook_update or EMAUpdate(), restart)
        self.grid = grid
        self.commitment_cost = commitment_cost
        self.codebook_init = codebook_init
        latent_shape = (code_dim, *grid)
        self.encoder = network.encoder(image_shape, latent_shape)
        self.decoder = network.decoder(latent_shape, image_shape)

    @property
    @override
    def latent_spec(self) -> CodeSpec:
        return CodeSpec(self.quantizer.num_codes, *self.grid)

    @override
    def encode(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return the nearest codes: `(B, C, H, W)` → int64 `(B, h, w)`."""
        return self.quantizer(self.vectors(x)).codes

    @override
    def decode(self, latent: Tensor) -> Tensor:
        """Return the images of codes: int64 `(B, h, w)` → `(B, C, H, W)`."""
        return self.likelihood.mean(self.decoder(self.quantizer.lookup(latent).movedim(-1, 1)))

    @override
    def embed(self, latent: Tensor) -> Tensor:
        """Return the code vectors of a grid: int64 `(B, h, w)` → `(B, h·w·D)`."""
        return self.quantizer.lookup(latent).flatten(1)

    def vectors(self, x: Tensor) -> Tensor:
        """Return z_e: `(B, C, H, W)` → `(B, h, w, D)`."""
        return self.encoder(x).movedim(1, -1)

    @override
    def loss_terms(self, x: Tensor) -> VQVAETerms:
        quantized = self.quantizer(self.vectors(x))
        distortion = self.likelihood.nll(x, self.decoder(quantized.z_q.movedim(-1, 1)))
        codebook = quantized.codebook_loss.sum((1, 2))
        commitment = quantized.commitment_loss.sum((1, 2))
        objective = distortion + codebook + self.commitment_cost * commitment
        return VQVAETerms(objective=objective, distortion=distortion, codebook=codebook, commitment=commitment)

    @override
    def after_optimizer_step(self) -> None:
        self.quantizer.step()

    @torch.no_grad()
    @override
    def on_train_start(self) -> None:
        """Before the first step, set the codes to the k-means centres of the encoder's outputs."""
        if self.codebook_init == "normal" or self.global_step > 0:
            return
        with isolate_rng():
            images = self._some_train_images(40 * self.quantizer.num_codes // self.grid[0])
            vectors = torch.cat([self.vectors(x.to(self.device, self.dtype)).flatten(0, 2) for x in images.split(256)])
        # The machines of one job may round differently, so all ranks start from the centres of the first.
        self.quantizer.start(broadcast_from_first(kmeans(vectors, self.quantizer.num_codes, seed=0)))

    def _some_train_images(self, count: int) -> Tensor:
        """Return the images of the first batches of all ranks: `(count, C, H, W)`, on the CPU.

        The train loader, of any class, stays at its start.
        """
        images: list[Tensor] = []
        loader: Any = copy(self.trainer.train_dataloader)
        if isinstance(loader, DataLoader):
            loader.num_workers = loader.timeout = 0  # its worker processes may be running already
        sources = (getattr(part, "generator", None) for part in (loader, getattr(loader, "sampler", None)))
        generators = [(source, source.get_state()) for source in sources if source is not None]
        for batch in loader:
            images.append(batch[0].cpu())
            if sum(map(len, images)) * world_size() >= count:
                break
        for generator, state in generators:
            generator.set_state(state)
        # Rank r of n has the images r, r + n, … of the batches that a single process would have.
        return torch.stack(gather_objects(torch.cat(images)), 1).flatten(0, 1)[:count]
