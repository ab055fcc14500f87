"""Where figures go while a model trains: metrics.csv, TensorBoard, Weights & Biases."""

from __future__ import annotations

import csv
import logging
import os
import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from pytorch_lightning.loggers import Logger, TensorBoardLogger, WandbLogger
from typing_extensions import override

from aevq.config.schema import Text, check_value
from aevq.errors import UserError
from aevq.files import atomic_write
from aevq.report.rows import COLUMNS, comparison_rows
from aevq.training.wandb_server import wandb_mode

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from aevq.runs.result import Result

__all__ = ["MetricsCSV", "finish", "label", "publish", "tensorboard", "weights_and_biases"]

log = logging.getLogger("aevq")

WandbMode = Literal["auto", "online", "offline", "disabled"]
STEP = "trainer/global_step"
SECONDS_TO_BEGIN, SECONDS_TO_FINISH = 20, 120  # that W&B's server may take


class MetricsCSV(Logger):
    """`metrics.csv` in the run folder: one row a figure, `step,name,value`, appended as they come.

    A table in long form never has to be rewritten when a new name appears, so a kill costs no more than the last rows.

    Args:
        run_dir: The run folder.
    """

    def __init__(self, run_dir: str) -> None:
        super().__init__()
        self.path = Path(run_dir) / "metrics.csv"

    @property
    @override
    def name(self) -> str:
        return "csv"

    @property
    @override
    def version(self) -> str:
        return ""

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """The run folder has them in config.yaml."""

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Append one row for each figure; Lightning's `epoch`, which is no figure, is left out."""
        new = not self.path.exists()
        with self.path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            if new:
                writer.writerow(["step", "name", "value"])
            writer.writerows([step, name, repr(float(v))] for name, v in metrics.items() if name != "epoch")

    def forget(self, prefixes: tuple[str, ...], from_step: int) -> None:
        """Drop the rows that a resumed training will write again.

        Args:
            prefixes: Beginnings of the names of that training's figures.
            from_step: Its first step.
        """
        if not self.path.exists():
            return
        with self.path.open(newline="", encoding="utf-8") as file:
            header, *rows = csv.reader(file)
        again = [len(row) != 3 or (int(row[0]) >= from_step and row[1].startswith(prefixes)) for row in rows]
        kept = [header, *(row for row, drop in zip(rows, again, strict=True) if not drop)]
        atomic_write(self.path, "".join(",".join(row) + "\r\n" for row in kept))


def tensorboard(run_dir: str) -> TensorBoardLogger:
    """Event files in `<run>/tensorboard`.

    Raises:
        UserError: If TensorBoard is not installed.
    """
    try:
        return TensorBoardLogger(run_dir, name="", version="tensorboard")
    except ModuleNotFoundError as error:
        raise UserError("logger=tensorboard: TensorBoard is not installed; pip install aevq[tensorboard]") from error


def weights_and_biases(
    run_dir: str, project: Text, mode: WandbMode, group: str | None, tags: Iterable[str], notes: str | None
) -> WandbLogger:
    """A W&B run with its files in `<run>/wandb`; a resumed training goes on in the same one.

    Args:
        run_dir: The run folder; its name is the run's.
        project: W&B project.
        mode: `auto` (online where a key is configured and the server answers, else offline), `online` or `offline`.
        group: Runs of one group stand together in the dashboard; where it is None, those of one sweep do.
        tags: Labels of the run.
        notes: A line about the run.
    """
    import wandb  # slow to import, and only this logger needs it

    check_value("logger.wandb.mode", mode, WandbMode)
    chosen = wandb_mode() if mode == "auto" else mode
    _stage_here_without_home(run_dir)
    known_id = Path(run_dir) / "wandb" / "run-id"
    run_id = known_id.read_text().strip() if known_id.exists() else None
    known_id.parent.mkdir(exist_ok=True)
    name = Path(run_dir).name

    def begin(mode: str) -> Any:
        # WandbLogger would start the run with an option that W&B warns of.
        return wandb.init(
            name=name,
            dir=run_dir,
            project=project,
            id=run_id,
            resume="allow" if run_id else None,
            group=group or os.environ.get("WANDB_RUN_GROUP"),  # which a sweep sets for its jobs
            tags=list(tags),
            notes=notes,
            mode=cast("Any", mode),
            job_type="train",
            config={"setting": _setting(name)},
            # Silent: its many lines would drown ours.
            settings=wandb.Settings(silent=True, init_timeout=SECONDS_TO_BEGIN),
        )

    try:
        run = begin(chosen)
    except wandb.Error as error:
        if mode != "auto":
            raise UserError(f"logger.wandb.mode={mode}: W&B did not take the run; mode=auto goes on offline") from error
        chosen = "offline"
        run = begin(chosen)
    run.define_metric(STEP)
    run.define_metric("*", step_metric=STEP, step_sync=True)
    atomic_write(known_id, run.id)
    if chosen == "offline":
        folder = Path(run.dir).parent
        log.warning("W&B: offline (no key, or no answer); upload this run later with: wandb sync %s", folder)
    else:
        log.info("W&B: %s", run.url)
    return WandbLogger(name=name, save_dir=run_dir, project=project, experiment=run)


def _stage_here_without_home(run_dir: str) -> None:
    """Where there is no home folder to write to, let W&B put its files beside the run's."""
    home = Path("~").expanduser()
    if not (home.is_dir() and os.access(home, os.W_OK)):
        for name in ("WANDB_DATA_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR"):
            os.environ.setdefault(name, str(Path(run_dir) / "wandb"))


def _setting(name: str) -> str:
    """What a run has in common with those of other seeds: its name without time or number, and without the seed."""
    without_start = re.sub(r"^(\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d|\d+)_", "", name)
    return re.sub(r"_s\d+(-\d+)?(?=_|$)", "", without_start, count=1)


def label(loggers: Iterable[Logger], *labels: str) -> None:
    """Tag a run in W&B, beside the user's own tags."""
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            run = logger.experiment
            run.tags = tuple(dict.fromkeys([*(run.tags or ()), *labels]))


def publish(loggers: Iterable[Logger], result: Result, priors: Iterable[str], images: Iterable[Path]) -> None:
    """Show a finished run's figures and pictures in the dashboards.

    Args:
        loggers: Of the run.
        result: Of the run, measured.
        priors: Their names.
        images: PNG files.
    """
    images, rows = list(images), comparison_rows(result, priors)
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            logger.experiment.summary.update(result.metrics | _costs(result))
            logger.log_table("comparison", list(COLUMNS), rows)
            for path in images:
                logger.log_image(f"final/{path.stem}", [str(path)])
        elif isinstance(logger, TensorBoardLogger):
            _publish_events(logger, result, images)


def _publish_events(logger: TensorBoardLogger, result: Result, images: Iterable[Path]) -> None:
    from matplotlib.image import imread

    events, step = logger.experiment, int(result.train.get("steps", 0))
    for name, value in (result.metrics | _costs(result)).items():
        events.add_scalar(name, value, step)
    for path in images:
        events.add_image(f"final/{path.stem}", imread(path), step, dataformats="HWC")
    events.flush()


def _costs(result: Result) -> dict[str, float]:
    train = {f"cost/{name}": result.train[name] for name in ("seconds", "images_per_second") if name in result.train}
    return {"cost/parameters": result.model["parameters"], **train}


def _finish_wandb(exit_code: int) -> None:
    """Let W&B upload what is left, but not for ever: a server that hangs must not hold up a sweep."""
    import wandb

    finishing = threading.Thread(target=wandb.finish, kwargs={"exit_code": exit_code}, daemon=True)
    finishing.start()
    finishing.join(SECONDS_TO_FINISH)
    if finishing.is_alive():
        log.warning("W&B: still uploading after %d s, left to itself; the run is whole without it", SECONDS_TO_FINISH)


def finish(loggers: Iterable[Logger], exit_code: int) -> None:
    """Close the dashboards; W&B shows a run with a non-zero code as failed."""
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            _finish_wandb(exit_code)
        elif isinstance(logger, TensorBoardLogger):
            logger.finalize("success" if exit_code == 0 else "failed")
