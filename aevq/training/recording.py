"""A new run's folder, and what is written into it beside checkpoints, priors and images."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from datetime import datetime
from typing import Any

import pytorch_lightning as pl
from omegaconf import OmegaConf

from aevq.config.rank import rank
from aevq.config.secrets import redact
from aevq.errors import UserError, did_you_mean
from aevq.files import atomic_write
from aevq.metrics.protocol import metrics_version
from aevq.runs.folder import CONFIG_FILE, is_run
from aevq.runs.recorder import Recorder
from aevq.runs.result import DataSummary, Result, command_line, device_name, git_state, versions
from aevq.runs.run import Run
from aevq.runs.status import RUN_FOLDER, report_status
from aevq.training.callbacks import Throughput
from aevq.training.loggers import RunLogger
from aevq.training.parts import Parts

log = logging.getLogger("aevq")


@contextmanager
def recording(parts: Parts, run: Run) -> Iterator[Recorder]:
    """Record a run from its start to its end: config.yaml, result.json, train.log, loggers.

    A run that has a result already is resumed. The data are prepared.

    Raises:
        UserError: If another process is writing into the folder, or the run was trained on other data.
    """
    active = rank() == 0
    # What makes this run again: with the data really used, others where the embedded images stand in.
    data = parts.config["data"] | {"name": parts.data.name}
    config = _redacted(parts.config | {"data": data, "resume": None})
    with run.claimed() if active else nullcontext():
        result = _resumed_result(parts, run) if is_run(run.path) else _first_result(parts, run)
        recorder = Recorder(run.path, result, active)
        report_status(folder=str(run.path))
        os.environ[RUN_FOLDER] = str(run.path)  # for the processes that Lightning starts
        started: list[RunLogger] = []
        exit_code = 1
        try:
            with recorder.running():
                if active:
                    atomic_write(run.path / CONFIG_FILE, OmegaConf.to_yaml(OmegaConf.create(config)))
                    _remove_outdated(run)
                for logger in parts.trainers.loggers if active else []:
                    logger.start(run.path, config, (type(parts.model).__name__.lower(), parts.data.name))
                    started.append(logger)
                yield recorder
            exit_code = 0
        finally:
            os.environ.pop(RUN_FOLDER, None)
            for logger in started:
                logger.finish(exit_code)


def record_training(result: Result, trainer: pl.Trainer, callbacks: list[pl.Callback]) -> None:
    """Record the device, seconds, steps, epochs and images per second of the model's training."""
    result.device = device_name(trainer.strategy.root_device)
    result.train = {"steps": trainer.global_step, "epochs": trainer.current_epoch}
    for callback in callbacks:
        if isinstance(callback, Throughput):
            result.train |= {"seconds": callback.seconds, "images_per_second": callback.images_per_second}


def record_metrics(result: Result, metrics: dict[str, float], run: Run, parts: Parts) -> None:
    """Record the metrics, what they were measured of, and the one that a sweep minimises."""
    objective = parts.config["objective"]
    result.extra_metrics = [asdict(metric) for metric in parts.evaluation.extra_metrics]
    result.metrics, result.metrics_version, result.weights = metrics, metrics_version(), run.weights_sha256
    result.objective = {"name": objective, "value": metrics[objective]} if objective in metrics else None
    if result.objective is None:
        log.warning("objective: the run has no metric %r; %s", objective, did_you_mean(objective, metrics))


def _redacted(value: Any) -> Any:
    """Return plain values with every known secret in their texts replaced."""
    if isinstance(value, dict):
        return {key: _redacted(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_redacted(inner) for inner in value]
    return redact(value) if isinstance(value, str) else value


def _remove_outdated(run: Run) -> None:
    """Remove what was measured and drawn of a resumed run's older weights, and checkpoints that a kill left torn."""
    for path in (run.path / "evaluation.json", *run.images.rglob("*.png"), *run.path.rglob(".*.ckpt.*")):
        path.unlink(missing_ok=True)


def _first_result(parts: Parts, run: Run) -> Result:
    data, model, target = parts.data, parts.model, parts.config["model"]["_target_"]
    parameters = sum(p.numel() for p in model.parameters())
    summary: DataSummary = {"name": data.name, "fingerprint": data.fingerprint, "sizes": data.sizes}
    if data.leave_out is not None:
        summary["left_out"] = data.leave_out
    return Result(
        name=run.path.name,
        status="running",
        model={"name": type(model).__name__, "target": target, "parameters": parameters},
        data=summary,
        seed=parts.config["seed"],
        **_provenance(),
    )


def _resumed_result(parts: Parts, run: Run) -> Result:
    result = run.result
    if result.data["fingerprint"] != parts.data.fingerprint:
        raise UserError(f"resume: the data are not those that {run.path.name} was trained on")
    result.resumed += 1
    result.resumes.append(_provenance())
    result.metrics, result.objective, result.weights = {}, None, None  # those of before; they will be measured again
    return result


def _provenance() -> dict[str, Any]:
    started = datetime.now().astimezone().isoformat(timespec="seconds")
    return {"command": redact(command_line()), "started": started, "versions": versions(), "git": git_state()}
