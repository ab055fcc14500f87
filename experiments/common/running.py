"""Makes a study's runs: its sweeps, each in a folder that a second start goes on with, and their evaluations."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rich.console import Console

from aevq.errors import UserError
from aevq.files import atomic_write
from aevq.report.folders import collect
from aevq.report.grouping import NO_PART_OF_IT
from experiments.common.study import Study

__all__ = ["agree", "commands_of", "run_study", "sweep_arguments"]

COMMANDS = "commands.txt"
PLACES = ("hydra.launcher.n_jobs", "hydra.launcher.threads")
console = Console(stderr=True, highlight=False)


def commands_of(study: Study, overrides: Sequence[str]) -> list[str]:
    """The command lines of a study, without what changes no figure, say where the data lie or how many run at once."""
    telling = [override for override in overrides if not _tells_nothing(override.partition("=")[0])]
    commands = [["python -m aevq.train -m", *sweep, *telling] for sweep in study.sweeps]
    if study.evaluation is not None:
        commands.append(["python -m aevq.evaluate run=<run>", *study.evaluation])
    return [" ".join(command) for command in commands]


def _tells_nothing(key: str) -> bool:
    return key in NO_PART_OF_IT or key.startswith("hydra.launcher.")


def run_study(study: Study, folder: Path, overrides: Sequence[str]) -> list[Path]:
    """Run what a study has left to run.

    Args:
        study: The study.
        folder: Of its sweeps.
        overrides: Added to each sweep's: where the data lie, or fewer steps for a trial.

    Returns:
        The folders of the sweeps.

    Raises:
        UserError: If a sweep or an evaluation fails, what was finished is kept; or if the folder holds runs of other
            commands.
    """
    agree(folder, commands_of(study, overrides))
    folders = [folder / f"sweep{i}" for i in range(len(study.sweeps))]
    for sweep, into in zip(study.sweeps, folders, strict=True):
        _call("aevq.train", "-m", *sweep_arguments([*sweep, *overrides], into))
    if study.evaluation is not None:
        _evaluate([record.path for record in collect(folders).finished], study.evaluation)
    return folders


def agree(folder: Path, commands: Sequence[str]) -> None:
    """Note which commands a folder's runs are of.

    Raises:
        UserError: If it holds the runs of other ones.
    """
    note, text = folder / COMMANDS, "".join(f"{command}\n" for command in commands)
    if note.is_file() and (before := note.read_text(encoding="utf-8")) != text:
        other = next((command for command in before.splitlines() if command not in commands), before.splitlines()[0])
        raise UserError(f"{folder}: it holds the runs of {other!r} and goes on with these only")
    folder.mkdir(parents=True, exist_ok=True)
    atomic_write(note, text)


def sweep_arguments(overrides: Sequence[str], folder: Path) -> list[str]:
    """The arguments that begin a sweep in a folder, or go on with the one that is there, as many jobs at once."""
    if not (folder / "sweep.json").is_file():
        return [*overrides, f"hydra.sweep.dir={folder}"]
    return [f"resume_sweep={folder}", *(override for override in overrides if override.partition("=")[0] in PLACES)]


def _evaluate(runs: Sequence[Path], overrides: Sequence[str]) -> None:
    """Measure the runs that were not measured yet, one a core."""
    left = [run for run in runs if not (run / "evaluation.json").is_file()]
    workers = os.cpu_count() or 1
    with ThreadPoolExecutor(workers) as pool:
        for done, _ in enumerate(pool.map(lambda run: _evaluate_one(run, overrides), left), 1):
            console.print(f"evaluated {done} of {len(left)}")


def _evaluate_one(run: Path, overrides: Sequence[str]) -> None:
    _call("aevq.evaluate", f"run={run}", *overrides, log=run / "evaluate.log")


def _call(module: str, *arguments: str, log: Path | None = None) -> None:
    """Run a command; one whose output goes into a log has one thread, as others run beside it."""
    command = [sys.executable, "-m", module, *arguments]
    console.print(f"[dim]{' '.join(['python', *command[1:]])}", soft_wrap=True)
    if log is None:
        code = subprocess.run(command, check=False).returncode
    else:
        with log.open("w", encoding="utf-8") as file:
            alone = os.environ | {"OMP_NUM_THREADS": "1"}
            code = subprocess.run(command, stdout=file, stderr=file, env=alone, check=False).returncode
    if code:
        raise UserError(f"study: python -m {module} ended with {code}" + (f"; see {log}" if log else ""))
