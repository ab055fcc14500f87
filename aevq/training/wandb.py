"""Weights & Biases: one W&B run for each run folder, online where that works, else offline."""

import logging
import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import requests
from pydantic import Strict
from pytorch_lightning.loggers import WandbLogger
from typing_extensions import override

from aevq.config.checks import Text
from aevq.errors import UserError
from aevq.files import atomic_write
from aevq.metrics.catalogue import find
from aevq.report.groups import setting
from aevq.runs.folder import sweep_name
from aevq.runs.result import Result
from aevq.training.loggers import RunLogger, final_metrics

log = logging.getLogger("aevq")

STEP = "trainer/global_step"
BEST = {"lower": "min", "higher": "max"}  # by the goal of a metric
BEST_CHECKPOINT, RUN_ID = "checkpoints/best.ckpt", "wandb/.run-id"  # in the run folder
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
        artifacts: What is uploaded with a finished run as an artifact of type `model`: `none`, the `best` checkpoint,
            or `all` checkpoints and priors.
    """

    def __init__(
        self,
        project: Text = "aevq",
        mode: Literal["auto", "online", "offline", "disabled"] = "auto",
        group: str | None = None,
        tags: Annotated[tuple[str, ...], Strict(False)] = (),
        notes: str | None = None,
        artifacts: Literal["none", "best", "all"] = "none",
    ) -> None:
        super().__init__(project=project)
        self.project, self.mode, self.group, self.tags, self.notes = project, mode, group, tags, notes
        self.artifacts = artifacts
        self._run: Any = None
        self._folder = Path()
        self._defined: set[str] = set()  # metrics whose axis, goal and summary W&B knows

    @property
    @override
    def experiment(self) -> Any:
        return self._run

    @override
    def start(self, run: Path, config: dict[str, Any], labels: Sequence[str]) -> None:
        self._open(run, config, labels)
        self._run.define_metric(STEP)
        self._run.define_metric("*", step_metric=STEP, step_sync=True)

    @override
    def amend(self, run: Path, config: dict[str, Any], labels: Sequence[str], metrics: Mapping[str, float]) -> None:
        if (run / RUN_ID).exists():
            self._open(run, config, labels)
            self._run.summary.update(dict(metrics))
            self.finish(exit_code=0)

    @override
    def publish_sweep(self, sweep: Path, rows: Sequence[Mapping[str, Any]], report: Path) -> None:
        import wandb

        self._open(sweep, {}, ["comparison"], "comparison")
        self.log_table("comparison", list(rows[0]), [list(row.values()) for row in rows])
        self._run.log({"report": wandb.Html(str(report), inject=False)})
        self.finish(exit_code=0)

    def _open(self, run: Path, config: dict[str, Any], labels: Sequence[str], job_type: str = "train") -> None:
        """Start the W&B run of a run folder or of a sweep's comparison, or continue the one that the folder has."""
        import wandb  # slow to import, and only this logger needs it

        self._folder = run
        sweep = run.name if job_type == "comparison" else sweep_name(run)
        arguments: dict[str, Any] = {
            "name": run.name,
            "dir": run,
            "project": self.project,
            "group": self.group or os.environ.get("WANDB_RUN_GROUP") or sweep,
            "tags": tuple(dict.fromkeys([*self.tags, *labels])),
            "notes": self.notes,
            "job_type": job_type,
            # Runs that differ only in the seed have the same setting; a comparison has none.
            "config": config and config | {"setting": f"{'_'.join(labels)}-{setting(config)}"},
            # Silent: its many lines would hide ours.
            "settings": wandb.Settings(silent=True, init_timeout=SECONDS_TO_START),
        }
        mode: Any = self.mode
        if mode == "auto":
            mode = os.environ.get("WANDB_MODE") or ("online" if logged_in() else "offline")
        home = Path("~").expanduser()
        if not (home.is_dir() and os.access(home, os.W_OK)):  # then W&B puts its own files beside the run's
            for name in ("WANDB_DATA_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR"):
                os.environ.setdefault(name, str(run / "wandb"))
        known_id = run / RUN_ID
        known_id.parent.mkdir(exist_ok=True)
        if known_id.exists():
            arguments |= {"id": known_id.read_text().strip(), "resume": "allow"}
        try:
            self._run = wandb.init(mode=mode, **arguments)
        except wandb.Error as error:
            if self.mode != "auto":
                reason = "W&B did not accept the run; mode=auto continues offline"
                raise UserError(f"logger.wandb.mode={self.mode}: {reason}") from error
            mode = "offline"
            self._run = wandb.init(mode=mode, **arguments)
        atomic_write(known_id, self._run.id)
        if mode == "offline":
            folder = Path(self._run.dir).parent
            log.warning("W&B: offline (no key, or no answer); upload this run later with: wandb sync %s", folder)
        else:
            log.info("W&B: %s", self._run.url)

    @override
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log metrics over the steps of the model's training; those of a prior, `prior/<name>/…`, over its own."""
        axis, names = STEP, [name for name in metrics if name.startswith("prior/")]
        if names:
            axis = f"{names[0].rpartition('/')[0]}/step"
            metrics = {name: metrics[name] for name in names}  # without Lightning's `epoch`
        for name in dict.fromkeys(metrics):
            if name not in self._defined:
                self.experiment.define_metric(name, step_metric=axis, **_best(name))
                self._defined.add(name)
        self.experiment.log(dict(metrics) if step is None else {**metrics, axis: step})

    @override
    def publish(self, result: Result, images: Sequence[Path]) -> None:
        self.experiment.summary.update(final_metrics(result))
        origin = {"data": result.data["fingerprint"], "versions": result.versions, **(result.git or {})}
        self.experiment.config.update({"origin": origin}, allow_val_change=True)
        if self.artifacts != "none":
            self._upload(result)
        for path in images:
            self.log_image(f"final/{path.stem}", [str(path)])

    def _upload(self, result: Result) -> None:
        import wandb

        weights = wandb.Artifact(f"{self._folder.name}-weights", type="model", metadata=result.metrics)
        for path in sorted(self._folder.glob("checkpoints/*.ckpt" if self.artifacts == "all" else BEST_CHECKPOINT)):
            weights.add_file(str(path), path.name)
        for path in sorted(self._folder.glob("priors/*.safetensors")) if self.artifacts == "all" else ():
            weights.add_file(str(path), f"priors/{path.name}")
        self.experiment.log_artifact(weights)

    @override
    def finish(self, exit_code: int) -> None:
        """Let W&B upload what is left, but not for ever: a server that hangs must not hold up a sweep."""
        import wandb

        finishing = threading.Thread(target=wandb.finish, kwargs={"exit_code": exit_code}, daemon=True)
        finishing.start()
        finishing.join(SECONDS_TO_FINISH)
        if finishing.is_alive():
            log.warning("W&B: still uploading after %d s; not waiting for it, the run is complete", SECONDS_TO_FINISH)


def _best(name: str) -> dict[str, Any]:
    """Return the arguments of `define_metric` that have W&B show the best value of a curve beside the last."""
    metric = find(name)
    best = BEST.get(metric.goal or "") if metric else None
    return {"summary": f"{best},last"} if best else {}


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
