"""The runs of a study: its sweeps, each in a folder in which an interrupted one is resumed, and their evaluations."""

import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

from rich.console import Console

from aevq.errors import UserError
from aevq.files import atomic_write
from aevq.report.groups import IGNORED_KEYS
from aevq.report.records import collect
from experiments.common.study import Study

COMMANDS = "commands.txt"
LAUNCHER = "hydra.launcher."
console = Console(stderr=True, highlight=False)


def commands_of(study: Study, overrides: Sequence[str]) -> list[str]:
    """Return the command lines of a study, without overrides that change no metric, like the data's folder."""
    keys = {override: override.partition("=")[0] for override in overrides}
    kept = [override for override, key in keys.items() if key not in IGNORED_KEYS and not key.startswith(LAUNCHER)]
    commands = [["python -m aevq.train -m", *sweep, *kept] for sweep in study.sweeps]
    if study.evaluation is not None:
        commands.append(["python -m aevq.evaluate run=<run>", *study.evaluation])
    return [" ".join(command) for command in commands]


def run_study(study: Study, folder: Path, overrides: Sequence[str]) -> list[Path]:
    """Run what has not finished of a study's sweeps and evaluations in a folder, and return the folders of the sweeps.

    `overrides` are added to those of each sweep. A UserError if a sweep or an evaluation fails (finished ones are
    kept), or if the folder holds the runs of other commands.
    """
    check_commands(folder, commands_of(study, overrides))
    folders = [folder / f"sweep{i}" for i in range(len(study.sweeps))]
    for sweep, sweep_folder in zip(study.sweeps, folders, strict=True):
        _call("aevq.train", "-m", *sweep_arguments([*sweep, *overrides], sweep_folder))
    if study.evaluation is not None:
        _evaluate([record.path for record in collect(folders).finished], study.evaluation)
    return folders


def check_commands(folder: Path, commands: Sequence[str]) -> None:
    """Note which commands the runs in a folder come from; a UserError if it holds the runs of others."""
    note, text = folder / COMMANDS, "".join(f"{command}\n" for command in commands)
    if note.is_file() and (before := note.read_text(encoding="utf-8")) != text:
        other = next((command for command in before.splitlines() if command not in commands), before.splitlines()[0])
        raise UserError(f"{folder}: holds the runs of {other!r} and can only resume these; remove it to start again")
    folder.mkdir(parents=True, exist_ok=True)
    atomic_write(note, text)


def sweep_arguments(overrides: Sequence[str], folder: Path) -> list[str]:
    """Return the arguments that start a sweep in a folder, or resume it there with the same number of jobs."""
    if not (folder / "sweep.json").is_file():
        return [*overrides, f"hydra.sweep.dir={folder}"]
    places = (f"{LAUNCHER}n_jobs", f"{LAUNCHER}threads")
    return [f"resume_sweep={folder}", *(override for override in overrides if override.partition("=")[0] in places)]


def _evaluate(runs: Sequence[Path], overrides: Sequence[str]) -> None:
    """Evaluate the runs that have not been evaluated, one on each core."""
    missing = [run for run in runs if not (run / "evaluation.json").is_file()]

    def evaluate(run: Path) -> None:
        _call("aevq.evaluate", f"run={run}", *overrides, log=run / "evaluate.log")

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for done, _ in enumerate(pool.map(evaluate, missing), 1):
            console.print(f"evaluated {done} of {len(missing)}")


def _call(module: str, *arguments: str, log: Path | None = None) -> None:
    """Run a command; one that writes a log gets a single thread, because others run at the same time."""
    command = [sys.executable, "-m", module, *arguments]
    console.print(f"[dim]{' '.join(['python', *command[1:]])}", soft_wrap=True)
    environment = os.environ | ({"OMP_NUM_THREADS": "1"} if log else {})
    with log.open("w", encoding="utf-8") if log else nullcontext() as file:
        code = subprocess.run(command, stdout=file, stderr=file, env=environment, check=False).returncode
    if code:
        raise UserError(f"study: python -m {module} failed with exit code {code}" + (f"; see {log}" if log else ""))
