"""The metric catalogue: what is known of every metric that a run logs or records.

The terminal, the report, the W&B workspace and the experiments take titles, units and directions from here.
A part of a name in angle brackets stands for any word: `samples/<prior>/fd` describes `samples/mixture/fd`.

>>> metric = find("samples/mixture/fd")
>>> metric.title, metric.arrow
('FD', '↓')
>>> find("rate/pixelcnn_bits").label
'rate by pixelcnn, bits per image'
>>> entry("samples/<prior>/fd").name_for(prior="uniform")
'samples/uniform/fd'
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from typing import ClassVar, Literal, get_args

from pydantic import ConfigDict

Goal = Literal["lower", "higher", "one"]
Section = Literal[
    "Reconstruction", "Samples", "Codebook", "Likelihood and rate", "Latents", "Training", "Cost", "Other"
]
SECTIONS: tuple[Section, ...] = get_args(Section)
ARROWS: dict[Goal | None, str] = {"lower": "↓", "higher": "↑", "one": "→ 1", None: ""}
NATS, BITS = "nats per image", "bits per image"


@dataclass(frozen=True)
class Metric:
    """A metric, or all metrics whose names fit a pattern.

    Attributes:
        name: As in result.json and metrics.csv; `<word>` stands for any word without a slash.
        title: Head of a table's column or of a panel.
        goal: Whether lower values, higher values or values near one are better; None where none of these is.
        unit: Empty for a number without a unit.
        headline: Whether it is shown where there is no room for every metric.
        curve: Whether it is logged at steps of a training.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(strict=False)  # a mapping of a run's JSON becomes an entry

    name: str
    title: str
    about: str
    goal: Goal | None = None
    unit: str = ""
    section: Section = "Other"
    headline: bool = False
    curve: bool = False

    @property
    def arrow(self) -> str:
        """The better direction as a sign."""
        return ARROWS[self.goal]

    @property
    def short(self) -> str:
        """The last part of the name: `fd` of `samples/<prior>/fd`."""
        return self.name.rpartition("/")[2]

    @property
    def label(self) -> str:
        """Title and unit, for example for an axis."""
        return f"{self.title}, {self.unit}" if self.unit else self.title

    @property
    def words(self) -> tuple[str, ...]:
        """The variable words of the name: `("prior",)` for `samples/<prior>/fd`."""
        return tuple(re.findall(r"<(\w+)>", self.name))

    def name_for(self, **words: str) -> str:
        """Return the name with words in place of the variable ones."""
        return _filled(self.name, words)

    def match(self, name: str) -> "Metric | None":
        """Return the entry for the metric `name`, its words filled in; None if the name does not fit."""
        found = _pattern(self.name).fullmatch(name)
        if found is None:
            return None
        words = found.groupdict()
        return replace(self, name=name, title=_filled(self.title, words), about=_filled(self.about, words))


def _filled(text: str, words: dict[str, str]) -> str:
    for word, value in words.items():
        text = text.replace(f"<{word}>", value)
    return text


@cache
def _pattern(name: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"<(\w+)>", r"(?P<\1>[^/]+)", re.sub(r"[^\w<>]", r"\\\g<0>", name)))


def _in(section: Section, *metrics: Metric, headline: bool = False, curve: bool = False) -> tuple[Metric, ...]:
    return tuple(replace(m, section=section, headline=headline or m.headline, curve=curve or m.curve) for m in metrics)


LOSS_TERMS = (  # name, title, about
    ("objective", "objective", "what the training minimises"),
    ("distortion", "distortion", "−log p(x|z)"),
    ("kl", "KL", "KL(q(z|x) ‖ N(0, I)), without β and free bits"),
    ("codebook", "codebook loss", "squared distance from the codes to the encoder's outputs, ‖sg[z_e] − e‖²"),
    ("commitment", "commitment loss", "squared distance from the encoder's outputs to the codes, ‖z_e − sg[e]‖²"),
    ("<term>", "<term>", "<term>, a loss term of the model"),
)


def _loss_terms(prefix: str, split: str, curve: bool) -> list[Metric]:
    return [Metric(f"{prefix}/{n}", t + split, about, "lower", NATS, curve=curve) for n, t, about in LOSS_TERMS]


# Of several entries that fit a name, one without variable words describes it, or else the first.
# fmt: off
METRICS: tuple[Metric, ...] = (
    *_in("Reconstruction",
        Metric("reconstruction/mse", "MSE", "mean squared error of a pixel in [0, 1]", "lower"),
        Metric("reconstruction/psnr", "PSNR", "peak signal-to-noise ratio", "higher", "dB"),
        Metric("reconstruction/ssim", "SSIM", "structural similarity", "higher"),
        Metric("reconstruction/fd", "FD recon", "Fréchet distance of reconstructions to originals", "lower"),
        Metric("reconstruction/sharpness", "sharpness", "gradient energy, reconstruction over original", "one"),
        headline=True),
    *_in("Reconstruction",
        Metric("reconstruction/l1", "L1", "mean absolute error of a pixel in [0, 1]", "lower"),
        Metric("reconstruction/cross_entropy", "cross-entropy",
               "cross-entropy of the pixels; a likelihood only where they are binary", "lower", NATS),
        Metric("pca/mse", "PCA's MSE", "MSE of a PCA with as many components as the latent has dimensions", "lower"),
        Metric("val/mse", "MSE, validation", "mean squared error of a pixel in [0, 1]", "lower", curve=True),
    ),
    *_in("Samples",
        Metric("samples/<prior>/fd", "FD",
               "Fréchet distance of samples to held-out images, in features of an MNIST network", "lower"),
        Metric("samples/<prior>/kd", "KD", "kernel distance of samples to held-out images, unbiased", "lower"),
        Metric("samples/<prior>/precision", "precision", "share of samples that lie among the real images", "higher"),
        Metric("samples/<prior>/recall", "recall", "share of real images that lie among the samples", "higher"),
        Metric("samples/<prior>/density", "density", "how densely real images surround a sample", "higher"),
        Metric("samples/<prior>/coverage", "coverage", "share of real images with a sample nearby", "higher"),
        headline=True),
    *_in("Samples",
        Metric("samples/<prior>/class_entropy", "class entropy",
               "entropy of the predicted digits; log 10 = 2.303 is uniform", "higher", "nats"),
        Metric("samples/<prior>/confidence", "confidence", "mean probability of the predicted digit"),
        Metric("samples/<prior>/modes", "modes",
               "how many of the 1,000 triples of stacked digits occur, by an MNIST network", "higher"),
        Metric("samples/<prior>/mode_kl", "mode KL",
               "KL divergence of these triples' frequencies from the uniform distribution", "lower", "nats"),
        Metric("samples/<prior>/mode_samples", "samples for modes",
               "number of samples that modes and mode KL were computed on"),
        Metric("samples/<prior>/nearest_train", "nearest train",
               "distance to the nearest train image, over that of held-out images"),
        Metric("samples/<prior>/label_accuracy", "label accuracy",
               "share of conditional samples whose label a classifier of pixels gives them", "higher"),
        Metric("samples/<prior>/class_fd", "FD by class",
               "mean over the classes of the FD of conditional samples to held-out images of their class", "lower"),
        Metric("samples/<prior>/fd_of_<class>", "FD of class <class>",
               "FD of conditional samples of a class to the held-out images of this class", "lower"),
        Metric("real/class_fd", "FD by class, real data",
               "mean over the classes of the FD of equally many train images of the class", "lower"),
        Metric("real/fd_of_<class>", "FD of class <class>, real data",
               "FD of equally many train images of the class to the held-out ones", "lower"),
        Metric("real/label_accuracy", "label accuracy, real data",
               "share of held-out images whose label this classifier gives them", "higher"),
        Metric("real/fd", "FD, real data",
               "Fréchet distance of train images, as many as samples, to the held-out images", "lower"),
        Metric("real/kd", "KD, real data",
               "kernel distance of train images, as many as samples, to the held-out images", "lower"),
        Metric("real/modes", "modes, real data", "modes of held-out images, as many as samples", "higher"),
        Metric("real/mode_kl", "mode KL, real data", "mode KL of held-out images, as many as samples", "lower", "nats"),
        Metric("real/mode_samples", "real images for modes",
               "number of held-out images that modes and mode KL were computed on"),
    ),
    *_in("Codebook",
        Metric("codebook/perplexity", "perplexity",
               "effective number of codes in use, exp of their entropy", None, "codes"),
        Metric("codebook/usage", "usage", "share of the codes that occur", "higher"),
        headline=True),
    *_in("Codebook",
        Metric("val/codebook_perplexity", "perplexity, validation",
               "effective number of codes in use", None, "codes", curve=True),
        Metric("val/codebook_usage", "usage, validation", "share of the codes that occur", "higher", curve=True),
    ),
    *_in("Likelihood and rate",
        Metric("rate/kl_bits", "rate by N(0, I)", "mean KL(q(z|x) ‖ N(0, I))", "lower", BITS),
        Metric("rate/grid_bits", "rate without a prior", "bits of a code grid, h·w·log2 K", "lower", BITS),
        Metric("rate/<prior>_bits", "rate by <prior>",
               "code length of a code grid by the prior; at most this, if it draws a cluster first or masks codes",
               "lower", BITS),
        Metric("likelihood/nll", "NLL", "−log p(x) of a binary image, importance-weighted bound", "lower", NATS),
        Metric("likelihood/<prior>_nll_bound", "NLL bound by <prior>",
               "−log p(z) − log p(x|z) of a binary image and its own codes z", "lower", NATS),
        Metric("likelihood/elbo", "ELBO", "evidence lower bound of a binary image", "higher", NATS),
        headline=True),
    *_in("Likelihood and rate",
        Metric("likelihood/<prior>_nll", "NLL by <prior>",
               "−log p(x) of a binary image, with <prior> fitted to the latents in place of N(0, I)", "lower", NATS),
        Metric("likelihood/<prior>_elbo", "ELBO by <prior>",
               "ELBO of a binary image, with <prior> fitted to the latents in place of N(0, I)", "higher", NATS),
        Metric("likelihood/importance_samples", "importance samples",
               "samples of z for each image, in the bound of the NLL"),
        Metric("likelihood/prior_importance_samples", "importance samples, fitted priors",
               "samples of z for each image, in the bound of the NLL by a fitted prior"),
        Metric("likelihood/images", "images for the NLL", "images over which the bound of the NLL is averaged"),
        Metric("prior/<prior>/nats", "nats by <prior>",
               "−log p(z) of held-out latents, means or draws of q(z|x), whichever <prior> was fitted to", "lower",
               "nats per latent"),
        Metric("prior/<prior>/val_bits", "code length by <prior>, validation",
               "−log2 p(z) of a grid of codes", "lower", "bits per grid", curve=True),
    ),
    *_in("Latents",
        Metric("latent/active_units", "active units", "latent dimensions that vary with the image", headline=True),
        Metric("latent/kl/<d>", "KL of dimension <d>", "mean KL(q(z_d|x) ‖ N(0, 1))", None, NATS),
        Metric("probe/latent/linear", "linear probe",
               "accuracy of a logistic regression on the latents", "higher", headline=True),
        Metric("probe/latent/knn", "5-NN probe", "accuracy of the five nearest neighbours of the latents", "higher"),
        Metric("probe/pixels/linear", "linear probe on pixels",
               "accuracy of a logistic regression on the pixels", "higher"),
        Metric("probe/pixels/knn", "5-NN probe on pixels",
               "accuracy of the five nearest neighbours of the pixels", "higher"),
        Metric("anomaly/<score>/auroc", "AUROC of <score>",
               "how well the score detects the digit left out of training; 0.5 is chance", "higher"),
    ),
    *_in("Training",
        *_loss_terms("train", ", train", curve=True),
        *_loss_terms("val", ", validation", curve=True),
        *_loss_terms("loss", "", curve=False),
        Metric("train/learning_rate", "learning rate", "learning rate of the model's optimizer", curve=True),
        Metric("train/gradient_norm", "gradient norm",
               "Euclidean norm of the gradient of a step, before it is clipped", curve=True),
        Metric("prior/<prior>/train_nats", "code length by <prior>, train",
               "−log p(z) of a latent", "lower", "nats per latent", curve=True),
        Metric("prior/<prior>/val_nats", "code length by <prior>, validation",
               "−log p(z) of a latent", "lower", "nats per latent", curve=True),
        Metric("prior/<prior>/train_loss", "loss of <prior>, train",
               "what a prior without a likelihood minimises", "lower", curve=True),
        Metric("prior/<prior>/val_loss", "loss of <prior>, validation",
               "what a prior without a likelihood minimises", "lower", curve=True),
    ),
    *_in("Cost",
        Metric("parameters", "parameters", "parameters of the model", "lower", headline=True),
        Metric("train/seconds", "training time", "wall time of the model's training", "lower", "s", headline=True),
        Metric("train/images_per_second", "speed",
               "images per second of the model's training", "higher", "images/s", curve=True),
        Metric("train/steps", "steps", "optimizer steps of the model's training"),
        Metric("train/epochs", "epochs", "epochs of the model's training"),
        Metric("prior/<prior>/parameters", "parameters of the prior",
               "number of trained weights, or of stored values if no weights are trained", "lower"),
        Metric("prior/<prior>/seconds", "fit of the prior", "wall time of fitting the prior", "lower", "s"),
        Metric("samples/<prior>/seconds", "sampling",
               "wall time of drawing and decoding the samples that were measured", "lower", "s"),
        Metric("samples/<prior>/milliseconds", "one sample",
               "wall time of drawing and decoding one of them", "lower", "ms"),
        Metric("seconds/<stage>", "<stage>", "wall time of this stage of the run", "lower", "s"),
        Metric("minutes", "minutes", "wall time of all stages of the run", "lower", "min"),
    ),
)
# fmt: on


_BY_NAME = {metric.name: metric for metric in METRICS}


def entry(pattern: str) -> Metric:
    """Return the entry whose name is exactly `pattern`, for example `samples/<prior>/fd`."""
    return _BY_NAME[pattern]


def find(name: str, extra: Iterable[Metric] = ()) -> Metric | None:
    """Return the entry of a metric, its words filled in; None if no entry describes it.

    Args:
        name: For example `samples/mixture/fd`.
        extra: Entries of metrics from outside the package; they come first.
    """
    exact = [_BY_NAME[name]] if name in _BY_NAME else []
    return next(filter(None, (metric.match(name) for metric in (*extra, *exact, *METRICS))), None)


def of_section(section: Section, *, curve: bool | None = None, headline: bool | None = None) -> tuple[Metric, ...]:
    """Return the entries of a section, in order; with `curve` or `headline` only those that have this value."""
    return tuple(
        metric
        for metric in METRICS
        if metric.section == section and curve in (None, metric.curve) and headline in (None, metric.headline)
    )


_BEST_FD = "Fréchet distance of samples, by the best prior"
BEST_SAMPLES = replace(entry("samples/<prior>/fd"), title="FD samples", about=_BEST_FD)
BEST_RATE = replace(entry("rate/<prior>_bits"), title="rate", about="bits that a latent takes, by the best prior")


def number(value: float) -> str:
    """Return a value with four digits.

    >>> number(0.123456), number(12345.6)
    ('0.1235', '12,346')
    """
    return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
