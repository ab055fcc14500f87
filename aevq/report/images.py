"""Pictures of runs, as they stand in a page that loads nothing from outside."""

from __future__ import annotations

import io
from base64 import b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image, UnidentifiedImageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from aevq.report.grouping import Group
    from aevq.report.records import Record

__all__ = ["Picture", "first_picture", "load_picture", "picture_of", "reconstructions", "samples"]

WIDEST = 1400  # pixels of a picture on the page
COLOURS = 128


@dataclass(frozen=True)
class Picture:
    """A picture on the page.

    Attributes:
        title: What it shows.
        group: Index of the group, None for originals.
        source: `data:` address.
        width: Pixels.
        height: Pixels.
        strip: Whether it is bare, pixel for pixel, and may be enlarged without smoothing.
        prior: What the samples on it were drawn from.
    """

    title: str
    group: int | None
    source: str
    width: int
    height: int
    strip: bool
    prior: str = ""


def load_picture(path: Path, title: str, group: int | None, prior: str = "") -> Picture | None:
    """A PNG as part of the page: strips as they are, others with few colours; None where it is none."""
    strip = path.parent.name == "strips"
    try:
        content = path.read_bytes()
        with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
            image.load()
            width, height = image.size
            content = content if strip else _lighter(image)
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError):
        return None
    return Picture(title, group, f"data:image/png;base64,{b64encode(content).decode()}", width, height, strip, prior)


def _lighter(image: Image.Image) -> bytes:
    """The same picture in a third of the bytes."""
    image = image.convert("RGB")
    image.thumbnail((WIDEST, WIDEST))
    target = io.BytesIO()
    image.quantize(COLOURS, dither=Image.Dither.NONE).save(target, "PNG", optimize=True)
    return target.getvalue()


def first_picture(group: Group, *names: str) -> Path | None:
    """The first of these pictures that a run of the group has, runs by seed."""
    return next((path for name in names for run in group.runs if (path := run.picture(name))), None)


def picture_of(group: Group, index: int, name: str) -> Picture | None:
    """One of the titled pictures of a group."""
    path = first_picture(group, name)
    return load_picture(path, group.label, index) if path else None


def reconstructions(groups: Sequence[Group]) -> list[Picture]:
    """Of each group a row of originals, unless it is that of the group above, and their reconstructions."""
    rows: list[Picture] = []
    shown: str | None = None
    for index, group in enumerate(groups):
        run = next((run for run in group.runs if run.picture("strips/reconstructions")), None)
        if run is None:
            rows += [picture for picture in [picture_of(group, index, "reconstructions")] if picture]
            continue
        originals = _strip(run, "originals", "originals", None)
        if originals and originals.source != shown:
            rows.append(originals)
            shown = originals.source
        rows += [picture for picture in [_strip(run, "reconstructions", group.label, index)] if picture]
    return rows


def _strip(run: Record, name: str, title: str, group: int | None) -> Picture | None:
    path = run.picture(f"strips/{name}")
    return load_picture(path, title, group) if path else None


def samples(groups: Sequence[Group]) -> list[Picture]:
    """Samples of every group and prior, the best prior of a group first."""
    found: list[Picture | None] = []
    for index, group in enumerate(groups):
        priors = dict.fromkeys([*group.priors, *(group.runs[0].config.get("prior") or {})])
        for prior in priors:
            path = first_picture(group, f"strips/samples_{prior}", f"samples_{prior}")
            found.append(load_picture(path, group.label, index, prior) if path else None)
    return [picture for picture in found if picture]
