"""The benchmarks: every part runs, its arithmetic is right, and the slow alternatives compute the same results."""

import json
import math
import sys
from importlib.util import find_spec

import pytest
import torch

from aevq.nn import Bernoulli
from experiments.benchmarks import bench, distributed, parts, quality, timing
from experiments.benchmarks.cases import BARE, CASES, PYTHAE, TORCHVISION
from experiments.benchmarks.training import contenders, matmul_share, training_rows
from experiments.common.readme import between

SMALL = ("data=mnist5k", "trainer=cpu")


@pytest.mark.parametrize("name", ["aevq", BARE, TORCHVISION, PYTHAE])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_contender_takes_two_steps_of_every_case(case, name, tmp_path, monkeypatch):
    if name == PYTHAE:
        pytest.importorskip("pythae")
    monkeypatch.chdir(tmp_path)
    config = case.compose(*SMALL)
    seconds = contenders()[name](config, 2)
    assert 0 < seconds < 1
    assert 0 < matmul_share(config, seconds, 1e9) < math.inf


@pytest.mark.slow
def test_trainings_are_compared_across_processes():
    assert {name for case in CASES for name in case.targets} <= {BARE, TORCHVISION, PYTHAE}
    rows = list(training_rows({CASES[0]: CASES[0].compose(*SMALL)}, repeats=1, steps=2))
    assert {BARE, TORCHVISION} <= {row.other for row in rows}


def test_contenders_alternate_and_ratios_are_of_pairs():
    seconds = {"aevq": iter([9.0, 1.0, 2.0, 10.0]), "other": iter([9.0, 3.0, 4.0, 20.0])}
    order = []
    measures = {name: lambda name=name: order.append(name) or next(seconds[name]) for name in seconds}
    rounds = list(timing.alternate(measures, 3, warmup=1))
    assert order == ["other", "aevq", "aevq", "other", "other", "aevq", "aevq", "other"]
    (row,) = timing.compare("part", "what", rounds, "step", {"other": 2.5})
    assert (row.ratio, row.low, row.high, row.target) == (2.0, 2.0, 3.0, 2.5)
    assert (row.ours, row.theirs) == (2.0, 4.0)


def test_laps_leave_the_warm_up_out(monkeypatch):
    clock = iter([100.0, 110.0, 140.0, 141.0, 160.0])
    monkeypatch.setattr(timing, "_now", lambda device: next(clock))
    laps = timing.Laps(timing.CPU, 40)
    for step in range(1, laps.total + 1):
        laps.done(step)
    assert laps.seconds == pytest.approx(1.45)  # of laps of 10, 30, 1 and 19 seconds
    assert timing.Laps(timing.CPU, 2).total == 3


def test_a_ratio_is_compared_with_the_one_measured_before():
    before = timing.Row("part", "what", "other", 1.5, 1.2, 1.6, 1.0, 1.5, "step")
    noise = dict.fromkeys([(1.4, 1.35, 1.45), (1.7, 1.45, 1.9)], "within noise")
    for ratios, verdict in (noise | {(1.8, 1.7, 1.9): "faster", (1.0, 0.9, 1.4): "SLOWER"}).items():
        row = timing.Row("part", "what", "other", *ratios, 1.0, 1.0, "step")
        assert row.compared_with(before) == f"; before 1.5 (1.2 … 1.6): {verdict}"


def test_the_naive_bound_is_the_batched_one(make_model, digits):
    model, x = make_model("vae").eval(), digits[:3]
    model.likelihood = Bernoulli()  # as in the naive one
    naive, batched = parts.image_by_image(model, x.round(), 5000), model.importance_nll(x.round(), 5000)
    torch.testing.assert_close(naive, batched, rtol=0.01, atol=0.5)


def test_parts_without_trainings_run_and_are_written(tmp_path, command):
    out = tmp_path / "results.json"
    code, printed, _ = command(bench.main, "--quick", "--parts", "quantizer,sampling,likelihood", "--out", str(out))
    assert code == 0
    assert "within noise" not in printed
    results = json.loads(out.read_text())
    assert [row["other"] for row in results["likelihood"]["rows"]] == ["image by image"]
    assert len(results["quantizer"]["rows"]) == bool(find_spec("vector_quantize_pytorch"))
    assert results["sampling"]["metrics"] == {"share of identical grids, 3×3 in float64": 1}
    assert "| sampling | 2 grids of 3×3 | once per position |" in bench.markdown(results)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--parts", "speed"], "--parts: unknown speed; expected some of training"), (["--quick"], "--quick: its ratios")],
)
def test_a_wrong_option_is_refused_before_anything_is_measured(arguments, message, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["bench", *arguments])
    with pytest.raises(SystemExit):
        bench.main()
    assert message in capsys.readouterr().err


def test_the_readme_shows_what_the_results_say():
    assert between(bench.README, "results") == bench.markdown(json.loads(bench.RESULTS.read_text()))
    assert between(bench.README, "quality") == quality.table(json.loads(quality.RESULTS.read_text()))


def test_quality_over_time_is_measured_for_every_metric(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, size in {"SAMPLES": 100, "IMPORTANCE_SAMPLES": 2, "IMAGES": 8}.items():
        monkeypatch.setattr(quality, name, size)
    for race in quality.RACES:
        config = quality.compose_config(*SMALL, *race.overrides, "trainer.max_steps=2", "model.network.hidden=[8]")
        curve = quality.ours(race, config, interval=1e9)
        assert len(curve) == 2  # the first step and the last one
        assert all(math.isfinite(value) for _, value in curve)


def test_quality_of_pythae_over_time_is_measured():
    pytest.importorskip("pythae")
    for race in quality.RACES:
        config = quality.compose_config(*SMALL, *race.overrides)
        assert quality.theirs(race, config, interval=1e9, seconds=0.01)


@pytest.mark.slow
def test_start_up_is_measured():
    assert all(seconds > 0 for seconds in parts.training_seconds(["data=mnist5k"]).values())


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_distributed_trainings_are_measured(monkeypatch, capfd):
    for arguments in (["communication", "--plain-lightning", "--window", "2"], ["weak-scaling", "--repeats", "1"]):
        model = "vae model.network.hidden=[8]"
        monkeypatch.setattr(sys, "argv", ["distributed", *arguments, "--steps", "2", "--model", model])
        distributed.main()
    printed = capfd.readouterr().out
    assert all(text in printed for text in ("all_reduce", "broadcast", "DDP 0."))
