"""The plots and image grids of a run folder, PNG files drawn from a model and its priors."""

import io
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor
from torchvision.utils import make_grid

from aevq.config.checks import PositiveInt, Seed, settings
from aevq.data import ImageDataModule, some_rows
from aevq.errors import optional
from aevq.files import atomic_write
from aevq.latents import CodeSpec, VectorSpec
from aevq.metrics.generate import encode_all, generate, interpolate, reconstruct_all
from aevq.models import LatentModel
from aevq.ops.quantize import code_counts, perplexity
from aevq.priors import Prior

CELL_INCHES = 0.5
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
    model: LatentModel, priors: dict[str, Prior], data: ImageDataModule, folder: Path, settings: PlotSettings
) -> list[Path]:
    """Write the plots of a run and return those with titles, by name; every title names the model and the data set.

    `folder/strips` gets the same images without titles, for a report that shows runs side by side. A plot that fails is
    left out with one warning.
    """
    name, spec = f"{type(model).__name__} on {data.name}", model.latent_spec
    x, labels = data.images("test"), data.digits("test")[:, 0]  # stacked digits are classed by the red one
    digits, pairs = one_of_each(labels, 1), one_of_each(labels, 2)
    with optional("reconstructions.png"):
        rows = {"original": x[pairs], "reconstruction": reconstruct_all(model, x[pairs])}
        save_rows(rows, f"{name}: test images and their reconstructions", folder / "reconstructions.png")
        for row_name, images in rows.items():
            save_plain_grid(images, len(images), folder / "strips" / f"{row_name}s.png")
    for prior_name, prior in priors.items():
        with optional(f"samples_{prior_name}.png"):
            draw_samples(generate(model, prior, settings.samples, settings.seed), prior_name, name, folder)
    with optional("interpolations.png"):
        between = interpolate(model, x[digits], x[digits.roll(-1)], steps=10).flatten(0, 1)
        save_grid(between, 10, f"{name}: from the latent of one digit to the next", folder / "interpolations.png")

    points = some_rows(settings.map_points, len(x))
    x, labels = x[points], labels[points]
    latents = encode_all(model, x)
    with optional("latent_space.png"), torch.inference_mode():
        vectors = model.embed(latents.to(model.device)).cpu()
        by = "" if x.shape[1] == 1 else ", coloured by the red digit"
        save_scatter(vectors, labels, f"{name}: latents of test images{by}", folder / "latent_space.png")
    if isinstance(spec, VectorSpec) and spec.dim == 2:
        with optional("manifold.png"):
            save_manifold(model, latents, f"{name}: the latent plane, decoded", folder / "manifold.png")
    if isinstance(spec, CodeSpec):
        with optional("codebook_usage.png"):
            save_codebook_usage(latents, spec.num_codes, f"{name}: codebook", folder / "codebook_usage.png")
        with optional("code_maps.png"):
            digits = one_of_each(labels, 1)
            title = f"{name}: test images and their codes"
            save_code_maps(x[digits], latents[digits], spec.num_codes, title, folder / "code_maps.png")
    return sorted(folder.glob("*.png"))


def draw_samples(images: Tensor, prior: str, title: str, folder: Path) -> None:
    """Write samples `(N, C, H, W)` in [0, 1] of one prior, as a grid with a title and as a plain one."""
    save_grid(images, COLUMNS, f"{title}: samples, {prior}", folder / f"samples_{prior}.png")
    save_plain_grid(images, COLUMNS, folder / "strips" / f"samples_{prior}.png")


def save_grid(images: Tensor, columns: int, title: str, path: Path) -> None:
    """Write images `(N, C, H, W)` in [0, 1] as a grid under a title."""
    rows = -(-len(images) // columns)
    figure = Figure(figsize=(columns * CELL_INCHES, rows * CELL_INCHES + 0.4), layout="constrained")
    axes = figure.subplots()
    axes.imshow(_grid(images, columns), interpolation="nearest")
    axes.set_axis_off()
    axes.set_title(title, fontsize=8)
    _save(figure, path)


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
    _save(figure, path)


def save_plain_grid(images: Tensor, columns: int, path: Path) -> None:
    """Write images `(N, C, H, W)` in [0, 1] side by side, pixel by pixel, without title or padding.

    The PNG has `columns·W` by `⌈N / columns⌉·H` pixels, black where the last row is short, and is grey for C = 1.
    """
    grid = make_grid(images, nrow=columns, padding=0).movedim(0, -1)  # always with three channels
    pixels = (grid * 255).round().to(torch.uint8).numpy()
    file = io.BytesIO()
    Image.fromarray(pixels[..., 0] if images.shape[1] == 1 else pixels).save(file, "PNG")
    path.parent.mkdir(exist_ok=True)
    atomic_write(path, file.getvalue())


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
    _save(figure, path)


def project(vectors: Tensor) -> tuple[Tensor, str]:
    """Return two coordinates `(N, 2)` for vectors `(N, F)`, and the name of the projection: themselves, or a t-SNE."""
    if vectors.shape[1] == 2:
        return vectors, "z"
    if not vectors.isfinite().all() or bool((vectors == vectors[0]).all()):
        # The encoder collapsed or diverged: scikit-learn's t-SNE would end the process.
        return torch.zeros(len(vectors), 2), "all latents are equal or not finite"
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    x = vectors.double().numpy()
    if x.shape[1] > 50:
        x = PCA(min(50, len(x)), random_state=0).fit_transform(x)
    tsne = TSNE(2, init="pca" if x.shape[1] >= 2 else "random", perplexity=min(30, len(x) / 4), random_state=0)
    return torch.from_numpy(tsne.fit_transform(x)), "t-SNE"


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
    _save(figure, path)


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
    _save(figure, path)


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


def _save(figure: Figure, path: Path) -> None:
    """Write a PNG as a whole or not at all, without software and date, so that equal plots are equal files."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=150, metadata={"Software": None})
    atomic_write(path, file.getvalue())
