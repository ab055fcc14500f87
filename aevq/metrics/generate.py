"""From priors to images, z ~ p(z), x̂ = decode(z), and from images to latents, back, and to features, in chunks."""

import torch
from torch import Tensor

from aevq.data import ImageDataModule
from aevq.errors import expect_int
from aevq.latents import CodeSpec, LatentSet
from aevq.models import LatentModel
from aevq.nn.distributed import map_rows
from aevq.nn.feature_net import FeatureNet
from aevq.priors import Prior

CHUNK = 500
FEATURES_CHUNK = 250  # three times as fast as 1,000 on a CPU, because the feature maps stay in the cache


@torch.inference_mode()
def generate(model: LatentModel, prior: Prior, n: int, seed: int) -> Tensor:
    """Return `n` images of new latents, `(n, C, H, W)` in [0, 1], on the CPU; the model must be in eval mode."""
    expect_int("n", n, 1)
    latents = prior.sample(n, torch.Generator().manual_seed(seed))
    return map_rows(lambda z: model.decode(z.to(model.device)), latents, CHUNK)


@torch.inference_mode()
def encode_all(model: LatentModel, x: Tensor) -> Tensor:
    """Return the latents of images `(N, C, H, W)`: `(N, *latent_spec.shape)`, on the CPU."""
    return map_rows(lambda chunk: model.encode(chunk.to(model.device)), x, CHUNK)


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


def encode_splits(model: LatentModel, data: ImageDataModule) -> LatentSet:
    """Return the latents that priors are fitted to, those of the train and the validation split."""
    train, val = (encode_all(model, data.images(split)) for split in ("train", "val"))
    return LatentSet(train, data.labels("train"), val, data.labels("val"), _codebook(model))


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
        model: In eval mode.
        start: `(B, C, H, W)`; `end` is of the same shape.
        end: The other images.
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
