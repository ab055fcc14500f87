"""The rank of this process, without importing torch or Lightning."""

import os
import sys
from typing import Any

# Variables in which launchers set the rank of a process. Every launcher also sets one of `LAUNCHED`.
RANKS = (
    *("RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "JSM_NAMESPACE_RANK"),
    *("SLURM_PROCID", "SLURM_LOCALID", "SLURM_NODEID"),
)
LAUNCHED = ("WORLD_SIZE", "MASTER_ADDR", "TORCHELASTIC_RUN_ID", "SLURM_NTASKS", "JSM_NAMESPACE_SIZE")


def rank() -> int:
    """Return the rank of this process in its job: of its process group, else as Lightning knows it, else 0.

    Lightning, when it is imported, reads it from `RANK`, `LOCAL_RANK` or `SLURM_PROCID`. Until then it is 0: the
    environment alone does not determine whether these variables are meant for this program.
    """
    group = sys.modules.get("torch.distributed")
    if group is not None and group.is_available() and group.is_initialized():
        return int(group.get_rank())
    return int(getattr(_rank_zero_only(), "rank", 0))


def ignore_stray_ranks() -> None:
    """Forget the rank in the environment of a process that no launcher started; another program has left it there."""
    if not any(name in os.environ for name in LAUNCHED):
        stray = [os.environ.pop(name) for name in RANKS if name in os.environ]
        if stray and (lightning := _rank_zero_only()) is not None:
            lightning.rank = 0


def _rank_zero_only() -> Any:
    """Return where Lightning keeps the rank; None if it is not imported."""
    return getattr(sys.modules.get("lightning_utilities.core.rank_zero"), "rank_zero_only", None)
