"""Use of the codebook while a model trains: perplexity and usage over the validation split."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from typing_extensions import override

from aevq.config.checks import Configurable
from aevq.latents import CodeSpec
from aevq.models import LatentModel
from aevq.nn.distributed import all_reduce_sum
from aevq.ops.quantize import code_counts, perplexity, usage

__all__ = ["CodebookHealth"]


class CodebookHealth(Configurable, Callback):
    """Logs `val/codebook_perplexity` and `val/codebook_usage` of a model whose latents are codes."""

    def __init__(self) -> None:
        self._counts: torch.Tensor | None = None

    @torch.no_grad()
    @override
    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if isinstance(pl_module, LatentModel) and isinstance(spec := pl_module.latent_spec, CodeSpec):
            counts = code_counts(pl_module.encode(batch[0]), spec.num_codes)
            self._counts = counts if self._counts is None else self._counts + counts

    @override
    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._counts is None:
            return
        counts, self._counts = all_reduce_sum(self._counts), None
        # The counts are those of all ranks already; `sync_dist` tells Lightning so.
        pl_module.log("val/codebook_perplexity", perplexity(counts), prog_bar=True, sync_dist=True)
        pl_module.log("val/codebook_usage", usage(counts), sync_dist=True)
