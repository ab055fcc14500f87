"""Images in grids: samples, interpolations, originals above reconstructions; with a title, or as bare strips."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image
from torchvision.utils import make_grid

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

__all__ = ["one_of_each", "save_grid", "save_plot", "save_rows", "save_strip"]

CELL_INCHES = 0.5


def save_grid(images: Tensor, columns: int, title: str, path: Path) -> None:
    """Write images `(N, C, H, W)` in [0, 1] as a grid under a title."""
    rows = -(-len(images) // columns)
    figure = Figure(figsize=(columns * CELL_INCHES, rows * CELL_INCHES + 0.4), layout="constrained")
    axes = figure.subplots()
    axes.imshow(_grid(images, columns), interpolation="nearest")
    axes.set_axis_off()
    axes.set_title(title, fontsize=8)
    save_plot(figure, path)


def save_rows(rows: dict[str, Tensor], title: str, path: Path) -> None:
    """Write one row of images `(N, C, H, W)` per name, with the name on the left, under a title."""
    columns = max(len(row) for row in rows.values())
    figure = Figure(figsize=(columns * CELL_INCHES + 1, len(rows) * (CELL_INCHES + 0.06) + 0.4), layout="constrained")
    for axes, (name, images) in zip(figure.subplots(len(rows), squeeze=False)[:, 0], rows.items(), strict=True):
        axes.imshow(_grid(images, columns))
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        axes.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=7)
    figure.suptitle(title, fontsize=8)
    save_plot(figure, path)


def save_strip(images: Tensor, columns: int, path: Path) -> None:
    """Write images side by side, pixel by pixel, without title or padding; the report lays them out.

    Args:
        images: `(N, C, H, W)` in [0, 1]; written as a grey image for C = 1.
        columns: Images per row; free places in the last row are black.
        path: PNG of `columns·W` by `⌈N / columns⌉·H` pixels; its folder is created if missing.
    """
    grid = make_grid(images, nrow=columns, padding=0).movedim(0, -1)  # always with three channels
    pixels = (grid * 255).round().to(torch.uint8).numpy()
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(pixels[..., 0] if images.shape[1] == 1 else pixels).save(path)


def save_plot(figure: Figure, path: Path) -> None:
    """Write a matplotlib figure as PNG without software and date, so that equal plots are equal files."""
    figure.savefig(path, dpi=150, metadata={"Software": None})


def one_of_each(labels: Tensor, copies: int) -> Tensor:
    """Return the indices of the first `copies` images of each class, class by class in turn: int64 `(copies·classes,)`.

    >>> one_of_each(torch.tensor([1, 0, 2, 0, 1, 2, 2]), 2).tolist()
    [1, 0, 2, 3, 4, 5]
    """
    by_class = [torch.nonzero(labels == y).flatten()[:copies] for y in labels.unique()]
    fewest = min(len(indices) for indices in by_class)
    return torch.stack([indices[:fewest] for indices in by_class], 1).flatten()


def _grid(images: Tensor, columns: int) -> np.ndarray:
    return make_grid(images, nrow=columns, padding=1, pad_value=0.25).movedim(0, -1).numpy()
