"""Study 1: how the three models reconstruct, and what each needs to sample."""

from experiments.lab.results import Results
from experiments.lab.study import Picture, Study
from experiments.lab.tables import Column, table

MODELS = {"AE": ("AE", ""), "VAE": ("VAE", ""), "VQ-VAE": ("VQVAE", "")}
RECONSTRUCTION = (
    Column("reconstruction/mse", "MSE", "lower"),
    Column("pca/mse", "PCA's MSE"),
    Column("reconstruction/psnr", "PSNR, dB", "higher"),
    Column("reconstruction/ssim", "SSIM", "higher"),
    Column("reconstruction/sharpness", "sharpness", "one"),
    Column("reconstruction/fd", "fd", "lower"),
)
LATENTS = (
    Column("rate/kl_bits", "KL, bits"),
    Column("rate/grid_bits", "codes as they are, bits"),
    Column("rate/pixelcnn_bits", "PixelCNN, bits"),
    Column("codebook/perplexity", "perplexity"),
    Column("latent/active_units", "active units"),
    Column("probe/latent/linear", "linear probe", "higher"),
    Column("probe/latent/knn", "5-NN probe", "higher"),
    Column("probe/pixels/linear", "linear, on pixels"),
    Column("probe/pixels/knn", "5-NN, on pixels"),
)
COSTS = (
    Column("parameters", "parameters", "lower"),
    Column("train/images_per_second", "images/s", "higher"),
    Column("minutes", "minutes in all", "lower"),
)
SAMPLES = (
    Column("fd", "fd", "lower"),
    Column("kd", "kd", "lower"),
    Column("precision", "precision", "higher"),
    Column("recall", "recall", "higher"),
    Column("density", "density", "higher"),
    Column("coverage", "coverage", "higher"),
    Column("class_entropy", "class entropy, nats", "higher"),
    Column("nearest_train", "nearest train image"),
)
PRIORS = ("standard_normal", "fitted_normal", "mixture", "mixture100", "uniform", "marginals", "pixelcnn")


def tables(results: Results) -> dict[str, str]:
    """Reconstruction, latents, costs, and samples of every model and prior."""
    sampled = {
        f"{title}, {prior}": (label, f"samples/{prior}/")
        for title, (label, _) in MODELS.items()
        for prior in PRIORS
        if results.get(label, f"samples/{prior}/fd")
    }
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
