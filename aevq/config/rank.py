"""The rank of this process, without importing torch or Lightning."""

import sys


def rank() -> int:
    """Return the rank of this process in its job: of its process group, else as Lightning knows it, else 0.

    Lightning, when it is imported, reads it from `RANK`, `LOCAL_RANK` or `SLURM_PROCID`. Until then it is 0: the
    environment alone does not tell whether these variables are meant for this program.
    """
    group = sys.modules.get("torch.distributed")
    if group is not None and group.is_available() and group.is_initialized():
        return int(group.get_rank())
    lightning = sys.modules.get("lightning_utilities.core.rank_zero")  # where Lightning keeps it
    return int(getattr(getattr(lightning, "rank_zero_only", None), "rank", 0))
