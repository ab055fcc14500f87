"""What a launcher and the processes of a job report to each other.

The launcher of a sweep (`aevq.sweeps`) sets these environment variables for each job; a run without them was typed:

- `AEVQ_STATUS_FILE`: JSON file in which the job reports its progress, at most once a second. Keys: `folder`, `stage`,
  `step`, `steps`, `seconds_left`, `metrics`.
- `AEVQ_SWEEP_FOLDER`, `AEVQ_JOB_INDEX`, `AEVQ_JOB_SUFFIX`: the job creates its run folder in this folder; its name
  begins with the index and ends with the suffix, which says what the sweep varies.
- `AEVQ_TRUST_ONLY`: 1 if the job was read from a sweep.json, so that its configuration may name only classes of aevq
  and of the packages in `trust`; empty if it was typed.

The first process of a job sets for the processes that it starts:

- `AEVQ_RUN_FOLDER`: the run folder.
"""

import json
import os
import time
from pathlib import Path
from typing import Any

STATUS_FILE, TRUST_ONLY, RUN_FOLDER = "AEVQ_STATUS_FILE", "AEVQ_TRUST_ONLY", "AEVQ_RUN_FOLDER"
SWEEP_FOLDER, JOB_INDEX, JOB_SUFFIX = "AEVQ_SWEEP_FOLDER", "AEVQ_JOB_INDEX", "AEVQ_JOB_SUFFIX"
SECONDS_BETWEEN_WRITES = 1.0

_status: dict[str, Any] = {}
_last_write = 0.0


def report_status(at_once: bool = True, **values: Any) -> None:
    """Update the status of this job, if a launcher asked for one: `at_once`, or if the last write was a second ago."""
    global _last_write
    path = os.environ.get(STATUS_FILE)
    if path is None or (not at_once and time.monotonic() - _last_write < SECONDS_BETWEEN_WRITES):
        return
    _last_write = time.monotonic()
    _status.update(values)
    new = Path(f"{path}.{os.getpid()}")
    new.write_text(json.dumps(_status), encoding="utf-8")
    new.replace(path)


def read_status(path: Path) -> dict[str, Any]:
    """Return the status that a job has reported so far; empty if it has reported none."""
    try:
        status: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return status
