"""The speed of aevq, each metric a ratio measured in one run.

python -m experiments.benchmarks.bench data.root=../data          # all parts, into results.json and README.md
python -m experiments.benchmarks.bench --parts quantizer,sampling # some of them; the results of the others stay
python -m experiments.benchmarks.bench --quick --out /tmp/b.json  # a test that everything runs, of tiny sizes
python -m experiments.benchmarks.bench --table                    # README's table again, from the results

Each row is compared with the one that stood in results.json before. Further arguments are overrides of the
configuration. Needs the peers: pip install aevq[bench]; what is not installed is left out.
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
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

os.environ["FORCE_COLOR"] = "1"  # progress bars are drawn as in a terminal, wherever the output goes
warnings.filterwarnings("ignore")  # those of the peers

import torch  # noqa: E402
from rich.console import Console  # noqa: E402

from aevq.config.terminal import quiet_libraries  # noqa: E402
from aevq.report.tables import markdown_grid  # noqa: E402
from aevq.runs.provenance import git_state, versions  # noqa: E402
from experiments.benchmarks.cases import CASES  # noqa: E402
from experiments.benchmarks.likelihood import likelihood_rows  # noqa: E402
from experiments.benchmarks.quantizer import VECTORS, growth, quantizer_rows  # noqa: E402
from experiments.benchmarks.sampling import equal_grids, sampling_row, sampling_rows  # noqa: E402
from experiments.benchmarks.startup import startup_rows, training_seconds  # noqa: E402
from experiments.benchmarks.timing import Row, matmul_peak  # noqa: E402
from experiments.benchmarks.training import matmul_share, training_rows  # noqa: E402
from experiments.common.readme import put  # noqa: E402

RESULTS = Path(__file__).with_name("results.json")
README = Path(__file__).with_name("README.md")
UNITS = {"step": (1e3, "ms"), "command": (1.0, "s"), "image": (1e6, "µs"), "grid": (1e3, "ms")}
PEERS = ("pythae", "vector-quantize-pytorch")

Metrics = dict[str, float]
Part = tuple[Iterator[Row], Callable[[list[Row]], Metrics]]  # rows, and further metrics, measured after them


def training(options: argparse.Namespace) -> Part:
    """The training loops, and which share of a large matrix product's speed ours reaches."""
    configs = {case: case.compose(f"trainer={options.accelerator}", *options.overrides) for case in CASES}

    def shares(rows: list[Row]) -> Metrics:
        peak = matmul_peak(torch.device("cuda" if options.accelerator == "gpu" else "cpu"))
        seconds = {row.what: row.ours for row in rows}
        return {"large matrix product, GFLOP/s": peak / 1e9} | {
            f"share of this speed, {case.name}": matmul_share(config, seconds[case.name], peak)
            for case, config in configs.items()
        }

    return training_rows(configs, options.repeats, 2 if options.quick else None), shares


def quantizer(options: argparse.Namespace) -> Part:
    """Ours against the peer, and how the cost grows."""
    vectors = 49 if options.quick else VECTORS
    rows = quantizer_rows(options.repeats, vectors) if find_spec("vector_quantize_pytorch") else iter(())
    return rows, lambda _: {f"exponent of growth in {x}": e for x, e in growth(options.repeats, vectors).items()}


def sampling(options: argparse.Namespace) -> Part:
    """The cached sampler, and whether it draws the same grids."""
    if options.quick:
        name = "share of identical grids, 3×3 in float64"
        return iter([sampling_row(3, 2, 1.0, 1)]), lambda _: {name: equal_grids(3, 2, torch.float64)}
    return sampling_rows(options.repeats), lambda _: {
        "share of identical grids, 7×7 in float64": equal_grids(7, 64, torch.float64),
        "share of identical grids, 7×7 in float32": equal_grids(7, 256, torch.float32),
        "share of identical grids, 28×28 in float64": equal_grids(28, 2, torch.float64),
    }


def likelihood(options: argparse.Namespace) -> Part:
    """The importance-weighted bound."""
    samples, images = (100, 2) if options.quick else (5000, 20)
    return likelihood_rows(samples, images, options.repeats), lambda _: {}


def startup(options: argparse.Namespace) -> Part:
    """Commands as whole processes."""
    return startup_rows(options.repeats), lambda _: {
        f"seconds {name}": seconds for name, seconds in training_seconds(options.overrides).items()
    }


PARTS = {
    "training": training,
    "quantizer": quantizer,
    "sampling": sampling,
    "likelihood": likelihood,
    "start-up": startup,
}


def main(arguments: list[str] | None = None) -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", help="overrides of the configuration, for example data.root=…")
    parser.add_argument("--parts", default=",".join(PARTS), help=f"some of {', '.join(PARTS)}")
    parser.add_argument("--repeats", type=int, default=7, help="pairs of each row")
    parser.add_argument("--accelerator", choices=("cpu", "gpu"), default="cpu", help="device of the trainings")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path, default=RESULTS, help="README.md changes with the default only")
    parser.add_argument("--quick", action="store_true", help="one pair, two steps, tiny sizes; needs another --out")
    parser.add_argument("--table", action="store_true", help="only write README's table again")
    options = parser.parse_intermixed_args(arguments)
    if unknown := [part for part in options.parts.split(",") if part not in PARTS]:
        parser.error(f"--parts: unknown {', '.join(unknown)}; expected some of {', '.join(PARTS)}")
    if options.quick and options.out == RESULTS:
        parser.error("--quick: its ratios mean nothing; give another file as --out")
    options.repeats = 1 if options.quick else options.repeats
    torch.set_num_threads(options.threads)
    quiet_libraries()
    for part in [] if options.table else options.parts.split(","):
        measure(part, options)
    if options.out == RESULTS:
        put(README, "results", markdown(_read(RESULTS)))


def measure(part: str, options: argparse.Namespace) -> None:
    """Measure one part: print its rows as they come, and write them when it is done."""
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"[bold]{part}[/], {options.repeats} pairs, {torch.get_num_threads()} threads")
    earlier = {(row.what, row.other): row for row in _rows(_read(RESULTS).get(part, {"rows": []}))}
    found, further = PARTS[part](options)
    rows = []
    for row in found:
        rows.append(row)
        console.print(
            f"  {row.what}: [bold]{row.ratio:.3g}[/] times as fast as {row.other} ({row.low:.3g} … {row.high:.3g})"
            + ("" if options.quick else comparison(row, earlier.get((row.what, row.other))))
        )
    metrics = further(rows)
    for name, value in metrics.items():
        console.print(f"  {name}: {value:.3g}")
    write(options.out, part, rows, metrics)


def comparison(row: Row, earlier: Row | None) -> str:
    """Return how a row compares with an earlier measurement, the one in README.md."""
    if earlier is None:
        return ""
    verdict = "within noise" if row.agrees_with(earlier) else "faster" if row.ratio > earlier.ratio else "SLOWER"
    return f"; before {earlier.ratio:.3g} ({earlier.low:.3g} … {earlier.high:.3g}): {verdict}"


def write(path: Path, part: str, rows: list[Row], metrics: Metrics) -> None:
    """Put the results of a part into the file, with what they were measured on."""
    results = _read(path)
    results[part] = {
        "when": f"{datetime.now():%Y-%m-%d}",
        "command": " ".join(["python", *sys.argv]),
        "commit": (git_state() or {}).get("commit"),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads",
        "versions": versions() | {name: found for name in PEERS if (found := _version(name))},
        "rows": [asdict(row) for row in rows],
        "metrics": metrics,
    }
    path.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return content


def _rows(part: dict[str, Any]) -> list[Row]:
    return [Row(**each) for each in part["rows"]]


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def markdown(results: dict[str, Any]) -> str:
    """Return the results as a table, and the further metrics as a list."""
    head = ["part", "what", "compared with", "times as fast", "range", "target", "aevq", "the other"]
    lines = [markdown_grid(head, [_line(row) for part in results.values() for row in _rows(part)]), ""]
    lines += [f"- {name}: {part['when']}, {part['machine']}" for name, part in results.items()]
    lines += [f"- {name}: {value:.3g}" for part in results.values() for name, value in part["metrics"].items()]
    return "\n".join(lines)


def _line(row: Row) -> list[str]:
    scale, unit = UNITS[row.unit]
    target = "" if row.target is None else f"{row.target:.3g} {'✓' if row.ratio >= row.target else '✗'}"
    times = [f"{row.ours * scale:.3g}", f"{row.theirs * scale:.3g} {unit} / {row.unit}"]
    return [row.part, row.what, row.other, f"**{row.ratio:.3g}**", f"{row.low:.3g} … {row.high:.3g}", target, *times]


if __name__ == "__main__":
    main()
