"""Priors over grids of codes that learn how codes depend on each other: what all of them share.

    log p(z) = log Σ_y p(y) p(z|y),      p(z|y) = p(c(z)|y) · p(z | c(z), y)

y is the class, in a class-conditional prior. c(z) is the cluster of the whole grid: the nearest of some k-means centres
of the embedded train grids. It is drawn first, so all positions agree on it. The network of a cluster c gives some
probability to grids of other clusters as well, which the formula leaves out: it sums to at most 1 over all grids, and
−log p is an upper bound of the code length.
"""

import math
from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from typing_extensions import override

from aevq.config.checks import (
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveFraction,
    PositiveInt,
    Probability,
    validate,
)
from aevq.data import some_rows
from aevq.errors import expect, expect_int
from aevq.latents import CodeSpec, LatentSet, LatentSpec
from aevq.nn.contexts import evaluating
from aevq.nn.distributed import map_rows
from aevq.ops.categorical import Draw, inverse_cdf
from aevq.ops.quantize import kmeans
from aevq.priors.trained import TrainedPrior

CHUNK = 256  # grids sampled or scored at once: bounds the memory, changes no result
CLUSTERED = 20_000  # train grids that the k-means uses
PSEUDO_COUNT = 0.1  # added to the counts of the clusters, so that none is impossible


class LearnedCodes(TrainedPrior):
    """A trained prior over grids of codes.

    A subclass builds a network in `__init__`, for `num_conditions` conditions, and implements `logits` and `draw`; and
    `log_conditional` too, if its logits of a position depend on more than the positions before it.

    Args:
        spec: The latents that it draws, grids of codes.
        conditional: Whether the class of the image is given: p(z|y).
        num_classes: Number of classes.
        class_dropout: Share of the train grids whose class is hidden in a step, which guidance needs.
        num_clusters: Number of clusters of whole grids; 0 for none.
        batch_size: Grids of a step in each process.
        **training: Learning rate, steps, seed …; see `TrainedPrior`.
    """

    kind = CodeSpec
    spec: CodeSpec
    counts: Tensor  # of the train grids, by class and cluster
    cluster_distances: Tensor  # of each code at each position to each cluster's centre, `(h·w·K, clusters)`

    def __init__(
        self,
        spec: LatentSpec,
        conditional: bool = False,
        num_classes: PositiveInt = 10,
        class_dropout: Probability = 0.1,
        num_clusters: NonNegativeInt = 50,
        batch_size: PositiveInt = 36,
        **training: Any,
    ) -> None:
        super().__init__(spec, batch_size=batch_size, **training)
        self.conditional, self.class_dropout, self.num_clusters = conditional, class_dropout, num_clusters
        self.num_classes = num_classes if conditional else None
        self.register_buffer("counts", torch.ones(self.num_classes or 1, num_clusters or 1))
        entries = math.prod(self.spec.shape) * self.spec.num_codes
        self.register_buffer("cluster_distances", torch.zeros(entries, num_clusters))

    @property
    def num_conditions(self) -> int:
        """Number of the network's conditions: the classes and the hidden class, then the clusters."""
        return (self.num_classes + 1 if self.num_classes else 0) + self.num_clusters

    @abstractmethod
    def draw(self, draw: Draw, conditions: Tensor) -> Tensor:
        """Return B grids of codes, int64 `(B, h, w)`, drawn by `draw`, of conditions `(draw.rows, T)`."""

    @abstractmethod
    def logits(self, codes: Tensor, conditions: Tensor) -> Tensor:
        """Return the logits of all positions, given the codes before: `(B, h, w)`, `(B, T)` → `(B, K, h, w)`, nats."""

    def log_conditional(self, codes: Tensor, conditions: Tensor) -> Tensor:
        """Return log p(z | conditions), with a gradient: int64 `(B, h, w)`, `(B, T)` → `(B,)`, nats."""
        return -F.cross_entropy(self.logits(codes, conditions), codes, reduction="none").sum(dim=(1, 2))

    # Classes and clusters

    @override
    def prepare(self, latents: LatentSet) -> None:
        """Find the clusters of the train grids, and count them by class."""
        z, y = latents.train, latents.train_labels if self.num_classes else torch.zeros_like(latents.train_labels)
        if self.num_clusters:
            codebook = latents.codebook if latents.codebook is not None else torch.eye(self.spec.num_codes)
            e = codebook.float().cpu()
            rows = some_rows(CLUSTERED, len(z))
            centres = kmeans(e[z[rows].cpu()].flatten(1), self.num_clusters, self.seed)
            distances = torch.cdist(e, centres.view(-1, e.shape[1])).square()  # (K, clusters · h·w)
            by_cluster = distances.view(self.spec.num_codes, self.num_clusters, -1).permute(2, 0, 1)
            self.cluster_distances.copy_(by_cluster.flatten(0, 1))
        pairs = y.to(self.device) * self.counts.shape[1] + self.clusters(z.to(self.device))
        self.counts.copy_(torch.bincount(pairs, minlength=self.counts.numel()).view_as(self.counts))

    def clusters(self, codes: Tensor) -> Tensor:
        """Return the nearest cluster c(z), 0 where there is none: int64 `(B, h, w)` → int64 `(B,)`."""
        if not self.num_clusters:
            return torch.zeros(len(codes), dtype=torch.int64, device=codes.device)
        flat = codes.flatten(1)
        entries = flat + torch.arange(flat.shape[1], device=codes.device) * self.spec.num_codes
        return F.embedding_bag(entries, self.cluster_distances, mode="sum").argmin(1)

    @property
    def class_probabilities(self) -> Tensor:
        """p(y), the frequencies of the train split, `(classes,)`; 0 for a class that was left out."""
        return self.counts.sum(1) / self.counts.sum()

    @property
    def log_p_clusters(self) -> Tensor:
        """Log p(c|y), and in the last row log p(c), of a hidden class: `(classes + 1, clusters)`, nats."""
        counts = torch.cat([self.counts, self.counts.sum(0, keepdim=True)]) + PSEUDO_COUNT
        return counts.log() - counts.sum(1, keepdim=True).log()

    def conditions(self, labels: Tensor, clusters: Tensor) -> Tensor:
        """Return the network's conditions `(B, T)`; a label of `num_classes` is a hidden class."""
        parts = [labels] if self.num_classes else []
        if self.num_clusters:
            parts.append(clusters + (self.num_classes + 1 if self.num_classes else 0))
        return torch.stack(parts, 1) if parts else clusters.new_empty(len(clusters), 0)

    # Density

    @override
    def log_likelihood(self, latents: Tensor, labels: Tensor | None) -> Tensor:
        """Return log p(z|y), or without labels of an unconditional prior log p(z): `(B, h, w)` → `(B,)`, nats."""
        clusters = self.clusters(latents)
        y = labels if labels is not None else torch.full_like(clusters, len(self.counts))
        return self.log_p_clusters[y, clusters] + self.log_conditional(latents, self.conditions(y, clusters))

    @override
    def losses(self, latents: Tensor, labels: Tensor | None) -> Tensor:
        if labels is not None and self.training and self.class_dropout:
            hidden = torch.rand(labels.shape, device=labels.device) < self.class_dropout
            labels = labels.masked_fill(hidden, len(self.counts))
        return -self.log_likelihood(latents, labels)

    @override
    def log_prob(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return log p(z), with the classes summed over, or log p(z|y): int64 `(B, h, w)`, `(B,)` → `(B,)`, nats."""
        with evaluating(self):
            codes = latents.split(CHUNK)
            classes = [None] * len(codes) if labels is None else labels.to(self.device).split(CHUNK)
            return torch.cat([self._log_marginal(z, y) for z, y in zip(codes, classes, strict=True)])

    def _log_marginal(self, codes: Tensor, labels: Tensor | None) -> Tensor:
        if self.num_classes is None or labels is not None:
            return self.log_likelihood(codes, labels)
        p = self.class_probabilities
        present = p.nonzero().squeeze(1)
        each = [self.log_likelihood(codes, y.expand(len(codes))) for y in present]
        return (torch.stack(each, 1) + p[present].log()).logsumexp(1)

    # Sampling

    @override
    def sample(
        self,
        n: int,
        generator: torch.Generator | None = None,
        labels: Tensor | None = None,
        temperature: PositiveFloat = 1.0,
        top_p: PositiveFraction = 1.0,
        guidance: NonNegativeFloat = 0.0,
    ) -> Tensor:
        """Draw `n` grids, int64 `(n, h, w)` in `[0, K)`, on this module's device.

        All random numbers are drawn first, in float64 on the generator's device (by default the CPU). So the grids
        depend, up to rounding of the probabilities, neither on the chunks nor on the device.

        Args:
            n: Number of grids.
            generator: Source of the random numbers.
            labels: Classes, int64 `(n,)`; None draws them with the train split's frequencies, if the prior has classes.
            temperature: Divides the logits; 1 samples from p(z).
            top_p: Draws from the most probable codes whose probabilities sum to this; 1 draws from all.
            guidance: Classifier-free guidance towards the class; 0 samples from p(z|y).

        Raises:
            UserError: If an argument is out of range, or does not fit the prior.
        """
        expect_int("n", n, 1)
        self._check_options(n, labels, temperature, top_p, guidance)

        def uniforms(*shape: int) -> Tensor:
            u = torch.rand(
                (n, *shape),
                dtype=torch.float64,
                generator=generator,
                device=generator.device if generator else "cpu",
            )
            # Apple's GPUs have no float64.
            return u.to(self.device, torch.float32 if self.device.type == "mps" else torch.float64)

        hidden = torch.full((n,), len(self.counts), device=self.device)
        if self.num_classes is None:
            labels = hidden
        elif labels is None:
            labels = inverse_cdf(self.class_probabilities.log().expand(n, -1), uniforms())
        labels = labels.to(self.device)
        clusters = (
            inverse_cdf(self.log_p_clusters[labels], uniforms()) if self.num_clusters else torch.zeros_like(labels)
        )
        u, order = uniforms(*self.spec.shape), uniforms(*self.spec.shape)

        def drawn(rows: Tensor) -> Tensor:
            draw = Draw(u[rows], order[rows], temperature, top_p, guidance)
            classes = [labels[rows], hidden[rows]] if guidance else [labels[rows]]
            conditions = torch.cat([self.conditions(y, clusters[rows]) for y in classes])
            return self.draw(draw, conditions)

        with evaluating(self):
            return map_rows(drawn, torch.arange(n, device=self.device), CHUNK).to(self.device)

    def _check_options(self, n: int, labels: Tensor | None, temperature: float, top_p: float, guidance: float) -> None:
        validate("temperature", temperature, PositiveFloat)
        validate("top_p", top_p, PositiveFraction)
        validate("guidance", guidance, NonNegativeFloat)
        if guidance:
            wanted = "0 (it needs a class-conditional prior with class_dropout)"
            expect(self.num_classes is not None and self.class_dropout > 0, "guidance", wanted, guidance)
        if labels is not None:
            expect(self.num_classes is not None, "labels", "None (the prior is unconditional)", "some")
            expect(len(labels) == n, "labels", f"{n} classes", len(labels))
            known = self.class_probabilities.nonzero().squeeze(1).tolist()
            strange = next((y for y in labels.tolist() if y not in known), None)
            expect(strange is None, "labels", f"classes of the train split, {known}", strange)
