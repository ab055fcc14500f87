"""`python -m aevq.dashboard push=true`: the W&B workspace that compares a project's runs, made from code."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from aevq.config.checks import settings
from aevq.config.command_line import options_command
from aevq.errors import UserError
from aevq.files import atomic_write

if TYPE_CHECKING:
    from wandb_workspaces.workspaces import Workspace


@settings
class Options:
    """Make the W&B workspace that compares a project's runs.

    python -m aevq.dashboard out=dashboard.json     writes its specification; needs no network
    python -m aevq.dashboard push=true              publishes it as a new saved view of the project

    Attributes:
        entity: User or team; by default your own.
        project: W&B project, the runs' `logger.wandb.project`.
        name: What the workspace is called.
        out: JSON to write, unless the workspace is published.
        push: Whether to publish it; you must be logged in.
    """

    entity: str | None = None
    project: str = "aevq"
    name: str = "aevq"
    out: str = "dashboard.json"
    push: bool = False


def dashboard(options: Options) -> str:
    """Write the specification or publish the workspace; print and return its path or URL.

    Raises:
        UserError: If the package that builds workspaces is missing, `out` cannot be written, or W&B does not take it.
    """
    try:
        from aevq.report.workspace import specification, workspace
    except ModuleNotFoundError as error:
        raise UserError(f"dashboard: {error.name} is not installed; pip install aevq[dashboard]") from error
    board = workspace(options.entity or "", options.project, options.name)
    if options.push:
        where = _publish(board)
    else:
        where = options.out
        try:
            atomic_write(Path(where), specification(board))
        except OSError as error:
            raise UserError(f"out: cannot write {where} ({error.strerror})") from error
    print(where)
    return where


def _publish(board: Workspace) -> str:
    """Save a workspace as a new view and return its URL."""
    import wandb  # slow to import, and aevq.training imports Lightning

    from aevq.training.wandb import logged_in

    if not logged_in():
        raise UserError("push: not logged in to W&B; run `wandb login`, or set WANDB_API_KEY")
    try:
        board.entity = board.entity or wandb.Api().default_entity or ""
        return str(board.save().url)
    except (wandb.Error, ValueError) as error:
        raise UserError(f"push: W&B refused ({error})") from error


def main() -> None:
    """Run the command line."""
    options_command(dashboard, Options())


if __name__ == "__main__":
    main()
