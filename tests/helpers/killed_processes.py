"""Trainings in processes of their own, in which something goes wrong where a test wants it.

The processes are forked from one that has imported everything and computed nothing, so a real SIGKILL costs a second.
"""

import importlib
import io
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["aevq.train", "aevq.training.parts", "aevq.training.recording", __name__])
SECONDS = 280


@dataclass(frozen=True)
class Trouble:
    """What goes wrong, and when."""

    what: str  # `kill`, or a command of the shell
    where: str  # `fsync`, `half` (written), `replace` or `replaced` of a file, `step` of a training, `stage` of the run
    name: str  # of the file or the stage, or number of the step
    count: int = 1  # at which occurrence


@dataclass(frozen=True)
class Ended:
    """How a process ended: its exit code, negative for a signal, and its output."""

    code: int
    out: str
    err: str


def train(folder: Path, *arguments: str, trouble: Trouble | None = None, encoding: str = "utf-8") -> Ended:
    """Run `python -m aevq.train` in a folder, in a process of its own."""
    return run("train", folder, *arguments, trouble=trouble, encoding=encoding)


def run(
    command: str,
    folder: Path,
    *arguments: str,
    trouble: Trouble | None = None,
    encoding: str = "utf-8",
    path: Sequence[str] = (),
    **environment: str,
) -> Ended:
    """Run `python -m aevq.<command>` in a folder, in a process of its own.

    `path` are further folders to import from, `environment` further variables.
    """
    process = FORKS.Process(target=_run, args=(command, str(folder), arguments, trouble, encoding, path, environment))
    process.start()
    process.join(SECONDS)
    if process.exitcode is None:
        process.kill()
        process.join()
    out, err = (Path(folder, name).read_text(encoding=encoding) for name in ("out.txt", "err.txt"))
    return Ended(process.exitcode, out, err)


def claim_for_ever(folder: str, ready: Any) -> None:
    """Claim a run folder, and hold the claim until the process is killed."""
    from aevq.runs.run import Run

    with Run(Path(folder)).claimed():
        ready.set()
        signal.pause()


def _run(
    command: str,
    folder: str,
    arguments: tuple[str, ...],
    trouble: Trouble | None,
    encoding: str,
    path: Sequence[str],
    environment: dict[str, str],
) -> None:
    os.chdir(folder)
    sys.path[:0] = path
    os.environ.update(environment)
    sys.stdout, sys.stderr = (_stream(name, encoding) for name in ("out.txt", "err.txt"))
    import torch

    main = importlib.import_module(f"aevq.{command}").main
    torch.set_num_threads(1)
    sys.argv = ["aevq", *arguments]
    if trouble is not None:
        _prepare(trouble)
    main()


def _stream(name: str, encoding: str) -> io.TextIOWrapper:
    file = Path(name).open("wb")  # noqa: SIM115 (it stays open)
    return io.TextIOWrapper(file, encoding=encoding, errors="strict", write_through=True)


def _prepare(trouble: Trouble) -> None:
    """Wrap the functions in which the trouble occurs."""
    left = [trouble.count]

    def occurs(name: str) -> None:
        if name != trouble.name:
            return
        left[0] -= 1
        if left[0] != 0:
            return
        if trouble.what == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        subprocess.run(trouble.what, shell=True, check=True)

    if trouble.where == "step":
        from aevq.models import LatentModel

        _before(LatentModel, "training_step", lambda model, *_: str(model.global_step + 1), occurs)
    elif trouble.where == "stage":
        from aevq.training.recording import Recorder

        _before(Recorder, "stage", lambda _, name: name, occurs)
    else:
        _at_files(trouble, occurs, left)


def _at_files(trouble: Trouble, occurs: Any, left: list[int]) -> None:
    where, replace, fsync = trouble.where, os.replace, os.fsync

    def target_of(handle: int) -> str:
        """Return the name that a temporary file will get: `.last.ckpt.x7` becomes `last.ckpt`."""
        return Path(os.readlink(f"/proc/self/fd/{handle}")).name[1:].rpartition(".")[0]

    def replacing(source: Any, target: Any, **kwargs: Any) -> None:
        if where == "replace":
            occurs(Path(target).name)
        replace(source, target, **kwargs)
        if where == "replaced":
            occurs(Path(target).name)

    def syncing(handle: int) -> None:
        if where == "half" and target_of(handle) == trouble.name and left[0] == 1:
            os.ftruncate(handle, os.fstat(handle).st_size // 2)
        if where in ("fsync", "half"):
            occurs(target_of(handle))
        fsync(handle)

    os.replace, os.fsync = replacing, syncing


def _before(cls: type, method: str, name_of: Any, occurs: Any) -> None:
    """Let a method say first what occurs: `name_of` its arguments."""
    original = getattr(cls, method)

    def counted(self: Any, *arguments: Any) -> Any:
        occurs(name_of(self, *arguments))
        return original(self, *arguments)

    setattr(cls, method, counted)
