"""A study: which runs answer its question, and how its README shows the answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

from aevq.errors import UserError, did_you_mean
from experiments.common.results import Results

__all__ = ["EXPERIMENTS", "RunImage", "Study", "find_study", "study_names"]

EXPERIMENTS = Path(__file__).parents[1]


@dataclass(frozen=True)
class RunImage:
    """An image file of a run that the study keeps.

    Attributes:
        label: Label of the run's group, of which the run with the first seed is taken.
        path: Path in the run's folder `images`.
    """

    label: str
    path: str


@dataclass(frozen=True)
class Study:
    """What a folder of `experiments` whose name starts with a number contains.

    Attributes:
        sweeps: The overrides of `python -m aevq.train -m`, for each sweep.
        tables: From the results to the text between the README's marks, by the name of the mark.
        plots: Draws the plots into a folder.
        images: Name of a file in the study's folder → where it comes from.
        evaluation: Overrides of `python -m aevq.evaluate`, which then evaluates every run; None if the metrics that a
            run measures at its end are enough.
        mixed: Whether the runs have different data on purpose, for example because a digit is left out.
    """

    sweeps: Sequence[Sequence[str]]
    tables: Callable[[Results], Mapping[str, str]]
    plots: Callable[[Results, Path], None] | None = None
    images: Mapping[str, RunImage] = field(default_factory=dict)
    evaluation: Sequence[str] | None = None
    mixed: bool = False


def study_names() -> list[str]:
    """Return the names of all studies."""
    return sorted(path.parent.name for path in EXPERIMENTS.glob("[0-9][0-9]_*/study.py"))


def find_study(name: str) -> Study:
    """Return the study in a folder of `experiments`.

    Raises:
        UserError: If there is no such study.
    """
    if name not in study_names():
        raise UserError(f"study: there is no {name!r}; {did_you_mean(name, study_names())}")
    study: Study = import_module(f"experiments.{name}.study").STUDY
    return study
