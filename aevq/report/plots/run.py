"""All plots of one run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from aevq.config.checks import PositiveInt, Seed, settings
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

__all__ = ["PlotSettings", "draw_run", "draw_samples"]

COLUMNS = 8  # of a grid of samples


@settings
class PlotSettings:
    """What to draw.

    Attributes:
        samples: Images in a grid of samples.
        map_points: Test images on the map of the latents.
        seed: Seed of the samples.
    """

    samples: PositiveInt = 64
    map_points: PositiveInt = 2000
    seed: Seed = 0


def draw_run(
    model: LatentModel, priors: dict[str, Prior], data: MNISTDataModule, folder: Path, settings: PlotSettings
) -> list[Path]:
    """Write the plots of a run; every title names the model and the data set.

    `folder/strips` gets the same images without titles, for a report that shows runs side by side.

    Returns:
        The plots with titles, by name.
    """
    name = f"{type(model).__name__} on {data.name}"
    x, labels = data.images("test"), data.digits("test")[:, 0]  # stacked digits are classed by the red one
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
    """Write samples `(N, C, H, W)` in [0, 1] of one prior, as a grid with a title and as a strip."""
    save_grid(images, COLUMNS, f"{title}: samples, {prior}", folder / f"samples_{prior}.png")
    save_strip(images, COLUMNS, folder / "strips" / f"samples_{prior}.png")


def _draw_interpolations(model: LatentModel, x: Tensor, labels: Tensor, name: str, folder: Path) -> None:
    start = one_of_each(labels, 1)
    images = interpolate(model, x[start], x[start.roll(-1)], steps=10)
    title = f"{name}: from the latent of one digit to the next"
    save_grid(images.flatten(0, 1), 10, title, folder / "interpolations.png")


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
