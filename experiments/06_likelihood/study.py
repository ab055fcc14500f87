"""Study 6: how many nats a binary digit costs, beside published results."""

from aevq.metrics.catalogue import BEST_RATE
from aevq.ops.likelihood import nats_to_bits
from aevq.report.tables import markdown_grid
from experiments.common.results import Results
from experiments.common.study import Study
from experiments.common.tables import table, uncompared

PUBLISHED = {  # nats, source
    "VAE 784-200-200-50, 3,280 epochs": (86.76, "Burda et al. 2016, arXiv:1509.00519"),
    "IWAE 784-200-200-50, 50 samples": (84.78, "Burda et al. 2016"),
    "ladder VAE, five layers of latents": (81.74, "Sønderby et al. 2016, arXiv:1602.02282"),
    "PixelCNN, on the pixels": (81.30, "van den Oord et al. 2016, arXiv:1601.06759"),
    "VAE with a convolutional ResNet": (81.08, "Kingma et al. 2016, arXiv:1606.04934"),
}
MODELS = {"VAE 784-512-512-50": "VAE", "VQ-VAE, 7×7 of 8 codes, PixelCNN": "VQVAE"}
COLUMNS = (
    *("likelihood/nll", "likelihood/pixelcnn_nll_bound", "likelihood/elbo"),
    *(uncompared(each) for each in ("loss/distortion", BEST_RATE, "parameters", "minutes")),
)


def tables(results: Results) -> dict[str, str]:
    """Return the tables of our results and of published ones."""
    published = [
        [title, f"{nats:.2f}", f"{nats_to_bits(nats) / 784:.3f}", source] for title, (nats, source) in PUBLISHED.items()
    ]
    return {
        "likelihood": table(results, "10,000 binary test images", COLUMNS, MODELS),
        "published": markdown_grid(["published", "nats", "bits per pixel", "source"], published),
    }


STUDY = Study(
    sweeps=[["experiment=binary"], ["experiment=binary_codes"]],
    evaluation=["priors=[]", "memorisation=false", "probes=false"],  # what remains is the bound
    tables=tables,
    images={
        "vae.png": ("VAE", "strips/samples_standard_normal.png"),
        "vqvae.png": ("VQVAE", "strips/samples_pixelcnn.png"),
    },
)
