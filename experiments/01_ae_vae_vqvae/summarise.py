"""Writes results.csv and prints the tables of this study from evaluated run folders.

python experiments/01_ae_vae_vqvae/summarise.py runs/sweep/<time>/*_s*
"""

from __future__ import annotations

import csv
import json
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
    "reconstruction/sharpness": ("sharpness", 3),
    "reconstruction/fd": ("fd", 3),
    "rate/kl_bits": ("KL, bits", 1),
    "rate/pixelcnn_bits": ("PixelCNN, bits", 1),
    "codebook/perplexity": ("perplexity", 1),
    "probe/latent/linear": ("linear probe", 3),
    "probe/latent/knn": ("5-NN probe", 3),
    "parameters": ("parameters", 0),
}
PRIORS = ("standard_normal", "fitted_normal", "mixture", "mixture100", "uniform", "marginals", "pixelcnn")
SAMPLES = {
    "fd": ("fd", 2),
    "kd": ("kd", 3),
    "precision": ("precision", 3),
    "recall": ("recall", 3),
    "density": ("density", 3),
    "coverage": ("coverage", 3),
    "class_entropy": ("class entropy, nats", 2),
    "nearest_train": ("nearest train image", 2),
}
Runs = list[dict[str, float]]


def figures(folder: Path, result: Result) -> dict[str, float]:
    """The figures of one finished and evaluated run."""
    if result.status != "finished":
        raise UserError(f"{result.name}: {result.status}, not finished")
    evaluation = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
    return {**result.metrics, **evaluation["metrics"], "parameters": result.model["parameters"]}


def spread(runs: Runs, name: str, digits: int) -> str:
    """Mean ± standard deviation; the mean alone where all are alike; a dash where the model has no such figure."""
    if name not in runs[0]:
        return "–"
    values = [run[name] for run in runs]
    mean = statistics.mean(values)
    if len(set(values)) == 1:
        return f"{mean:,.{digits}f}"
    return f"{mean:,.{digits}f} ± {statistics.stdev(values):.{digits}f}"


def table(first: str, columns: dict[str, tuple[str, int]], rows: dict[str, tuple[Runs, str]]) -> None:
    """Print one row a title, whose figures have a prefix, as markdown."""
    print(f"\n| {first} | " + " | ".join(title for title, _ in columns.values()) + " |")
    print("|---" * (len(columns) + 1) + "|")
    for title, (runs, prefix) in rows.items():
        cells = (spread(runs, prefix + name, digits) for name, (_, digits) in columns.items())
        print(f"| {title} | " + " | ".join(cells) + " |")


def main() -> None:
    """Read the runs, write results.csv, print the tables."""
    folders = [Path(folder) for folder in sys.argv[1:] if Path(folder).is_dir()]
    results = {folder: read_result(folder / "result.json") for folder in folders}
    if len({result.data["fingerprint"]["all"] for result in results.values()}) != 1:
        raise UserError("the runs are not of one data set")
    by_model: dict[str, Runs] = defaultdict(list)
    with (HERE / "results.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["model", "seed", "data", "name", "value"])
        for folder, result in sorted(results.items(), key=lambda item: (item[1].model["name"], item[1].seed)):
            by_model[result.model["name"]].append(run := figures(folder, result))
            writer.writerows([result.model["name"], result.seed, result.data["name"], *row] for row in run.items())
    print(", ".join(f"{model}: {len(runs)} seeds" for model, runs in by_model.items()))
    table("", COLUMNS, {model: (runs, "") for model, runs in by_model.items()})
    sampled = {
        f"{model}, {prior}": (runs, f"samples/{prior}/")
        for model, runs in by_model.items()
        for prior in PRIORS
        if f"samples/{prior}/fd" in runs[0]
    }
    floor = next(iter(by_model.values()))
    table("samples", SAMPLES, {**sampled, "floor: train images": (floor, "floor/")})
    pca = {model: spread(runs, "pca/mse", 5) for model, runs in by_model.items() if "pca/mse" in runs[0]}
    print("\nPCA with as many numbers: " + ", ".join(f"{model} {mse}" for model, mse in pca.items()))


if __name__ == "__main__":
    main()
