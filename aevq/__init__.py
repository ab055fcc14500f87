"""aevq: train AE, VAE and VQ-VAE on one MNIST and compare how they reconstruct and how they sample.

import aevq

run = aevq.fit("model=vae", "trainer.max_steps=500")
images = aevq.load("latest").sample(64, seed=0)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aevq.runs.run import Run, load
    from aevq.train import fit

__all__ = ["Run", "fit", "load"]

_MODULES = {"Run": "aevq.runs.run", "load": "aevq.runs.run", "fit": "aevq.train"}


def __getattr__(name: str) -> Any:
    """Import a name of `__all__` when it is first used: most of them need torch, which takes seconds to import."""
    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
