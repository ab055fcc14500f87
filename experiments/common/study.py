"""A study: which runs answer its question, and how its README shows the answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

from aevq.errors import UserError, did_you_mean
from experiments.common.results import Results

__all__ = ["EXPERIMENTS", "Picture", "Study", "find_study", "study_names"]

EXPERIMENTS = Path(__file__).parents[1]


@dataclass(frozen=True)
class Picture:
    """A picture of a run that the study keeps.

    Attributes:
        label: Of the run's group; of the group's runs the first seed's is taken.
        image: Path under the run's folder `images`.
    """

    label: str
    image: str


@dataclass(frozen=True)
class Study:
    """A folder of `experiments` whose name begins with a number.

    Attributes:
        sweeps: Of each, the overrides of `python -m aevq.train -m`.
        tables: From the results to what stands between the README's marks, by the mark's name.
        figures: Draws the figures into a folder.
        pictures: Name of a file in the study's folder → where it comes from.
        evaluation: Overrides of `python -m aevq.evaluate`, which then measures every run; None where what a run
            measures at its end is all.
        mixed: Whether the runs' data differ on purpose, as where a digit is left out of the training.
    """

    sweeps: Sequence[Sequence[str]]
    tables: Callable[[Results], Mapping[str, str]]
    figures: Callable[[Results, Path], None] | None = None
    pictures: Mapping[str, Picture] = field(default_factory=dict)
    evaluation: Sequence[str] | None = None
    mixed: bool = False


def study_names() -> list[str]:
    """The studies there are."""
    return sorted(path.parent.name for path in EXPERIMENTS.glob("[0-9][0-9]_*/study.py"))


def find_study(name: str) -> Study:
    """The study in a folder of `experiments`.

    Raises:
        UserError: If there is none of this name.
    """
    if name not in study_names():
        raise UserError(f"study: there is no {name!r}; {did_you_mean(name, study_names())}")
    study: Study = import_module(f"experiments.{name}.study").STUDY
    return study
