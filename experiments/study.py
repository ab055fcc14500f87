"""Runs a study anew, or writes all tables and figures again from the results that are there.

python -m experiments.study run 02_loss data.root=../data      train, measure, and print the study's tables
python -m experiments.study run 02_loss --keep                  and put them into its folder
python -m experiments.study write                               tables and figures of all studies, of the front page too

A study runs in runs/studies/<name>; a second start goes on where the first was cut. Overrides are those of
`python -m aevq.train`, of every run. Where the full MNIST cannot be had a study stops, unless an override names other
data.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from rich.console import Console

from aevq.config.command_line import one_line_errors
from aevq.errors import UserError
from experiments.common.readme import put
from experiments.common.results import Results, collect_results, has_results, read_results, write_results
from experiments.common.running import commands_of, run_study
from experiments.common.study import EXPERIMENTS, Picture, find_study, study_names
from experiments.front_page import write_front_page
from experiments.targets import write_targets

console = Console(highlight=False)


def run(name: str, overrides: list[str], keep: bool) -> None:
    """Run a study, print its tables, and keep them in its folder if that is asked for."""
    study, folder = find_study(name), Path("runs/studies") / name
    if not any(override.partition("=")[0] in ("data", "data.fallback") for override in overrides):
        overrides = [*overrides, "data.fallback=error"]  # 5,000 images would make other figures of the same name
    sweeps = run_study(study, folder.absolute(), overrides)
    results = collect_results(sweeps, commands_of(study, overrides), study.mixed)
    console.print(f"results   {write_results(results, folder)}")
    for title, text in study.tables(results).items():
        console.print(f"\n[bold]{title}[/bold]\n{text}", soft_wrap=True)
    if keep:
        write_results(results, EXPERIMENTS / name)
        for file, picture in study.pictures.items():
            shutil.copyfile(_find(picture, results, sweeps), EXPERIMENTS / name / file)
        write([name])


def _find(picture: Picture, results: Results, sweeps: list[Path]) -> Path:
    """The image of the first seed of a group.

    Raises:
        UserError: If no run has it.
    """
    run = results.of(picture.label)[0].run
    for sweep in sweeps:
        if (path := sweep / run / "images" / picture.image).is_file():
            return path
    raise UserError(f"study: {run} has no images/{picture.image}")


def write(names: list[str]) -> None:
    """Write tables and figures again from the results of the studies, then what is made of all of them."""
    for name in names:
        study, folder = find_study(name), EXPERIMENTS / name
        results = read_results(folder)
        for mark, text in study.tables(results).items():
            put(folder / "README.md", mark, text)
        if study.figures:
            study.figures(results, folder)
        console.print(f"written   experiments/{name}")
    write_targets()
    write_front_page()


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(
        "python -m experiments.study", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    names = "studies: " + ", ".join(study_names())
    runs = commands.add_parser("run", help="train, measure, print", epilog=names)
    runs.add_argument("name", metavar="NAME", nargs="?", default="", help="of the study")
    runs.add_argument("overrides", metavar="KEY=VALUE", nargs="*", help="of every run, say data.root=../data")
    runs.add_argument("--keep", action="store_true", help="put results, tables and figures into the study's folder")
    writes = commands.add_parser("write", help="tables and figures from the results that are there", epilog=names)
    writes.add_argument("names", metavar="NAME", nargs="*", help="of the studies; all that have results by default")
    options, rest = parser.parse_known_args()  # which leaves overrides behind a flag over
    with one_line_errors(False):
        if flags := [argument for argument in rest if argument.startswith("-")]:
            raise UserError(f"{flags[0]}: unknown flag; there is --keep")
        if options.command == "run":
            run(options.name, [*options.overrides, *rest], options.keep)
        else:
            write(options.names or [name for name in study_names() if has_results(EXPERIMENTS / name)])


if __name__ == "__main__":
    main()
