"""`python -m aevq.dashboard push=true`: create the W&B workspace that compares the runs of a project."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from aevq.config.checks import settings
from aevq.config.command_line import options_command
from aevq.errors import UserError
from aevq.files import atomic_write

if TYPE_CHECKING:
    from wandb_workspaces.workspaces import Workspace

__all__ = ["Options", "dashboard", "main"]


@settings
class Options:
    """Create the W&B workspace that compares the runs of a project.

    python -m aevq.dashboard out=dashboard.json     write its specification, without a network
    python -m aevq.dashboard push=true              publish it as a new saved view of the project

    Attributes:
        entity: User or team; by default your own.
        project: W&B project, `logger.wandb.project` of the runs.
        name: Name of the workspace.
        out: JSON file to write if the workspace is not published.
        push: Whether to publish the workspace; you must be logged in.
    """

    entity: str | None = None
    project: str = "aevq"
    name: str = "aevq"
    out: str = "dashboard.json"
    push: bool = False


def dashboard(options: Options) -> str:
    """Write the specification or publish the workspace, and print where.

    Returns:
        Path or URL.

    Raises:
        UserError: If the package that builds workspaces is missing, `out` cannot be written, or W&B refuses it.
    """
    try:
        from aevq.report.workspace import specification, workspace
    except ModuleNotFoundError as error:
        raise UserError(f"dashboard: {error.name} is not installed; pip install aevq[dashboard]") from error
    if options.push:
        from aevq.training.wandb import logged_in  # imports Lightning, which takes seconds

        if not logged_in():
            raise UserError("push: not logged in to W&B; run `wandb login`, or set WANDB_API_KEY")
    board = workspace(options.entity or "", options.project, options.name)
    where = _publish(board) if options.push else _write(specification(board), Path(options.out))
    print(where)
    return where


def _write(text: str, path: Path) -> str:
    try:
        atomic_write(path, text)
    except OSError as error:
        raise UserError(f"out: cannot write {path} ({error.strerror})") from error
    return str(path)


def _publish(board: Workspace) -> str:
    """Save the workspace as a new view and return its URL."""
    import wandb  # slow to import

    try:
        board.entity = board.entity or wandb.Api().default_entity or ""
        return str(board.save().url)
    except (wandb.Error, ValueError) as error:
        raise UserError(f"push: W&B refused ({error})") from error


def main() -> None:
    """Entry point of the command line."""
    options_command(dashboard, Options())


if __name__ == "__main__":
    main()
