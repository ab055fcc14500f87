"""The tables at the end of a run and of an evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.console import Console, Group
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from aevq.runs.result import Result

__all__ = ["figures_table", "print_summary", "short_path"]

UNITS = {
    "reconstruction/psnr": "dB",
    "codebook/perplexity": "codes",
    "codebook/usage": "of the codes",
    "likelihood/importance_samples": "samples an image",
    "train/seconds": "s",
    "train/images_per_second": "images/s",
}
FLOOR = "floor"  # beside the priors: as many train images, what a perfect sampler would reach


def print_summary(result: Result, path: Path) -> None:
    """Print a run's figures with units, and where everything is."""
    costs = _table("", "", "", show_header=False)
    costs.add_row("parameters", f"{result.model['parameters']:,}", "")
    for name in ("seconds", "images_per_second"):
        costs.add_row(f"train/{name}", f"{result.train[name]:,.0f}", UNITS[f"train/{name}"])
    for name, seconds in result.seconds.items():
        costs.add_row(f"seconds/{name}", f"{seconds:,.1f}", "s")
    console = Console(highlight=False)
    console.print(f"\n[bold]{result.name}", soft_wrap=True)
    console.print(figures_table(result.metrics, f"on {result.data['sizes']['test']:,} test images"), costs)
    console.print(
        f"pictures  {short_path(path / 'images')}\nfigures   {short_path(path / 'result.json')}", soft_wrap=True
    )


def figures_table(metrics: Mapping[str, float], title: str) -> Group:
    """Figures by name; those of samples as a matrix, one column a prior."""
    figures = _table(title, "value", "unit")
    for name, value in metrics.items():
        if not name.startswith(("samples/", "floor/", "latent/kl/")):  # a KL for each dimension is for plots
            figures.add_row(name, number(value), _unit(name))
    samples = {tuple(name.split("/")[1:]): value for name, value in metrics.items() if name.startswith("samples/")}
    if not samples:
        return Group(figures)
    samples |= {(FLOOR, name.split("/")[1]): value for name, value in metrics.items() if name.startswith("floor/")}
    priors = list(dict.fromkeys(prior for prior, _ in samples))
    matrix = _table("samples", *priors)
    for figure in dict.fromkeys(figure for _, figure in samples):
        cells = (samples.get((prior, figure)) for prior in priors)
        matrix.add_row(figure, *("" if cell is None else number(cell) for cell in cells))
    return Group(figures, matrix)


def number(value: float) -> str:
    """Four digits."""
    return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"


def short_path(path: Path) -> Path:
    """Relative to the current directory where it lies below it."""
    here = path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _table(first: str, *others: str, show_header: bool = True) -> Table:
    # Little padding: five columns of names like standard_normal fit into 80 characters.
    table = Table(box=box.SIMPLE_HEAD, show_header=show_header, padding=(0, 1), collapse_padding=True, pad_edge=False)
    table.add_column(first)
    for name in others:
        unit = name == "unit"
        table.add_column(name, justify="left" if unit else "right", style="dim" if unit else None)
    return table


def _unit(name: str) -> str:
    if name.startswith("rate/"):
        return "bits per image"
    nats = name.startswith(("loss/", "likelihood/"))
    return UNITS.get(name, "nats per image" if nats else "")
