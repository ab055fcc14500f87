"""The rank of this process, without importing torch or Lightning."""

from __future__ import annotations

import sys

__all__ = ["rank"]


def rank() -> int:
    """Return the rank of this process in its job; 0 until Lightning or a process group has assigned another.

    The environment is not asked: `RANK` and `LOCAL_RANK` may come from another program that started this one.
    """
    group = sys.modules.get("torch.distributed")
    if group is not None and group.is_available() and group.is_initialized():
        return int(group.get_rank())
    lightning = sys.modules.get("lightning_utilities.core.rank_zero")  # where Lightning keeps it
    return int(getattr(getattr(lightning, "rank_zero_only", None), "rank", 0))
