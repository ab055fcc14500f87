"""Do feature networks of other seeds rank the models alike? Fréchet distances of the same samples under each network.

python -m experiments.feature_net.compare --runs runs/sweep/<time>/* --networks seed1.safetensors seed2.safetensors
"""

import argparse
import csv
from itertools import combinations
from pathlib import Path

import torch
from rich.progress import track
from scipy.stats import spearmanr

import aevq
from aevq.metrics.generate import features_of, generate
from aevq.nn.feature_net import FeatureNet, load_feature_net
from aevq.ops.distance import frechet_distance, moments
from aevq.runs.run import Run

HERE = Path(__file__).parent


def sets_of(run: Run, samples: int) -> dict[str, torch.Tensor]:
    """Return the images of a run that are compared with the test images: reconstructions, and samples of each prior."""
    name = f"{run.result.model['name']} s{run.result.seed}"
    images = {f"{name} reconstruction": run.reconstruct(run.data.images("test")[:samples])}
    for prior in run.prior_names():
        images[f"{name} {prior}"] = generate(run.model, run.prior(prior), samples, seed=0)
    return images


def main() -> None:
    """Write distances.csv, one row per set of images and one column per network, and print rank correlations."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", nargs="+", required=True)
    parser.add_argument("--networks", nargs="+", type=Path, required=True, help="in addition to the one of the package")
    parser.add_argument("--samples", type=int, default=10_000)
    options = parser.parse_args()
    networks: dict[str, FeatureNet] = {"package": load_feature_net()}
    networks |= {path.stem: load_feature_net(path) for path in options.networks}
    runs = [aevq.load(path) for path in options.runs]
    data = runs[0].data
    real = {name: moments(features_of(net, data.images("test")[: options.samples])) for name, net in networks.items()}
    sets = {"real data (train images)": data.images("train")[: options.samples]}
    for run in track(runs, "samples"):
        sets |= sets_of(run, options.samples)
    rows = {
        title: [frechet_distance(moments(features_of(net, x)), real[name]) for name, net in networks.items()]
        for title, x in track(sets.items(), "distances")
    }
    with (HERE / "distances.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["images", *networks])
        writer.writerows([title, *(f"{value:.4f}" for value in values)] for title, values in rows.items())
    for a, b in combinations(range(len(networks)), 2):
        rho = spearmanr([values[a] for values in rows.values()], [values[b] for values in rows.values()]).statistic
        names = " and ".join(list(networks)[i] for i in (a, b))
        print(f"{names}: Spearman's rank correlation {rho:.4f} over {len(rows)} sets")


if __name__ == "__main__":
    main()
