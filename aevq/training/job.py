"""One run from its configuration to its folder: build, fit, fit the priors, score, draw."""

from __future__ import annotations

import logging
import os
import signal
import sys
from contextlib import nullcontext
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from aevq.config.instantiate import EVERYTHING, build
from aevq.config.rank import rank
from aevq.config.secrets import redact
from aevq.errors import Stopped, UserError, did_you_mean
from aevq.files import atomic_write, point_latest
from aevq.metrics.generate import encode_splits
from aevq.metrics.protocol import EvaluationSettings, metrics_version, run_protocol
from aevq.metrics.subject import Subject
from aevq.nn.distributed import leave_group, sharing_chunks
from aevq.nn.memory import check_size, memory_for_weights
from aevq.priors import Prior, build_prior
from aevq.report.console import print_summary
from aevq.report.plots.run import draw_run
from aevq.runs.folder import create_folder, make_folder
from aevq.runs.provenance import command_line, device_name, git_state, versions
from aevq.runs.recorder import Recorder
from aevq.runs.result import DataSummary, Result
from aevq.runs.run import Run
from aevq.runs.status import JOB_INDEX, JOB_SUFFIX, RUN_FOLDER, SWEEP_FOLDER, report_status
from aevq.training import loggers as outlets
from aevq.training.callbacks import Throughput
from aevq.training.cluster import job_name, made_elsewhere, requeue
from aevq.training.compatibility import check_config, check_parts
from aevq.training.fitting import Trainers, check_trainer, fit_model, fit_priors, seed_noise, to_plain
from aevq.training.stop import Notice

if TYPE_CHECKING:
    from aevq.data import MNISTDataModule
    from aevq.models import LatentModel

__all__ = ["Job"]

log = logging.getLogger("aevq")


class Job:
    """One run: its parts are built, and so checked, before any data is read or any file is written.

    Args:
        config: The whole configuration.
        trust: Whose classes it may name, see `aevq.config.instantiate`; a new run trusts everything.
    """

    def __init__(self, config: DictConfig, trust: tuple[str, ...] = EVERYTHING) -> None:
        self.trust = trust
        self.plain = to_plain(config)
        self.config = config
        check_config(self.plain, trust)
        _refuse_ddp_in_sweep(self.plain["trainer"])
        check_trainer(self.plain["trainer"])
        torch.set_float32_matmul_precision(config.matmul_precision)
        model = self.plain["model"]
        self.data: MNISTDataModule = build(self.plain["data"], trust, "data")
        check_size(lambda: build(model, trust, "model"), "model", *memory_for_weights())
        pl.seed_everything(config.seed, verbose=False)
        self.model: LatentModel = build(model, trust, "model")
        spec = self.model.latent_spec
        self.priors: dict[str, Prior] = {
            name: build_prior(prior, spec, trust, f"prior.{name}") for name, prior in self.plain["prior"].items()
        }
        self.callbacks = [build(node, trust, f"callbacks.{name}") for name, node in self.plain["callbacks"].items()]
        self.pictures = build(self.plain["pictures"], trust, "pictures")
        self.evaluation: EvaluationSettings = build(self.plain["evaluation"], trust, "evaluation")
        check_parts(self.plain, self.model, list(self.priors.values()), self.data)
        self.active = rank() == 0
        self.notice = Notice()

    def run(self, old: Run | None) -> Result:
        """Do it, in the folder of `old` where a run is resumed.

        Raises:
            Stopped: If it was told to stop; it saved what there was to save.
        """
        try:
            with self.notice.listening():
                return self._run(old)
        except Stopped as stop:
            if not self.active:  # the first rank tells; whoever started the others would take its code for a crash
                sys.exit(0)
            if signal.Signals(stop.signum).name == "SIGUSR1" and (amiss := requeue()):
                log.warning("not put back into the queue: %s", amiss)
            raise
        finally:
            leave_group()

    def _run(self, old: Run | None) -> Result:
        self.data.prepare()
        self.data.train_dataloader()  # refuses a batch size that the split cannot fill
        run = Run(old.path if old else self._new_folder())
        with run.claimed() if self.active else nullcontext():
            if old is None and (run.path / "result.json").is_file():  # this very job, started again
                old = run
                if old.result.status == "finished":
                    return old.result
            return self._run_in(run, old)

    def _run_in(self, run: Run, old: Run | None) -> Result:
        report_status(folder=str(run.path))
        recorder = Recorder(run.path, self._first_result(run, old), self.active)
        trainers = Trainers(self.plain["trainer"], self._stored_config(), notice=self.notice)
        exit_code = 1
        os.environ[RUN_FOLDER] = str(run.path)
        try:
            with recorder.running():
                if self.active:
                    text = OmegaConf.to_yaml(OmegaConf.create(self._stored_config()))
                    atomic_write(run.path / "config.yaml", text)
                    # What was measured and drawn of a resumed run's older weights is not of those to come.
                    # Nor is a checkpoint one that was being written when the run was killed.
                    torn = run.path.rglob(".*.ckpt.*")
                    for stale in (run.path / "evaluation.json", *run.images.rglob("*.png"), *torn):
                        stale.unlink(missing_ok=True)
                trainers.loggers = self._loggers(run)
                self._stages(run, recorder, trainers)
            exit_code = 0
        finally:
            os.environ.pop(RUN_FOLDER, None)
            outlets.finish(trainers.loggers, exit_code)
        if self.active:
            print_summary(recorder.result, run.path)
        return recorder.result

    def _stages(self, run: Run, recorder: Recorder, trainers: Trainers) -> None:
        with recorder.stage("train"):
            seed_noise(self.config.seed, rank())
            trainer = fit_model(self.model, self.data, run, trainers, self.callbacks)
            recorder.result.device = device_name(trainer.strategy.root_device)
            recorder.result.train = _training_figures(trainer, self.callbacks)
        with recorder.stage("priors"):
            latents = None
            if self.priors or self.evaluation.probes:
                with sharing_chunks():
                    latents = encode_splits(self.model, self.data)
            if self.priors and latents is not None:
                self.priors = fit_priors(
                    self.priors, self.plain["prior"], latents, run, trainers, self.active, self.trust
                )
        with recorder.stage("score"), sharing_chunks():
            subject = Subject(self.model, self.priors, self.data, latents, self.evaluation)
            recorder.result.metrics = run_protocol(subject).metrics
            recorder.result.extra_metrics = [asdict(metric) for metric in self.evaluation.extra_metrics]
            recorder.result.weights = run.weights_sha256
            recorder.result.metrics_version = metrics_version()
            recorder.result.objective = self._objective_of(recorder.result.metrics)
        if not self.active:
            return
        with recorder.stage("pictures"):
            pictures = draw_run(self.model, self.priors, self.data, run.images, self.pictures)
        outlets.publish(trainers.loggers, recorder.result, self.priors, pictures)

    def _new_folder(self) -> Path:
        """A folder named after the data really used; other ranks get the one that rank 0 made."""
        if (given := os.environ.get(RUN_FOLDER)) and not self.active:
            return Path(given)
        runs, name = Path(self.config.paths.runs), self._run_name()
        scheduled = job_name(self.plain)
        if sweep := os.environ.get(SWEEP_FOLDER):
            return create_folder(Path(sweep), f"{os.environ[JOB_INDEX]}_{name}{os.environ[JOB_SUFFIX]}")
        if HydraConfig.get().mode == RunMode.MULTIRUN:
            hydra = HydraConfig.get()
            folder = Path(hydra.sweep.dir).absolute()
            return (
                self._stable_folder(folder / f"{hydra.job.num}_{name}")
                if scheduled
                else create_folder(folder, f"{hydra.job.num}_{name}")
            )
        if scheduled:
            return self._stable_folder(runs.absolute() / f"{scheduled}_{name}")
        path = create_folder(runs.absolute(), f"{datetime.now():%Y-%m-%d_%H-%M-%S}_{name}")
        point_latest(runs.absolute(), path)
        return path

    def _stable_folder(self, path: Path) -> Path:
        """The folder of a job that may be started again, and whose processes all come here, in any order."""
        make_folder(path)
        if self.active and HydraConfig.get().mode == RunMode.RUN:
            point_latest(path.parent, path)
        return path

    def _run_name(self) -> str:
        return f"{type(self.model).__name__.lower()}_{self.data.name}_s{self.config.seed}"

    def _stored_config(self) -> dict[str, Any]:
        """The configuration that makes this run again: where the embedded images stood in, it says so."""
        data = self.plain["data"]
        if self.data.name != data["name"]:
            data = data | {"name": self.data.name, "files": {}, "mirrors": [], "fallback": "embedded"}
        return self.plain | {"data": data, "resume": None}

    def _first_result(self, run: Run, old: Run | None) -> Result:
        fingerprint: DataSummary = {
            "name": self.data.name,
            "fingerprint": self.data.fingerprint,
            "sizes": self.data.sizes,
        }
        if self.data.leave_out is not None:
            fingerprint["left_out"] = self.data.leave_out
        if old is not None:
            result = old.result
            if result.data["fingerprint"] != fingerprint["fingerprint"]:
                raise UserError(f"resume: the data are not those that {old.path.name} was trained on")
            result.resumed += 1
            now = {"command": redact(command_line()), "started": _now(), "versions": versions(), "git": git_state()}
            result.resumes.append(now)
            result.metrics, result.objective, result.weights = {}, None, None  # those of before; they come again
            return result
        parameters = sum(p.numel() for p in self.model.parameters())
        return Result(
            name=run.path.name,
            status="running",
            model={
                "name": type(self.model).__name__,
                "target": self.plain["model"]["_target_"],
                "parameters": parameters,
            },
            data=fingerprint,
            seed=self.config.seed,
            command=redact(command_line()),
            started=_now(),
            versions=versions(),
            git=git_state(),
        )

    def _loggers(self, run: Run) -> list[Any]:
        if not self.active or self.plain["trainer"]["fast_dev_run"]:
            return []
        made = [build(logger, self.trust, run_dir=str(run.path)) for logger in self.config.logger.values()]
        for logger in made:
            logger.log_hyperparams(self._stored_config())
        outlets.label(made, type(self.model).__name__.lower(), self.data.name)
        return made

    def _objective_of(self, metrics: dict[str, float]) -> dict[str, Any] | None:
        name = self.config.objective
        if name not in metrics:
            log.warning("objective: the run has no metric %r; %s", name, did_you_mean(name, metrics))
        return {"name": name, "value": metrics[name]} if name in metrics else None


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")


def _training_figures(trainer: pl.Trainer, callbacks: list[pl.Callback]) -> dict[str, float]:
    """Seconds, steps, epochs and images per second of a training."""
    figures: dict[str, float] = {"steps": trainer.global_step, "epochs": trainer.current_epoch}
    for callback in callbacks:
        if isinstance(callback, Throughput):
            figures |= {"seconds": callback.seconds, "images_per_second": callback.images_per_second}
    return figures


def _refuse_ddp_in_sweep(trainer: dict[str, Any]) -> None:
    """The first process of a job starts the others by the command line, which under -m is the whole sweep."""
    several = trainer["devices"] not in (1, "1", "auto") or trainer["num_nodes"] > 1
    if several and HydraConfig.get().mode == RunMode.MULTIRUN and not made_elsewhere():
        raise UserError(
            "trainer.devices: a sweep inside one process cannot have jobs of several devices; use devices=1"
        )
