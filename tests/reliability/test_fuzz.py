"""Random input by hypothesis: each reader returns a valid value or raises one clear error; the quantizer finds a code.

The quick suite tries up to a hundred inputs for each, the slow one thousands.
"""

import json
import math
from functools import cache

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aevq.config.checks import to_config
from aevq.config.instantiate import instantiate
from aevq.errors import UserError
from aevq.models import LatentModel
from aevq.nn import DeadCodeRestart, EMAUpdate, GradientUpdate, VectorQuantizer
from aevq.report.records import read_record
from aevq.runs.result import Result, read_result
from aevq.training.parts import build_parts
from helpers.bad_input import composed
from helpers.run_folders import make_run
from helpers.small_runs import SMALL_VQVAE

FEW, MANY = 100, 3000
QUIET = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]


def values(numbers, max_leaves: int):
    """Return what a yaml or a JSON file may hold."""
    return st.recursive(
        st.none() | st.booleans() | numbers | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
        max_leaves=max_leaves,
    )


json_values = values(st.integers() | st.floats(), 12)


def sized(count: int):
    return settings(max_examples=count, deadline=None, suppress_health_check=QUIET, derandomize=True)


def one_clear_line(error: UserError) -> None:
    assert "\n" not in str(error)
    assert str(error)


# The result reader

results = st.fixed_dictionaries(
    {"schema_version": st.just(1) | json_values},
    optional={
        **dict.fromkeys(("name", "model", "data", "seed", "metrics", "train", "objective", "git"), json_values),
        "status": st.sampled_from(["finished", "running", "failed", "interrupted"]) | json_values,
        "error": json_values,
    },
)


def check_result(content: str, folder) -> None:
    path = folder / "result.json"
    path.write_text(content, encoding="utf-8")
    try:
        result = read_result(path)
    except UserError as error:
        one_clear_line(error)
        return
    assert isinstance(result, Result)
    assert result.status in ("finished", "running", "failed", "interrupted")
    assert all(math.isfinite(value) for value in result.metrics.values())


# Configurations

# Small numbers: a valid configuration is built, whatever its size.
config_values = values(st.integers(-3, 40) | st.floats(-3, 3), 6)


@cache
def valid_config() -> str:
    return json.dumps(composed(*SMALL_VQVAE))


@st.composite
def changed_configs(draw) -> dict:
    """Return a valid configuration in which values, at any depth, are replaced, removed or added."""
    config = json.loads(valid_config())
    for _ in range(draw(st.integers(1, 3))):
        node, key = config, draw(st.sampled_from(sorted(config)))
        while isinstance(node[key], dict) and node[key] and draw(st.integers(0, 4)):
            node = node[key]
            key = draw(st.sampled_from(sorted(node)))
        how = draw(st.integers(0, 2))
        if how == 0:
            node[key] = draw(config_values)
        elif how == 1:
            del node[key]
        else:
            node[draw(st.text(max_size=8))] = draw(config_values)
        if not config:
            break
    return config


def check_configuration(config: dict) -> None:
    try:
        parts = build_parts(config, trust=())
    except UserError as error:
        one_clear_line(error)
        return
    model = instantiate(to_config(parts.model), "model", LatentModel)  # what is built can be built again
    assert model.latent_spec == parts.model.latent_spec


# The quantizer

specials = st.sampled_from([0.0, 1.0, -1.0, 1e-30, 1e4, 6e4, 1e30, math.inf, -math.inf, math.nan])


@st.composite
def vectors(draw) -> torch.Tensor:
    shape = (*draw(st.lists(st.integers(0, 5), min_size=0, max_size=3)), 3)
    dtype = draw(st.sampled_from([torch.float32, torch.float64, torch.float16, torch.bfloat16]))
    count = math.prod(shape)
    values = draw(st.lists(st.floats(-1e4, 1e4) | specials, min_size=count, max_size=count))
    z = torch.tensor(values, dtype=torch.float64).reshape(shape).to(dtype)
    if draw(st.booleans()) and z.ndim > 1:
        z = z.transpose(0, 1).contiguous().transpose(0, 1)  # the same values in another memory order
    return z


def check_quantizer(z: torch.Tensor, by_gradient: bool, restart: bool) -> None:
    torch.manual_seed(0)
    update = GradientUpdate() if by_gradient else EMAUpdate(0.9)
    quantizer = VectorQuantizer(7, 3, update, DeadCodeRestart(0.5, 1) if restart else None).to(z.dtype)
    before = quantizer.codebook.detach().clone()
    found = quantizer(z)
    assert found.codes.shape == z.shape[:-1]
    assert found.z_q.shape == z.shape
    assert found.codes.dtype == torch.int64
    assert bool(((found.codes >= 0) & (found.codes < 7)).all())
    finite = z.isfinite().all(-1)
    if bool(finite.all()) and z.dtype in (torch.float32, torch.float64) and bool((z.abs() < 1e15).all()):
        distance = torch.cdist(z.reshape(-1, 3).double(), before.double())
        chosen = distance.gather(1, found.codes.reshape(-1, 1)).squeeze(1)
        scale = 1e-3 + 1e-3 * z.reshape(-1, 3).double().norm(dim=1)
        assert bool((chosen <= distance.amin(1) + scale).all())
    with torch.no_grad():
        quantizer.step()
    assert bool(quantizer.codebook.isfinite().all()), "one bad vector has destroyed a code"


# Tests


@pytest.mark.parametrize("count", [FEW, pytest.param(MANY, marks=pytest.mark.slow)])
def test_the_result_reader(count, tmp_path):
    texts = results.map(json.dumps) | json_values.map(json.dumps) | st.text(max_size=60)
    sized(count)(given(texts)(lambda text: check_result(text, tmp_path)))()


@pytest.mark.parametrize("count", [FEW, pytest.param(MANY, marks=pytest.mark.slow)])
def test_the_record_of_a_report(count, tmp_path):
    folder = make_run(tmp_path / "a")
    good = json.loads((folder / "result.json").read_text())

    def check_record(name, value):
        (folder / "result.json").write_text(json.dumps(good | {name: value}), encoding="utf-8")
        try:
            assert all(map(math.isfinite, read_record(folder).metrics.values()))
        except UserError as error:
            one_clear_line(error)

    sized(count)(given(st.sampled_from(sorted(good)), json_values)(check_record))()


@pytest.mark.parametrize("count", [40, pytest.param(1000, marks=pytest.mark.slow)])
def test_the_check_of_a_configuration(count):
    sized(count)(given(changed_configs())(check_configuration))()


@pytest.mark.parametrize("count", [FEW, pytest.param(MANY, marks=pytest.mark.slow)])
def test_the_quantizer(count):
    sized(count)(given(vectors(), st.booleans(), st.booleans())(check_quantizer))()
