"""Anything at all, from hypothesis: each reader gives a good value or one clear error, and the quantiser a good code.

A hundred cases each in the quick suite, thousands in the slow one.
"""

from __future__ import annotations

import json
import math
from functools import cache

import pytest
import torch
from aevq.runs.sealed import seal_json
from aevq.training.compatibility import check_config
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aevq.config.instantiate import check
from aevq.errors import UserError
from aevq.nn import DeadCodeRestart, EMAUpdate, GradientUpdate, VectorQuantizer
from aevq.report.records import read_record
from aevq.runs.result import Result, read_result
from helpers.bad_input import composed
from helpers.run_folders import make_run

FEW, MANY = 100, 3000
QUIET = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)


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
        "sha256": json_values,
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


@cache
def plain_config() -> str:
    return json.dumps(composed(["model=vqvae", "trainer=cpu"]))


# Configurations


@st.composite
def changed_configs(draw) -> dict:
    """A good configuration in which some value, however deep, is another or gone, or has company."""
    config = json.loads(plain_config())
    for _ in range(draw(st.integers(1, 3))):
        node, key = config, draw(st.sampled_from(sorted(config)))
        while isinstance(node[key], dict) and node[key] and draw(st.integers(0, 4)):
            node = node[key]
            key = draw(st.sampled_from(sorted(node)))
        how = draw(st.integers(0, 2))
        if how == 0:
            node[key] = draw(json_values)
        elif how == 1:
            del node[key]
        else:
            node[draw(st.text(max_size=8))] = draw(json_values)
        if not isinstance(config, dict) or not config:
            break
    return config


def check_configuration(config: dict) -> None:
    try:
        check_config(config)
    except UserError as error:
        one_clear_line(error)
        return
    check(config["model"], path="model")  # what was let through is a configuration: a part can be asked for again


# The quantiser

specials = st.sampled_from([0.0, 1.0, -1.0, 1e-30, 1e4, 6e4, 1e30, math.inf, -math.inf, math.nan])


@st.composite
def vectors(draw) -> torch.Tensor:
    shape = (*draw(st.lists(st.integers(0, 5), min_size=0, max_size=3)), 3)
    dtype = draw(st.sampled_from([torch.float32, torch.float64, torch.float16, torch.bfloat16]))
    count = math.prod(shape)
    values = draw(st.lists(st.floats(-1e4, 1e4) | specials, min_size=count, max_size=count))
    z = torch.tensor(values, dtype=torch.float64).reshape(shape).to(dtype)
    if draw(st.booleans()) and z.ndim > 1:
        z = z.transpose(0, 1).contiguous().transpose(0, 1)  # the same values, in memory in another order
    return z


def check_quantiser(z: torch.Tensor, by_gradient: bool, restart: bool) -> None:
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
    assert bool(quantizer.codebook.isfinite().all()), "one bad vector has spoilt the codebook"


# Each of them, for a few cases and for many


@pytest.mark.parametrize("count", [FEW, pytest.param(MANY, marks=pytest.mark.slow)])
def test_the_result_reader(count, tmp_path):
    texts = results.map(json.dumps) | json_values.map(json.dumps) | st.text(max_size=60)
    sized(count)(given(texts)(lambda text: check_result(text, tmp_path)))()


@pytest.mark.parametrize("count", [FEW, pytest.param(MANY, marks=pytest.mark.slow)])
def test_the_record_of_a_report(count, tmp_path):
    folder = make_run(tmp_path / "a")
    good = json.loads((folder / "result.json").read_text())
    del good["sha256"]

    def check_record(name, value, sealed):
        try:
            changed = seal_json(good | {name: value}) if sealed else json.dumps(good | {name: value})
        except ValueError:
            return  # a number that JSON has not
        (folder / "result.json").write_text(changed, encoding="utf-8")
        try:
            assert all(map(math.isfinite, read_record(folder).metrics.values()))
        except UserError as error:
            one_clear_line(error)

    sized(count)(given(st.sampled_from(sorted(good)), json_values, st.booleans())(check_record))()


@pytest.mark.parametrize("count", [FEW, pytest.param(MANY, marks=pytest.mark.slow)])
def test_the_check_of_a_configuration(count):
    sized(count)(given(changed_configs())(check_configuration))()


@pytest.mark.parametrize("count", [FEW, pytest.param(MANY, marks=pytest.mark.slow)])
def test_the_quantiser(count):
    sized(count)(given(vectors(), st.booleans(), st.booleans())(check_quantiser))()
