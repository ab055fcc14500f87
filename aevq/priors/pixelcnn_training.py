"""How a PixelCNN is trained: loss, figures, optimizer and schedule, as Lightning's hooks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.nn import functional as F

from aevq.latents import CodeSpec, spec_to_dict
from aevq.nn.distributed import all_reduce_sum, world_size
from aevq.ops.finite import Watch
from aevq.ops.schedule import warmup_cosine_factor
from aevq.ops.units import nats_to_bits

if TYPE_CHECKING:
    from torch.optim import Optimizer

    from aevq.nn.pixelcnn import GatedPixelCNN

__all__ = ["PixelCNNTraining"]

WARMUP = 0.1  # of max_steps
MAX_GRADIENT_NORM = 1.0


class PixelCNNTraining(pl.LightningModule):
    """The Lightning side of the prior `PixelCNN`: −log p(z) in nats per grid, minimised by AdamW.

    Args:
        spec: The grids.
        network: p(z_ij | z_<ij), or given the class too.
        conditional: Whether the network is given the class.
        learning_rate: Of AdamW, after a linear warm-up; then half a cosine to 0.
        weight_decay: Of AdamW.
        max_steps: Optimizer steps of the whole training, and length of the schedule.
    """

    def __init__(
        self,
        spec: CodeSpec,
        network: GatedPixelCNN,
        conditional: bool,
        learning_rate: float,
        weight_decay: float,
        max_steps: int,
    ) -> None:
        super().__init__()
        self.spec = spec
        self.network = network
        self.conditional = conditional
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.max_steps = max_steps
        self._train_nats, self._train_steps = torch.zeros(()), 0
        self._val_sums = torch.zeros(2)
        self._watch = Watch(["prior/pixelcnn/train_nats"])

    def _log_likelihood(self, codes: Tensor, labels: Tensor | None) -> Tensor:
        return -F.cross_entropy(self.network(codes, labels), codes, reduction="none").sum(dim=(1, 2))

    def _nats(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        """−log p(z), or −log p(z|y): `(B,)`, nats per grid."""
        codes, labels = batch
        return -self._log_likelihood(codes.long(), labels if self.conditional else None)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Mean of −log p(z) over the batch: `()`, nats per grid."""
        nats = self._nats(batch).mean()
        self._train_nats, self._train_steps = self._train_nats + nats.detach(), self._train_steps + 1
        self._watch.see(self.global_step + 1, nats.detach()[None])
        every = self.trainer.log_every_n_steps  # type: ignore[attr-defined]
        # One `self.log` a step would cost more than the step of a small network.
        if every and (self.global_step + 1) % every == 0:
            mean = all_reduce_sum(self._train_nats / self._train_steps) / world_size()
            self.log("prior/pixelcnn/train_nats", mean, prog_bar=True)
            self._train_nats, self._train_steps = torch.zeros(()), 0
            self._watch.settle()
        return nats

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Stop after the last step: Lightning validates if told to stop, not if it reaches `max_steps`."""
        if self.global_step >= self.max_steps:
            self.trainer.should_stop = True

    def on_validation_epoch_start(self) -> None:
        """Empty the sums."""
        self._val_sums = torch.zeros(2, device=self.device)

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Add up −log p(z) and the number of grids."""
        nats = self._nats(batch)
        self._val_sums = self._val_sums + torch.stack([nats.sum(), nats.new_tensor(len(nats))])

    def on_validation_epoch_end(self) -> None:
        """Log `prior/pixelcnn/val_nats` and `prior/pixelcnn/val_bits`, per grid, over all processes."""
        total, count = all_reduce_sum(self._val_sums)
        self.log("prior/pixelcnn/val_nats", total / count, prog_bar=True, sync_dist=True)
        self.log("prior/pixelcnn/val_bits", nats_to_bits(total / count), sync_dist=True)

    def configure_optimizers(self) -> Any:
        """AdamW, its learning rate warmed up and annealed over `max_steps`."""
        fused = not self._scales_gradients  # a fused one unscales by itself, too late for the clipping
        optimizer = torch.optim.AdamW(
            self.parameters(), self.learning_rate, weight_decay=self.weight_decay, fused=fused
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self._learning_rate_factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _learning_rate_factor(self, step: int) -> float:
        return warmup_cosine_factor(step, self.max_steps, WARMUP, final=0.0)

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip the norm, to the trainer's value if it has one."""
        largest = gradient_clip_val or MAX_GRADIENT_NORM
        if self._scales_gradients or gradient_clip_algorithm == "value":
            self.clip_gradients(optimizer, largest, gradient_clip_algorithm)
        else:  # Lightning refuses it for a fused optimizer under bf16-mixed, which scales nothing
            torch.nn.utils.clip_grad_norm_(self.parameters(), largest)

    @property
    def _scales_gradients(self) -> bool:
        """Whether gradients are multiplied while they are computed, as in float16."""
        return getattr(self.trainer.precision_plugin, "scaler", None) is not None

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what the grids are, and the state of the random numbers."""
        checkpoint["latent_spec"] = spec_to_dict(self.spec)
        checkpoint["rng_state"] = torch.get_rng_state()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Let dropout go on as if never interrupted."""
        torch.set_rng_state(checkpoint["rng_state"])

    def rank_state(self) -> dict[str, Any]:
        """What this process has added up since it was logged last."""
        return {"nats": self._train_nats.cpu(), "steps": self._train_steps}

    def set_rank_state(self, state: dict[str, Any]) -> None:
        """Go on adding."""
        self._train_nats, self._train_steps = state["nats"].to(self.device), state["steps"]
