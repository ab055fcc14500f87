"""Study 6: how many nats a binary digit costs, beside what was published."""

import math

from aevq.report.catalogue import Metric
from aevq.report.text import markdown_grid
from experiments.common.results import Results
from experiments.common.study import Picture, Study
from experiments.common.tables import table

PUBLISHED = {  # nats, source
    "VAE 784-200-200-50, 3,280 epochs": (86.76, "Burda et al. 2016, arXiv:1509.00519"),
    "IWAE 784-200-200-50, 50 samples": (84.78, "Burda et al. 2016"),
    "ladder VAE, five layers of latents": (81.74, "Sønderby et al. 2016, arXiv:1602.02282"),
    "PixelCNN, on the pixels": (81.30, "van den Oord et al. 2016, arXiv:1601.06759"),
    "VAE with a convolutional ResNet": (81.08, "Kingma et al. 2016, arXiv:1606.04934"),
}
MODELS = {"VAE 784-512-512-50": "VAE", "VQ-VAE, 7×7 of 8 codes, PixelCNN": "VQVAE"}
COLUMNS = (
    Metric("likelihood/nll|likelihood/pixelcnn_nll_bound", "−log p(x) ≤, nats", "lower"),
    Metric("likelihood/elbo", "ELBO, nats"),
    Metric("loss/distortion", "distortion, nats"),
    Metric("rate/kl_bits|rate/pixelcnn_bits", "rate, bits"),
    Metric("parameters", "parameters"),
    Metric("minutes", "minutes"),
)


def tables(results: Results) -> dict[str, str]:
    """Ours, and what was published."""
    ours = {title: (label, "") for title, label in MODELS.items()}
    published = [
        [title, f"{nats:.2f}", f"{nats / (784 * math.log(2)):.3f}", source]
        for title, (nats, source) in PUBLISHED.items()
    ]
    return {
        "likelihood": table(results, "10,000 binary test images", COLUMNS, ours),
        "published": markdown_grid(["published", "nats", "bits a pixel", "source"], published),
    }


STUDY = Study(
    sweeps=[["experiment=binary"], ["experiment=binary_codes"]],
    evaluation=["priors=[]", "memorisation=false", "probes=false"],  # the bound is what is left
    tables=tables,
    pictures={
        "vae.png": Picture("VAE", "strips/samples_standard_normal.png"),
        "vqvae.png": Picture("VQVAE", "strips/samples_pixelcnn.png"),
    },
)
