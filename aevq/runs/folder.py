"""The folders of runs and sweeps: their layout, how they are found by name, and how their small files are read.

    runs/<stamp>_<model>_<data>_s<seed>/      runs/sweep/<stamp>/<index>_…/
      config.yaml  result.json  evaluation.json  metrics.csv  train.log  checkpoints/  priors/  images/

`runs/latest` and `runs/latest_sweep` are links to the run and the sweep that were started last. Importing this module
does not import torch.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import yaml
from filelock import FileLock, Timeout
from pydantic import TypeAdapter, ValidationError

from aevq.config.checks import argument_error
from aevq.errors import UserError, did_you_mean
from aevq.files import acquire, atomic_write

CONFIG_FILE, RESULT_FILE, SWEEP_FILE = "config.yaml", "result.json", "sweep.json"
LATEST, LATEST_SWEEP = "latest", "latest_sweep"
HYDRA_SWEEP_FILE = "multirun.yaml"  # which Hydra writes into the folder of a sweep
SUBFOLDERS = ("checkpoints", "priors", "images")  # of a run
MANY = 10  # more names than this are not listed in an error message

T = TypeVar("T")


def is_run(path: Path) -> bool:
    """Return whether a folder is a run folder."""
    return (path / RESULT_FILE).is_file()


def is_sweep(path: Path) -> bool:
    """Return whether a folder holds a sweep record, or run folders (other launchers write no record)."""
    return (path / SWEEP_FILE).is_file() or any(path.glob(f"*/{RESULT_FILE}"))


def sweep_name(run: Path) -> str | None:
    """Return the name of the sweep that a run folder belongs to, by any launcher; None for a single run."""
    is_record = any((run.parent / name).is_file() for name in (SWEEP_FILE, HYDRA_SWEEP_FILE))
    return run.parent.name if is_record else None


def find_run(name: str, runs: Path, key: str = "run") -> Path:
    """Return the folder of a run: `latest`, the name of a folder in `runs`, or a path.

    Raises:
        UserError: If there is no such run; it starts with `key`, the option that named it.
    """
    return _find(name, [runs], f"{key}: no run", is_run, runs / LATEST)


def find_sweep(name: str, runs: Path, key: str = "sweep") -> Path:
    """Return the folder of a sweep: `latest`, the name of a folder in `<runs>/sweep`, or a path; else as `find_run`."""
    return _find(name, [runs / "sweep"], f"{key}: no sweep", is_sweep, runs / LATEST_SWEEP)


def find_folder(name: str, runs: Path, key: str = "compare") -> Path:
    """Return the folder of a run or a sweep, where `latest` is the latest sweep; else as `find_run`."""
    if name == LATEST:
        return find_sweep(name, runs, key)
    return _find(name, [runs, runs / "sweep"], f"{key}: no run or sweep", lambda path: is_run(path) or is_sweep(path))


def _find(
    name: str, places: list[Path], missing: str, matches: Callable[[Path], bool], latest: Path | None = None
) -> Path:
    candidates = [Path(name), *(place / name for place in places)]
    for path in [latest, *candidates] if latest and name == LATEST else candidates:
        if matches(path):
            return path.resolve()
    known = [path for place in places for path in place.glob("*") if not path.is_symlink() and matches(path)]
    if name == LATEST and known:  # on a file system without links; the names begin with the time
        return max(known, key=lambda path: path.name).resolve()
    hint = f"{len(known)} are there" if len(known) > MANY else did_you_mean(name, (path.name for path in known))
    raise UserError(f"{missing} {name!r} in {places[-1].absolute()}; {hint}")


def create_folder(parent: Path, name: str, subfolders: Iterable[str] = SUBFOLDERS) -> Path:
    """Create a new folder of a run, or of a sweep; a number is appended to `name` if it is taken."""
    for attempt in range(1, 1000):
        with suppress(FileExistsError):
            return make_folder(parent / (name if attempt == 1 else f"{name}-{attempt}"), False, subfolders)
    raise UserError(f"paths.runs: {parent.absolute()} already has a thousand runs called {name}")


def make_folder(path: Path, exist_ok: bool = True, subfolders: Iterable[str] = SUBFOLDERS) -> Path:
    """Create a folder and its subfolders, those of a run; a `FileExistsError` if it exists and `exist_ok` is false."""
    try:
        path.mkdir(parents=True, exist_ok=exist_ok)
        for folder in subfolders:
            (path / folder).mkdir(exist_ok=exist_ok)
    except FileExistsError:
        raise
    except OSError as error:
        raise UserError(f"paths.runs: cannot create {path.absolute()} ({error.strerror})") from error
    return path


@contextmanager
def claimed(folder: Path, key: str, timeout: float = 0.0) -> Iterator[None]:
    """Make this process the only one that writes into `folder`; if it dies, the operating system ends the claim.

    Raises:
        UserError: If another process claims the folder for longer than `timeout` seconds; it starts with `key`.
    """
    lock = FileLock(folder / ".lock")
    with suppress(OSError, NotImplementedError):  # a file system without locks
        try:
            acquire(lock, "another process", timeout)
        except Timeout:
            raise UserError(f"{key}: another process is writing into {folder}") from None
    try:
        yield
    finally:
        lock.release()


def read_config(path: Path) -> dict[str, Any]:
    """Return a run's config.yaml as plain values. Nothing in it is executed or looked up in the environment.

    Raises:
        UserError: If the file is missing, incomplete, or not a mapping of plain values.
    """
    try:
        text = path.read_text(encoding="utf-8")
        config = yaml.safe_load(text)
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        raise UserError(f"{path}: not a run's configuration ({' '.join(str(error).split())})") from error
    if not isinstance(config, dict) or "${" in text:
        problem = "it contains an interpolation" if isinstance(config, dict) else "it is not a mapping"
        raise UserError(f"{path}: not a run's configuration ({problem})")
    return config


def read_json(path: Path, kind: type[T]) -> T:
    """Return the content of a JSON file as a `kind`, a pydantic dataclass or another type that pydantic can check.

    Raises:
        UserError: If the file is missing, incomplete, or does not fit `kind`; the message is one line.
    """
    try:
        return TypeAdapter(kind).validate_json(path.read_bytes())
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    except ValidationError as error:
        found = argument_error(error)
        raise UserError(": ".join(filter(None, (str(path), found.argument, found.problem)))) from error


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Write `values` to `path`, all or nothing; a `ValueError` if a number is NaN or infinite."""
    atomic_write(path, json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
