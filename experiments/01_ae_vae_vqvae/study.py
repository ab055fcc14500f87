"""Study 1: how the three models reconstruct, and what each needs to sample."""

from aevq.report.catalogue import Metric
from experiments.common.results import Results
from experiments.common.study import Picture, Study
from experiments.common.tables import sample_rows, table

MODELS = {"AE": ("AE", ""), "VAE": ("VAE", ""), "VQ-VAE": ("VQVAE", "")}
RECONSTRUCTION = (
    Metric("reconstruction/mse", "MSE", "lower"),
    Metric("pca/mse", "PCA's MSE"),
    Metric("reconstruction/psnr", "PSNR, dB", "higher"),
    Metric("reconstruction/ssim", "SSIM", "higher"),
    Metric("reconstruction/sharpness", "sharpness", "one"),
    Metric("reconstruction/fd", "fd", "lower"),
)
LATENTS = (
    Metric("rate/kl_bits", "KL, bits"),
    Metric("rate/grid_bits", "codes as they are, bits"),
    Metric("rate/pixelcnn_bits", "PixelCNN, bits"),
    Metric("codebook/perplexity", "perplexity"),
    Metric("latent/active_units", "active units"),
    Metric("probe/latent/linear", "linear probe", "higher"),
    Metric("probe/latent/knn", "5-NN probe", "higher"),
    Metric("probe/pixels/linear", "linear, on pixels"),
    Metric("probe/pixels/knn", "5-NN, on pixels"),
)
COSTS = (
    Metric("parameters", "parameters", "lower"),
    Metric("train/images_per_second", "images/s", "higher"),
    Metric("minutes", "minutes in all", "lower"),
)
SAMPLES = (
    Metric("fd", "fd", "lower"),
    Metric("kd", "kd", "lower"),
    Metric("precision", "precision", "higher"),
    Metric("recall", "recall", "higher"),
    Metric("density", "density", "higher"),
    Metric("coverage", "coverage", "higher"),
    Metric("class_entropy", "class entropy, nats", "higher"),
    Metric("nearest_train", "nearest train image"),
)


def tables(results: Results) -> dict[str, str]:
    """Reconstruction, latents, costs, and samples of every model and prior."""
    sampled = sample_rows(results, MODELS)
    return {
        "reconstruction": table(results, "10,000 test images", RECONSTRUCTION, MODELS),
        "latents": table(results, "", LATENTS, MODELS),
        "costs": table(results, "", COSTS, MODELS),
        "samples": table(results, "10,000 samples", SAMPLES, sampled, {"floor: train images": ("AE", "floor/")}),
    }


STUDY = Study(
    sweeps=[["experiment=compare"]],
    evaluation=[],
    tables=tables,
    pictures={
        "originals.png": Picture("AE", "strips/originals.png"),
        "ae_reconstructions.png": Picture("AE", "strips/reconstructions.png"),
        "vae_reconstructions.png": Picture("VAE", "strips/reconstructions.png"),
        "vqvae_reconstructions.png": Picture("VQVAE", "strips/reconstructions.png"),
        "ae_standard_normal.png": Picture("AE", "strips/samples_standard_normal.png"),
        "ae_mixture.png": Picture("AE", "strips/samples_mixture.png"),
        "ae_mixture100.png": Picture("AE", "strips/samples_mixture100.png"),
        "vae_standard_normal.png": Picture("VAE", "strips/samples_standard_normal.png"),
        "vqvae_pixelcnn.png": Picture("VQVAE", "strips/samples_pixelcnn.png"),
    },
)
