"""Draws how a run's validation bound fell: `python experiments/06_likelihood/curve.py runs/<run>`."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

from matplotlib.figure import Figure

import aevq

HERE = Path(__file__).parent


def main() -> None:
    """Write curve.png: −ELBO of the validation images by epoch."""
    run = aevq.load(sys.argv[1])
    with (run.path / "metrics.csv").open(newline="", encoding="utf-8") as file:
        rows = [(int(r["step"]), float(r["value"])) for r in csv.DictReader(file) if r["name"] == "val/objective"]
    steps_an_epoch = run.result.data["sizes"]["train"] // run.config.data.batch_size
    figure = Figure(figsize=(6, 3), layout="constrained")
    axes = figure.subplots()
    axes.plot([step / steps_an_epoch for step, _ in rows], [nats for _, nats in rows], color="#2a6f97")
    axes.set_xlabel("epoch")
    axes.set_ylabel("−ELBO, nats (validation)")
    axes.set_ylim(90, 100)
    axes.grid(alpha=0.3)
    figure.savefig(HERE / "curve.png", dpi=120, metadata={"Software": None})


if __name__ == "__main__":
    main()
