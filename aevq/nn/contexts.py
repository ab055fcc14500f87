"""Context managers: random numbers of a seed, and the eval mode. They restore the state from before at their end."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from pytorch_lightning.utilities.seed import isolate_rng
from torch import nn


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed the global random numbers inside, and restore their state afterwards."""
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
