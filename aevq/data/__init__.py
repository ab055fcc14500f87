"""Data sets: images are read, split, and served as batches that live on the device of the trainer.

No other package assumes a size, a number of channels or of classes. A new data set is one file and one yaml.
"""

from aevq.data.binarize import to_unit
from aevq.data.datamodule import ImageDataModule
from aevq.data.loader import DeviceLoader, mix
from aevq.data.mnist import MNISTDataModule, StackedMNISTDataModule, embedded_digits
from aevq.data.splits import SPLIT_NAMES, Split, Splits, fingerprint, some_rows

__all__ = [
    "SPLIT_NAMES",
    "DeviceLoader",
    "ImageDataModule",
    "MNISTDataModule",
    "Split",
    "Splits",
    "StackedMNISTDataModule",
    "embedded_digits",
    "fingerprint",
    "mix",
    "some_rows",
    "to_unit",
]
