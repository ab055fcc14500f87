"""Nats and bits: the loss terms of a model, the rate of its latents, and bounds of −log p(x)."""

import math

import torch

from aevq.data import some_rows
from aevq.latents import CodeSpec
from aevq.metrics.subject import Subject
from aevq.models import VariationalModel
from aevq.nn.likelihood import Bernoulli
from aevq.nn.memory import by_chunks
from aevq.ops.image import is_binary
from aevq.ops.likelihood import nats_to_bits

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


def likelihood(subject: Subject) -> dict[str, float]:
    """Measure bounds of −log p(x), in nats; only if p(x|z) is a normalised distribution of images, which are binary."""
    if not (isinstance(subject.model.likelihood, Bernoulli) and is_binary(subject.x)):
        return {}
    distortion = subject.loss_terms["distortion"].double()
    if isinstance(subject.model, VariationalModel):
        elbo = -float((distortion + subject.loss_terms["kl"]).mean())
        return {"likelihood/elbo": elbo, **_importance_nll(subject, subject.model)}
    # −log p(z*) − log p(x|z*) with z* = e(x)
    bounds = {name: float((distortion + nats).mean()) for name, nats in subject.code_lengths.items()}
    return {f"likelihood/{name}_nll_bound": bound for name, bound in bounds.items()}


def _importance_nll(subject: Subject, model: VariationalModel) -> dict[str, float]:
    settings, samples = subject.settings, subject.settings.importance_samples
    if samples == 0:
        return {}
    generator = torch.Generator(model.device).manual_seed(settings.seed)
    x = subject.x[some_rows(settings.likelihood_images, len(subject.x))].to(model.device)
    nll = by_chunks(lambda chunk: model.importance_nll(chunk, samples, generator), x, IMPORTANCE_CHUNK)
    return {
        "likelihood/nll": float(nll.double().mean()),
        "likelihood/importance_samples": float(samples),
        "likelihood/images": float(len(x)),
    }
