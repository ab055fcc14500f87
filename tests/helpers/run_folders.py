"""Run folders made by hand: what a comparison reads, without any training."""

import json
from types import SimpleNamespace

import numpy as np
from omegaconf import OmegaConf
from PIL import Image

from aevq.runs.result import Result, write_result

SIZES = {"train": 4000, "val": 500, "test": 500}
TARGETS = {"AE": "aevq.models.AE", "VAE": "aevq.models.VAE", "VQVAE": "aevq.models.VQVAE"}


def make_result(name="a", status="finished", **values):
    """A result of a run that was never trained."""
    model = {"name": "AE", "target": TARGETS["AE"], "parameters": 7}
    data = {"name": "mnist5k", "fingerprint": {}, "sizes": {}}
    return Result(name, status, **{"model": model, "data": data, "seed": 0, "command": "", "started": "", **values})


def parts_of_a_run(runs):
    """What the name of a run's folder depends on: a VAE of MNIST with seed 0."""
    config = {"seed": 0, "paths": {"runs": str(runs)}}
    return SimpleNamespace(config=config, data=SimpleNamespace(name="mnist"), model=type("VAE", (), {})())


def make_run(
    folder,
    model="VAE",
    seed=1,
    metrics=None,
    config=None,
    status="finished",
    error=None,
    fingerprint="f" * 64,
    version="1-abc",
    started="2026-01-01T00:00:00+00:00",
    name=None,
):
    """A run's folder, with real small PNGs; gives its path."""
    folder.mkdir(parents=True)
    result = make_result(
        name or folder.name,
        status,
        model={"name": model, "target": TARGETS.get(model, model), "parameters": 1000},
        data={"name": "mnist5k", "fingerprint": {"all": fingerprint}, "sizes": SIZES},
        seed=seed,
        command=f"python -m aevq.train model={model.lower()} seed={seed}",
        started=started,
        error=error,
        versions={"python": "3.11.7", "torch": "2.15.0"},
        train={"steps": 10, "seconds": 2.0 + seed, "images_per_second": 100.0},
        seconds={"train": 3.0 + seed, "evaluation": 1.0},
        metrics={"reconstruction/mse": 0.01 * seed} if metrics is None else metrics,
        metrics_version=version,
    )
    write_result(result, folder / "result.json")
    nested = {
        "seed": seed,
        "paths": {"runs": str(folder.parent)},
        "data": {"name": "mnist5k", "seed": seed, "binarize": "none"},
        "prior": {"standard_normal": {"_target_": "aevq.priors.StandardNormal"}},
        "evaluation": {"samples": 20, "mode_samples": 40},
        "model": {"_target_": TARGETS.get(model, model), "latent_dim": 16},
    }
    merged = OmegaConf.merge(nested, OmegaConf.from_dotlist(config or []))
    (folder / "config.yaml").write_text(OmegaConf.to_yaml(merged))
    rows = [
        f"{step},train/objective,{-step * seed}\n{step},val/mse,{1 / (step + seed)}\n" for step in range(0, 100, 10)
    ]
    (folder / "metrics.csv").write_text("step,name,value\n" + "".join(rows))
    make_images(folder, seed)
    return folder


def make_images(folder, seed):
    noise = np.random.default_rng(0).integers(0, 255, (28, 560), np.uint8)
    strips = folder / "images" / "strips"
    strips.mkdir(parents=True)
    Image.fromarray(noise).save(strips / "originals.png")
    Image.fromarray(noise // (seed + 1)).save(strips / "reconstructions.png")
    Image.fromarray(noise[:, :224]).save(strips / "samples_standard_normal.png")
    Image.fromarray(noise).convert("RGB").save(folder / "images" / "latent_space.png")


def evaluate_by_hand(folder, metrics, version="1-abc", priors=None, costs=None, **settings):
    content = {
        "schema_version": 1,
        "metrics_version": version,
        "weights": "0" * 64,
        "settings": {"split": "test", "samples": 20, "mode_samples": 40} | settings,
        "metrics": metrics,
        "priors": priors or {},
        "costs": costs or {},
    }
    (folder / "evaluation.json").write_text(json.dumps(content))


def sweep_of(folder, jobs):
    """A sweep.json; jobs are (folder or None, status, error)."""
    listed = [
        {"index": i, "overrides": [f"seed={i}"], "status": status, "folder": name, "error": error}
        for i, (name, status, error) in enumerate(jobs)
    ]
    content = {"schema_version": 1, "command": "python -m aevq.train -m seed=0,1", "started": "2026-01-01T00:00:00"}
    folder.mkdir(exist_ok=True)
    (folder / "sweep.json").write_text(json.dumps(content | {"status": "failed", "jobs": listed}))
