"""A small data set of real digits in the four files of MNIST: 60 to train, 20 to test."""

from __future__ import annotations

import gzip
import hashlib
import struct
from typing import Any

from aevq.data.embedded import embedded_digits
from aevq.data.files import ROLES

NAMES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


def idx_bytes(tensor) -> bytes:
    magic = {3: 2051, 1: 2049}[tensor.ndim]
    return struct.pack(f">{1 + tensor.ndim}I", magic, *tensor.shape) + tensor.contiguous().numpy().tobytes()


def zipped(raw: bytes) -> bytes:
    return gzip.compress(raw, mtime=0)


def small_contents() -> dict[str, bytes]:
    """Raw files by name."""
    images, labels = embedded_digits()
    train, test = slice(0, 5000, 84), slice(1, 5000, 250)
    parts = (images[train], labels[train], images[test], labels[test])
    return {name: idx_bytes(part) for name, part in zip(NAMES, parts, strict=True)}


def file_entries(contents: dict[str, bytes], *hashes: str) -> dict[str, dict[str, Any]]:
    entries = {}
    for role, name in zip(ROLES, NAMES, strict=True):
        raw = contents[name]
        ndim = 3 if role.endswith("images") else 1
        known = {"sha256": raw, "sha256_gz": zipped(raw)}
        entries[role] = {
            "name": name,
            "shape": list(struct.unpack_from(f">{ndim}I", raw, 4)),
            **{key: hashlib.sha256(known[key]).hexdigest() for key in hashes},
        }
    return entries
