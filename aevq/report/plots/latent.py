"""Plots of latents: a map coloured by class, the decoded latent plane, and the use of the codes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from matplotlib.figure import Figure

from aevq.ops.quantize import code_counts, perplexity
from aevq.report.plots.grids import save_grid, save_plot

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from aevq.models import LatentModel

__all__ = ["project", "save_code_maps", "save_codebook_usage", "save_manifold", "save_scatter"]


def project(vectors: Tensor) -> tuple[Tensor, str]:
    """Return two coordinates for each vector: the vectors themselves if they have two dimensions, else a t-SNE.

    Args:
        vectors: `(N, F)`.

    Returns:
        `(N, 2)`, and the name of the projection.
    """
    if vectors.shape[1] == 2:
        return vectors, "z"
    if not vectors.isfinite().all() or bool((vectors == vectors[0]).all()):
        # The encoder collapsed or diverged: scikit-learn's t-SNE would end the process.
        return torch.zeros(len(vectors), 2), "all latents are equal or not finite"
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    x = vectors.double().numpy()
    if x.shape[1] > 50:
        x = PCA(50, random_state=0).fit_transform(x)
    tsne = TSNE(2, init="pca" if x.shape[1] >= 2 else "random", perplexity=min(30, len(x) / 4), random_state=0)
    return torch.from_numpy(tsne.fit_transform(x)), "t-SNE"


def save_scatter(vectors: Tensor, labels: Tensor, title: str, path: Path) -> None:
    """Write a map of latents `(N, F)`, coloured by class `(N,)`."""
    xy, method = project(vectors)
    figure = Figure(figsize=(5.2, 4.8), layout="constrained")
    axes = figure.subplots()
    points = axes.scatter(xy[:, 0], xy[:, 1], c=labels, cmap="tab10", s=5, linewidths=0, vmin=-0.5, vmax=9.5)
    axes.set_title(f"{title} ({method})", fontsize=8)
    axes.set(xticks=[], yticks=[])
    axes.set_aspect("equal", adjustable="datalim")
    figure.colorbar(points, ax=axes, ticks=range(10), shrink=0.8).outline.set_visible(False)
    save_plot(figure, path)


@torch.inference_mode()
def save_manifold(model: LatentModel, vectors: Tensor, title: str, path: Path, side: int = 20) -> None:
    """Write the decoded images of a grid over the latent plane, from the 1 % to the 99 % quantile of latents."""
    low, high = vectors.quantile(0.01, 0), vectors.quantile(0.99, 0)
    first = torch.linspace(float(low[0]), float(high[0]), side)
    second = torch.linspace(float(high[1]), float(low[1]), side)
    z = torch.stack([first.repeat(side), second.repeat_interleave(side)], 1)
    save_grid(model.decode(z.to(model.device)).cpu(), side, title, path)


def save_codebook_usage(codes: Tensor, num_codes: int, title: str, path: Path) -> None:
    """Write a bar chart of how often each code occurs in `codes`, the most frequent first."""
    counts = code_counts(codes, num_codes)
    share = (counts / counts.sum()).sort(descending=True).values * 100
    figure = Figure(figsize=(6, 2.6), layout="constrained")
    axes = figure.subplots()
    axes.bar(range(num_codes), share.numpy(), width=1.0)
    axes.axhline(100 / num_codes, color="black", linewidth=0.8, linestyle="--", label="uniform")
    axes.set(xlabel="code, most frequent first", ylabel="share of positions, %")
    axes.legend(frameon=False)
    used = int((counts > 0).sum())
    axes.set_title(f"{title}: {used} of {num_codes} used, perplexity {perplexity(counts):.0f}", fontsize=8)
    save_plot(figure, path)


def save_code_maps(x: Tensor, codes: Tensor, num_codes: int, title: str, path: Path) -> None:
    """Write images `(N, C, H, W)` above their code grids `(N, h, w)`, with one colour per code."""
    figure = Figure(figsize=(len(x) * 0.7, 1.9), layout="constrained")
    # Neighbouring indices are unrelated, so their colours are as well.
    colour = torch.randperm(num_codes, generator=torch.Generator().manual_seed(0))
    for (above, below), image, grid in zip(figure.subplots(2, len(x), squeeze=False).T, x, codes, strict=True):
        above.imshow(image.movedim(0, -1).numpy(), cmap="gray", vmin=0, vmax=1)
        below.imshow(colour[grid].numpy(), cmap="nipy_spectral", vmin=0, vmax=num_codes - 1)
        for axes in (above, below):
            axes.set_axis_off()
    figure.suptitle(title, fontsize=8)
    save_plot(figure, path)
