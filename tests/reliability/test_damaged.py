"""Files of a run that are cut off, or of which one bit is another: noticed, or without any effect."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import pytest
import torch

from aevq.errors import UserError
from aevq.evaluate import Options, evaluate
from aevq.priors import load_prior
from aevq.report.records import read_record
from aevq.runs.folder import SWEEP_FILE
from aevq.runs.result import read_result
from aevq.runs.run import read_checkpoint
from aevq.runs.sweep_record import Sweep, SweepJob, read_sweep

FLIPS, MANY_FLIPS = 60, 600


def plain(value):
    """Something that can be compared."""
    if torch.is_tensor(value):
        return (
            value.dtype,
            tuple(value.shape),
            value.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes(),
        )
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, list | tuple) else value


READERS = {
    "checkpoints/best.ckpt": lambda path: plain(read_checkpoint(path)),
    "checkpoints/last.ckpt": lambda path: plain(read_checkpoint(path)),
    "priors/standard_normal.safetensors": lambda path: plain(load_prior(path).state_dict()),
    "result.json": read_result,
    "evaluation.json": lambda path: read_record(path.parent).metrics,
    SWEEP_FILE: lambda path: read_sweep(path.parent),
}


@pytest.fixture(scope="module")
def evaluated(whole, tmp_path_factory):
    """A copy of the whole run that was evaluated, and that is a sweep's folder too."""
    folder = Path(shutil.copytree(whole, tmp_path_factory.mktemp("evaluated") / whole.name))
    evaluate(Options(run=str(folder), samples=0, quick=True))
    jobs = [SweepJob(0, ["seed=1"], "finished", "0_a")]
    Sweep("python -m aevq.train -m", "2026-01-01", [], jobs, path=folder).save()
    return folder


@pytest.fixture
def copy(evaluated, tmp_path):
    return Path(shutil.copytree(evaluated, tmp_path / evaluated.name))


def outcome(read, path, good) -> str:
    """Noticed, or without effect; anything else is a failure."""
    try:
        found = read(path)
    except UserError as error:
        said = str(error)
    else:
        assert found == good, "a changed file was read as if nothing had happened"
        return "without effect"
    assert path.name in said or "result.json" in said
    assert "\n" not in said
    return "refused"


@pytest.mark.fault("a file cut off anywhere: refused in one line that names it")
@pytest.mark.parametrize("name", READERS)
def test_torn(name, copy, saw):
    path, read = copy / name, READERS[name]
    content, good = path.read_bytes(), read(path)
    cuts = sorted({0, 1, len(content) // 4, len(content) // 2, 3 * len(content) // 4, len(content) - 2})
    seen = []
    for cut in cuts:
        path.write_bytes(content[:cut])
        seen.append(outcome(read, path, good))
    assert set(seen[:-1]) == {"refused"}
    saw(f"{len(cuts)} cuts: {seen.count('refused')} refused, {seen.count('without effect')} without effect")


@pytest.mark.timeout(900)
@pytest.mark.fault("a flipped bit anywhere: refused in one line that names the file, or without any effect")
@pytest.mark.parametrize("flips", [FLIPS, pytest.param(MANY_FLIPS, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", [name for name in READERS if not name.endswith(".json")])
def test_bit_flipped(name, flips, copy, saw):
    path, read = copy / name, READERS[name]
    content, good = path.read_bytes(), read(path)
    chance, seen = random.Random(0), []
    for _ in range(min(flips, 8 * len(content))):
        bit = chance.randrange(8 * len(content))
        changed = bytearray(content)
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        seen.append(outcome(read, path, good))
    assert seen.count("refused") > len(seen) / 4
    saw(f"{len(seen)} flips: {seen.count('refused')} refused, {seen.count('without effect')} without effect")


def test_an_evaluation_of_other_weights_is_no_result_of_the_run(copy):
    path = copy / "evaluation.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"weights": "0" * 64}))
    with pytest.raises(UserError, match=r"evaluation\.json: it measures other weights"):
        read_record(copy)
