"""`metrics.csv` of a run: one row `step,name,value` for each logged metric, in the order of logging.

A table in long form is never rewritten when a new name appears, so a kill loses at most the last rows.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

METRICS_FILE, HEADER = "metrics.csv", "step,name,value\n"


def read_metrics(path: Path) -> Iterator[tuple[int, str, float]]:
    """Yield `(step, name, value)` of each row; rows that are incomplete or damaged, and a missing file, are skipped."""
    if not path.is_file():
        return
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                step, name, value = line.rstrip("\n").split(",")
                row = int(step), name, float(value)
            except ValueError:
                continue
            yield row


def to_text(rows: Iterable[tuple[int | None, str, float]]) -> str:
    r"""Return rows as they stand in the file.

    >>> to_text([(10, "val/mse", 0.0125)])
    '10,val/mse,0.0125\n'
    """
    return "".join(f"{step},{name},{float(value)!r}\n" for step, name, value in rows)
