"""A progress bar over the optimizer steps of the whole training, with speed and remaining time.

Lightning's own bars restart with every epoch, and a training may have 140 short ones. Where the output is not a
terminal, a line is printed at every tenth of the training.
"""

import time
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ProgressBar
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from typing_extensions import override

from aevq.runs.status import report_status

REFRESH_EVERY = 20  # steps: a bar that is redrawn at every step slows a small network down


class StepProgress(ProgressBar):
    """Shows steps, seconds, and the last metrics logged with `prog_bar=True`; `title` says what is trained."""

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
        step = trainer.global_step
        refresh = step % REFRESH_EVERY == 0
        if refresh:
            self._report_status(trainer, step)
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
        self._stop()

    @override
    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        self._stop()

    def _report_status(self, trainer: pl.Trainer, step: int) -> None:
        """Report the progress to the launcher of a sweep."""
        speed = (step - self._first_step) / (time.monotonic() - self._start)
        left = (self._total - step) / speed if speed > 0 else None
        report_status(at_once=False, step=step, steps=self._total, seconds_left=left, metrics=_metrics(trainer))

    def _stop(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None


def _metrics(trainer: pl.Trainer) -> str:
    return "  ".join(
        f"{name.rsplit('/', 1)[-1]} {value:.4g}"
        for name, value in trainer.progress_bar_metrics.items()
        if isinstance(value, float | int)
    )
