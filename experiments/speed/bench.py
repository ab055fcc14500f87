"""The speed of aevq, each figure a ratio measured in one run.

python -m experiments.speed.bench data.root=../data           # all parts, results in experiments/speed/results.json
python -m experiments.speed.bench --parts quantiser,sampling  # some of them, others' results stay
python -m experiments.speed.bench --table                     # README's table again, from the results

Further arguments are overrides of the configuration. Needs the peers: pip install aevq[bench].
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

os.environ["FORCE_COLOR"] = "1"  # progress bars are drawn as in a terminal, wherever the output goes
warnings.filterwarnings("ignore")  # the peers' own

import torch  # noqa: E402
from hydra import compose, initialize_config_dir  # noqa: E402
from rich.console import Console  # noqa: E402

from aevq.config.command_line import config_root  # noqa: E402
from aevq.config.terminal import quiet_libraries  # noqa: E402
from aevq.runs.result import git_state, versions  # noqa: E402
from experiments.lab.readme import put  # noqa: E402
from experiments.speed.nll import nll_rows  # noqa: E402
from experiments.speed.quantizer import growth, quantizer_rows  # noqa: E402
from experiments.speed.sampling import equal_grids, sampling_rows  # noqa: E402
from experiments.speed.startup import startup_rows, training_seconds  # noqa: E402
from experiments.speed.timing import Row, matmul_peak  # noqa: E402
from experiments.speed.training import CASES, matmul_share, training_rows  # noqa: E402

RESULTS = Path(__file__).with_name("results.json")
README = Path(__file__).with_name("README.md")
UNITS = {"step": (1e3, "ms"), "command": (1.0, "s"), "image": (1e6, "µs"), "grid": (1e3, "ms")}
PEERS = ("pythae", "vector-quantize-pytorch")

Figures = dict[str, float]


def training(options: argparse.Namespace) -> tuple[Iterator[Row], Callable[[list[Row]], Figures]]:
    """The training loops, and what part of the machine's matrix product ours reaches."""
    with initialize_config_dir(str(config_root()), version_base="1.3"):
        configs = {
            case: compose("train", [f"trainer={options.accelerator}", *options.overrides, *case.overrides])
            for case in CASES
        }

    def shares(rows: list[Row]) -> Figures:
        peak = matmul_peak(torch.device("cuda" if options.accelerator == "gpu" else "cpu"))
        seconds = {row.what: row.ours for row in rows}
        return {"matrix product, GFLOP/s": peak / 1e9} | {
            f"share of it, {case.name}": matmul_share(config, seconds[case.name], peak)
            for case, config in configs.items()
        }

    return training_rows(configs, options.repeats), shares


def quantiser(options: argparse.Namespace) -> tuple[Iterator[Row], Callable[[list[Row]], Figures]]:
    """Ours against the peer, and how it grows."""
    exponents = {"vectors": "N", "codes": "K", "dim": "D"}
    return quantizer_rows(options.repeats), lambda _: {
        f"cost grows as {exponents[name]}^": exponent for name, exponent in growth(options.repeats).items()
    }


def sampling(options: argparse.Namespace) -> tuple[Iterator[Row], Callable[[list[Row]], Figures]]:
    """The cached sampler, and whether it draws what the network says."""
    return sampling_rows(options.repeats), lambda _: {
        "grids of 7×7 drawn alike in float64": equal_grids(7, 64, torch.float64),
        "grids of 7×7 drawn alike in float32": equal_grids(7, 256, torch.float32),
        "grids of 28×28 drawn alike in float64": equal_grids(28, 2, torch.float64),
    }


def likelihood(options: argparse.Namespace) -> tuple[Iterator[Row], Callable[[list[Row]], Figures]]:
    """The importance-weighted bound."""
    return nll_rows(5000, 20, options.repeats), lambda _: {}


def startup(options: argparse.Namespace) -> tuple[Iterator[Row], Callable[[list[Row]], Figures]]:
    """Commands as whole processes."""
    return startup_rows(options.repeats), lambda _: {
        f"seconds {name}": seconds for name, seconds in training_seconds(options.overrides).items()
    }


PARTS = {
    "training": training,
    "quantiser": quantiser,
    "sampling": sampling,
    "likelihood": likelihood,
    "start-up": startup,
}


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", help="of the configuration, say data.root=…")
    parser.add_argument("--parts", default=",".join(PARTS), help=f"of {', '.join(PARTS)}")
    parser.add_argument("--repeats", type=int, default=7, help="pairs of each row")
    parser.add_argument("--accelerator", choices=("cpu", "gpu"), default="cpu", help="of the trainings")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--table", action="store_true", help="only write README's table again")
    options = parser.parse_intermixed_args()
    if options.table:
        put(README, "results", markdown(json.loads(options.out.read_text())))
        return
    unknown = [part for part in options.parts.split(",") if part not in PARTS]
    if unknown:
        parser.error(f"--parts: unknown {', '.join(unknown)}; one of {', '.join(PARTS)}")
    torch.set_num_threads(options.threads)
    quiet_libraries()
    for part in options.parts.split(","):
        measure(part, options)
    if options.out == RESULTS:
        put(README, "results", markdown(json.loads(RESULTS.read_text())))


def measure(part: str, options: argparse.Namespace) -> None:
    """One part: its rows are printed as they come, and written when it is done."""
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"[bold]{part}[/], {options.repeats} pairs, {torch.get_num_threads()} threads")
    found, further = PARTS[part](options)
    rows = []
    for row in found:
        rows.append(row)
        console.print(
            f"  {row.what}: [bold]{row.ratio:.3g}[/] times as fast as {row.other} ({row.low:.3g} … {row.high:.3g})"
        )
    figures = further(rows)
    for name, value in figures.items():
        console.print(f"  {name} {value:.3g}")
    write(options.out, part, rows, figures)


def write(path: Path, part: str, rows: list[Row], figures: Figures) -> None:
    """Put a part's results into the file, with what they were measured on."""
    results: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    state = git_state() or {}
    results[part] = {
        "when": f"{datetime.now():%Y-%m-%d}",
        "command": " ".join(["python", *sys.argv]),
        "commit": state.get("commit"),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads",
        "versions": versions() | {name: version for name in PEERS if (version := _version(name))},
        "rows": [asdict(row) for row in rows],
        "figures": figures,
    }
    path.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")


def markdown(results: dict[str, Any]) -> str:
    """The results as a table, and the further figures as a list."""
    lines = ["| part | what | compared with | times as fast | spread | goal | ours | theirs |", "|" + "---|" * 8]
    for part in results.values():
        for row in (Row(**each) for each in part["rows"]):
            scale, unit = UNITS[row.unit]
            goal = "" if row.target is None else f"{row.target:.3g} {'✓' if row.ratio >= row.target else '✗'}"
            times = f"{row.ours * scale:.3g} | {row.theirs * scale:.3g} {unit} / {row.unit}"
            lines.append(
                f"| {row.part} | {row.what} | {row.other} | **{row.ratio:.3g}** | {row.low:.3g} … {row.high:.3g} "
                f"| {goal} | {times} |"
            )
    lines += ["", *(f"- {name}: {part['when']}, {part['machine']}" for name, part in results.items())]
    lines += [*(f"- {name}: {value:.3g}" for part in results.values() for name, value in part["figures"].items())]
    return "\n".join(lines)


def _version(package: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return None


if __name__ == "__main__":
    main()
