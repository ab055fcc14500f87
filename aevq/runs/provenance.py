"""Where a result comes from: versions, commit, machine."""

from __future__ import annotations

import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

__all__ = ["command_line", "device_name", "git_state", "versions"]

RUN_FROM = ("aevq", "conf", "hydra_plugins", "pyproject.toml")

PACKAGES = (
    "aevq",
    "torch",
    "torchvision",
    "pytorch-lightning",
    "torchmetrics",
    "hydra-core",
    "numpy",
    "scikit-learn",
)


def versions() -> dict[str, str]:
    """Python and the packages that a result depends on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def git_state(root: Path | None = None) -> dict[str, Any] | None:
    """Commit and whether the tree differs from it; None where `root` is no checkout, by default this package's."""
    root = root or Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    try:
        commit = _git(root, "rev-parse", "HEAD")
        changed = _git(root, "status", "--porcelain", "--untracked-files=no")
        # Of files that git does not know those count that could be run: not the runs and data that lie about.
        new = _git(root, "ls-files", "--others", "--exclude-standard", "--", *RUN_FROM)
        return {"commit": commit, "dirty": bool(changed or new)}
    except (OSError, subprocess.SubprocessError):
        return None


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()


def device_name(device: torch.device) -> str:
    """The device in words: a GPU's model, or the processor with its threads."""
    import torch  # takes seconds, and a sweep that only starts its jobs does without

    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type} ({platform.processor() or platform.machine()}, {torch.get_num_threads()} threads)"


def command_line() -> str:
    """The command as it was typed, as far as Python knows it."""
    module = getattr(sys.modules["__main__"], "__spec__", None)
    start = f"python -m {module.name}" if module else Path(sys.argv[0]).name
    return " ".join([start, *sys.argv[1:]])
