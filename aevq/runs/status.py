"""How far a job of a sweep has come, told to the process that started it.

A sweep's launcher names a file in the environment; the job keeps it up to date, at most once a second. Without a
launcher nothing is written.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

__all__ = ["JOB_INDEX", "JOB_SUFFIX", "STATUS_FILE", "SWEEP_FOLDER", "TRUST_ONLY", "read_status", "tell"]

# The environment of a job: the file it tells its progress in, where its run goes, and how that is called.
STATUS_FILE, SWEEP_FOLDER = "AEVQ_STATUS_FILE", "AEVQ_SWEEP_FOLDER"
JOB_INDEX, JOB_SUFFIX = "AEVQ_JOB_INDEX", "AEVQ_JOB_SUFFIX"
TRUST_ONLY = "AEVQ_TRUST_ONLY"  # set where the job was read from a folder: it may name what `trust` lists, and aevq
SECONDS_BETWEEN = 1.0

_told: dict[str, Any] = {}
_last = 0.0


def tell(at_once: bool = True, **news: Any) -> None:
    """Add `news` to what the launcher can read.

    Args:
        at_once: Write now; else only if the last time is a second ago.
        **news: Plain values, say `stage="train"`, `step=100`.
    """
    global _last
    path = os.environ.get(STATUS_FILE)
    if path is None or (not at_once and time.monotonic() - _last < SECONDS_BETWEEN):
        return
    _last = time.monotonic()
    _told.update(news)
    new = Path(f"{path}.{os.getpid()}")
    new.write_text(json.dumps(_told), encoding="utf-8")
    new.replace(path)


def read_status(path: Path) -> dict[str, Any]:
    """What a job has told so far; nothing where it has told nothing."""
    try:
        told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return told
