"""Where metrics go during a training: metrics.csv, TensorBoard and Trackio; for W&B see `aevq.training.wandb`."""

import io
import logging
from abc import ABC
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import Logger, TensorBoardLogger
from typing_extensions import override

from aevq.config.checks import Configurable, Text
from aevq.errors import UserError
from aevq.files import atomic_write
from aevq.metrics.catalogue import find
from aevq.runs.folder import sweep_name
from aevq.runs.metrics_file import HEADER, METRICS_FILE, read_metrics, to_text
from aevq.runs.result import Result

log = logging.getLogger("aevq")


class RunLogger(Configurable, Logger, ABC):
    """What a run does with a logger of Lightning, beside logging metrics to it.

    A logger is built, and so checked, before the run has a folder, and started when it has one.
    """

    def start(self, run: Path, config: dict[str, Any], labels: Sequence[str]) -> None:
        """Open the logger for a run folder; `labels` are the names of the model and of the data set."""

    def forget(self, prefixes: tuple[str, ...], from_step: int) -> None:
        """Drop the metrics whose names begin so, from `from_step` on: a resumed training will log them again."""

    def publish(self, result: Result, images: Sequence[Path]) -> None:
        """Show the metrics and the images, PNG files, of a finished run."""

    def publish_sweep(self, sweep: Path, rows: Sequence[Mapping[str, Any]], report: Path) -> None:
        """Show the comparison of the finished runs of a sweep: `rows` of one table, and the report, an HTML file."""

    def amend(self, run: Path, config: dict[str, Any], labels: Sequence[str], metrics: Mapping[str, float]) -> None:
        """Add metrics that were measured later to those of a finished run, which was logged before."""

    def finish(self, exit_code: int) -> None:
        """Close the logger; `exit_code` is not 0 where the run failed."""


class MetricsCSV(RunLogger):
    """`metrics.csv` in the run folder, see `aevq.runs.metrics_file`: rows are appended as they come."""

    path: Path
    name, version = "csv", ""

    def __init__(self) -> None:
        super().__init__()

    @override
    def start(self, run: Path, config: dict[str, Any], labels: Sequence[str]) -> None:
        self.path = run / METRICS_FILE

    @override
    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Do nothing: the run folder has them in config.yaml."""

    @override
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Append one row for each metric; Lightning's `epoch` is left out."""
        with self.path.open("a", encoding="utf-8") as file:
            if file.tell() == 0:
                file.write(HEADER)
            file.write(to_text((step, name, value) for name, value in metrics.items() if name != "epoch"))

    @override
    def forget(self, prefixes: tuple[str, ...], from_step: int) -> None:
        if self.path.exists():
            rows = read_metrics(self.path)
            kept = (row for row in rows if row[0] < from_step or not row[1].startswith(prefixes))
            atomic_write(self.path, HEADER + to_text(kept))


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
    def publish(self, result: Result, images: Sequence[Path]) -> None:
        from matplotlib.image import imread

        events, step = self.experiment, int(result.train.get("steps", 0))
        for name, value in final_metrics(result).items():
            events.add_scalar(name, value, step)
        for path in images:
            events.add_image(f"final/{path.stem}", imread(path), step, dataformats="HWC")
        events.flush()

    @override
    def finish(self, exit_code: int) -> None:
        self.finalize("success" if exit_code == 0 else "failed")


class Trackio(RunLogger):
    """A run in Trackio's local dashboard, which needs no account: `trackio show --project aevq`.

    Args:
        project: Trackio project.

    Raises:
        UserError: If Trackio is not installed.
    """

    name, version = "trackio", ""

    def __init__(self, project: Text = "aevq") -> None:
        super().__init__()
        if find_spec("trackio") is None:
            raise UserError("logger=trackio: not installed; pip install aevq[trackio]")
        self.project = project
        self._run: Any = None

    @override
    def start(self, run: Path, config: dict[str, Any], labels: Sequence[str]) -> None:
        self._open(run, config, resume="allow")
        log.info("Trackio: trackio show --project %s", self.project)

    def _open(self, run: Path, config: dict[str, Any], resume: str) -> None:
        import trackio

        with redirect_stdout(io.StringIO()):  # its many lines would hide ours
            self._run = trackio.init(self.project, name=run.name, group=sweep_name(run), config=config, resume=resume)

    @override
    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Do nothing: the run has its configuration from the start."""

    @override
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        self._run.log({name: value for name, value in metrics.items() if name != "epoch"}, step=step)

    @override
    def publish(self, result: Result, images: Sequence[Path]) -> None:
        import trackio

        final = {f"final/{path.stem}": trackio.Image(str(path)) for path in images}
        self._run.log(final_metrics(result) | final, step=int(result.train.get("steps", 0)))

    @override
    def amend(self, run: Path, config: dict[str, Any], labels: Sequence[str], metrics: Mapping[str, float]) -> None:
        self._open(run, config, resume="must")
        self._run.log(dict(metrics))
        self.finish(exit_code=0)

    @override
    def finish(self, exit_code: int) -> None:
        import trackio

        with redirect_stdout(io.StringIO()):
            trackio.finish()


def final_metrics(result: Result) -> dict[str, float]:
    """Return the metrics and costs of a finished run, without those that loggers have as curves."""
    every = result.metrics | result.all_costs
    return {name: value for name, value in every.items() if (metric := find(name)) is None or not metric.curve}
