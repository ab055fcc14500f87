"""A small data set of real digits in the four files of MNIST: 60 to train, 20 to test."""

import gzip
import hashlib
import struct
from collections.abc import Sequence

import torch

from aevq.data import ImageDataModule, Split, embedded_digits
from aevq.data.download import FILES, Source

MIRRORS = ("https://first.test/mnist/", "https://second.test/mnist/")


def idx_bytes(tensor) -> bytes:
    magic = {3: 2051, 1: 2049}[tensor.ndim]
    return struct.pack(f">{1 + tensor.ndim}I", magic, *tensor.shape) + tensor.contiguous().numpy().tobytes()


def zipped(raw: bytes) -> bytes:
    return gzip.compress(raw, mtime=0)


def small_contents() -> dict[str, bytes]:
    """Return the raw files by name."""
    images, labels = embedded_digits()
    train, test = slice(0, 5000, 84), slice(1, 5000, 250)
    parts = (images[train], labels[train], images[test], labels[test])
    return {name: idx_bytes(part) for name, part in zip(FILES, parts, strict=True)}


def small_source(contents: dict[str, bytes], mirrors: Sequence[str] = MIRRORS, of_gz: bool = False) -> Source:
    known = [zipped(raw) if of_gz else raw for raw in contents.values()]
    sha256 = tuple(hashlib.sha256(data).hexdigest() for data in known)
    return Source("MNIST", tuple(mirrors), sha256, of_gz)


class Toys(ImageDataModule):
    """Noise of any shape, in any number of classes: 60 images to train, 10 of them for validation."""

    test_images: int

    def read(self) -> tuple[Split, Split]:
        generator = torch.Generator().manual_seed(0)

        def some(n: int) -> Split:
            images = torch.randint(256, (n, *self.image_shape), generator=generator).byte()
            return Split(images, torch.arange(n) % self.num_classes)

        return some(60), some(self.test_images)


def toys(shape: tuple[int, int, int] = (1, 28, 28), classes: int = 10, test_images: int = 20) -> Toys:
    data = Toys("toys", image_shape=shape, num_classes=classes, val_size=10)
    data.test_images = test_images
    data.prepare()
    return data
