"""What every model is to the outside, and all that its training step shares with the others.

    LatentModel:   encode(x) → latent      decode(latent) → x̂      latent_spec      terms(x) → LossTerms

A model computes its loss terms per image, in nats, summed over pixels or latent dimensions. This file alone averages
them over the batch, logs them, builds the optimizer and takes its steps: one for each batch that Lightning brings, or
several for a `Chunk` of batches (`automatic_optimization = False`), with the same results.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from typing_extensions import override

from aevq.nn.distributed import all_reduce_sum, world_size
from aevq.nn.likelihood import Likelihood
from aevq.ops.finite import Watch, expect_finite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from aevq.data.chunks import Chunk
    from aevq.latents import LatentSpec

__all__ = ["LatentModel", "LossTerms", "VariationalModel"]


@dataclass(frozen=True)
class LossTerms:
    """Named loss terms, each `(B,)`, nats per image.

    Attributes:
        objective: What is minimised.
        distortion: −log p(x|z).
    """

    objective: Tensor
    distortion: Tensor

    def by_name(self) -> dict[str, Tensor]:
        """Each term, `(B,)`, detached."""
        return {field.name: getattr(self, field.name).detach() for field in fields(self)}

    def means(self) -> dict[str, Tensor]:
        """Mean over the batch of each term, by name: `()`, detached."""
        return {name: value.mean() for name, value in self.by_name().items()}


@runtime_checkable
class VariationalModel(Protocol):
    """A model whose latent has a posterior, so that log p(x) can be bounded."""

    def importance_nll(self, x: Tensor, samples: int, generator: torch.Generator | None = None) -> Tensor:
        """Importance-weighted upper bound of −log p(x): `(B, C, H, W)` → `(B,)`, nats per image."""

    def kl_per_dimension(self, x: Tensor) -> Tensor:
        """D_KL(q(z_d|x) ‖ p(z_d)): `(B, C, H, W)` → `(B, D)`, nats."""


class LatentModel(pl.LightningModule, ABC):
    """Base of AE, VAE, VQVAE and of the model you add.

    A subclass builds its parts in `__init__`, states its `latent_spec`, and writes `encode`, `decode` and `terms`.

    Args:
        likelihood: p(x|z), applied to the decoder's output.
        optimizer: Given the parameters, makes the optimizer.
        schedule: Given the optimizer and the number of steps of the whole training, makes the learning rate schedule;
            None keeps the rate constant.
    """

    def __init__(
        self,
        likelihood: Likelihood,
        optimizer: Callable[[Iterable[Tensor]], Optimizer],
        schedule: Callable[[Optimizer, int], LRScheduler] | None = None,
    ) -> None:
        super().__init__()
        self.likelihood = likelihood
        self._make_optimizer = optimizer
        self._make_schedule = schedule
        self._sums: Tensor | None = None
        self._steps_summed = 0
        self._watch = Watch()
        self._rng_state: Tensor | None = None

    @property
    @abstractmethod
    def latent_spec(self) -> LatentSpec:
        """Kind and shape of the latents."""

    @abstractmethod
    def encode(self, x: Tensor) -> Tensor:
        """Images `(B, C, H, W)` in [0, 1] → latents `(B, *latent_spec.shape)`, without randomness."""

    @abstractmethod
    def decode(self, latent: Tensor) -> Tensor:
        """Latents `(B, *latent_spec.shape)` → mean images `(B, C, H, W)` in [0, 1]."""

    @abstractmethod
    def terms(self, x: Tensor) -> LossTerms:
        """Images `(B, C, H, W)` in [0, 1] → loss terms, each `(B,)`, nats per image."""

    def reconstruct(self, x: Tensor) -> Tensor:
        """x̂ = decode(encode(x)): `(B, C, H, W)` → the same."""
        return self.decode(self.encode(x))

    def embed(self, latent: Tensor) -> Tensor:
        """Latents as vectors of floats, `(B, F)`, for projections and probes."""
        return latent.flatten(1)

    @override
    def training_step(self, batch: tuple[Tensor, Tensor] | Chunk, batch_idx: int) -> Tensor | None:
        if self.automatic_optimization:
            return self._loss(cast("tuple[Tensor, Tensor]", batch))
        for one in batch:
            self._optimize(cast("tuple[Tensor, Tensor]", one))
        self.trainer.fit_loop.epoch_loop._batches_that_stepped += len(batch) - 1  # the step in Lightning's own logs
        return None

    def after_optimizer_step(self) -> None:
        """What a model does once after each optimizer step."""

    @override
    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        super().optimizer_step(*args, **kwargs)
        self.after_optimizer_step()

    @override
    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        x = batch[0]
        values = self.terms(x).means() | {"mse": (self.reconstruct(x) - x).square().mean()}
        numbers = zip(values, torch.stack(list(values.values())).tolist(), strict=True)
        expect_finite(numbers, f"training diverged by the validation at step {self.global_step}")
        self.log_dict({f"val/{name}": value for name, value in values.items()}, batch_size=len(x), sync_dist=True)

    @override
    def on_validation_epoch_start(self) -> None:
        # Validation draws the same noise each time and leaves the noise of the training as it was.
        self._rng_state = torch.get_rng_state()
        torch.manual_seed(0)

    @override
    def on_validation_epoch_end(self) -> None:
        if self._rng_state is not None:
            torch.set_rng_state(self._rng_state)

    @override
    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        # Lightning validates when it is told to stop, but not when it reaches `max_steps`; the last weights count.
        if self.global_step >= self.trainer.estimated_stepping_batches:
            self.trainer.should_stop = True

    @override
    def configure_optimizers(self) -> Any:
        optimizer = self._make_optimizer([p for p in self.parameters() if p.requires_grad])
        if self._make_schedule is None:
            return optimizer
        schedule = self._make_schedule(optimizer, int(self.trainer.estimated_stepping_batches))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _optimize(self, batch: tuple[Tensor, Tensor]) -> None:
        """One of the optimizer steps that Lightning takes as one."""
        optimizer = cast("Optimizer", self.optimizers(use_pl_optimizer=False))
        loss = self._loss(batch)
        optimizer.zero_grad()
        with torch.autocast(self.device.type, enabled=False):  # as where Lightning calls backward
            loss.backward()
        optimizer.step()
        self.after_optimizer_step()
        torch.clear_autocast_cache()  # of the weights before this step
        if (schedule := self.lr_schedulers()) is not None:
            cast("LRScheduler", schedule).step()
        # Lightning counts the steps of its own optimizer wrapper, whose hooks cost more than all else here.
        progress = self.trainer.fit_loop.epoch_loop.manual_optimization.optim_step_progress
        progress.increment_ready()
        progress.increment_completed()

    def _loss(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        """The objective's mean over the batch, `()`."""
        terms = self.terms(batch[0])
        self._record(terms)
        return terms.objective.mean()

    def rank_state(self) -> dict[str, Any]:
        """What this process has added up since it was logged last."""
        return {"sums": None if self._sums is None else self._sums.cpu(), "steps": self._steps_summed}

    def set_rank_state(self, state: dict[str, Any]) -> None:
        """Go on adding."""
        self._sums = None if state["sums"] is None else state["sums"].to(self.device)
        self._steps_summed = state["steps"]

    def _record(self, terms: LossTerms) -> None:
        """Add up the terms on the device and log their means once every `log_every_n_steps`.

        A `self.log` a step costs more than a step of a small network.
        """
        means = terms.means()
        self._watch.names = tuple(means)
        values = torch.stack(list(means.values()))
        self._sums = values if self._sums is None else self._sums + values
        self._steps_summed += 1
        self._watch.see(self.global_step + 1, values)
        if (self.global_step + 1) % self.trainer.log_every_n_steps == 0:  # type: ignore[attr-defined]
            self._log_means([f"train/{name}" for name in means])

    def _log_means(self, names: list[str]) -> None:
        """Log what was added up, straight to the loggers: Lightning would do it once more at an epoch's end."""
        assert self._sums is not None
        self._watch.settle()
        means = all_reduce_sum(self._sums / self._steps_summed) / world_size()
        figures = dict(zip(names, means.tolist(), strict=True))
        self.log("train/objective", figures["train/objective"], prog_bar=True, logger=False)
        for logger in self.loggers:
            logger.log_metrics(figures, self.global_step)
        self._sums, self._steps_summed = None, 0
