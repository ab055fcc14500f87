"""Files of a run that are cut off, and checkpoints in which a bit is flipped: refused, or without any effect."""

import json
import random
import shutil
from pathlib import Path

import pytest
import torch

from aevq.errors import UserError
from aevq.files import load_plain
from aevq.priors import load_prior
from aevq.report.records import read_record
from aevq.runs.folder import SWEEP_FILE
from aevq.runs.result import read_result
from aevq.runs.sweep_record import Sweep, SweepJob, read_sweep

FLIPS, MANY_FLIPS = 60, 600


def plain(value):
    """Return the value as something that can be compared."""
    if torch.is_tensor(value):
        content = value.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        return value.dtype, tuple(value.shape), content
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, list | tuple) else value


READERS = {
    "checkpoints/best.ckpt": lambda path: plain(load_plain(path)),
    "checkpoints/last.ckpt": lambda path: plain(load_plain(path)),
    "priors/standard_normal.safetensors": lambda path: plain(load_prior(path).state_dict()),
    "result.json": read_result,
    "evaluation.json": lambda path: read_record(path.parent),
    SWEEP_FILE: lambda path: read_sweep(path.parent),
}


@pytest.fixture
def copy(whole, tmp_path):
    """A copy of a finished run with every file that there may be; it is the folder of a sweep too."""
    folder = Path(shutil.copytree(whole, tmp_path / whole.name))
    result = read_result(folder / "result.json")
    evaluation = {"schema_version": 1, "metrics_version": result.metrics_version, "weights": result.weights}
    evaluation |= {"settings": {"samples": 0}, "metrics": {"probe/latent/linear": 0.5}}
    (folder / "evaluation.json").write_text(json.dumps(evaluation))
    jobs = [SweepJob(0, ["seed=1"], "finished", "0_a")]
    Sweep("python -m aevq.train -m", "2026-01-01", [], jobs, path=folder).save()
    return folder


def outcome(read, path, good) -> str:
    """Return what came of reading a damaged file; anything but these two is a failure."""
    try:
        found = read(path)
    except UserError as error:
        message = str(error)
    else:
        assert found == good, "a changed file was read as if nothing had happened"
        return "without effect"
    assert path.name in message
    assert "\n" not in message
    return "refused"


@pytest.mark.fault("a file cut off anywhere: refused in one line that names it")
@pytest.mark.parametrize("name", READERS)
def test_a_file_that_is_cut_off(name, copy, observed):
    path, read = copy / name, READERS[name]
    content, good = path.read_bytes(), read(path)
    cuts = sorted({0, 1, len(content) // 4, len(content) // 2, 3 * len(content) // 4, len(content) - 2})
    outcomes = []
    for cut in cuts:
        path.write_bytes(content[:cut])
        outcomes.append(outcome(read, path, good))
    assert set(outcomes[:-1]) == {"refused"}
    observed(f"{len(cuts)} cuts: {outcomes.count('refused')} refused, {outcomes.count('without effect')} no effect")


@pytest.mark.timeout(900)
@pytest.mark.fault("a flipped bit anywhere: refused in one line that names the file, or without any effect")
@pytest.mark.parametrize("flips", [FLIPS, pytest.param(MANY_FLIPS, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", ["checkpoints/best.ckpt", "checkpoints/last.ckpt"])
def test_a_flipped_bit(name, flips, copy, observed):
    path, read = copy / name, READERS[name]
    content, good = path.read_bytes(), read(path)
    draw, outcomes = random.Random(0), []
    for _ in range(flips):
        bit = draw.randrange(8 * len(content))
        changed = bytearray(content)
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        outcomes.append(outcome(read, path, good))
    assert outcomes.count("refused") > len(outcomes) / 4
    observed(f"{flips} flips: {outcomes.count('refused')} refused, {outcomes.count('without effect')} no effect")


def test_an_evaluation_of_other_weights_is_no_result_of_the_run(copy):
    path = copy / "evaluation.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"weights": "0" * 64}))
    with pytest.raises(UserError, match="other weights"):
        read_record(copy)
