"""What a GPU has to do as a CPU does: runs, repeated runs, half precision, every prior. Skipped where there is none."""

import copy
from functools import partial

import pytest
import torch

import aevq
from aevq.latents import CodeSpec, LatentSet, VectorSpec
from aevq.ops.quantize import nearest_code
from aevq.priors import (
    Flow,
    FlowMatching,
    KernelDensity,
    Masked,
    Mixture,
    PixelCNN,
    Transformer,
)
from helpers.prior_training import trainer_in
from helpers.same_runs import assert_same
from helpers.small_runs import QUICK, SMALL

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")

ON_GPU = ["trainer=gpu", *(each for each in QUICK if "accelerator" not in each)]
VECTORS, CODES = VectorSpec(4), CodeSpec(8, 3, 3)
SHORT = {"max_steps": 20, "val_every_steps": 10, "batch_size": 16}
PRIORS = {
    "mixture": partial(Mixture, VECTORS, num_components=2),
    "kernel_density": partial(KernelDensity, VECTORS),
    "flow": partial(Flow, VECTORS, layers=2, hidden=[16], **SHORT),
    "flow_matching": partial(FlowMatching, VECTORS, width=16, density=True, **SHORT),
    "pixelcnn": partial(PixelCNN, CODES, channels=8, layers=2, num_clusters=2, **SHORT),
    "transformer": partial(Transformer, CODES, width=16, layers=1, heads=2, num_clusters=2, **SHORT),
    "masked": partial(Masked, CODES, width=16, layers=1, heads=2, num_clusters=2, **SHORT),
}


def latents_for(prior) -> LatentSet:
    if isinstance(prior.spec, VectorSpec):
        train = torch.randn(400, *prior.spec.shape) * torch.tensor([1.0, 2.0, 0.5, 3.0])
    else:
        train = torch.randint(0, prior.spec.num_codes, (400, *prior.spec.shape)) // 2
    labels = torch.arange(400) % 10
    codebook = torch.randn(8, 2) if isinstance(prior.spec, CodeSpec) else None
    return LatentSet(train, labels, train[:40], labels[:40], codebook)


@pytest.mark.parametrize("name", PRIORS)
def test_a_prior_that_is_trained_on_a_gpu_samples_and_scores_there_as_on_the_cpu(name, tmp_path):
    prior = PRIORS[name]()
    latents = latents_for(prior)
    if name in ("mixture", "kernel_density"):
        prior.fit(latents)
    else:
        prior.fit(latents, partial(trainer_in, tmp_path, accelerator="gpu"))
    on_cpu, on_gpu = copy.deepcopy(prior).cpu(), prior.cuda()
    here, there = (each.sample(64, torch.Generator().manual_seed(1)).cpu() for each in (on_cpu, on_gpu))
    if here.dtype == torch.int64:
        assert (here == there).flatten(1).all(1).float().mean() > 0.9  # a rounding may change a whole grid
    else:
        assert torch.allclose(here, there, atol=1e-3, rtol=1e-3)
    z = latents.val
    assert torch.allclose(on_cpu.log_prob(z), on_gpu.log_prob(z.cuda()).cpu(), atol=1e-2, rtol=1e-3)


def test_the_nearest_code_is_exact_though_products_may_be_in_tf32(monkeypatch):
    z, codebook = torch.randn(20_000, 16), torch.randn(256, 16)
    exact = torch.cdist(z.double(), codebook.double()).argmin(1)
    monkeypatch.setattr(torch.backends.cuda.matmul, "allow_tf32", True)
    assert (nearest_code(z.cuda(), codebook.cuda()).cpu() == exact).float().mean() > 0.9999


@pytest.mark.parametrize("model", SMALL)
def test_a_whole_run_on_a_gpu_has_metrics_images_and_samples(model, tmp_path):
    run = aevq.fit(f"model={model}", *ON_GPU, *SMALL[model], "evaluation.samples=200", f"paths.runs={tmp_path}")
    assert run.result.status == "finished"
    assert torch.cuda.get_device_name() in str(run.result)
    assert {"reconstruction/mse", "reconstruction/fd"} <= run.result.metrics.keys()
    assert any(name.endswith("/fd") and name.startswith("samples/") for name in run.result.metrics)
    assert run.sample(4).shape == (4, 1, 28, 28)


@pytest.mark.parametrize("model", SMALL)
def test_the_same_seed_gives_the_same_run(model, tmp_path):
    line = [f"model={model}", *ON_GPU, *SMALL[model], "trainer.deterministic=true"]
    first, second = (aevq.fit(*line, f"paths.runs={tmp_path / name}") for name in "ab")
    assert_same(first, second)


@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler")  # float16 skips steps until its scale fits
@pytest.mark.parametrize("precision", ["bf16-mixed", "16-mixed"])
@pytest.mark.parametrize("model", SMALL)
def test_half_precision_trains(model, precision, tmp_path):
    run = aevq.fit(f"model={model}", *ON_GPU, *SMALL[model], f"trainer.precision={precision}", f"paths.runs={tmp_path}")
    assert run.result.metrics["reconstruction/mse"] < 0.5
