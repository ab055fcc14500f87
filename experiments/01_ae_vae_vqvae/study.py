"""Study 1: how the three models reconstruct, and what each needs to sample."""

from experiments.common.results import Results
from experiments.common.study import Study
from experiments.common.tables import samples_table, table, uncompared

MODELS = {"AE": "AE", "VAE": "VAE", "VQ-VAE": "VQVAE"}
RECONSTRUCTION = (
    "reconstruction/mse",
    uncompared("pca/mse"),
    *(f"reconstruction/{name}" for name in ("psnr", "ssim", "sharpness", "fd")),
)
LATENTS = (
    *(f"rate/{name}_bits" for name in ("kl", "grid", "transformer")),
    *("codebook/perplexity", "latent/active_units"),
    *(f"probe/{what}/{kind}" for what in ("latent", "pixels") for kind in ("linear", "knn")),
    uncompared("parameters"),
)
SAMPLES = ("fd", "kd", "precision", "recall", "density", "coverage", "class_entropy", "nearest_train")


def tables(results: Results) -> dict[str, str]:
    """Return the tables of reconstruction, latents, and samples of every model and prior."""
    return {
        "reconstruction": table(results, "10,000 test images", RECONSTRUCTION, MODELS),
        "latents": table(results, "", LATENTS, MODELS),
        "samples": samples_table(results, "10,000 samples", SAMPLES, MODELS),
    }


SAMPLED = {
    "ae": ("standard_normal", "mixture", "mixture100"),
    "vae": ("standard_normal", "mixture100"),
    "vqvae": ("uniform", "transformer"),
}
STUDY = Study(
    sweeps=[["experiment=compare", "seed=1,2,3,4,5"]],
    evaluation=[],
    tables=tables,
    images={
        "originals.png": ("AE", "strips/originals.png"),
        **{f"{m}_reconstructions.png": (m.upper(), "strips/reconstructions.png") for m in SAMPLED},
        **{f"{m}_{p}.png": (m.upper(), f"strips/samples_{p}.png") for m, ps in SAMPLED.items() for p in ps},
    },
)
