"""What a training shows while it runs: progress, speed, the use of the codebook, and panels of images."""

import time
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, ProgressBar
from pytorch_lightning.loggers import TensorBoardLogger, WandbLogger
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor
from torch.nn.utils import get_total_norm
from torch.optim import Optimizer
from torchvision.transforms.functional import to_pil_image
from torchvision.utils import make_grid
from typing_extensions import override

from aevq.config.checks import Configurable, PositiveInt, Seed
from aevq.latents import CodeSpec, VectorSpec
from aevq.metrics.generate import generate
from aevq.models import LatentModel
from aevq.nn.distributed import all_reduce_sum
from aevq.ops.quantize import code_counts, perplexity, usage
from aevq.priors import StandardNormal
from aevq.report.plots import one_of_each
from aevq.runs.status import report_status
from aevq.training.lightning_internals import accumulating

COLUMNS = 10  # of a panel of samples
REFRESH_EVERY = 20  # steps: a bar that is redrawn at every step slows a small network down


class Throughput(Configurable, Callback):
    """Counts images and seconds of training, without validations and checkpoints; logs images per second.

    It reads the clock once in a window of steps: to read it at every step of a GPU would slow that down.

    Attributes:
        images: Images trained on so far, over all ranks.
        seconds: Time spent on them.
    """

    def __init__(self) -> None:
        self.images, self.seconds = 0, 0.0
        self._window_images = 0
        self._window_start: float | None = None

    @property
    def images_per_second(self) -> float:
        """Mean over the whole training."""
        return self.images / self.seconds if self.seconds > 0 else 0.0

    @override
    def state_dict(self) -> dict[str, Any]:
        return {"images": self.images, "seconds": self.seconds}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.images, self.seconds = state_dict["images"], state_dict["seconds"]

    @override
    def on_train_batch_start(self, *args: Any, **kwargs: Any) -> None:
        if self._window_start is None:
            self._window_start = time.perf_counter()

    @override
    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._window_images += len(batch[0]) * trainer.world_size
        untyped: Any = trainer
        if not accumulating(trainer) and trainer.global_step % untyped.log_every_n_steps == 0:
            rate = self._close_window(pl_module.device)
            for logger in trainer.loggers:
                logger.log_metrics({"train/images_per_second": rate}, trainer.global_step - 1)

    @override
    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._close_window(pl_module.device)

    @override
    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._close_window(pl_module.device)

    def _close_window(self, device: torch.device) -> float:
        """Add the window to the totals and return its images per second."""
        if self._window_start is None:
            return 0.0
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds = time.perf_counter() - self._window_start
        images, self._window_images, self._window_start = self._window_images, 0, None
        self.images += images
        self.seconds += seconds
        return images / seconds


class OptimizerHealth(Configurable, Callback):
    """Logs `train/learning_rate` and `train/gradient_norm`, every `trainer.log_every_n_steps`."""

    @override
    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Optimizer
    ) -> None:
        untyped: Any = trainer
        every = untyped.log_every_n_steps
        if not every or (trainer.global_step + 1) % every:
            return
        gradients = [p.grad for p in pl_module.parameters() if p.grad is not None]
        metrics = {
            "train/learning_rate": float(optimizer.param_groups[0]["lr"]),
            "train/gradient_norm": float(get_total_norm(gradients)),
        }
        for logger in trainer.loggers:
            logger.log_metrics(metrics, trainer.global_step)


class CodebookHealth(Configurable, Callback):
    """Logs `val/codebook_perplexity` and `val/codebook_usage` of a model whose latents are codes."""

    def __init__(self) -> None:
        self._counts: Tensor | None = None

    @torch.no_grad()
    @override
    def on_validation_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, *args: Any, **kwargs: Any
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


class ReconstructionPanel(Configurable, Callback):
    """After each validation, shows `num_images` validation images, of each class in turn, and their reconstructions."""

    def __init__(self, num_images: PositiveInt = 10) -> None:
        self.num_images = num_images

    @torch.no_grad()
    @override
    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if _is_shown(trainer) and isinstance(pl_module, LatentModel):
            untyped: Any = trainer
            data = untyped.datamodule
            rows = one_of_each(data.labels("val"), -(-self.num_images // data.num_classes))[: self.num_images]
            x = data.images("val")[rows].to(pl_module.device)
            both = torch.cat([x, pl_module.reconstruct(x)])
            _show(trainer, "val/reconstructions", make_grid(both, nrow=self.num_images, pad_value=0.5).cpu())


class SamplePanel(Configurable, Callback):
    """After each validation, shows the images of the same `num_images` z ~ N(0, I), drawn with `seed`.

    For models whose latents are vectors: a prior over codes would have to be fitted first.
    """

    def __init__(self, num_images: PositiveInt = 20, seed: Seed = 0) -> None:
        self.num_images, self.seed = num_images, seed

    @override
    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not (_is_shown(trainer) and isinstance(pl_module, LatentModel)):
            return
        if isinstance(spec := pl_module.latent_spec, VectorSpec):
            images = generate(pl_module, StandardNormal(spec), self.num_images, self.seed)
            _show(trainer, "val/samples_standard_normal", make_grid(images, nrow=COLUMNS, pad_value=0.5))


def _is_shown(trainer: pl.Trainer) -> bool:
    dashboards = any(isinstance(logger, WandbLogger | TensorBoardLogger) for logger in trainer.loggers)
    return dashboards and trainer.is_global_zero and not trainer.sanity_checking


def _show(trainer: pl.Trainer, name: str, panel: Tensor) -> None:
    """Send a panel, `(3, H, W)` in [0, 1], to the dashboards."""
    step = trainer.global_step - 1  # that of the validation's metrics: Lightning counts from 0
    for logger in trainer.loggers:
        if isinstance(logger, WandbLogger):
            logger.log_image(name, [to_pil_image(panel)], step=step)  # W&B takes tensors to be in [0, 255]
        elif isinstance(logger, TensorBoardLogger):
            logger.experiment.add_image(name, panel, step)


class StepProgress(ProgressBar):
    """Shows steps, seconds, and the last metrics logged with `prog_bar=True`; `title` says what is trained.

    Lightning's own bars restart with every epoch, and a training may have 140 short ones. Where the output is not a
    terminal, a line is printed at every tenth of the training.
    """

    def __init__(self, title: str) -> None:
        super().__init__()
        self.title = title
        self._console = Console()
        self._progress: Progress | None = None
        self._enabled = True
        self._tenths_printed = 0

    @override
    def disable(self) -> None:  # Lightning calls it on all ranks but the first
        self._enabled = False

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._total = int(trainer.estimated_stepping_batches)
        self._first_step, self._start = trainer.global_step, time.monotonic()
        if not self._enabled or not self._console.is_terminal:
            return
        columns = (
            *(TextColumn("{task.description}"), BarColumn(bar_width=None), MofNCompleteColumn(), TimeElapsedColumn()),
            *(TimeRemainingColumn(), TextColumn("left"), TextColumn("{task.fields[metrics]}")),
        )
        self._progress = Progress(*columns, console=self._console, expand=True, refresh_per_second=4)
        self._progress.start()
        self._task = self._progress.add_task(
            f"[bold]{self.title}", total=self._total, completed=trainer.global_step, metrics=""
        )

    @override
    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any, **kwargs: Any) -> None:
        if accumulating(trainer):
            return
        step = trainer.global_step
        refresh = step % REFRESH_EVERY == 0
        if refresh:
            speed = (step - self._first_step) / (time.monotonic() - self._start)
            left = (self._total - step) / speed if speed > 0 else None
            report_status(at_once=False, step=step, steps=self._total, seconds_left=left, metrics=_metrics(trainer))
        if self._progress is not None and (refresh or step == self._total):
            self._progress.update(self._task, completed=step, metrics=_metrics(trainer))
        elif self._progress is None and self._enabled and 10 * step // self._total > self._tenths_printed:
            self._tenths_printed = 10 * step // self._total
            line = f"{self.title}: step {step}/{self._total}  {_metrics(trainer)}"
            self._console.print(line, highlight=False, soft_wrap=True)

    @override
    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._progress is not None:
            self._progress.update(self._task, completed=trainer.global_step, metrics=_metrics(trainer))
        self.on_exception()

    @override
    def on_exception(self, *args: Any) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None


def _metrics(trainer: pl.Trainer) -> str:
    return "  ".join(
        f"{name.rsplit('/', 1)[-1]} {value:.4g}"
        for name, value in trainer.progress_bar_metrics.items()
        if isinstance(value, float | int)
    )
