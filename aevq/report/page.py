"""The report as one HTML file that loads nothing; parts without content are left out, and all texts are escaped."""

from __future__ import annotations

import io
from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image, UnidentifiedImageError

from aevq.report.charts import COLOURS, MARKERS, rate_chart, sampling_chart, training_charts
from aevq.report.comparison import Comparison
from aevq.report.groups import Group, value_text
from aevq.report.records import Record

__all__ = ["Picture", "load_picture", "render"]

WIDEST = 1400  # pixels of an image on the page
PALETTE = 128  # colours of a plot on the page


@dataclass(frozen=True)
class Picture:
    """A plot or a strip of images on the page.

    Attributes:
        title: What it shows.
        group: Index of the group; None for originals.
        source: `data:` address.
        width: Pixels.
        height: Pixels.
        strip: Whether it holds images pixel by pixel and may be enlarged without smoothing.
        prior: Prior that the images were sampled from.
    """

    title: str
    group: int | None
    source: str
    width: int
    height: int
    strip: bool
    prior: str = ""


def render(comparison: Comparison) -> str:
    """Return the page."""
    environment = Environment(
        loader=PackageLoader("aevq.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    signs = list(MARKERS.values())
    environment.globals |= {"colour": lambda i: f"c{i % len(COLOURS)}", "sign": lambda i: signs[i % len(signs)]}
    environment.filters["value_text"] = value_text
    return environment.get_template("page.html.j2").render(_content(comparison))


def _content(comparison: Comparison) -> dict[str, Any]:
    groups = comparison.groups
    return {
        "comparison": comparison,
        "written": f"{datetime.now().astimezone():%-d %B %Y, %H:%M}",
        "groups": groups,
        "reconstructions": _reconstructions(groups),
        "sample_pictures": _samples(groups),
        "latent_maps": _plots(groups, "latent_space"),
        "codebooks": _plots(groups, "codebook_usage"),
        "scatters": [chart for chart in (rate_chart(groups), sampling_chart(groups)) if chart],
        "no_rate": [group.label for group in groups if group.rate is None],
        "curves": training_charts(groups),
        "repeats": [run.path.name for group in groups for run in group.repeats],
        "runs": comparison.runs,
        "facts": _facts(comparison.runs),
    }


def _facts(runs: Sequence[Record]) -> dict[str, str]:
    """Return what the runs were made on and measured by."""
    versions = dict.fromkeys(package for run in runs for package in run.result.versions)
    facts = {
        "commit": _distinct(commit for run in runs for commit in _commits(run)),
        "device": _distinct(run.result.device for run in runs),
        "data (SHA-256)": _distinct(run.measurement.fingerprint for run in runs),
        "metrics version": _distinct(run.measurement.metrics_version or "unknown" for run in runs),
        "resumed": _distinct(f"{run.path.name} ({run.result.resumed}x)" for run in runs if run.result.resumed),
        "samples per prior": _distinct(f"{run.measurement.samples:,}" for run in runs if run.measurement.samples),
        "versions": " · ".join(f"{p} {_distinct(run.result.versions.get(p, '') for run in runs)}" for p in versions),
    }
    return {name: text for name, text in facts.items() if text}


def _commits(run: Record) -> list[str]:
    """Return the commits of the first start and of each resume."""
    states = [git or {} for git in (run.result.git, *(resume.get("git") for resume in run.result.resumes))]
    return [f"{git.get('commit', 'unknown')}{' with local changes' if git.get('dirty') else ''}" for git in states]


def _distinct(texts: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(filter(None, texts)))


def _reconstructions(groups: Sequence[Group]) -> list[Picture]:
    """Return for each group its reconstructions, below the originals unless these are shown above."""
    found: list[Picture] = []
    shown = None
    for index, group in enumerate(groups):
        run = next((run for run in group.runs if run.image("strips/reconstructions")), None)
        if run is None:
            found += filter(None, [_picture(group.runs, group.label, index, "reconstructions")])
            continue
        originals = _picture([run], "originals", None, "strips/originals")
        if originals and originals != shown:
            shown = originals
            found.append(originals)
        found += filter(None, [_picture([run], group.label, index, "strips/reconstructions")])
    return found


def _samples(groups: Sequence[Group]) -> list[Picture]:
    """Return samples of every group and prior, the best prior of a group first."""
    found = []
    for index, group in enumerate(groups):
        for prior in dict.fromkeys([*group.priors, *(group.runs[0].config.get("prior") or {})]):
            names = (f"strips/samples_{prior}", f"samples_{prior}")
            found.append(_picture(group.runs, group.label, index, *names, prior=prior))
    return [picture for picture in found if picture]


def _plots(groups: Sequence[Group], name: str) -> list[Picture]:
    plots = (_picture(group.runs, group.label, index, name) for index, group in enumerate(groups))
    return [plot for plot in plots if plot]


def _picture(runs: Sequence[Record], title: str, group: int | None, *names: str, prior: str = "") -> Picture | None:
    """Return the first of these images that a run has, the first seed first."""
    path = next((path for name in names for run in runs if (path := run.image(name))), None)
    return load_picture(path, title, group, prior) if path else None


def load_picture(path: Path, title: str, group: int | None, prior: str = "") -> Picture | None:
    """Return a PNG for the page, strips unchanged and plots with fewer colours; None if it is not a PNG."""
    strip = path.parent.name == "strips"
    try:
        content = path.read_bytes()
        with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
            image.load()
            width, height = image.size
            content = content if strip else _smaller(image)
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError):
        return None
    return Picture(title, group, f"data:image/png;base64,{b64encode(content).decode()}", width, height, strip, prior)


def _smaller(image: Image.Image) -> bytes:
    """Return the same image in a third of the bytes."""
    image = image.convert("RGB")
    image.thumbnail((WIDEST, WIDEST))
    target = io.BytesIO()
    image.quantize(PALETTE, dither=Image.Dither.NONE).save(target, "PNG", optimize=True)
    return target.getvalue()
