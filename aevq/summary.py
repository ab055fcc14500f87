"""The table at the end of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from pathlib import Path

    from aevq.results import Result

__all__ = ["print_summary"]

UNITS = {
    "reconstruction/psnr": "dB",
    "rate/kl_bits": "bits per image",
    "codebook/perplexity": "codes",
    "codebook/usage": "of the codes",
    "train/seconds": "s",
    "train/images_per_second": "images/s",
}


def print_summary(result: Result, path: Path) -> None:
    """Print figures with units, and where everything is."""
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column(f"on {result.data['sizes']['test']:,} test images")
    table.add_column("value", justify="right")
    table.add_column("unit", style="dim")
    for name, value in result.metrics.items():
        table.add_row(name, f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}", _unit(name))
    table.add_section()
    table.add_row("parameters", f"{result.model['parameters']:,}", "")
    for name in ("seconds", "images_per_second"):
        table.add_row(f"train/{name}", f"{result.train[name]:,.0f}", UNITS[f"train/{name}"])
    for name, seconds in result.seconds.items():
        table.add_row(f"seconds/{name}", f"{seconds:,.1f}", "s")
    console = Console(highlight=False)
    console.print(f"\n[bold]{result.name}", soft_wrap=True)
    console.print(table)
    console.print(f"pictures  {_short(path / 'images')}\nfigures   {_short(path / 'result.json')}", soft_wrap=True)


def _unit(name: str) -> str:
    return "nats per image" if name.startswith("loss/") else UNITS.get(name, "")


def _short(path: Path) -> Path:
    """Relative to the current directory where it lies below it."""
    here = path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
