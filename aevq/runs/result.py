"""result.json: what was trained, on what, how far the run came, its metrics, and with which code and machine.

`status` is `running` until the end, then `finished`, `failed` (with the error) or `interrupted`. Only the metrics of a
finished run count.
"""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, NotRequired

from pydantic.dataclasses import dataclass
from typing_extensions import TypedDict

from aevq.config.checks import STRICT
from aevq.runs.folder import read_json, write_json

if TYPE_CHECKING:
    import torch

    from aevq.priors import Prior

SCHEMA_VERSION: Final = 1
CODE = ("aevq", "conf", "hydra_plugins", "pyproject.toml")
PACKAGES = ("aevq", "torch", "torchvision", "pytorch-lightning", "torchmetrics", "hydra-core", "numpy", "scikit-learn")


class ModelSummary(TypedDict):
    """The model of a run: name, full class name, and number of parameters."""

    name: str
    target: str
    parameters: int


class DataSummary(TypedDict):
    """The data of a run: name, SHA-256 and size of each split, and the class that was left out, if any."""

    name: str
    fingerprint: dict[str, str]
    sizes: dict[str, int]
    left_out: NotRequired[int]


class PriorSummary(TypedDict):
    """A fitted prior: full class name, what of q(z|x) it was fitted to, its size, and the wall time of the fit."""

    target: str
    fit_to: str
    parameters: int
    seconds: float | None


@dataclass(config=STRICT)
class Result:
    """The content of `result.json`."""

    schema_version: Literal[1] = field(default=SCHEMA_VERSION, kw_only=True)
    name: str  # of the run and of its folder
    status: Literal["running", "finished", "failed", "interrupted"]
    model: ModelSummary
    data: DataSummary
    seed: int
    command: str
    started: str  # ISO 8601 with time zone
    error: str | None = None  # why it failed or was interrupted
    resumed: int = 0  # how often it was resumed
    resumes: list[dict[str, Any]] = field(default_factory=list)  # when, by which command, from which code and versions
    versions: dict[str, str] = field(default_factory=dict)  # of Python and the packages
    git: dict[str, str | bool] | None = None  # commit, and whether the tree had changes; None outside a checkout
    device: str = ""  # what it was trained on
    train: dict[str, int | float] = field(default_factory=dict)  # seconds, steps, epochs, images per second
    seconds: dict[str, float] = field(default_factory=dict)  # wall time of each stage, by name
    priors: dict[str, PriorSummary] = field(default_factory=dict)  # by name
    costs: dict[str, float] = field(default_factory=dict)  # of sampling, by the names of the catalogue
    objective: dict[str, str | float] | None = None  # name and value of the metric that a sweep minimises
    metrics: dict[str, float] = field(default_factory=dict)
    # Catalogue entries (`aevq.metrics.catalogue.Metric`) of metrics from outside the package.
    extra_metrics: list[dict[str, Any]] = field(default_factory=list)
    metrics_version: str | None = None  # of the measuring protocol; metrics of two versions are not comparable
    weights: str | None = None  # SHA-256 of the checkpoint that was measured

    @property
    def objective_value(self) -> float | None:
        """Value of the metric that a sweep minimises, if the run has it."""
        return float(self.objective["value"]) if self.objective else None

    @property
    def all_costs(self) -> dict[str, float]:
        """Size and wall times of the model, of the stages, of the priors and of sampling, as metrics."""
        train = {f"train/{name}": float(value) for name, value in self.train.items()}
        stages = {f"seconds/{stage}": value for stage, value in self.seconds.items()}
        own = {"parameters": float(self.model["parameters"]), **train, **stages}
        return own | prior_costs(self.priors) | self.costs


def write_result(result: Result, path: Path) -> None:
    """Write `result` to `path`, all or nothing."""
    write_json(path, asdict(result))


def read_result(path: Path) -> Result:
    """Return the result in a file; a UserError if it is missing, incomplete, or not one of this schema version."""
    return read_json(path, Result)


def prior_summary(prior: Prior) -> PriorSummary:
    """Return what a result states of a fitted prior."""
    kind = type(prior)
    return {
        "target": f"{kind.__module__}.{kind.__qualname__}",
        "fit_to": prior.fit_to,
        "parameters": prior.num_parameters,
        "seconds": None if prior.fit_seconds is None else round(prior.fit_seconds, 3),
    }


def prior_costs(priors: Mapping[str, PriorSummary]) -> dict[str, float]:
    """Return size and seconds of each prior as metrics, `prior/<name>/parameters` and `prior/<name>/seconds`."""
    sizes = {f"prior/{name}/parameters": float(each["parameters"]) for name, each in priors.items()}
    times = {f"prior/{name}/seconds": s for name, each in priors.items() if (s := each["seconds"]) is not None}
    return sizes | times


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that a result depends on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def git_state(root: Path | None = None) -> dict[str, str | bool] | None:
    """Return the `commit` and whether the working tree is `dirty`, of this package's checkout; None outside of one."""
    root = root or Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    try:
        commit = _git(root, "rev-parse", "HEAD")
        changed = _git(root, "status", "--porcelain", "--untracked-files=no")
        # Of untracked files only those count that could be imported or composed, not runs and data.
        new = _git(root, "ls-files", "--others", "--exclude-standard", "--", *CODE)
        return {"commit": commit, "dirty": bool(changed or new)}
    except (OSError, subprocess.SubprocessError):
        return None


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()


def device_name(device: torch.device) -> str:
    """Return a device in words: the model of a GPU, or the processor with its number of threads."""
    import torch  # takes seconds, and the launcher of a sweep does not need it

    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type} ({platform.processor() or platform.machine()}, {torch.get_num_threads()} threads)"


def command_line() -> str:
    """Return the command as it was typed, as far as Python knows it."""
    module = getattr(sys.modules["__main__"], "__spec__", None)
    start = f"python -m {module.name}" if module else Path(sys.argv[0]).name
    return " ".join([start, *sys.argv[1:]])
