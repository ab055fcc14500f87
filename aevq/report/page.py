"""The files of a report: one HTML page that loads nothing, where all texts are escaped, a CSV and a Markdown file."""

import io
from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from aevq.errors import UserError
from aevq.files import atomic_write
from aevq.report.charts import COLOURS, MARKERS, rate_chart, sampling_chart, training_charts
from aevq.report.comparison import Comparison, summary_markdown
from aevq.report.groups import Group, value_text
from aevq.report.records import Record
from aevq.report.tables import csv_text

WIDEST = 1400  # pixels of an image on the page
PALETTE = 128  # colours of a plot on the page


@dataclass(frozen=True)
class PageImage:
    """A plot, or a plain grid of images, on the page."""

    title: str
    group: int | None  # index of the group; None for originals
    source: str  # `data:` address
    width: int  # pixels
    height: int
    is_plot: bool  # a plot; everything else is shown pixel by pixel, also where it is enlarged
    prior: str = ""  # that the images were sampled from


def write_report(comparison: Comparison, folder: Path) -> Path:
    """Write `index.html`, `comparison.csv` and `comparison.md`, and return the path of the first.

    Raises:
        UserError: If they cannot be written.
    """
    estimates = ((group.label, name, value) for group in comparison.groups for name, value in group.metrics.items())
    files = {
        "comparison.csv": csv_text(estimates),
        "comparison.md": summary_markdown(comparison),
        "index.html": render(comparison),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            atomic_write(folder / name, content)
    except OSError as error:
        raise UserError(f"out: cannot write {folder} ({error.strerror})") from error
    return folder / "index.html"


def render(comparison: Comparison) -> str:
    """Return the page; parts without content are left out."""
    loader = PackageLoader("aevq.report", "templates")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    signs = list(MARKERS.values())
    environment.globals |= {"colour": lambda i: f"c{i % len(COLOURS)}", "sign": lambda i: signs[i % len(signs)]}
    environment.filters["value_text"] = value_text
    groups = comparison.groups
    return environment.get_template("page.html.j2").render(
        comparison=comparison,
        groups=groups,
        runs=comparison.runs,
        written=f"{datetime.now().astimezone():%-d %B %Y, %H:%M}",
        reconstructions=_reconstructions(groups),
        sample_images=_samples(groups),
        latent_maps=_plots(groups, "latent_space"),
        codebooks=_plots(groups, "codebook_usage"),
        scatters=[chart for chart in (rate_chart(groups), sampling_chart(groups)) if chart],
        curves=training_charts(groups),
        no_rate=[group.label for group in groups if group.rate is None],
        repeats=[run.path.name for group in groups for run in group.repeats],
        facts=_facts(comparison.runs),
    )


def _facts(runs: Sequence[Record]) -> dict[str, str]:
    """Return what the runs were made on and measured by."""

    def distinct(texts: Iterable[str]) -> str:
        return ", ".join(dict.fromkeys(filter(None, texts)))

    starts = [git or {} for run in runs for git in (run.result.git, *(each.get("git") for each in run.result.resumes))]
    versions = dict.fromkeys(package for run in runs for package in run.result.versions)
    facts = {
        "commit": distinct(
            f"{git.get('commit', 'unknown')}{' with local changes' if git.get('dirty') else ''}" for git in starts
        ),
        "device": distinct(run.result.device for run in runs),
        "data (SHA-256)": distinct(run.measurement.fingerprint for run in runs),
        "metrics version": distinct(run.measurement.metrics_version or "unknown" for run in runs),
        "resumed": distinct(f"{run.path.name} ({run.result.resumed}x)" for run in runs if run.result.resumed),
        "samples per prior": distinct(f"{run.measurement.samples:,}" for run in runs if run.measurement.samples),
        "versions": " · ".join(f"{p} {distinct(run.result.versions.get(p, '') for run in runs)}" for p in versions),
    }
    return {name: text for name, text in facts.items() if text}


def _reconstructions(groups: Sequence[Group]) -> list[PageImage]:
    """Return for each group its reconstructions, below the originals unless these are shown above."""
    found: list[PageImage | None] = []
    shown = None
    for index, group in enumerate(groups):
        originals = _image(group.runs, "originals", None, "strips/originals")
        if originals != shown:
            found.append(shown := originals)
        found.append(_image(group.runs, group.label, index, "strips/reconstructions"))
    return [image for image in found if image]


def _samples(groups: Sequence[Group]) -> list[PageImage]:
    """Return samples of every group and prior, the best prior of a group first."""
    found = []
    for index, group in enumerate(groups):
        for prior in dict.fromkeys([*group.priors, *(group.runs[0].config.get("prior") or {})]):
            found.append(_image(group.runs, group.label, index, f"strips/samples_{prior}", prior))
    return [image for image in found if image]


def _plots(groups: Sequence[Group], name: str) -> list[PageImage]:
    plots = (_image(group.runs, group.label, index, name) for index, group in enumerate(groups))
    return [plot for plot in plots if plot]


def _image(runs: Sequence[Record], title: str, group: int | None, name: str, prior: str = "") -> PageImage | None:
    """Return the image of the first seed that has it."""
    path = next(filter(None, (run.image(name) for run in runs)), None)
    return load_image(path, title, group, prior) if path else None


def load_image(path: Path, title: str, group: int | None, prior: str = "") -> PageImage | None:
    """Return a PNG for the page, plain grids unchanged and plots in a third of the bytes; None if it is not a PNG."""
    is_plot = path.parent.name != "strips"
    try:
        content = path.read_bytes()
        with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
            image.load()
            width, height = image.size
            if is_plot:
                smaller, file = image.convert("RGB"), io.BytesIO()
                smaller.thumbnail((WIDEST, WIDEST))
                smaller.quantize(PALETTE, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
                content = file.getvalue()
    except Exception:  # Pillow raises many kinds of error for a damaged file
        return None
    source = f"data:image/png;base64,{b64encode(content).decode()}"
    return PageImage(title, group, source, width, height, is_plot, prior)
