"""All pictures of one run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from aevq.config.schema import Count, Seed, checked
from aevq.data import some_rows
from aevq.latents import CodeSpec, VectorSpec
from aevq.metrics.generate import encode_all, generate, interpolate, reconstruct_all
from aevq.report.plots.grids import one_of_each, save_grid, save_rows, save_strip
from aevq.report.plots.latent import save_code_maps, save_codebook_usage, save_manifold, save_scatter

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from aevq.data import MNISTDataModule
    from aevq.models import LatentModel
    from aevq.priors import Prior

__all__ = ["PictureSettings", "draw_run", "draw_samples"]

COLUMNS = 8  # of a grid of samples


@checked("pictures")
@dataclass(frozen=True)
class PictureSettings:
    """What to draw.

    Attributes:
        samples: Images in a grid of samples.
        map_points: Test images on the map of the latents.
        seed: Of the samples.
    """

    samples: Count
    map_points: Count
    seed: Seed


def draw_run(
    model: LatentModel,
    priors: dict[str, Prior],
    data: MNISTDataModule,
    folder: Path,
    settings: PictureSettings,
) -> list[Path]:
    """Write the pictures of a run; every title names model and data set.

    In `folder/strips` are the same images bare, for a report that sets runs side by side.

    Returns:
        The titled pictures, by name.
    """
    name = f"{type(model).__name__} on {data.name}"
    x, labels = data.images("test"), data.digits("test")[:, 0]  # of stacked digits the red one stands for the class
    digits = one_of_each(labels, 2)
    rows = {"original": x[digits], "reconstruction": reconstruct_all(model, x[digits])}
    save_rows(rows, f"{name}: test images and their reconstructions", folder / "reconstructions.png")
    for row_name, images in rows.items():
        save_strip(images, len(images), folder / "strips" / f"{row_name}s.png")
    for prior_name, prior in priors.items():
        draw_samples(generate(model, prior, settings.samples, settings.seed), prior_name, name, folder)
    _draw_interpolations(model, x, labels, name, folder)
    points = some_rows(settings.map_points, len(x))
    _draw_latents(model, x[points], labels[points], name, folder)
    return sorted(folder.glob("*.png"))


def draw_samples(images: Tensor, prior: str, title: str, folder: Path) -> None:
    """Write samples `(N, C, H, W)` in [0, 1] of one prior, titled and as a bare strip."""
    save_grid(images, COLUMNS, f"{title}: samples, {prior}", folder / f"samples_{prior}.png")
    save_strip(images, COLUMNS, folder / "strips" / f"samples_{prior}.png")


def _draw_interpolations(model: LatentModel, x: Tensor, labels: Tensor, name: str, folder: Path) -> None:
    start = one_of_each(labels, 1)
    images = interpolate(model, x[start], x[start.roll(-1)], steps=10)
    save_grid(
        images.flatten(0, 1),
        10,
        f"{name}: from one digit's latent to the next",
        folder / "interpolations.png",
    )


def _draw_latents(model: LatentModel, x: Tensor, labels: Tensor, name: str, folder: Path) -> None:
    latents, spec = encode_all(model, x), model.latent_spec
    with torch.inference_mode():
        vectors = model.embed(latents.to(model.device)).cpu()
    by = "" if x.shape[1] == 1 else ", coloured by the red digit"
    save_scatter(vectors, labels, f"{name}: latents of test images{by}", folder / "latent_space.png")
    if isinstance(spec, VectorSpec) and spec.dim == 2:
        save_manifold(model, vectors, f"{name}: the latent plane, decoded", folder / "manifold.png")
    if isinstance(spec, CodeSpec):
        save_codebook_usage(latents, spec.num_codes, f"{name}: codebook", folder / "codebook_usage.png")
        digits = one_of_each(labels, 1)
        title = f"{name}: test images and their codes"
        save_code_maps(x[digits], latents[digits], spec.num_codes, title, folder / "code_maps.png")
