"""A prior over code grids that learns how codes follow one another: the gated PixelCNN.

    log p(z) = Σ_ij log p(z_ij | z_<ij)        log p(z) = log (1/|Y|) Σ_y p(z|y)   if class-conditional

The second stage of a VQ-VAE: the grids of the encoded train split are its data, −log p(z) in nats per grid is
its loss. It trains itself by a Lightning Trainer that the caller makes, so accelerator, loggers and progress
bar are those of the first stage.

Source: van den Oord et al. 2016, arXiv:1606.05328; as a prior for a VQ-VAE: van den Oord et al. 2017,
arXiv:1711.00937, section 3.
"""

from __future__ import annotations

import math
import warnings
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint
from pytorch_lightning.utilities.seed import isolate_rng
from torch import Tensor

from aevq.config.schema import Count, Layers, NonNegative, Odd, Positive, Probability, Seed, checked
from aevq.data import DeviceLoader, mix
from aevq.errors import expect, expect_int
from aevq.files import load_plain
from aevq.nn.distributed import map_rows
from aevq.nn.pixelcnn import GatedPixelCNN
from aevq.nn.pixelcnn_sampler import sample_codes
from aevq.priors.base import require_codes
from aevq.priors.pixelcnn_training import PixelCNNTraining

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from aevq.latents import LatentSet, LatentSpec

__all__ = ["PixelCNN"]

CHUNK = 256  # grids sampled or scored at once: bounds memory, changes no result


@checked("prior.pixelcnn")
class PixelCNN(PixelCNNTraining):
    """p(z) as a gated PixelCNN, or p(z|y) with uniform classes.

    Args:
        spec: Latents to be drawn, code grids.
        channels: Channels of both stacks.
        layers: Number of gated layers.
        kernel: Odd width of the vertical kernel.
        conditional: Whether the class of the image is given to the network.
        num_classes: Classes that there are.
        dropout: Probability of dropping an activation behind a gate.
        learning_rate: Of AdamW, after a linear warm-up; then half a cosine to 0.
        weight_decay: Of AdamW.
        batch_size: Grids a step and process.
        max_steps: Optimizer steps of the whole training, and length of the schedule.
        val_every_steps: Optimizer steps between two validations; the last step is always validated.
        patience: Validations without a better `prior/pixelcnn/val_nats` after which training stops.
        seed: Of initial weights, order of the grids and dropout.

    Raises:
        UserError: If `spec` is not one of code grids, or an argument is out of its range.
    """

    name = "pixelcnn"

    def __init__(
        self,
        spec: LatentSpec,
        *,
        channels: Count,
        layers: Layers,
        kernel: Odd,
        conditional: bool,
        dropout: Probability,
        learning_rate: Positive,
        weight_decay: NonNegative,
        batch_size: Count,
        max_steps: Count,
        val_every_steps: Count,
        patience: Count,
        seed: Seed = 0,
        num_classes: Count = 10,  # prior files older than it have none
    ) -> None:
        codes = require_codes(spec, self.name)
        classes = num_classes if conditional else None
        with _seeded(seed):
            network = GatedPixelCNN(codes.num_codes, channels, layers, kernel, classes, dropout)
        super().__init__(codes, network, conditional, learning_rate, weight_decay, max_steps)
        self.num_classes = classes
        self.batch_size = batch_size
        self.val_every_steps = val_every_steps
        self.patience = patience
        self.seed = seed

    def fit(
        self,
        latents: LatentSet,
        make_trainer: Callable[..., pl.Trainer] | None = None,
        resume_from: Path | None = None,
    ) -> None:
        """Train on the train split, keep the weights that are best on the validation split.

        The trainer's `default_root_dir` gets `best.ckpt` and `last.ckpt`, written at every validation.

        Args:
            latents: Code grids and labels of both splits.
            make_trainer: Called with `max_steps`, `val_check_interval` and `callbacks`; None trains quietly
                on the CPU and keeps no checkpoint.
            resume_from: A `last.ckpt` to go on from.

        Raises:
            UserError: If the latents are not of this prior's spec.
        """
        for split in (latents.train, latents.val):
            expect(split.shape[1:] == self.spec.shape, "latents", f"grids {self.spec.shape}", tuple(split.shape))
        if make_trainer is None:
            with TemporaryDirectory() as folder:
                return self.fit(latents, partial(_quiet_trainer, default_root_dir=folder), resume_from)
        device = self.device
        self._train(latents, make_trainer, resume_from)
        self.to(device).eval()
        return None

    def sample(
        self,
        n: int,
        generator: torch.Generator | None = None,
        labels: Tensor | None = None,
        temperature: float = 1.0,
    ) -> Tensor:
        """Draw grids.

        All random numbers are drawn first, in float64 on the generator's device (by default the CPU): but for
        rounding of the probabilities, the grids depend neither on the chunks nor on the device.

        Args:
            n: Number of grids.
            generator: Of the random numbers.
            labels: Classes, int64 `(n,)`; None draws them uniformly if the prior is class-conditional.
            temperature: Divides the logits; 1 samples from p(z).

        Returns:
            int64 `(n, h, w)` in `[0, K)`, on this module's device.

        Raises:
            UserError: If n or temperature is not positive, or the labels are not n or the prior takes none.
        """
        expect_int("n", n, 1)
        source: dict[str, Any] = {"generator": generator, "device": generator.device if generator else "cpu"}
        if self.num_classes is not None and labels is None:
            labels = torch.randint(self.num_classes, (n,), **source)
        if labels is not None:
            expect(len(labels) == n, "labels", f"{n} classes", len(labels))
        u = torch.rand((n, *self.spec.shape), dtype=torch.float64, **source)
        # Apple's GPUs have no float64.
        u = u.to(self.device, torch.float32 if self.device.type == "mps" else torch.float64)
        if labels is not None:
            labels = labels.to(self.device)

        def draw(rows: Tensor) -> Tensor:
            return sample_codes(self.network, u[rows], None if labels is None else labels[rows], temperature)

        with _evaluating(self):
            rows = torch.arange(n, device=self.device)
            return map_rows(draw, rows, CHUNK).to(self.device)

    def log_prob(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Score grids: log p(z), or log p(z|y) if labels are given.

        Args:
            latents: Codes, int64 `(B, h, w)`.
            labels: Classes, int64 `(B,)`; None sums the classes of a class-conditional prior out.

        Returns:
            `(B,)`, nats.
        """
        with _evaluating(self):
            chunks = zip(latents.split(CHUNK), self._split(labels, len(latents)), strict=True)
            return torch.cat([self._log_marginal(z, y) for z, y in chunks])

    def _split(self, labels: Tensor | None, n: int) -> list[Tensor] | list[None]:
        """The labels of each chunk."""
        return [None] * -(-n // CHUNK) if labels is None else list(labels.to(self.device).split(CHUNK))

    def _log_marginal(self, codes: Tensor, labels: Tensor | None) -> Tensor:
        if self.num_classes is None or labels is not None:
            return self._log_likelihood(codes, labels)
        classes = torch.arange(self.num_classes, device=codes.device)[:, None].expand(-1, len(codes))
        log_p = torch.stack([self._log_likelihood(codes, y) for y in classes])
        return log_p.logsumexp(dim=0) - math.log(self.num_classes)

    def _train(self, latents: LatentSet, make_trainer: Callable[..., pl.Trainer], resume_from: Path | None) -> None:
        checkpoint = ModelCheckpoint(
            monitor="prior/pixelcnn/val_nats",
            filename="best",
            save_last=True,
            auto_insert_metric_name=False,
            enable_version_counter=False,
            save_on_train_epoch_end=False,
        )
        trainer = make_trainer(
            max_steps=self.max_steps,
            val_check_interval=self.val_every_steps,
            callbacks=[checkpoint, EarlyStopping("prior/pixelcnn/val_nats", patience=self.patience)],
        )
        checkpoint.dirpath = trainer.default_root_dir
        trainer.check_val_every_n_epoch = None  # validations are counted in steps, across epochs
        train = self._loader(trainer, latents.train, latents.train_labels, shuffle=True)
        val = self._loader(trainer, latents.val, latents.val_labels, shuffle=False)
        with _seeded(mix(self.seed, trainer.global_rank)), warnings.catch_warnings():
            # A run folder is not empty, and one that is resumed holds the checkpoints already.
            warnings.filterwarnings("ignore", "Checkpoint directory .* exists and is not empty")
            trainer.fit(self, train, val, ckpt_path=resume_from)
        if checkpoint.best_model_path:  # none under `fast_dev_run`, and none without validation
            best = load_plain(Path(checkpoint.best_model_path))
            self.load_state_dict(best["state_dict"])

    def _loader(self, trainer: pl.Trainer, codes: Tensor, labels: Tensor, *, shuffle: bool) -> DeviceLoader:
        dtype = torch.int16 if self.spec.num_codes <= 2**15 else torch.int64
        device = trainer.strategy.root_device
        return DeviceLoader(
            (codes.to(device, dtype), labels.to(device)),
            self.batch_size,
            seed=self.seed,
            shuffle=shuffle,
            rank=trainer.global_rank,
            world_size=trainer.world_size,
        )


def _quiet_trainer(**arguments: Any) -> pl.Trainer:
    return pl.Trainer(
        accelerator="cpu",
        devices=1,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        **arguments,
    )


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Global random numbers from `seed` inside, and outside as if nothing had happened."""
    with isolate_rng():
        torch.manual_seed(seed)
        yield


@contextmanager
def _evaluating(module: torch.nn.Module) -> Iterator[None]:
    """Eval mode without gradients; the previous mode afterwards."""
    was_training = module.training
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        module.train(was_training)
