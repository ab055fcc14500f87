"""aevq: train AE, VAE and VQ-VAE on one MNIST and compare how they reconstruct and how they sample.

import aevq

run = aevq.load("latest")
images = run.sample(64, seed=0)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aevq.runs.run import Run, load

__all__ = ["Run", "load"]


def __getattr__(name: str) -> Any:
    """Import `load` and `Run` when they are first asked for: they need torch, which takes seconds."""
    if name in __all__:
        from aevq.runs import run

        return getattr(run, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
