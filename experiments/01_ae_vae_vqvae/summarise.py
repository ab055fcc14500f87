"""Writes results.csv and prints the table of this study from run folders.

python experiments/01_ae_vae_vqvae/summarise.py runs/sweep/<time>/*
"""

from __future__ import annotations

import csv
import statistics
import sys
from collections import defaultdict
from pathlib import Path

from aevq.errors import UserError
from aevq.results import Result, read_result

HERE = Path(__file__).parent
COLUMNS = {
    "reconstruction/mse": ("MSE", 5),
    "reconstruction/psnr": ("PSNR, dB", 2),
    "reconstruction/ssim": ("SSIM", 3),
    "rate/kl_bits": ("KL, bits", 1),
    "codebook/perplexity": ("perplexity", 1),
    "parameters": ("parameters", 0),
}


def figures(result: Result) -> dict[str, float]:
    """The figures of one finished run."""
    if result.status != "finished":
        raise UserError(f"{result.name}: {result.status}, not finished")
    return {**result.metrics, "parameters": result.model["parameters"]}


def spread(values: list[float], digits: int) -> str:
    """Mean ± standard deviation; the mean alone where all are alike."""
    mean = statistics.mean(values)
    if len(set(values)) == 1:
        return f"{mean:,.{digits}f}"
    return f"{mean:,.{digits}f} ± {statistics.stdev(values):.{digits}f}"


def main() -> None:
    """Read the runs, write results.csv, print the table."""
    results = [read_result(Path(folder) / "result.json") for folder in sys.argv[1:] if Path(folder).is_dir()]
    if len({result.data["fingerprint"]["all"] for result in results}) != 1:
        raise UserError("the runs are not of one data set")
    by_model: dict[str, list[dict[str, float]]] = defaultdict(list)
    with (HERE / "results.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["model", "seed", "data", "name", "value"])
        for result in sorted(results, key=lambda r: (r.model["name"], r.seed)):
            by_model[result.model["name"]].append(figures(result))
            rows = figures(result).items()
            writer.writerows([result.model["name"], result.seed, result.data["name"], *row] for row in rows)
    print("| | " + " | ".join(title for title, _ in COLUMNS.values()) + " | seeds |")
    print("|---" * (len(COLUMNS) + 2) + "|")
    for model, runs in by_model.items():
        cells = [
            spread([run[name] for run in runs], digits) if name in runs[0] else "–"
            for name, (_, digits) in COLUMNS.items()
        ]
        print(f"| {model} | " + " | ".join(cells) + f" | {len(runs)} |")


if __name__ == "__main__":
    main()
