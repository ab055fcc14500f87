"""Nats and bits: the loss terms of a model, the rate of its latents, and bounds of −log p(x).

A prior that is fitted to the latents of a trained VAE makes another model of it. Its bounds name the prior: those of
`likelihood/mixture_elbo` and `likelihood/mixture_nll` have the mixture's p(z) in place of N(0, I).
"""

import math

import torch

from aevq.data import some_rows
from aevq.latents import CodeSpec
from aevq.metrics.subject import Subject
from aevq.models import VariationalModel
from aevq.nn.likelihood import Bernoulli
from aevq.nn.memory import by_chunks
from aevq.ops.gaussian import log_standard_normal
from aevq.ops.image import is_binary
from aevq.ops.likelihood import nats_to_bits
from aevq.priors import StandardNormal, code_length

IMPORTANCE_CHUNK = 20


def loss_terms(subject: Subject) -> dict[str, float]:
    """Measure `loss/<term>`, the mean of each loss term, in nats, and of a model with a `kl` the rate, in bits."""
    means = {f"loss/{name}": float(values.double().mean()) for name, values in subject.loss_terms.items()}
    return means | ({"rate/kl_bits": nats_to_bits(means["loss/kl"])} if "loss/kl" in means else {})


def rate(subject: Subject) -> dict[str, float]:
    """Measure the bits that a grid of codes takes without a prior, and by each prior."""
    if not isinstance(subject.spec, CodeSpec):
        return {}
    grid_nats = math.prod(subject.spec.shape) * float(torch.tensor(subject.spec.num_codes).log())
    lengths = {f"rate/{name}_bits": nats_to_bits(float(nats.mean())) for name, nats in subject.code_lengths.items()}
    return {"rate/grid_bits": nats_to_bits(grid_nats), **lengths}


def prior_nats(subject: Subject) -> dict[str, float]:
    """Measure −log p(z) of the latents by each prior that has a density, in nats."""
    return {f"prior/{name}/nats": float(nats.double().mean()) for name, nats in subject.prior_nats.items()}


def likelihood(subject: Subject) -> dict[str, float]:
    """Measure bounds of −log p(x), in nats; only if p(x|z) is a normalised distribution of images, which are binary."""
    if not _is_distribution_of_images(subject):
        return {}
    if isinstance(subject.model, VariationalModel):
        samples = subject.settings.importance_samples
        nll = _importance_nll(subject, subject.model, samples) if samples else {}
        return {"likelihood/elbo": _elbo(subject), **nll}
    distortion = subject.loss_terms["distortion"].double()
    # −log p(z*) − log p(x|z*) with z* = e(x)
    bounds = {name: float((distortion + nats).mean()) for name, nats in subject.code_lengths.items()}
    return {f"likelihood/{name}_nll_bound": bound for name, bound in bounds.items()}


def prior_likelihood(subject: Subject) -> dict[str, float]:
    """Measure the ELBO and the bound of −log p(x) under each prior that is fitted to the latents of a VAE, in nats.

    Another prior in place of N(0, I) raises the ELBO by the mean of log p(z) − log N(z; 0, I) over draws z ~ q(z|x).
    """
    model, samples = subject.model, subject.settings.prior_importance_samples
    if not (isinstance(model, VariationalModel) and _is_distribution_of_images(subject)):
        return {}
    metrics: dict[str, float] = {}
    for name, prior in subject.densities.items():
        if isinstance(prior, StandardNormal):  # the model's own
            continue
        with torch.no_grad():
            gain = -code_length(prior, subject.drawn, subject.labels) - log_standard_normal(subject.drawn)
        metrics[f"likelihood/{name}_elbo"] = _elbo(subject) + float(gain.double().mean())
        if samples:
            metrics |= _importance_nll(subject, model, samples, name)
    return metrics


def _is_distribution_of_images(subject: Subject) -> bool:
    return isinstance(subject.model.likelihood, Bernoulli) and is_binary(subject.x)


def _elbo(subject: Subject) -> float:
    return -float((subject.loss_terms["distortion"].double() + subject.loss_terms["kl"]).mean())


def _importance_nll(subject: Subject, model: VariationalModel, samples: int, prior: str = "") -> dict[str, float]:
    """Measure the importance-weighted bound under a prior, or under the model's own, and what it was computed on."""
    generator = torch.Generator(model.device).manual_seed(subject.settings.seed)
    x = subject.x[some_rows(subject.settings.likelihood_images, len(subject.x))].to(model.device)
    # A model from outside the package need not know of other priors.
    other = {"log_prior": subject.priors[prior].log_prob} if prior else {}
    nll = by_chunks(lambda chunk: model.importance_nll(chunk, samples, generator, **other), x, IMPORTANCE_CHUNK)
    return {
        f"likelihood/{prior}_nll" if prior else "likelihood/nll": float(nll.double().mean()),
        f"likelihood/{'prior_' if prior else ''}importance_samples": float(samples),
        "likelihood/images": float(len(x)),
    }
