"""From priors to images, z ~ p(z), x̂ = decode(z), and from images to latents, back, and to features, in chunks."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor

from aevq.data import ImageDataModule, mix
from aevq.errors import expect_int
from aevq.latents import CodeSpec, LatentSet
from aevq.models import LatentModel, VariationalModel
from aevq.nn.distributed import map_rows
from aevq.nn.feature_net import FeatureNet
from aevq.priors import FitTo, Prior

CHUNK = 500
FEATURES_CHUNK = 250  # three times as fast as 1,000 on a CPU, because the feature maps stay in the cache


@torch.inference_mode()
def generate(model: LatentModel, prior: Prior, n: int, seed: int, **options: Any) -> Tensor:
    """Return `n` images of new latents, `(n, C, H, W)` in [0, 1], on the CPU; the model must be in eval mode.

    `options` are further arguments of `prior.sample`, for example `labels` or `temperature`.
    """
    expect_int("n", n, 1)
    latents = prior.sample(n, torch.Generator().manual_seed(seed), **options)
    return map_rows(lambda z: model.decode(z.to(model.device)), latents, CHUNK)


@torch.inference_mode()
def encode_all(model: LatentModel, x: Tensor) -> Tensor:
    """Return the latents of images `(N, C, H, W)`: `(N, *latent_spec.shape)`, on the CPU."""
    return map_rows(lambda chunk: model.encode(chunk.to(model.device)), x, CHUNK)


@torch.inference_mode()
def draw_all(model: VariationalModel, x: Tensor, seed: int) -> Tensor:
    """Return a draw z ~ q(z|x) for each image, `(N, C, H, W)` → `(N, D)`, on the CPU; its noise depends on the seed."""

    def draw(rows: Tensor) -> Tensor:
        generator = torch.Generator(model.device).manual_seed(mix(seed, int(rows[0])))
        return model.encode(x[rows].to(model.device), generator)

    return map_rows(draw, torch.arange(len(x)), CHUNK)


@torch.inference_mode()
def reconstruct_all(model: LatentModel, x: Tensor) -> Tensor:
    """Return the reconstructions of images `(N, C, H, W)`: the same shape, on the CPU."""
    return map_rows(lambda chunk: model.reconstruct(chunk.to(model.device)), x, CHUNK)


@torch.inference_mode()
def features_of(net: FeatureNet, x: Tensor) -> Tensor:
    """Return the features of images `(N, C, 28, 28)` in [0, 1], channel by channel: `(N, C·128)`, on the CPU."""
    device = next(net.parameters()).device
    features = map_rows(lambda chunk: net.features(chunk.to(device)), x.flatten(0, 1)[:, None], FEATURES_CHUNK)
    return features.view(len(x), -1)


@dataclass(frozen=True)
class EncodedSplits(LatentSet):
    """The latents of the train and the validation split, which priors are fitted to: the means of q(z|x).

    Attributes:
        draw: Encodes the same images again and returns draws z ~ q(z|x); None if the model is deterministic.
    """

    draw: Callable[[], LatentSet] | None = None

    @cached_property
    def draws(self) -> LatentSet:
        """Draws in place of the means, encoded when they are first used."""
        return self.draw() if self.draw else self

    def of(self, fit_to: FitTo) -> LatentSet:
        """Return what a prior with this `fit_to` is fitted to."""
        return self.draws if fit_to == "draw" else self


def encode_splits(model: LatentModel, data: ImageDataModule) -> EncodedSplits:
    """Return the latents that priors are fitted to, those of the train and the validation split.

    A latent is drawn with a fixed seed, so the draws of a model are always the same.
    """
    labels = data.labels("train"), data.labels("val")

    def encoded(encode: Callable[[Tensor, int], Tensor]) -> dict[str, Tensor]:
        train, val = (encode(data.images(split), seed) for seed, split in enumerate(("train", "val")))
        return {"train": train, "train_labels": labels[0], "val": val, "val_labels": labels[1]}

    def draw() -> LatentSet:
        assert isinstance(model, VariationalModel)
        return LatentSet(**encoded(partial(draw_all, model)))

    means = encoded(lambda x, _: encode_all(model, x))
    is_variational = isinstance(model, VariationalModel)
    return EncodedSplits(**means, codebook=_codebook(model), draw=draw if is_variational else None)


@torch.no_grad()
def _codebook(model: LatentModel) -> Tensor | None:
    """Return the vector of each code, `(K, D)`; None if the latents are vectors, or `embed` has none for a code."""
    spec = model.latent_spec
    if not isinstance(spec, CodeSpec):
        return None
    vectors = model.embed(torch.arange(spec.num_codes, device=model.device).view(-1, 1, 1))
    return vectors.cpu() if vectors.is_floating_point() else None


@torch.inference_mode()
def interpolate(model: LatentModel, start: Tensor, end: Tensor, steps: int) -> Tensor:
    """Return images on the path from one image's latent to another's.

    Vectors are interpolated linearly. Grids of codes are not vectors: a growing share of positions, in a fixed random
    order, is copied from `end`.

    Args:
        model: The model, in eval mode.
        start: Images at one end of the paths, `(B, C, H, W)`.
        end: Images at the other end, of the same shape.
        steps: Number of images on the path, both ends included.

    Returns:
        `(B, steps, C, H, W)` in [0, 1], on the CPU.
    """
    z_0, z_1 = encode_all(model, start), encode_all(model, end)
    weights = torch.linspace(0, 1, steps)
    if z_0.is_floating_point():
        path = [torch.lerp(z_0, z_1, float(w)) for w in weights]
    else:
        order = torch.rand(z_0.shape[1:], generator=torch.Generator().manual_seed(0))
        path = [torch.where(order < w, z_1, z_0) for w in weights]
    return torch.stack([model.decode(z.to(model.device)).cpu() for z in path], 1)
