"""Weights & Biases: one W&B run for each run folder, online where that works, else offline."""

import logging
import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import requests
from pydantic import Strict
from pytorch_lightning.loggers import WandbLogger
from typing_extensions import override

from aevq.config.checks import Text
from aevq.errors import UserError
from aevq.files import atomic_write
from aevq.report.groups import setting
from aevq.report.records import comparison_rows
from aevq.runs.result import Result
from aevq.training.loggers import RunLogger, costs

log = logging.getLogger("aevq")

STEP = "trainer/global_step"
SECONDS_TO_START, SECONDS_TO_FINISH = 20, 120  # that W&B's server may take
OLD_SERVER = "https://api.wandb.ai"  # under whose name a key may still be stored


class Wandb(RunLogger, WandbLogger):
    """A W&B run with its files in `<run>/wandb`; a resumed training continues the same W&B run.

    Args:
        project: W&B project.
        mode: `auto` (WANDB_MODE if it is set, else online where a key is configured, and offline where the server does
            not answer), `online`, `offline` or `disabled`.
        group: Runs of one group stand together in the dashboard; None groups the runs of a sweep.
        tags: Labels of the run.
        notes: A line about the run.
    """

    def __init__(
        self,
        project: Text = "aevq",
        mode: Literal["auto", "online", "offline", "disabled"] = "auto",
        group: str | None = None,
        tags: Annotated[tuple[str, ...], Strict(False)] = (),
        notes: str | None = None,
    ) -> None:
        super().__init__(project=project)
        self.project, self.mode, self.group, self.tags, self.notes = project, mode, group, tags, notes
        self._run: Any = None
        self._of_priors: set[str] = set()  # metrics whose axis is defined

    @property
    @override
    def experiment(self) -> Any:
        return self._run

    @override
    def start(self, run: Path, config: dict[str, Any], labels: Sequence[str]) -> None:
        import wandb  # slow to import, and only this logger needs it

        self.labels = tuple(dict.fromkeys([*self.tags, *labels]))
        self.setting = f"{'_'.join(labels)}-{setting(config)}"  # runs that differ only in the seed have the same
        mode: str = self.mode
        if mode == "auto":
            mode = os.environ.get("WANDB_MODE") or ("online" if logged_in() else "offline")
        home = Path("~").expanduser()
        if not (home.is_dir() and os.access(home, os.W_OK)):  # then W&B puts its own files beside the run's
            for name in ("WANDB_DATA_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR"):
                os.environ.setdefault(name, str(run / "wandb"))
        known_id = run / "wandb" / "run-id"
        known_id.parent.mkdir(exist_ok=True)
        run_id = known_id.read_text().strip() if known_id.exists() else None
        try:
            self._run = self._init(run, mode, run_id)
        except wandb.Error as error:
            if self.mode != "auto":
                reason = "W&B did not accept the run; mode=auto continues offline"
                raise UserError(f"logger.wandb.mode={self.mode}: {reason}") from error
            mode = "offline"
            self._run = self._init(run, mode, run_id)
        self._run.define_metric(STEP)
        self._run.define_metric("*", step_metric=STEP, step_sync=True)
        atomic_write(known_id, self._run.id)
        if mode == "offline":
            folder = Path(self._run.dir).parent
            log.warning("W&B: offline (no key, or no answer); upload this run later with: wandb sync %s", folder)
        else:
            log.info("W&B: %s", self._run.url)
        self.log_hyperparams(config)

    def _init(self, run: Path, mode: Any, run_id: str | None) -> Any:
        import wandb

        return wandb.init(
            name=run.name,
            dir=run,
            project=self.project,
            id=run_id,
            resume="allow" if run_id else None,
            group=self.group or os.environ.get("WANDB_RUN_GROUP"),  # which a sweep sets for its jobs
            tags=self.labels,
            notes=self.notes,
            mode=mode,
            job_type="train",
            config={"setting": self.setting},
            # Silent: its many lines would hide ours.
            settings=wandb.Settings(silent=True, init_timeout=SECONDS_TO_START),
        )

    @override
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log metrics over the steps of the model's training; those of a prior, `prior/<name>/…`, over its own."""
        axis, names = STEP, [name for name in metrics if name.startswith("prior/")]
        if names:
            axis = f"{names[0].rpartition('/')[0]}/step"
            for name in set(names) - self._of_priors:
                self.experiment.define_metric(name, step_metric=axis)
            self._of_priors.update(names)
            metrics = {name: metrics[name] for name in names}  # without Lightning's `epoch`
        self.experiment.log(dict(metrics) if step is None else {**metrics, axis: step})

    @override
    def publish(self, result: Result, priors: Iterable[str], images: Sequence[Path]) -> None:
        self.experiment.summary.update(result.metrics | costs(result))
        rows = comparison_rows(result, priors)
        self.log_table("comparison", list(rows[0]), [list(row.values()) for row in rows])
        for path in images:
            self.log_image(f"final/{path.stem}", [str(path)])

    @override
    def finish(self, exit_code: int) -> None:
        """Let W&B upload what is left, but not for ever: a server that hangs must not hold up a sweep."""
        import wandb

        finishing = threading.Thread(target=wandb.finish, kwargs={"exit_code": exit_code}, daemon=True)
        finishing.start()
        finishing.join(SECONDS_TO_FINISH)
        if finishing.is_alive():
            log.warning("W&B: still uploading after %d s; not waiting for it, the run is complete", SECONDS_TO_FINISH)


def logged_in() -> bool:
    """Return whether a key is configured, in the environment or in netrc."""
    import wandb

    if os.environ.get("WANDB_API_KEY"):
        return True
    server = os.environ.get("WANDB_BASE_URL") or wandb.Settings().base_url
    try:
        return any(requests.utils.get_netrc_auth(address) for address in (server, OLD_SERVER))
    except UnicodeDecodeError:
        return False
