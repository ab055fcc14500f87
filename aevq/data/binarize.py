"""Conversion of uint8 images to float32 in [0, 1]: grey levels, thresholded, or drawn.

- none: x = byte / 255.
- threshold: x = 1 where byte / 255 ≥ 0.5, else 0.
- dynamic: x ~ Bernoulli(byte / 255), redrawn in every training step. Evaluation uses one draw with a fixed seed, made
  by a CPU generator, so that it is the same on every machine.

Source of dynamic binarization: Salakhutdinov and Murray 2008; Burda et al. 2016, arXiv:1509.00519, §5.1.
"""

import hashlib

import torch
from torch import Tensor
from typing_extensions import override

# These seeds are part of the evaluation protocol: another seed changes every reported likelihood.
_DRAW_SEEDS = {"train": 20_150_901, "val": 20_150_902, "test": 20_150_903}


def to_unit(images: Tensor) -> Tensor:
    """Return uint8 images as float32 in [0, 1]."""
    return images.float().div_(255)


class GreyLevels:
    """Keeps the grey levels; base class of the binarizers."""

    def batch(self, images: Tensor, seed: int) -> Tensor:
        """Convert a training batch, uint8 → float32 in [0, 1]; `seed` belongs to this batch alone."""
        return to_unit(images)

    def freeze(self, images: Tensor, split: str) -> Tensor:
        """Return a whole split as evaluation sees it, uint8 → uint8; `to_unit` makes the images of it."""
        return images


class ThresholdBinarizer(GreyLevels):
    """Sets a pixel to 1 where its grey level is at least 1/2, else to 0."""

    @override
    def batch(self, images: Tensor, seed: int) -> Tensor:
        return (images >= 128).float()

    @override
    def freeze(self, images: Tensor, split: str) -> Tensor:
        return (images >= 128).byte() * 255


class DynamicBinarizer(GreyLevels):
    """Draws each pixel; its grey level is the probability of a 1."""

    @override
    def batch(self, images: Tensor, seed: int) -> Tensor:
        return self._draw(images, seed).float()

    @override
    def freeze(self, images: Tensor, split: str) -> Tensor:
        return (self._draw(images.cpu(), _DRAW_SEEDS[split]).byte() * 255).to(images.device)

    @staticmethod
    def _draw(images: Tensor, seed: int) -> Tensor:
        # u is uniform on 0 … 254, so P(u < byte) = byte / 255 exactly: byte 0 always gives 0, byte 255 always 1.
        generator = torch.Generator(images.device).manual_seed(seed)
        u = torch.empty(images.shape, dtype=torch.uint8, device=images.device)
        return u.random_(0, 255, generator=generator) < images


BINARIZERS = {"none": GreyLevels, "threshold": ThresholdBinarizer, "dynamic": DynamicBinarizer}


def bytes_sha256(images: Tensor) -> str:
    """Return the SHA-256 of uint8 images as hex digits; it identifies a fixed draw in the record of a run."""
    return hashlib.sha256(images.cpu().contiguous().numpy().data).hexdigest()
