"""Study 8: three digits as colour channels: how many of the 1,000 modes does each model and prior sample?"""

from aevq.report.catalogue import Metric
from experiments.common.results import Results
from experiments.common.study import Picture, Study
from experiments.common.tables import sample_rows, table

MODELS = {"AE": ("AE", ""), "VAE": ("VAE", ""), "VQ-VAE": ("VQVAE", "")}
RECONSTRUCTION = (
    Metric("reconstruction/mse", "MSE", "lower"),
    Metric("pca/mse", "PCA's MSE"),
    Metric("reconstruction/sharpness", "sharpness", "one"),
    Metric("reconstruction/fd", "fd", "lower"),
    Metric("rate/kl_bits|rate/pixelcnn_bits", "rate, bits"),
    Metric("codebook/perplexity", "perplexity"),
    Metric("parameters", "parameters"),
    Metric("minutes", "minutes"),
)
SAMPLES = (
    Metric("modes", "modes of 1,000", "higher"),
    Metric("mode_kl", "KL of the modes to uniform, nats", "lower"),
    Metric("fd", "fd", "lower"),
    Metric("precision", "precision", "higher"),
    Metric("recall", "recall", "higher"),
    Metric("coverage", "coverage", "higher"),
)


def tables(results: Results) -> dict[str, str]:
    """Reconstruction, and samples of every model and prior."""
    sampled = sample_rows(results, MODELS)
    return {
        "reconstruction": table(results, "26,000 test images", RECONSTRUCTION, MODELS),
        "samples": table(results, "samples", SAMPLES, sampled, {"real images": ("AE", "floor/")}),
    }


STUDY = Study(
    sweeps=[["experiment=stacked"]],
    tables=tables,
    pictures={
        "ae_standard_normal.png": Picture("AE", "strips/samples_standard_normal.png"),
        "ae_mixture100.png": Picture("AE", "strips/samples_mixture100.png"),
        "vae_standard_normal.png": Picture("VAE", "strips/samples_standard_normal.png"),
        "vae_mixture100.png": Picture("VAE", "strips/samples_mixture100.png"),
        "vqvae_pixelcnn.png": Picture("VQVAE", "strips/samples_pixelcnn.png"),
    },
)
