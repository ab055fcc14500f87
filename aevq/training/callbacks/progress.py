"""A progress bar over the optimizer steps of the whole training, with its speed and the time left.

Lightning's own bars restart with every epoch, and a training here may have 140 short ones. Where the output is no
terminal, a line is printed every tenth of the way.
"""

from __future__ import annotations

import time
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ProgressBar
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from typing_extensions import override

from aevq.ops.schedule import passed
from aevq.runs.status import report_status

__all__ = ["StepProgress"]


class StepProgress(ProgressBar):
    """Shows steps, seconds, and the last figures logged with `prog_bar=True`.

    Args:
        title: What is being trained.
        refresh_every: Steps between two updates: a bar that is redrawn each step slows a small network down.
    """

    def __init__(self, title: str, refresh_every: int = 20) -> None:
        super().__init__()
        self.title = title
        self.refresh_every = refresh_every
        self._console = Console()
        self._progress: Progress | None = None
        self._enabled = True
        self._tenths_told = 0

    @override
    def disable(self) -> None:
        self._enabled = False

    @override
    def enable(self) -> None:
        self._enabled = True

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._total = int(trainer.estimated_stepping_batches)
        self._first_step, self._since = trainer.global_step, time.monotonic()
        self._step = trainer.global_step
        if not self._enabled or not self._console.is_terminal:
            return
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("left"),
            TextColumn("{task.fields[figures]}"),
            console=self._console,
            expand=True,
            refresh_per_second=4,
        )
        self._progress.start()
        self._task = self._progress.add_task(
            f"[bold]{self.title}", total=self._total, completed=trainer.global_step, figures=""
        )

    @override
    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any, **kwargs: Any) -> None:
        step = trainer.global_step
        refresh = passed(self.refresh_every, self._step, step)
        self._step = step
        if refresh:
            self._tell(trainer, step)
        if self._progress is not None and (refresh or step == self._total):
            self._progress.update(self._task, completed=step, figures=self._figures(trainer))
        elif self._progress is None and self._enabled and 10 * step // self._total > self._tenths_told:
            self._tenths_told = 10 * step // self._total
            self._console.print(
                f"{self.title}: step {step}/{self._total}  {self._figures(trainer)}", highlight=False, soft_wrap=True
            )

    @override
    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._progress is not None:
            self._progress.update(self._task, completed=trainer.global_step, figures=self._figures(trainer))
        self._stop()

    @override
    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        self._stop()

    def _tell(self, trainer: pl.Trainer, step: int) -> None:
        """Let the launcher of a sweep know."""
        speed = (step - self._first_step) / (time.monotonic() - self._since)
        left = (self._total - step) / speed if speed > 0 else None
        metrics = self._figures(trainer)
        report_status(at_once=False, step=step, steps=self._total, seconds_left=left, metrics=metrics)

    def _stop(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def _figures(self, trainer: pl.Trainer) -> str:
        metrics = trainer.progress_bar_metrics
        return "  ".join(
            f"{name.rsplit('/', 1)[-1]} {value:.4g}"
            for name, value in metrics.items()
            if isinstance(value, float | int)
        )
