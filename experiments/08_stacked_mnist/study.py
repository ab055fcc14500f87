"""Study 8: three digits as colour channels: how many of the 1,000 modes does each model and prior sample?"""

from aevq.metrics.catalogue import BEST_RATE
from experiments.common.results import Results
from experiments.common.study import Study
from experiments.common.tables import samples_table, table, uncompared

MODELS = {"AE": "AE", "VAE": "VAE", "VQ-VAE": "VQVAE"}
RECONSTRUCTION = (
    "reconstruction/mse",
    uncompared("pca/mse"),
    *("reconstruction/sharpness", "reconstruction/fd"),
    *(uncompared(each) for each in (BEST_RATE, "codebook/perplexity", "parameters", "minutes")),
)
SAMPLES = ("modes", "mode_kl", "fd", "precision", "recall", "coverage")


def tables(results: Results) -> dict[str, str]:
    """Return the tables of reconstruction, and of samples of every model and prior."""
    return {
        "reconstruction": table(results, "26,000 test images", RECONSTRUCTION, MODELS),
        "samples": samples_table(results, "samples", SAMPLES, MODELS),
    }


SAMPLED = {"ae": ("standard_normal", "mixture100"), "vae": ("standard_normal", "mixture100"), "vqvae": ("pixelcnn",)}
STUDY = Study(
    sweeps=[["experiment=stacked_ae,stacked_vae,stacked_vqvae", "seed=1,2,3"]],
    tables=tables,
    images={f"{m}_{p}.png": (m.upper(), f"strips/samples_{p}.png") for m, ps in SAMPLED.items() for p in ps},
)
