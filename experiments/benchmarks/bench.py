"""The speed of aevq, each metric a ratio measured in one run.

python -m experiments.benchmarks.bench data.root=../data          # all parts, into results.json and README.md
python -m experiments.benchmarks.bench --parts quantizer,sampling # some of them; the results of the others stay
python -m experiments.benchmarks.bench --quick --out /tmp/b.json  # a test that everything runs, of tiny sizes
python -m experiments.benchmarks.bench --table                    # README's table again, from the results

Each row is compared with the one that stood in results.json before. Further arguments are overrides of the
configuration. Needs the peers: pip install aevq[bench]; a peer that is not installed is left out.
"""

import argparse
import json
import os
import platform
import sys
import warnings
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import datetime
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from aevq.config.terminal import quiet_libraries
from aevq.report.tables import markdown_grid
from aevq.runs.result import git_state, versions
from experiments.benchmarks import parts
from experiments.benchmarks.cases import CASES
from experiments.benchmarks.timing import Row, matmul_peak
from experiments.benchmarks.training import matmul_share, training_rows
from experiments.common.readme import put

RESULTS = Path(__file__).with_name("results.json")
README = Path(__file__).with_name("README.md")
UNITS = {"step": (1e3, "ms"), "command": (1.0, "s"), "image": (1e6, "µs"), "grid": (1e3, "ms")}
PEERS = {"pythae": "pythae", "vector-quantize-pytorch": "vector_quantize_pytorch"}

Found = Iterator[Row | dict[str, float]]  # rows of the table, and further metrics by name
Options = argparse.Namespace


def training(options: Options) -> Found:
    """Measure training loops, and which share of a large matrix product's speed ours reaches."""
    configs = {case: case.compose(f"trainer={options.accelerator}", *options.overrides) for case in CASES}
    seconds: dict[str, float] = {}
    for row in training_rows(configs, options.repeats, 2 if options.quick else None):
        seconds[row.what] = row.ours
        yield row
    peak = matmul_peak(torch.device("cuda" if options.accelerator == "gpu" else "cpu"))
    yield {"large matrix product, GFLOP/s": peak / 1e9}
    for case, config in configs.items():
        yield {f"share of this speed, {case.name}": matmul_share(config, seconds[case.name], peak)}


def quantizer(options: Options) -> Found:
    """Measure our quantizer against the peer's, and how its cost grows."""
    vectors = 49 if options.quick else parts.VECTORS
    if find_spec(PEERS["vector-quantize-pytorch"]):
        yield parts.quantizer_row(options.repeats, vectors)
    yield {f"exponent of growth in {x}": value for x, value in parts.growth(options.repeats, vectors).items()}


def sampling(options: Options) -> Found:
    """Measure the cached sampler, and whether it draws the same grids."""
    if options.quick:
        yield parts.sampling_row(3, 2, 1)
        yield {"share of identical grids, 3×3 in float64": parts.equal_grids(3, 2, torch.float64)}
        return
    yield parts.sampling_row(7, 64, options.repeats, 10.0)
    yield parts.sampling_row(28, 16, 1, 50.0)  # once: the slow way takes a minute and a half
    for side, grids, dtype in ((7, 64, torch.float64), (7, 256, torch.float32), (28, 2, torch.float64)):
        name = f"share of identical grids, {side}×{side} in {str(dtype).removeprefix('torch.')}"
        yield {name: parts.equal_grids(side, grids, dtype)}


def likelihood(options: Options) -> Found:
    """Measure the importance-weighted bound."""
    yield parts.likelihood_row(100, 2, 1) if options.quick else parts.likelihood_row(5000, 20, options.repeats)


def startup(options: Options) -> Found:
    """Measure commands as whole processes."""
    yield parts.startup_row(options.repeats)
    yield {f"seconds {name}": seconds for name, seconds in parts.training_seconds(options.overrides).items()}


PARTS = {part.__name__: part for part in (training, quantizer, sampling, likelihood)} | {"start-up": startup}


def main() -> None:
    """Measure, print and write."""
    os.environ["FORCE_COLOR"] = "1"  # progress bars are drawn as in a terminal, wherever the output goes
    warnings.filterwarnings("ignore")  # those of the peers
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", help="overrides of the configuration, for example data.root=…")
    parser.add_argument("--parts", default=",".join(PARTS), help=f"some of {', '.join(PARTS)}")
    parser.add_argument("--repeats", type=int, default=7, help="pairs of each row")
    parser.add_argument("--accelerator", choices=("cpu", "gpu"), default="cpu", help="device of the trainings")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path, default=RESULTS, help="README.md changes with the default only")
    parser.add_argument("--quick", action="store_true", help="one pair, two steps, tiny sizes; needs another --out")
    parser.add_argument("--table", action="store_true", help="only write README's table again")
    options = parser.parse_intermixed_args()
    if unknown := [part for part in options.parts.split(",") if part not in PARTS]:
        parser.error(f"--parts: unknown {', '.join(unknown)}; expected some of {', '.join(PARTS)}")
    if options.quick and options.out == RESULTS:
        parser.error("--quick: its ratios mean nothing; give another file as --out")
    options.repeats = 1 if options.quick else options.repeats
    torch.set_num_threads(options.threads)
    quiet_libraries()
    if missing := [name for name, module in PEERS.items() if not options.table and not find_spec(module)]:
        print(f"not installed, so left out: {', '.join(missing)}; pip install aevq[bench]")
    for part in [] if options.table else options.parts.split(","):
        measure(part, options)
    if options.out == RESULTS:
        put(README, "results", markdown(_read(RESULTS)))


def measure(part: str, options: Options) -> None:
    """Measure one part: print its rows as they come, and write them when it is done."""
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"[bold]{part}[/], {options.repeats} pairs, {torch.get_num_threads()} threads")
    on_gpu = part == "training" and options.accelerator == "gpu"
    name = "training on a GPU" if on_gpu else part
    earlier = {(row.what, row.other): row for row in _rows(_read(RESULTS).get(name, {"rows": []}))}
    rows: list[Row] = []
    metrics: dict[str, float] = {}
    for found in PARTS[part](options):
        if isinstance(found, Row):
            rows.append(found := replace(found, part=name))
            ratio = f"[bold]{found.ratio:.3g}[/] times as fast as {found.other} ({found.low:.3g} … {found.high:.3g})"
            before = None if options.quick else earlier.get((found.what, found.other))
            console.print(f"  {found.what}: {ratio}{found.compared_with(before) if before else ''}")
        else:
            found = {f"{key}, on a GPU": value for key, value in found.items()} if on_gpu else found
            metrics |= found
            console.print("\n".join(f"  {name}: {value:.3g}" for name, value in found.items()))
    results = _read(options.out)
    results[name] = {
        "when": f"{datetime.now():%Y-%m-%d}",
        "command": " ".join(["python -m experiments.benchmarks.bench", *sys.argv[1:]]),
        "commit": (git_state() or {}).get("commit"),
        "machine": (f"{torch.cuda.get_device_name()}, " if on_gpu else "")
        + f"{platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads",
        "versions": versions() | {name: version(name) for name, module in PEERS.items() if find_spec(module)},
        "rows": [asdict(row) for row in rows],
        "metrics": metrics,
    }
    options.out.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return content


def _rows(part: dict[str, Any]) -> list[Row]:
    return [Row(**each) for each in part["rows"]]


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
