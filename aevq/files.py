"""Files that are written as a whole or not at all, and checkpoints that are read as plain values."""

import logging
import os
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from filelock import AcquireReturnProxy, FileLock, Timeout

from aevq.errors import UserError

SILENT_SECONDS = 3

log = logging.getLogger("aevq")
REQUIRED = {"state_dict": dict, "global_step": int}


def atomic_write(path: Path, content: bytes | bytearray | str) -> None:
    """Write bytes or UTF-8 text to `path`: to a temporary file beside it, flushed to the disk, then renamed to it.

    A file that exists stays as it is until the new one is complete.

    Raises:
        OSError: If it cannot be written; it names `path`.
    """
    temporary = path.with_name(f".{path.name}.{uuid4().hex[:8]}")
    try:
        with temporary.open("xb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno is not None:
            error.filename = str(path)  # not the temporary file's, or none as for a full disk
        raise


def acquire(lock: FileLock, reason: str, timeout: float = -1.0) -> AcquireReturnProxy:
    """Acquire a lock until the returned context ends; after a few seconds log that this process waits for `reason`.

    Raises:
        Timeout: If another process holds it for longer than `timeout` seconds; negative: wait for ever.
    """
    silent = SILENT_SECONDS if timeout < 0 else min(timeout, SILENT_SECONDS)
    try:
        return lock.acquire(timeout=silent)
    except Timeout:
        if silent == timeout:
            raise
        log.warning("waiting for %s, which holds %s", reason, lock.lock_file)
        return lock.acquire(timeout=timeout)


def point_latest(runs: Path, run: Path, name: str = "latest") -> None:
    """Make `runs/<name>` a link to `run`; where links cannot be made, the newest run is found without one."""
    link = runs / f".{name}-{os.getpid()}"
    try:
        link.symlink_to(os.path.relpath(run, runs), target_is_directory=True)
        link.replace(runs / name)
    except OSError:
        link.unlink(missing_ok=True)


def load_plain(path: Path, map_location: Any = "cpu") -> dict[str, Any]:
    """Read the tensors and plain values of a file by `torch.save`, without running any code in it.

    PyTorch writes checksums and does not check them; here a flipped bit is noticed.

    Raises:
        UserError: If the file is missing, incomplete or modified, or not a checkpoint of Lightning.
    """
    import torch  # takes seconds, and not everyone who writes files needs it

    if not path.is_file():
        raise UserError(f"{path}: there is no such checkpoint")
    try:
        with zipfile.ZipFile(path) as archive:
            if (bad := archive.testzip()) is not None:
                raise ValueError(f"it is damaged or was modified: the checksum of {bad} does not match")
        content: Any = torch.load(path, map_location=map_location, weights_only=True)
        if not isinstance(content, dict):
            raise ValueError(f"it holds a {type(content).__name__}")
        for name, kind in REQUIRED.items():
            if not isinstance(content.get(name), kind):
                raise ValueError(f"its {name} is not a {kind.__name__}")
    except Exception as error:  # whatever the bytes of a foreign file provoke
        reason = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        raise UserError(f"{path}: not a readable checkpoint ({reason})") from error
    return content
