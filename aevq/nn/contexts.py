"""Contexts in which a network runs and leaves no trace: random numbers of a seed, and the eval mode."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from pytorch_lightning.utilities.seed import isolate_rng
from torch import nn


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw global random numbers from `seed` inside, and outside as if nothing had happened."""
    with isolate_rng():
        torch.manual_seed(seed)
        yield


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Switch to eval mode without gradients, and back afterwards."""
    was_training = module.training
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        module.train(was_training)
