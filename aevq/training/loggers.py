"""Where metrics go while a model trains: metrics.csv and TensorBoard; Weights & Biases is in `aevq.training.wandb`."""

import csv
from abc import ABC
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import Logger, TensorBoardLogger
from typing_extensions import override

from aevq.config.checks import Configurable
from aevq.errors import UserError
from aevq.files import atomic_write
from aevq.runs.result import Result


class RunLogger(Configurable, Logger, ABC):
    """What a run does with a logger of Lightning, beside logging metrics to it.

    A logger is built, and so checked, before the run has a folder, and started when it has one.
    """

    def start(self, run: Path, config: dict[str, Any], labels: Sequence[str]) -> None:
        """Open the logger for a run folder; `labels` are the names of the model and of the data set."""

    def forget(self, prefixes: tuple[str, ...], from_step: int) -> None:
        """Drop the metrics whose names begin so, from `from_step` on: a resumed training will log them again."""

    def publish(self, result: Result, priors: Iterable[str], images: Sequence[Path]) -> None:
        """Show the metrics and the images, PNG files, of a finished run and its priors."""

    def finish(self, exit_code: int) -> None:
        """Close the logger; `exit_code` is not 0 where the run failed."""


class MetricsCSV(RunLogger):
    """`metrics.csv` in the run folder: one row `step,name,value` for each metric, appended as they come.

    A table in long form is never rewritten when a new name appears, so a kill loses at most the last rows.
    """

    path: Path
    name, version = "csv", ""

    def __init__(self) -> None:
        super().__init__()

    @override
    def start(self, run: Path, config: dict[str, Any], labels: Sequence[str]) -> None:
        self.path = run / "metrics.csv"

    @override
    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Do nothing: the run folder has them in config.yaml."""

    @override
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Append one row for each metric; Lightning's `epoch` is left out."""
        new = not self.path.exists()
        with self.path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            if new:
                writer.writerow(["step", "name", "value"])
            writer.writerows([step, name, repr(float(v))] for name, v in metrics.items() if name != "epoch")

    @override
    def forget(self, prefixes: tuple[str, ...], from_step: int) -> None:
        if not self.path.exists():
            return
        with self.path.open(newline="", encoding="utf-8") as file:
            header, *rows = csv.reader(file)
        again = [len(row) != 3 or (int(row[0]) >= from_step and row[1].startswith(prefixes)) for row in rows]
        kept = [header, *(row for row, drop in zip(rows, again, strict=True) if not drop)]
        atomic_write(self.path, "".join(",".join(row) + "\r\n" for row in kept))


class TensorBoard(RunLogger, TensorBoardLogger):
    """Event files in `<run>/tensorboard`.

    Raises:
        UserError: If TensorBoard is not installed.
    """

    def __init__(self) -> None:
        try:
            super().__init__(save_dir="", name="", version="tensorboard")
        except ModuleNotFoundError as error:
            raise UserError("logger=tensorboard: not installed; pip install aevq[tensorboard]") from error
        self._run = Path()

    @property
    @override
    def root_dir(self) -> str:
        return str(self._run)

    @override
    def start(self, run: Path, config: dict[str, Any], labels: Sequence[str]) -> None:
        self._run = run
        self.log_hyperparams(config)

    @override
    def publish(self, result: Result, priors: Iterable[str], images: Sequence[Path]) -> None:
        from matplotlib.image import imread

        events, step = self.experiment, int(result.train.get("steps", 0))
        for name, value in (result.metrics | costs(result)).items():
            events.add_scalar(name, value, step)
        for path in images:
            events.add_image(f"final/{path.stem}", imread(path), step, dataformats="HWC")
        events.flush()

    @override
    def finish(self, exit_code: int) -> None:
        self.finalize("success" if exit_code == 0 else "failed")


def costs(result: Result) -> dict[str, float]:
    """Return the costs of a run as metrics `cost/<name>`."""
    train = {f"cost/{name}": result.train[name] for name in ("seconds", "images_per_second") if name in result.train}
    return {"cost/parameters": result.model["parameters"], **train}
