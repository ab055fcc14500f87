"""Trainings in processes of their own, that die or find trouble where a test wants it.

The processes are forked from one that has imported everything and computed nothing, so a real SIGKILL costs a second.
"""

from __future__ import annotations

import io
import multiprocessing
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["aevq.training.job", "aevq.train", "helpers.dying"])
SECONDS = 280


@dataclass(frozen=True)
class Trouble:
    """What happens, and when.

    Attributes:
        what: `kill`, or a command of the shell.
        where: `fsync`, `replace` or `replaced` of a file, or `step` of a training, or the name of a function.
        name: Of the file, or the number of the step, or where the function is.
        count: The how many-th time.
    """

    what: str
    where: str
    name: str
    count: int = 1


@dataclass(frozen=True)
class Ended:
    """How a process ended: its exit code, negative for a signal, and what it said."""

    code: int
    out: str
    err: str


def train(folder: Path, *arguments: str, trouble: Trouble | None = None, encoding: str = "utf-8") -> Ended:
    """`python -m aevq.train` in a folder."""
    process = FORKS.Process(target=_train, args=(str(folder), arguments, trouble, encoding))
    process.start()
    process.join(SECONDS)
    if process.exitcode is None:
        process.kill()
        process.join()
    out, err = (Path(folder, name).read_text(encoding=encoding) for name in ("out.txt", "err.txt"))
    return Ended(process.exitcode, out, err)


def _train(folder: str, arguments: tuple[str, ...], trouble: Trouble | None, encoding: str) -> None:
    os.chdir(folder)
    sys.stdout, sys.stderr = (_stream(name, encoding) for name in ("out.txt", "err.txt"))
    import torch

    from aevq.train import main

    torch.set_num_threads(1)
    sys.argv = ["aevq", *arguments]
    if trouble is not None:
        _prepare(trouble)
    main()


def _stream(name: str, encoding: str) -> io.TextIOWrapper:
    file = Path(name).open("wb")  # noqa: SIM115 (it stays open)
    return io.TextIOWrapper(file, encoding=encoding, errors="strict", write_through=True)


def _prepare(trouble: Trouble) -> None:
    """Let the trouble come."""
    left = [trouble.count]

    def come(name: str) -> bool:
        if name != trouble.name:
            return False
        left[0] -= 1
        if left[0] != 0:
            return False
        if trouble.what == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        subprocess.run(trouble.what, shell=True, check=True)
        return True

    if trouble.where in ("fsync", "replace", "replaced", "half"):
        _at_files(trouble, come, left)
    elif trouble.where == "step":
        _at_steps(come)
    else:
        _at_function(trouble.where, trouble.name, come)


def _at_files(trouble: Trouble, come: Any, left: list[int]) -> None:
    where, replace, fsync = trouble.where, os.replace, os.fsync

    def named(handle: int) -> str:
        """Of the file that a temporary one will become: `.last.ckpt.x7` is for `last.ckpt`."""
        return Path(os.readlink(f"/proc/self/fd/{handle}")).name[1:].rpartition(".")[0]

    def replacing(source: Any, target: Any, **kwargs: Any) -> None:
        if where == "replace":
            come(Path(target).name)
        replace(source, target, **kwargs)
        if where == "replaced":
            come(Path(target).name)

    def syncing(handle: int) -> None:
        if where == "half" and named(handle) == trouble.name and left[0] == 1:
            os.ftruncate(handle, os.fstat(handle).st_size // 2)
        if where in ("fsync", "half"):
            come(named(handle))
        fsync(handle)

    os.replace, os.fsync = replacing, syncing


def _at_steps(come: Any) -> None:
    from aevq.models import LatentModel

    loss = LatentModel._loss

    def counted(self: Any, batch: Any) -> Any:
        come(str(self.global_step + 1))
        return loss(self, batch)

    LatentModel._loss = counted


def _at_function(name: str, module: str, come: Any) -> None:
    found = import_module(module)
    function = getattr(found, name)

    def before(*args: Any, **kwargs: Any) -> Any:
        come(module)
        return function(*args, **kwargs)

    setattr(found, name, before)


def hold(folder: str, ready: Any) -> None:
    """Claim a run folder and never let go."""
    from aevq.runs.run import Run

    with Run(Path(folder)).claimed():
        ready.set()
        signal.pause()
