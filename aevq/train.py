"""`python -m aevq.train`: train a model, fit its priors, evaluate, plot, and leave a run folder.

python -m aevq.train model=vae
python -m aevq.train model=vqvae model.num_codes=512 trainer.max_steps=8000
python -m aevq.train resume=latest
python -m aevq.train -m model=ae,vae,vqvae seed=1,2,3
python -m aevq.train -m resume_sweep=latest
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from aevq.config.checks import validate
from aevq.config.command_line import compose, hydra_command, one_line_errors
from aevq.config.instantiate import EVERYTHING
from aevq.config.terminal import quiet_libraries, terminal_logging
from aevq.errors import UserError
from aevq.runs.folder import SWEEP_FILE, find_run
from aevq.runs.status import TRUST_ONLY, report_status
from aevq.runs.sweep_record import read_sweep
from aevq.sweeps import RememberSweep, remove_unused, resume_sweep

if TYPE_CHECKING:
    from aevq.runs.run import Run
    from aevq.training.recording import SweepJobPlace

RESUME_SWEEP = "resume_sweep="
SHOW_TRACEBACK = ("debug=true", "debug=traceback", "show_traceback=true")


def fit(*overrides: str) -> Run:
    """Train from Python, as `python -m aevq.train <overrides>` does, and return the finished run.

    The overrides are for example `"model=vae", "trainer.max_steps=100"`, or `"resume=latest"`.

    Raises:
        UserError: If an override is wrong.
    """
    return _resume(overrides) if _resumes(overrides) else train(compose(*overrides))


def train(
    config: DictConfig,
    resumed: Run | None = None,
    trust: Iterable[str] = EVERYTHING,
    place: SweepJobPlace | None = None,
) -> Run:
    """Do one run, new or resumed: train a model, fit its priors, evaluate, plot and record; return the run.

    Args:
        config: The whole configuration, as Hydra composes it.
        resumed: A run to resume with this configuration; None starts a new one.
        trust: Packages whose classes the configuration may name besides those of aevq.
        place: Where in the sweep of another launcher the run stands, if in one.

    Raises:
        UserError: If the configuration is wrong; nothing is written then.
        Stopped: If the process was asked to stop; the run can be resumed.
    """
    # torch and Lightning take seconds to import: not for `--help`, nor for a sweep that only starts its jobs.
    from aevq.config.rank import ignore_stray_ranks, rank
    from aevq.metrics.generate import encode_splits
    from aevq.metrics.protocol import run_protocol
    from aevq.metrics.subject import Subject
    from aevq.nn.distributed import sharing_chunks
    from aevq.report.console import print_summary
    from aevq.report.plots import draw_run
    from aevq.training.fit import fit_model, fit_priors, free_device, model_trainer
    from aevq.training.parts import build_parts, to_plain
    from aevq.training.recording import open_run, record_metrics, record_training, recording
    from aevq.training.stop import stoppable
    from aevq.training.trainer import check_lengths

    ignore_stray_ranks()
    parts = build_parts(to_plain(config), trust)  # checks everything, writes nothing
    trainer = model_trainer(parts)
    with stoppable(parts.trainers.stop):
        parts.data.prepare()
        check_lengths(trainer, parts.data)
        run = open_run(parts, place, resumed)
        if run.finished:  # a scheduler has started the job again
            return run
        with recording(parts, run) as recorder:
            with recorder.stage("train"):
                fit_model(trainer, parts, run)
                record_training(recorder.result, trainer, parts)
            with recorder.stage("priors"):
                with sharing_chunks():
                    needed = parts.priors or parts.evaluation.probes
                    latents = encode_splits(parts.model, parts.data) if needed else None
                if latents is not None:
                    fit_priors(parts.priors, latents, run, parts.trainers, trust, trainer.global_step)
            with recorder.stage("evaluation"), sharing_chunks():
                subject = Subject(parts.model, parts.priors, parts.data, latents, parts.evaluation)
                record_metrics(recorder.result, run_protocol(subject), run, parts)
            if rank() == 0:
                images: list[Path] = []
                if parts.plots is not None:
                    with recorder.stage("plots"):
                        images = draw_run(parts.model, parts.priors, parts.data, run.images, parts.plots)
                for logger in parts.trainers.loggers:
                    logger.publish(recorder.result, images)
            free_device(parts)
    if rank() == 0:
        print_summary(run.result, run.path, parts.evaluation.split)
    return run


def main() -> None:
    """Run the command line."""
    terminal_logging()
    try:
        arguments = sys.argv[1:]
        if any(argument.startswith(RESUME_SWEEP) for argument in arguments):
            with one_line_errors(show_traceback=False):
                resume_sweep(arguments)
        elif _resumes(arguments):
            overrides = [argument for argument in arguments if argument not in SHOW_TRACEBACK]
            with one_line_errors(show_traceback=overrides != arguments):
                _prepare_process()
                _resume(overrides)
        else:
            hydra_command(task, "train")
    finally:
        remove_unused()
        folder, RememberSweep.folder = RememberSweep.folder, None
        if folder is not None and folder.is_dir():
            end_sweep(folder)


def task(config: DictConfig) -> float | None:
    """Do one run of the command line, new or resumed; return its metric `objective`, if it has that, for a sweeper.

    Raises:
        UserError: If an argument is wrong; nothing is written then.
    """
    _prepare_process()
    if config.resume is not None:  # by a launcher, for example on a cluster
        return _resume(list(HydraConfig.get().overrides.task)).result.objective_value
    # What was typed may name any class; a job read from the folder of a sweep only trusted ones.
    trust = tuple(config.trust) if os.environ.get(TRUST_ONLY) else EVERYTHING
    return train(config, None, trust, _place(config)).result.objective_value


def _prepare_process() -> None:
    from aevq.training.allocator import keep_freed_memory

    terminal_logging()  # another launcher does not call `main`
    quiet_libraries()
    keep_freed_memory()


def _resumes(arguments: Sequence[str]) -> bool:
    """Return whether a command line resumes one run; Hydra, which handles flags, composes any other."""
    resumes = any(each.startswith("resume=") and each != "resume=null" for each in arguments)
    return resumes and not any(each.startswith("-") for each in arguments)


def end_sweep(folder: Path) -> None:
    """Write the report of a sweep, say how to resume it, and exit non-zero where a job failed."""
    from aevq.compare import compare_sweep  # its templates and charts are for sweeps only

    try:
        compare_sweep(folder)
    except UserError as error:
        print(f"no report: {error}", file=sys.stderr)
    if not (folder / SWEEP_FILE).is_file():
        return  # another launcher's, which reports for itself
    sweep = read_sweep(folder)
    if sweep.status != "finished":
        print(f"to run the remaining jobs: python -m aevq.train -m resume_sweep={folder}", file=sys.stderr)
    if any(job.status == "failed" for job in sweep.jobs):
        sys.exit(1)


def _place(config: DictConfig) -> SweepJobPlace | None:
    """Return where in the sweep of another launcher this run stands; our own starts each job as a single run.

    Raises:
        UserError: If the job needs several processes: the first would start the others by the command line, which under
            -m is the whole sweep.
    """
    from aevq.training.cluster import externally_launched
    from aevq.training.recording import SweepJobPlace

    hydra = HydraConfig.get()
    if hydra.mode != RunMode.MULTIRUN:
        return None
    several = config.trainer.get("devices") not in (1, "1", "auto") or config.trainer.get("num_nodes", 1) > 1
    if several and not externally_launched():
        raise UserError("trainer.devices: the jobs of a sweep inside one process have one device each; use devices=1")
    return SweepJobPlace(Path(hydra.sweep.dir).absolute(), int(hydra.job.num))


def _resume(overrides: Sequence[str]) -> Run:
    """Resume the run that `resume=` names, with the values that the other overrides change.

    Raises:
        UserError: If there is no such run, or the training has used a value that would change; nothing is written then.
    """
    from aevq.runs.resume import changed_config, parse
    from aevq.runs.run import Run

    typed = parse(overrides)
    given = {key: typed.pop(key).value() for key in ("resume", "paths.runs", "trust") if key in typed}
    runs, trust = str(given.get("paths.runs", "runs")), validate("trust", given.get("trust", []), list[str])
    run = Run(find_run(str(given["resume"]), Path(runs), "resume"), trust)
    if run.finished and not typed:
        report_status(folder=str(run.path))
        print(f"{run.path.name} is finished; nothing to resume")
        return run
    config = changed_config(run, typed)
    config.paths.runs = runs
    return train(config, run, run.trust)


if __name__ == "__main__":
    main()
