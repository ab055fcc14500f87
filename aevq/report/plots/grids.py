"""Pictures made of images: originals above reconstructions, samples, interpolations; titled, or as bare strips."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from matplotlib.figure import Figure
from PIL import Image
from torchvision.utils import make_grid

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

__all__ = ["one_of_each", "save_figure", "save_grid", "save_rows", "save_strip"]

CELL_INCHES = 0.5


def save_grid(images: Tensor, columns: int, title: str, path: Path) -> None:
    """Write images `(N, C, H, W)` in [0, 1] as a grid under a title."""
    grid = make_grid(images, nrow=columns, padding=1, pad_value=0.25).movedim(0, -1)
    rows = -(-len(images) // columns)
    figure = Figure(figsize=(columns * CELL_INCHES, rows * CELL_INCHES + 0.4), layout="constrained")
    axes = figure.subplots()
    axes.imshow(grid.numpy(), interpolation="nearest")
    axes.set_axis_off()
    axes.set_title(title, fontsize=8)
    save_figure(figure, path)


def save_rows(rows: dict[str, Tensor], title: str, path: Path) -> None:
    """Write one row of images `(N, C, H, W)` for each name, the name at its left, under a title."""
    columns = max(len(row) for row in rows.values())
    figure = Figure(figsize=(columns * CELL_INCHES + 1, len(rows) * (CELL_INCHES + 0.06) + 0.4), layout="constrained")
    for axes, (name, images) in zip(figure.subplots(len(rows), squeeze=False)[:, 0], rows.items(), strict=True):
        axes.imshow(make_grid(images, nrow=columns, padding=1, pad_value=0.25).movedim(0, -1).numpy())
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_visible(False)
        axes.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=7)
    figure.suptitle(title, fontsize=8)
    save_figure(figure, path)


def save_strip(images: Tensor, columns: int, path: Path) -> None:
    """Write images side by side, pixel for pixel, without title or padding: a report lays them out itself.

    Args:
        images: `(N, C, H, W)` in [0, 1]; written as grey for C = 1.
        columns: Images a row; places left over in the last row are black.
        path: PNG of `columns·W` by `⌈N / columns⌉·H` pixels; its folder is made where it is missing.
    """
    grid = make_grid(images, nrow=columns, padding=0).movedim(0, -1)  # always of three channels
    pixels = (grid * 255).round().to(torch.uint8).numpy()
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(pixels[..., 0] if images.shape[1] == 1 else pixels).save(path)


def save_figure(figure: Figure, path: Path) -> None:
    """Write a matplotlib figure as PNG, without its software and date, so that equal pictures are equal files."""
    figure.savefig(path, dpi=150, metadata={"Software": None})


def one_of_each(labels: Tensor, copies: int) -> Tensor:
    """Indices of the first `copies` images of each class, class by class in turn: int64 `(copies·classes,)`."""
    by_class = [torch.nonzero(labels == y).flatten()[:copies] for y in labels.unique()]
    fewest = min(len(indices) for indices in by_class)
    return torch.stack([indices[:fewest] for indices in by_class], 1).flatten()
