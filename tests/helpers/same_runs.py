"""Whether two runs have the same outcome, bit by bit: weights, metrics, curves, samples."""

from hashlib import sha256
from pathlib import Path

import torch

from aevq.runs.run import Run


def assert_same(run: Run, other: Run, samples: int = 4) -> None:
    """Compare whatever a run computes; times and its name may differ."""
    assert run.result.status == other.result.status == "finished"
    assert run.result.metrics == other.result.metrics
    for name in ("steps", "epochs"):
        assert run.result.train[name] == other.result.train[name]
    for path in sorted(run.path.rglob("*.ckpt")):
        weights = [
            torch.load(each.path / path.relative_to(run.path), weights_only=True)["state_dict"] for each in (run, other)
        ]
        assert weights[0].keys() == weights[1].keys()
        for key, value in weights[0].items():
            same = value.equal(weights[1][key]) if torch.is_tensor(value) else value == weights[1][key]
            assert same, f"{path.name}: {key}"
    assert curves(run) == curves(other)
    for prior in run.prior_names():
        assert run.sample(samples, prior).equal(other.sample(samples, prior)), prior


def curves(run: Run) -> list[str]:
    """Return the rows of metrics.csv without speeds, sorted: a resumed run may write them in another order."""
    rows = (run.path / "metrics.csv").read_text().splitlines()
    return sorted(row for row in rows if "images_per_second" not in row)


def file_hashes(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file in a folder, by its relative path."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != ".lock"]
    return {str(path.relative_to(folder)): sha256(path.read_bytes()).hexdigest() for path in files}
