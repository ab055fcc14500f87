"""A study: which runs answer its question, and how its README shows the answer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

from aevq.errors import UserError, did_you_mean
from experiments.common.results import Results

EXPERIMENTS = Path(__file__).parents[1]


@dataclass(frozen=True)
class Study:
    """What a folder of `experiments` whose name starts with a number contains."""

    sweeps: Sequence[Sequence[str]]  # the overrides of `python -m aevq.train -m`, for each sweep
    tables: Callable[[Results], Mapping[str, str]]  # the text between the README's marks, by the name of the mark
    plots: Callable[[Results, Path], None] | None = None  # draws into a folder
    images: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # file → group, path in its first run's images
    evaluation: Sequence[str] | None = None  # overrides of `python -m aevq.evaluate`; None: runs are not evaluated
    mixed: bool = False  # whether the runs have different data on purpose, for example because a digit is left out


def study_names() -> list[str]:
    """Return the names of all studies."""
    return sorted(path.parent.name for path in EXPERIMENTS.glob("[0-9][0-9]_*/study.py"))


def find_study(name: str) -> Study:
    """Return the study in a folder of `experiments`; a UserError if there is no such study."""
    if name not in study_names():
        raise UserError(f"study: there is no {name!r}; {did_you_mean(name, study_names())}")
    study: Study = import_module(f"experiments.{name}.study").STUDY
    return study
