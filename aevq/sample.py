"""`python -m aevq.sample run=latest n=64`: images from a finished run, as one PNG."""

from dataclasses import field
from pathlib import Path
from typing import Annotated

from annotated_types import Le

from aevq.config.checks import PositiveInt, Seed, settings
from aevq.config.command_line import options_command
from aevq.errors import UserError, expect
from aevq.priors import SampleOptions
from aevq.report.plots import save_grid
from aevq.runs.run import load
from aevq.training.allocator import keep_freed_memory

COLUMNS, MOST = 8, 5000  # a PNG of matplotlib has at most 65,535 pixels in a column


@settings
class Options(SampleOptions):
    """Draw new images from a finished run.

    python -m aevq.sample run=latest n=64 prior=mixture seed=1 out=digits.png
    python -m aevq.sample run=latest prior=pixelcnn label=7 temperature=0.9

    Attributes:
        run: latest, or a run's name or path.
        n: How many images, at most 5,000; in Python `aevq.load(run).sample(n)` gives more.
        prior: Which of the run's priors; by default the last that its configuration lists.
        seed: The same seed gives the same images.
        out: PNG to write; by default in the run's images folder.
        runs: Folder of the runs.
        trust: Your own packages, for example [mypackage.], whose classes the run may name.
    """

    run: str = "latest"
    n: Annotated[PositiveInt, Le(MOST)] = 64
    prior: str | None = None
    seed: Seed = 0
    out: str | None = None
    runs: str = "runs"
    trust: list[str] = field(default_factory=list)


_INHERITED = (SampleOptions.__doc__ or "").split("Attributes:")[-1]
Options.__doc__ = f"{(Options.__doc__ or '').rstrip()}{_INHERITED}"  # the help lists all options


def sample(options: Options) -> Path:
    """Write the images and return the path.

    Raises:
        UserError: If there is no such run or prior, the prior lacks an option, or the file cannot be written.
    """
    expect(options.out is None or Path(options.out).suffix == ".png", "out", "a file that ends in .png", options.out)
    run = load(options.run, options.runs, options.trust)
    prior = options.prior or run.default_prior()
    # What changes the samples is part of their name.
    given = [(name, f"{value:g}") for name, value in options.given.items()]
    name = "_".join(["samples", prior, *(f"{option}{value}" for option, value in given), f"n{options.n}"])
    path = Path(options.out or run.images / f"{name}_seed{options.seed}.png")
    what = ", ".join([f"samples, {prior}", *map(" ".join, given), f"seed {options.seed}"])
    title = f"{run.result.model['name']} on {run.result.data['name']}: {what}"
    images = run.sample_with(options, options.n, prior, options.seed)
    try:
        save_grid(images, min(COLUMNS, options.n), title, path)
    except (OSError, ValueError) as error:
        raise UserError(f"out: cannot write {path} ({error})") from error
    print(path)
    return path


def main() -> None:
    """Run the command line."""
    keep_freed_memory()
    options_command(sample, Options())


if __name__ == "__main__":
    main()
