"""Run a study again, or write all tables and plots again from the existing results.

python -m experiments.study run 02_loss data.root=../data      train, measure, and print the study's tables
python -m experiments.study run 02_loss --keep                  and update the study's folder with them
python -m experiments.study write                               tables and plots of all studies and of the front page

A study runs in runs/studies/<name>; the same command again resumes an interrupted study. The overrides are those of
`python -m aevq.train`, for every run. A study needs the full MNIST, unless an override names other data.
"""

import argparse
import shutil
from pathlib import Path

from rich.console import Console

from aevq.config.command_line import one_line_errors
from aevq.errors import UserError
from experiments.common.readme import put
from experiments.common.results import collect_results, has_results, read_results, write_results
from experiments.common.runs import commands_of, run_study
from experiments.common.study import EXPERIMENTS, find_study, study_names
from experiments.summaries import write_summaries

console = Console(highlight=False)


def run(name: str, overrides: list[str], keep: bool) -> None:
    """Run a study and print its tables; with `keep`, update its folder."""
    study, folder = find_study(name), Path("runs/studies") / name
    if not any(override.partition("=")[0] in ("data", "data.fallback") for override in overrides):
        overrides = [*overrides, "data.fallback=error"]  # with 5,000 images, metrics of the same name would differ
    sweeps = run_study(study, folder.absolute(), overrides)
    results = collect_results(sweeps, commands_of(study, overrides), study.mixed)
    console.print(f"results   {write_results(results, folder)}")
    for title, text in study.tables(results).items():
        console.print(f"\n[bold]{title}[/bold]\n{text}", soft_wrap=True)
    if keep:
        write_results(results, EXPERIMENTS / name)
        for file, (label, path) in study.images.items():
            shutil.copyfile(_find(results.of(label)[0].run, path, sweeps), EXPERIMENTS / name / file)
        write([name])


def _find(run: str, image: str, sweeps: list[Path]) -> Path:
    """Return the path of an image of a run in one of the sweeps; a UserError if it is not there."""
    for sweep in sweeps:
        if (path := sweep / run / "images" / image).is_file():
            return path
    raise UserError(f"study: {run} has no images/{image}")


def write(names: list[str]) -> None:
    """Write the tables and plots of studies again from their results, then the tables that use all of them."""
    for name in names:
        study, folder = find_study(name), EXPERIMENTS / name
        results = read_results(folder)
        for mark, text in study.tables(results).items():
            put(folder / "README.md", mark, text)
        if study.plots:
            study.plots(results, folder)
        console.print(f"written   experiments/{name}")
    write_summaries()


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        "python -m experiments.study", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    names = "studies: " + ", ".join(study_names())
    runs = commands.add_parser("run", help="train, measure, print", epilog=names)
    runs.add_argument("name", metavar="NAME", nargs="?", default="", help="name of the study")
    runs.add_argument("overrides", metavar="KEY=VALUE", nargs="*", help="for every run, for example data.root=../data")
    runs.add_argument("--keep", action="store_true", help="put results, tables and plots into the study's folder")
    writes = commands.add_parser("write", help="write tables and plots from the existing results", epilog=names)
    writes.add_argument("names", metavar="NAME", nargs="*", help="names of studies; by default all that have results")
    options, rest = parser.parse_known_args()  # the rest are overrides that follow a flag
    with one_line_errors(False):
        if flags := [argument for argument in rest if argument.startswith("-")]:
            raise UserError(f"{flags[0]}: unknown flag; the only flag is --keep")
        if options.command == "run":
            run(options.name, [*options.overrides, *rest], options.keep)
        else:
            write(options.names or [name for name in study_names() if has_results(EXPERIMENTS / name)])


if __name__ == "__main__":
    main()
