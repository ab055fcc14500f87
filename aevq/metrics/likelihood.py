"""Nats and bits: the loss terms of a model, the rate of its latents, and bounds of −log p(x)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from aevq.data import some_rows
from aevq.latents import CodeSpec
from aevq.models import VariationalModel
from aevq.nn.likelihood import Bernoulli
from aevq.nn.memory import by_chunks
from aevq.ops.image import is_binary
from aevq.ops.likelihood import nats_to_bits

if TYPE_CHECKING:
    from aevq.metrics.subject import Subject

CHUNK, IMPORTANCE_CHUNK = 500, 20


@torch.no_grad()
def image_terms(terms: Callable[[Tensor], dict[str, Tensor]], x: Tensor, seed: int = 0) -> dict[str, Tensor]:
    """Return the loss terms of each image, `(N,)` by name, nats per image, on the CPU.

    Args:
        terms: Images `(B, C, H, W)` → each loss term `(B,)`, by name, of a model in eval mode.
        x: Images, `(N, C, H, W)` in [0, 1].
        seed: Of the noise in the terms (a VAE's z).
    """
    names: list[str] = []

    def table(chunk: Tensor) -> Tensor:
        values = terms(chunk)
        names[:] = values
        return torch.stack(list(values.values()), 1)

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        columns = by_chunks(table, x, CHUNK).unbind(1)
    return dict(zip(names, columns, strict=True))


def mean_terms(terms: dict[str, Tensor]) -> dict[str, float]:
    """Return `loss/<term>`, the mean in nats per image; where there is a `kl`, also `rate/kl_bits`, bits per image."""
    means = {f"loss/{name}": float(values.double().mean()) for name, values in terms.items()}
    return means | ({"rate/kl_bits": nats_to_bits(means["loss/kl"])} if "kl" in terms else {})


def loss_terms(subject: Subject) -> dict[str, float]:
    """Measure the mean of each loss term, and the rate of a VAE."""
    return mean_terms(subject.loss_terms)


def rate(subject: Subject) -> dict[str, float]:
    """Measure the bits that a grid of codes takes without a prior, and by each prior."""
    spec = subject.spec
    if not isinstance(spec, CodeSpec):
        return {}
    grid_nats = spec.height * spec.width * float(torch.tensor(spec.num_codes).log())
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
    settings, device = subject.settings, subject.model.device
    samples = settings.importance_samples
    if samples == 0:
        return {}
    generator = torch.Generator(device).manual_seed(settings.seed)
    x = subject.x[some_rows(settings.likelihood_images, len(subject.x))].to(device)
    nll = by_chunks(lambda chunk: model.importance_nll(chunk, samples, generator), x, IMPORTANCE_CHUNK)
    return {"likelihood/nll": float(nll.double().mean()), "likelihood/importance_samples": float(samples)}
