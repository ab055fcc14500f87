"""Where a result comes from: versions, commit, machine, command line."""

from __future__ import annotations

import platform
import subprocess
import sys
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

__all__ = ["command_line", "device_name", "git_state", "versions"]

CODE = ("aevq", "conf", "hydra_plugins", "pyproject.toml")
PACKAGES = ("aevq", "torch", "torchvision", "pytorch-lightning", "torchmetrics", "hydra-core", "numpy", "scikit-learn")


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that a result depends on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def git_state(root: Path | None = None) -> dict[str, str | bool] | None:
    """Return the commit and whether the working tree differs from it.

    Args:
        root: The checkout; by default the one that contains this package.

    Returns:
        `commit` and `dirty`; None if `root` is not a checkout.
    """
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
