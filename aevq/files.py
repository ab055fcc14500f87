"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

__all__ = ["atomic_write", "point_latest"]


def atomic_write(path: Path, content: bytes | bytearray | str) -> None:
    """Write `content` to `path`: to a temporary file beside it, flushed to the disk, then renamed onto it.

    Args:
        path: Target; its folder must exist. A file that is there stays whole until the new one is.
        content: Bytes, or text written as UTF-8.

    Raises:
        OSError: If it cannot be written; it names `path`.
    """
    try:
        _write(path, content.encode() if isinstance(content, str) else content)
    except OSError as error:
        if error.errno is not None:
            error.filename = str(path)  # instead of the temporary file's, or of none as for a full disk
        raise


def _write(path: Path, data: bytes | bytearray) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink(missing_ok=True)
        raise


def point_latest(runs: Path, run: Path, name: str = "latest") -> None:
    """Let `runs/<name>` be a link to `run`; where links cannot be made, the newest is found without."""
    link = runs / f".{name}-{os.getpid()}"
    try:
        link.symlink_to(os.path.relpath(run, runs), target_is_directory=True)
        link.replace(runs / name)
    except OSError:
        link.unlink(missing_ok=True)
