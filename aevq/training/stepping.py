"""Fast checks for a GPU in each optimizer step."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["fast_device_checks"]


@contextmanager
def fast_device_checks() -> Iterator[None]:
    """Let torch ask the CUDA runtime whether there is a GPU, as it does by itself.

    Lightning has it ask NVIDIA's management library instead, so that processes can fork; where there is none, each
    optimizer step then searches the disk for it, 70 µs each time.
    """
    name = "PYTORCH_NVML_BASED_CUDA_CHECK"
    before = os.environ.pop(name, None)
    try:
        yield
    finally:
        if before is not None:
            os.environ[name] = before
