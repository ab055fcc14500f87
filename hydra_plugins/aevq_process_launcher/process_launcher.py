"""`hydra/launcher=process`: each job of a sweep is a process of its own, in run mode.

So a job may use several devices, and a crashed or killed job does not affect the others. `aevq.sweeps` does the work;
Hydra imports this file for every command, so it imports next to nothing itself.
"""

# No `from __future__ import annotations`: Hydra executes this file in a way in which dataclasses cannot look them up.
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from aevq.errors import UserError


@dataclass
class ProcessLauncherConf:
    """Configuration of the launcher."""

    _target_: str = "hydra_plugins.aevq_process_launcher.process_launcher.ProcessLauncher"
    n_jobs: Any = "auto"  # jobs at once; auto: one per GPU, or one per core
    threads: Any = "auto"  # threads of each job; auto: the cores divided by the jobs at once


ConfigStore.instance().store(group="hydra/launcher", name="process", node=ProcessLauncherConf, provider="aevq")


class ProcessLauncher(Launcher):
    """Starts `python -m aevq.train` once for each job."""

    def __init__(self, n_jobs: int | str, threads: int | str) -> None:
        from aevq.sweeps.slots import check_options

        check_options(n_jobs, threads)  # before Hydra creates the sweep's folder
        self.n_jobs, self.threads = n_jobs, threads

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Prepare the sweep's folder; the task function is not needed, as each job calls it in its own process."""
        from aevq.sweeps.launch import prepare_sweep

        prepare_sweep(config)
        self.config, self.hydra_context = config, hydra_context

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run the jobs to their ends; return their values of `objective`, None for a job that failed."""
        from aevq.sweeps.launch import launch_sweep

        if not job_overrides:
            raise UserError("-m: the sweep has no job: a choice, range or glob is empty")
        hydra = self.config.hydra
        objectives = launch_sweep(
            Path(str(hydra.sweep.dir)).absolute(),
            [list(overrides) for overrides in job_overrides],
            first_index=initial_job_idx,
            flags=_yaml_sources(hydra),
            trainer=self.hydra_context.config_loader.load_sweep_config(self.config, list(job_overrides[0])).trainer,
            n_jobs=self.n_jobs,
            threads=self.threads,
        )
        return [
            JobReturn(overrides=overrides, status=JobStatus.COMPLETED, _return_value=objective)
            for overrides, objective in zip(job_overrides, objectives, strict=True)
        ]


def _yaml_sources(hydra: DictConfig) -> list[str]:
    """Return the arguments that say where to find further yaml files; Hydra hands a sweep's jobs none of them."""
    folders = [source.path for source in hydra.runtime.config_sources if source.provider == "command-line"]
    name = [] if hydra.job.config_name == "train" else ["--config-name", hydra.job.config_name]
    search_path = [override for override in hydra.overrides.hydra if override.startswith("hydra.searchpath=")]
    return [*(part for folder in folders for part in ("--config-dir", folder)), *name, *search_path]
