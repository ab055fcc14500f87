"""Study 8: three digits as colour channels: how many of the 1,000 modes does each model and prior sample?"""

from experiments.lab.results import Results
from experiments.lab.study import Picture, Study
from experiments.lab.tables import Column, table

MODELS = {"AE": "AE", "VAE": "VAE", "VQ-VAE": "VQVAE"}
PRIORS = ("standard_normal", "fitted_normal", "mixture", "mixture100", "uniform", "marginals", "pixelcnn")
RECONSTRUCTION = (
    Column("reconstruction/mse", "MSE", "lower"),
    Column("pca/mse", "PCA's MSE"),
    Column("reconstruction/sharpness", "sharpness", "one"),
    Column("reconstruction/fd", "fd", "lower"),
    Column("rate/kl_bits|rate/pixelcnn_bits", "rate, bits"),
    Column("codebook/perplexity", "perplexity"),
    Column("parameters", "parameters"),
    Column("minutes", "minutes"),
)
SAMPLES = (
    Column("modes", "modes of 1,000", "higher"),
    Column("mode_kl", "KL of the modes to uniform, nats", "lower"),
    Column("fd", "fd", "lower"),
    Column("precision", "precision", "higher"),
    Column("recall", "recall", "higher"),
    Column("coverage", "coverage", "higher"),
)


def tables(results: Results) -> dict[str, str]:
    """Reconstruction, and samples of every model and prior."""
    sampled = {
        f"{title}, {prior}": (label, f"samples/{prior}/")
        for title, label in MODELS.items()
        for prior in PRIORS
        if results.get(label, f"samples/{prior}/fd")
    }
    models = {title: (label, "") for title, label in MODELS.items()}
    return {
        "reconstruction": table(results, "10,000 test images", RECONSTRUCTION, models),
        "samples": table(results, "samples", SAMPLES, sampled, {"floor: train images": ("AE", "floor/")}),
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
