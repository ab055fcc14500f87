"""Every target of the protocol with what was measured beside it: the table of experiments/README.md."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aevq.report.statistics import Estimate, estimate
from aevq.report.text import markdown_grid
from experiments.common.readme import put
from experiments.common.results import Results, has_results, read_results
from experiments.common.study import EXPERIMENTS

__all__ = ["GPU_TARGETS", "TARGETS", "Target", "targets_tables", "write_targets"]

HEADLINE, CODEBOOK, LATENT, LIKELIHOOD = "01_ae_vae_vqvae", "04_codebook", "05_latent_dim", "06_likelihood"
Measure = Callable[[Results], Estimate | None]


def figure(label: str, name: str) -> Measure:
    """A figure of a group."""
    return lambda results: results.get(label, name)


def nothing(results: Results) -> Estimate | None:
    """What no study measures."""
    return None


def ratio(above: tuple[str, str], below: tuple[str, str]) -> Measure:
    """A figure over another one, seed by seed."""

    def measure(results: Results) -> Estimate | None:
        pairs = zip(results.of(above[0]), results.of(below[0]), strict=True)
        return estimate([a.figures[above[1]] / b.figures[below[1]] for a, b in pairs])

    return measure


def highest(name: str) -> Measure:
    """The best of all groups."""
    return lambda results: max(_all(results, name, results.labels), key=lambda value: value.mean, default=None)


def lowest(name: str, where: str, limit: float) -> Measure:
    """The lowest of the groups of which another figure is at most a limit; None where none is so."""

    def measure(results: Results) -> Estimate | None:
        good = [label for label in results.labels if (value := results.get(label, where)) and value.mean <= limit]
        found = _all(results, name, good)
        return min(found, key=lambda value: value.mean, default=None)

    return measure


def group_with(name: str, **settings: object) -> Measure:
    """A figure of the first group with these settings; `.` in a key is written `__`."""
    return lambda results: next((results.get(label, name) for label in results.where(**settings)), None)


def _all(results: Results, name: str, labels: Sequence[str]) -> list[Estimate]:
    return [value for label in labels if (value := results.get(label, name))]


@dataclass(frozen=True)
class Target:
    """Something that should be reached.

    Attributes:
        what: In words.
        better: `≤` where the figure must not be above the goal, `≥` where not below.
        goal: The bound.
        study: Folder of the results.
        measure: From the results to the figure.
    """

    what: str
    better: str
    goal: float
    study: str
    measure: Measure

    def row(self) -> list[str]:
        """A line of the table."""
        value = self.value()
        reached = {"≤": operator.le, "≥": operator.ge}[self.better]
        met = "–" if value is None else "yes" if reached(value.mean, self.goal) else "**no**"
        shown = "not measured" if value is None else str(value)
        return [self.what, f"{self.better} {self.goal:.4g}", shown, met, f"`make study NAME={self.study}`"]

    def value(self) -> Estimate | None:
        """What the study measured; None where it has not been run, or has no such model."""
        folder = EXPERIMENTS / self.study
        return self.measure(read_results(folder)) if has_results(folder) else None


MSE, PERPLEXITY, N01, MIXTURE = (
    *("reconstruction/mse", "codebook/perplexity"),
    *("samples/standard_normal/fd", "samples/mixture/fd"),
)
CURED = {
    "model__num_codes": 512,
    "model__codebook_update___target_": "aevq.nn.EMAUpdate",
    "model__codebook_init": "kmeans",
    "model__restart__threshold": 0.4,
}
TARGETS = [
    Target("AE, D = 32: MSE", "≤", 0.0056, HEADLINE, figure("AE", MSE)),
    Target("AE: MSE over PCA's of as many numbers", "≤", 1 / 3, HEADLINE, ratio(("AE", MSE), ("AE", "pca/mse"))),
    Target("AE: fd of a mixture of 10 over fd of N(0, I)", "≤", 1 / 3, HEADLINE, ratio(("AE", MIXTURE), ("AE", N01))),
    Target("VAE over AE: fd of samples from N(0, I)", "≤", 1 / 3, HEADLINE, ratio(("VAE", N01), ("AE", N01))),
    Target("VAE, binary images: NLL, nats", "≤", 86.8, LIKELIHOOD, figure("VAE", "likelihood/nll")),
    Target("VQ-VAE, 7×7, K = 256: MSE", "≤", 0.0025, HEADLINE, figure("VQVAE", MSE)),
    Target("VQ-VAE, 7×7, K = 256: perplexity", "≥", 153.6, HEADLINE, figure("VQVAE", PERPLEXITY)),
    Target(
        *("PixelCNN: rate, bits, of a VQ-VAE with MSE ≤ 0.0042", "≤", 70, CODEBOOK),
        lowest("rate/pixelcnn_bits", MSE, 0.0042),
    ),
    Target(
        *("VQ-VAE, binary images: bound of −log p(x), nats", "≤", 100, LIKELIHOOD),
        figure("VQVAE", "likelihood/pixelcnn_nll_bound"),
    ),
    Target("linear probe, the best of the latents", "≥", 0.96, LATENT, highest("probe/latent/linear")),
    Target("5-NN probe, the best of the latents", "≥", 0.97, LATENT, highest("probe/latent/knn")),
]
GPU_TARGETS = [
    Target("AE, D = 32: MSE", "≤", 0.0025, HEADLINE, figure("AE", MSE)),
    Target("VAE, binary images: NLL, nats", "≤", 81.1, LIKELIHOOD, figure("VAE", "likelihood/nll")),
    Target("VQ-VAE, 7×7, K = 512: MSE", "≤", 0.0012, CODEBOOK, group_with(MSE, **CURED)),
    Target("VQ-VAE, 7×7, K = 512: perplexity", "≥", 409.6, CODEBOOK, group_with(PERPLEXITY, **CURED)),
    Target("VQ-VAE, 8×8 on 32×32 pixels: PSNR, dB", "≥", 36.3, HEADLINE, nothing),
    Target(
        *("PixelCNN: fd of samples over fd of reconstructions", "≤", 2, HEADLINE),
        ratio(("VQVAE", "samples/pixelcnn/fd"), ("VQVAE", "reconstruction/fd")),
    ),
    Target(
        *("VQ-VAE, binary images: bound of −log p(x), nats", "≤", 90, LIKELIHOOD),
        figure("VQVAE", "likelihood/pixelcnn_nll_bound"),
    ),
    Target("linear probe, the best of the latents", "≥", 0.975, LATENT, highest("probe/latent/linear")),
    Target("5-NN probe, the best of the latents", "≥", 0.98, LATENT, highest("probe/latent/knn")),
]


def targets_tables() -> dict[str, str]:
    """A line for each target, by the marks that the tables stand between."""
    head = ["target, two CPU cores, a run of ten minutes at most", "goal", "measured", "met", "command"]
    on_gpu = ["target, one large GPU, five minutes", "goal", "measured", "on two CPU cores"]
    return {
        "targets": markdown_grid(head, [target.row() for target in TARGETS]),
        "gpu_targets": markdown_grid(on_gpu, [_beside(target) for target in GPU_TARGETS]),
    }


def _beside(target: Target) -> list[str]:
    """A target for a GPU, of which there was none, beside what a CPU came to with what it trains."""
    value = target.value()
    return [*target.row()[:2], "not measured", "–" if value is None else str(value)]


def write_targets() -> None:
    """Put the tables into experiments/README.md."""
    for mark, text in targets_tables().items():
        put(EXPERIMENTS / "README.md", mark, text)
