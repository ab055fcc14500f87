"""A run's folder, and the record in it: config.yaml, result.json, train.log.

However a run ends, `result.json` says how: finished, failed with its error, or interrupted. Only rank 0 writes it.
"""

import logging
import os
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytorch_lightning as pl
from omegaconf import OmegaConf
from pytorch_lightning.utilities.exceptions import SIGTERMException
from typing_extensions import override

from aevq.config.rank import rank
from aevq.config.secrets import redact
from aevq.errors import Stopped, UserError, did_you_mean
from aevq.files import atomic_write, point_latest
from aevq.metrics.protocol import Evaluation, metrics_version
from aevq.runs.folder import CONFIG_FILE, RESULT_FILE, create_folder, is_run, make_folder
from aevq.runs.result import (
    DataSummary,
    Result,
    command_line,
    device_name,
    git_state,
    prior_summary,
    versions,
    write_result,
)
from aevq.runs.resume import copy_run
from aevq.runs.run import Run
from aevq.runs.status import JOB_INDEX, JOB_SUFFIX, RUN_FOLDER, SWEEP_FOLDER, report_status
from aevq.training.callbacks import Throughput
from aevq.training.cluster import job_name
from aevq.training.parts import Parts
from aevq.training.trainer import steps_per_epoch

log = logging.getLogger("aevq")

SECONDS_TO_COPY = 300  # a finished run, before the other processes of a job give up


class SweepJobPlace(NamedTuple):
    """Where a job of a sweep by another launcher than ours runs: the sweep's folder and the job's number."""

    folder: Path
    number: int


def open_run(parts: Parts, place: SweepJobPlace | None = None, resumed: Run | None = None) -> Run:
    """Return a run in a new folder, named after the data really used; the same one in all processes of a job.

    A scheduler may restart a job: its folder is the same at each start. Any other name that is taken gets a number.
    The data are prepared; `place` is that in the sweep of another launcher. A run that is `resumed` has its folder, and
    if it is finished, it is continued in a copy.

    Raises:
        UserError: If the folder cannot be created, or the resumed run was trained on other data.
    """
    if resumed is None:
        return _new_run(parts, place)
    _check_data(parts, resumed.result)
    if not resumed.finished:
        return resumed
    with resumed.claimed() if rank() == 0 else nullcontext():
        run = _new_run(parts, place)
        if rank() == 0 and not is_run(run.path):
            copy_run(resumed, run)
            log.info("%s is finished and stays as it is; continued in %s", resumed.path.name, run.path.name)
    start = time.monotonic()
    while not is_run(run.path):  # the processes of a scheduler's job share nothing but the folder yet
        if time.monotonic() - start > SECONDS_TO_COPY:
            raise UserError(f"resume: rank 0 has not copied {resumed.path.name} within {SECONDS_TO_COPY} s")
        time.sleep(0.1)
    return run


def _new_run(parts: Parts, place: SweepJobPlace | None) -> Run:
    if (given := os.environ.get(RUN_FOLDER)) and rank() > 0:  # by rank 0, which started this process
        return Run(Path(given))
    name = f"{type(parts.model).__name__.lower()}_{parts.data.name}_s{parts.config['seed']}"
    if sweep := os.environ.get(SWEEP_FOLDER):  # of our own launcher
        return Run(create_folder(Path(sweep), f"{os.environ[JOB_INDEX]}_{name}{os.environ[JOB_SUFFIX]}"))
    scheduled = job_name(parts.config)
    if place is not None:
        path = place.folder / f"{place.number}_{name}"
    else:
        start = scheduled or f"{datetime.now():%Y-%m-%d_%H-%M-%S}"
        path = Path(parts.config["paths"]["runs"]).absolute() / f"{start}_{name}"
    path = make_folder(path) if scheduled else create_folder(path.parent, path.name)
    if place is None and rank() == 0:
        point_latest(path.parent, path)
    return Run(path)


class Recorder:
    """Keeps `result.json` of a run up to date."""

    def __init__(self, path: Path, result: Result) -> None:
        self.path, self.result = path, result

    def save(self) -> None:
        """Write `result.json`."""
        if rank() == 0:
            write_result(self.result, self.path / RESULT_FILE)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the wall time of a stage to `seconds`; a resumed stage adds to the time it took before."""
        log.info("%s …", name)
        report_status(stage=name, step=None, steps=None, seconds_left=None)
        start = time.perf_counter()
        yield
        seconds = time.perf_counter() - start
        self.result.seconds[name] = round(self.result.seconds.get(name, 0.0) + seconds, 3)
        self.save()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Set the status to `running` inside and to the outcome afterwards; send the log to train.log."""
        self.result.status, self.result.error = "running", None
        self.save()
        with _log_file(self.path / ("train.log" if rank() == 0 else f"train.rank{rank()}.log")):
            try:
                yield
            except BaseException as error:
                cause = error.__context__ if isinstance(error, SystemExit) else error  # Lightning makes it of Ctrl-C
                interrupted = isinstance(cause, KeyboardInterrupt | SIGTERMException)
                self._record(error, interrupted)
                if interrupted and not isinstance(error, Stopped):
                    raise KeyboardInterrupt from error
                raise
        self.result.status = "finished"
        self.save()

    def _record(self, error: BaseException, interrupted: bool) -> None:
        """Save how the run ended. If the disk refuses, `running` stays in the file, which is not a result either."""
        log.debug("%s", traceback.format_exc())
        if interrupted:
            self.result.status = "interrupted"
            self.result.error = str(error) if isinstance(error, Stopped) else "stopped by Ctrl-C or SIGTERM"
        else:
            self.result.status = "failed"
            self.result.error = redact(" ".join(f"{type(error).__name__}: {error}".split()))
        try:
            self.save()
        except OSError as failure:
            log.warning("cannot write %s (%s): its status is still running", failure.filename, failure.strerror)
        if interrupted and rank() == 0:
            log.info("to resume: python -m aevq.train resume=%s", self.path)


@contextmanager
def recording(parts: Parts, run: Run) -> Iterator[Recorder]:
    """Record a run from its start to its end; a run that has a result already is resumed. The data are prepared.

    Raises:
        UserError: If another process is writing into the folder, or the run was trained on other data.
    """
    writes = rank() == 0
    loggers = parts.trainers.loggers if writes else []
    # What reproduces this run: it names the data really used, which may be the embedded images.
    config = _redacted(parts.config | {"data": parts.config["data"] | {"name": parts.data.name}, "resume": None})
    with run.claimed() if writes else nullcontext():
        recorder = Recorder(run.path, _resumed_result(parts, run) if is_run(run.path) else _first_result(parts, run))
        report_status(folder=str(run.path))
        os.environ[RUN_FOLDER] = str(run.path)  # for the processes that Lightning starts
        started, exit_code = 0, 1
        try:
            with recorder.running():
                if writes:
                    atomic_write(run.path / CONFIG_FILE, OmegaConf.to_yaml(OmegaConf.create(config)))
                    for incomplete in run.path.rglob(".*.ckpt.*"):  # the process was killed while it wrote
                        incomplete.unlink(missing_ok=True)
                for logger in loggers:
                    logger.start(run.path, config, (type(parts.model).__name__.lower(), parts.data.name))
                    started += 1
                yield recorder
            exit_code = 0
        finally:
            os.environ.pop(RUN_FOLDER, None)
            for logger in loggers[:started]:
                logger.finish(exit_code)


def record_training(result: Result, trainer: pl.Trainer, parts: Parts) -> None:
    """Record the device, seconds, steps, epochs and images per second of the model's training."""
    result.device = device_name(trainer.strategy.root_device)
    # Lightning counts an epoch that the end of a training cuts short once more when the training is continued.
    result.train = {"steps": trainer.global_step, "epochs": -(-trainer.global_step // steps_per_epoch(trainer))}
    for callback in parts.callbacks:
        if isinstance(callback, Throughput):
            result.train |= {"seconds": callback.seconds, "images_per_second": callback.images_per_second}


def record_metrics(result: Result, evaluation: Evaluation, run: Run, parts: Parts) -> None:
    """Record the metrics and costs, what they were measured of, and the metric that a sweep minimises."""
    objective, metrics = parts.config["objective"], evaluation.metrics
    result.priors = {name: prior_summary(prior) for name, prior in parts.priors.items()}
    result.costs = evaluation.costs
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
    _check_data(parts, result)
    result.resumed += 1
    result.resumes.append(_provenance())
    # Those of before; they will be measured again.
    result.metrics, result.costs, result.priors, result.objective, result.weights = {}, {}, {}, None, None
    return result


def _check_data(parts: Parts, result: Result) -> None:
    if result.data["fingerprint"] != parts.data.fingerprint:
        raise UserError(f"resume: {result.name} was trained on other data; set data.root to the folder that holds them")


def _provenance() -> dict[str, Any]:
    started = datetime.now().astimezone().isoformat(timespec="seconds")
    return {"command": redact(command_line()), "started": started, "versions": versions(), "git": git_state()}


class _LogFile(logging.FileHandler):
    """A log file without known secrets. It ignores a full disk, instead of printing a traceback for each record."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))

    @override
    def handleError(self, record: logging.LogRecord) -> None:
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)

    @override
    def close(self) -> None:
        with suppress(OSError):
            super().close()


@contextmanager
def _log_file(path: Path) -> Iterator[None]:
    """Write the log to a file inside."""
    file, root = _LogFile(path, encoding="utf-8"), logging.getLogger()
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s  %(message)s"))
    root.addHandler(file)
    try:
        yield
    finally:
        root.removeHandler(file)
        file.close()
