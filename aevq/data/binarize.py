"""From bytes to images in [0, 1]: as they are, cut at a half, or drawn.

- none: x = byte / 255.
- threshold: x = 1 where byte / 255 ≥ 0.5, else 0.
- dynamic: x ~ Bernoulli(byte / 255), redrawn at every training step; for evaluation one draw, the same on
  every machine, because a CPU generator with a committed seed makes it.

Source of dynamic binarisation: Salakhutdinov and Murray 2008; Burda et al. 2016, arXiv:1509.00519, §5.1.
"""

from __future__ import annotations

import hashlib
from typing import Protocol

import torch
from torch import Tensor

__all__ = [
    "BINARIZERS",
    "Binarizer",
    "DynamicBinarizer",
    "GreyLevels",
    "ThresholdBinarizer",
    "bytes_sha256",
    "to_unit",
]

# Part of the protocol: changing one changes every reported likelihood.
_DRAW_SEEDS = {"train": 20_150_901, "val": 20_150_902, "test": 20_150_903}


def to_unit(images: Tensor) -> Tensor:
    """Bytes as float32 in [0, 1]."""
    return images.float().div_(255)


class Binarizer(Protocol):
    """A way from bytes to images in [0, 1]."""

    def batch(self, images: Tensor, seed: int) -> Tensor:
        """A training batch, uint8 → float32 in [0, 1]; `seed` is this batch's own."""

    def freeze(self, images: Tensor, split: str) -> Tensor:
        """A whole split as evaluation sees it, uint8 → uint8 of which `to_unit` makes the images."""


class GreyLevels:
    """Images as they are."""

    def batch(self, images: Tensor, seed: int) -> Tensor:
        """Bytes as float32."""
        return to_unit(images)

    def freeze(self, images: Tensor, split: str) -> Tensor:
        """The same bytes."""
        return images


class ThresholdBinarizer:
    """1 where a pixel is at least a half."""

    def batch(self, images: Tensor, seed: int) -> Tensor:
        """0 or 1, float32."""
        return (images >= 128).float()

    def freeze(self, images: Tensor, split: str) -> Tensor:
        """0 or 255."""
        return (images >= 128).byte() * 255


class DynamicBinarizer:
    """A pixel's grey level is the probability that it is 1."""

    def __init__(self) -> None:
        self._generators: dict[torch.device, torch.Generator] = {}

    def batch(self, images: Tensor, seed: int) -> Tensor:
        """A fresh draw, 0 or 1, float32, on the images' device."""
        generator = self._generators.get(images.device)
        if generator is None:
            generator = self._generators[images.device] = torch.Generator(images.device)
        return self._draw(images, generator.manual_seed(seed)).float()

    def freeze(self, images: Tensor, split: str) -> Tensor:
        """The fixed draw of a split, 0 or 255; the same whatever the device."""
        draw = self._draw(images.cpu(), torch.Generator().manual_seed(_DRAW_SEEDS[split]))
        return (draw.byte() * 255).to(images.device)

    @staticmethod
    def _draw(images: Tensor, generator: torch.Generator) -> Tensor:
        # u is uniform on 0 … 254, so P(u < byte) is byte / 255 exactly: 0 is never drawn 1, and 255 always.
        u = torch.empty(images.shape, dtype=torch.uint8, device=images.device)
        return u.random_(0, 255, generator=generator) < images


BINARIZERS: dict[str, type[GreyLevels | ThresholdBinarizer | DynamicBinarizer]] = {
    "none": GreyLevels,
    "threshold": ThresholdBinarizer,
    "dynamic": DynamicBinarizer,
}


def bytes_sha256(images: Tensor) -> str:
    """SHA-256 of uint8 images, as hex digits: names a fixed draw in the record."""
    return hashlib.sha256(images.cpu().contiguous().numpy().data).hexdigest()
