"""What is known of each figure: title, unit, which way is better. The one place that says so."""

from __future__ import annotations

from dataclasses import dataclass

from aevq.report.statistics import Goal

__all__ = ["COSTS", "HEADLINE", "RECONSTRUCTION", "SAMPLES", "Metric", "cost_metric"]


@dataclass(frozen=True)
class Metric:
    """A figure.

    Attributes:
        name: As in result.json; of samples only the last part.
        title: As a column's head.
        goal: Whether lower or higher is better, or the nearer to one; None where neither is.
        unit: Of the value; empty for a bare number.
        about: A line that explains it.
    """

    name: str
    title: str
    goal: Goal | None = None
    unit: str = ""
    about: str = ""

    @property
    def arrow(self) -> str:
        """The direction that is better, as a sign."""
        return {"lower": "↓", "higher": "↑", "one": "→ 1", None: ""}[self.goal]


RECONSTRUCTION = (
    Metric("reconstruction/mse", "MSE", "lower", "", "mean squared error of a pixel in [0, 1]"),
    Metric("reconstruction/psnr", "PSNR", "higher", "dB", "peak signal-to-noise ratio"),
    Metric("reconstruction/ssim", "SSIM", "higher", "", "structural similarity"),
    Metric("reconstruction/fd", "FD recon", "lower", "", "Fréchet distance of the reconstructions to the originals"),
    Metric("reconstruction/sharpness", "sharpness", "one", "", "gradient energy, reconstruction over original"),
)
SAMPLES = (
    Metric("fd", "FD", "lower", "", "Fréchet distance of the samples to the test images, in features of an MNIST net"),
    Metric("kd", "KD", "lower", "", "kernel distance of the samples to the test images, unbiased"),
    Metric("precision", "precision", "higher", "", "share of samples that lie among the real images"),
    Metric("recall", "recall", "higher", "", "share of real images that lie among the samples"),
    Metric("density", "density", "higher", "", "how densely real images surround a sample"),
    Metric("coverage", "coverage", "higher", "", "share of real images with a sample nearby"),
    Metric("class_entropy", "class entropy", "higher", "nats", "evenness of the digits; log 10 = 2.303 is even"),
    Metric("confidence", "confidence", None, "", "mean probability of the predicted digit"),
    Metric("modes", "modes", "higher", "", "how many of the 1,000 triples of stacked digits occur, by an MNIST net"),
    Metric("mode_kl", "mode KL", "lower", "nats", "KL of these triples' frequencies to the uniform distribution"),
    Metric("mode_samples", "samples for modes", None, "", "samples that modes and mode KL were counted on"),
    Metric("nearest_train", "nearest train", None, "", "distance to the nearest train image, over that of test images"),
)
# `best samples` and `best rate` are those of the prior that is best of its group.
BEST_SAMPLES = Metric("samples/*/fd", "FD samples", "lower", "", "Fréchet distance of samples, by the best prior")
BEST_RATE = Metric("rate/*_bits", "rate", "lower", "bits", "bits that an image's latent takes, by the best code")
HEADLINE = (
    *RECONSTRUCTION,
    BEST_SAMPLES,
    BEST_RATE,
    Metric("likelihood/nll", "NLL", "lower", "nats", "−log p(x) of a binary image, importance-weighted bound"),
    Metric("probe/latent/linear", "linear probe", "higher", "", "accuracy of a linear classifier on the latents"),
    Metric("codebook/perplexity", "perplexity", None, "codes", "codes in use, by their entropy"),
    Metric("latent/active_units", "active units", None, "", "latent dimensions that vary with the image"),
)
COSTS = (
    Metric("parameters", "parameters", "lower"),
    Metric("train/images_per_second", "speed", "higher", "images/s"),
    Metric("train/steps", "steps"),
)


def cost_metric(stage: str) -> Metric:
    """The wall time of a stage of a run."""
    return Metric(f"seconds/{stage}", stage, "lower", "s")
