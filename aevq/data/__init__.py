"""MNIST for every model: files, splits, batches that live on the device."""

from __future__ import annotations

from aevq.data.binarize import to_unit
from aevq.data.datamodule import MNISTDataModule
from aevq.data.loader import DeviceLoader, Transform
from aevq.data.seeding import mix
from aevq.data.splits import SPLIT_NAMES, Split, Splits, fingerprint, some_rows
from aevq.data.stacked import StackedMNISTDataModule

__all__ = [
    "SPLIT_NAMES",
    "DeviceLoader",
    "MNISTDataModule",
    "Split",
    "Splits",
    "StackedMNISTDataModule",
    "Transform",
    "fingerprint",
    "mix",
    "some_rows",
    "to_unit",
]
