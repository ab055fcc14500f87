"""Two and four processes give the losses, gradients, codebooks and metrics of one process on the joined batch.

In float64 they agree to 1e-9. In float32 sums are rounded differently, and Adam divides small gradients by small
gradients: after twelve steps, weights may differ by 1e-3 of the largest (a learning rate of 1e-3 moves them by at most
1.2e-2), and losses by 1e-4 of themselves.
"""

import pytest
import torch
from torch import distributed

from aevq.errors import UserError
from aevq.train import main
from helpers.ddp_scenarios import everything
from helpers.ranks import on_ranks

MODELS = ["ae", "vae", "vqvae", "vqvae_gradient", "pixelcnn"]
DOUBLE, SINGLE = "64-true", "32-true"
TOLERANCES = {DOUBLE: (1e-9, 1e-9), SINGLE: (1e-4, 1e-3)}  # of losses and of weights


@pytest.fixture(
    scope="module",
    params=[
        (DOUBLE, 2),
        *(pytest.param(slow, marks=pytest.mark.slow) for slow in ((DOUBLE, 4), (SINGLE, 2), (SINGLE, 4))),
    ],
    ids=lambda param: f"{param[0]}, {param[1]} ranks",
)
def both(request, tmp_path_factory):
    """The results of one process, those of each of several, and the tolerances."""
    precision, ranks = request.param
    folder = tmp_path_factory.mktemp("ranks")
    # The single one is a process of its own too: these trainings replace the VAE's noise.
    (alone,) = on_ranks(folder / "alone", 1, everything, precision, folder / "one")
    return alone, on_ranks(folder / "together", ranks, everything, precision, folder / "several"), TOLERANCES[precision]


def close(values, expected, tolerance):
    assert values.keys() == expected.keys()
    for name, value in expected.items():
        scale = max(1.0, float(value.abs().max()))
        torch.testing.assert_close(
            values[name], value, rtol=0, atol=tolerance * scale, msg=lambda m, n=name: f"{n}: {m}"
        )


@pytest.mark.parametrize("name", MODELS)
def test_several_processes_train_like_one(name, both):
    alone, together, (of_losses, of_weights) = both
    one, several = alone[name], [results[name] for results in together]
    losses = torch.stack([result["losses"] for result in several]).mean(0)
    torch.testing.assert_close(losses, one["losses"], rtol=of_losses, atol=0)
    assert len(one["gradients"]) == 2
    close(several[0]["gradients"][0], one["gradients"][0], of_losses)
    close(several[0]["gradients"][1], one["gradients"][1], of_weights)
    close(several[0]["weights"], one["weights"], of_weights)
    close(several[0]["validation"], one["validation"], of_weights)


@pytest.mark.parametrize("name", MODELS)
def test_ranks_are_bit_identical(name, both):
    first, *others = (results[name] for results in both[1])
    for other in others:
        for part in ("weights", "validation"):
            assert first[part].keys() == other[part].keys()
            assert all(value.equal(other[part][key]) for key, value in first[part].items())


def test_k_means_starts_all_ranks_from_the_same_codebook(both):
    alone, together, _ = both
    start = alone["vqvae"]["start"]["quantizer.codebook"]
    assert start.unique(dim=0).shape == start.shape
    assert all(results["vqvae"]["start"]["quantizer.codebook"].equal(start) for results in together)


def test_all_ranks_revive_the_same_number_of_dead_codes(both):
    counts = [results["vqvae_gradient"]["revived"] for results in (both[0], *both[1])]
    assert counts[0] > 0
    assert len(set(counts)) == 1


@pytest.mark.parametrize("name", ["vqvae", "vqvae_gradient"])
def test_perplexity_is_measured_on_the_whole_split(name, both):
    metrics = [results[name]["validation"] for results in (both[0], *both[1])]
    assert metrics[0]["val/codebook_perplexity"] > 1
    for key in ("val/codebook_perplexity", "val/codebook_usage"):
        expected = pytest.approx(float(metrics[0][key]), rel=both[2][1])
        assert all(float(values[key]) == expected for values in metrics)


def test_the_quantizer_needs_one_all_reduce_per_step(both):
    """Also when it restarts codes. Two more: every ten steps to agree on a stop, every four for the log."""
    for results in both[1]:
        for name, own in (("ae", 0), ("vqvae", 1), ("vqvae_gradient", 1)):
            expected = [own + (step % 10 == 0) + (step % 4 == 0) for step in range(1, 13)]
            assert [calls.get("all_reduce", 0) for calls in results[name]["in_steps"]] == expected
            assert all(set(calls) <= {"all_reduce"} for calls in results[name]["in_steps"])


def test_no_step_broadcasts(both):
    """Lightning would, to agree on signals; here only the codebook of the k-means start is sent, once."""
    for results in both[1]:
        assert [results[name]["broadcasts"] for name in ("ae", "vae", "vqvae", "vqvae_gradient")] == [0, 0, 1, 0]


def test_noise_differs_between_ranks(both):
    draws = [tuple(results["ae"]["noise"].tolist()) for results in both[1]]
    assert len(set(draws)) == len(draws)


def test_a_shared_evaluation_gives_the_metrics_of_one_process(both):
    expected = both[0]["evaluation"]
    assert {"reconstruction/fd", "samples/pixelcnn/fd", "rate/pixelcnn_bits"} <= set(expected["metrics"])
    for results in both[1]:
        assert results["evaluation"]["train"].equal(expected["train"])
        assert results["evaluation"]["metrics"] == expected["metrics"]


def test_a_run_leaves_the_process_group(command, tmp_path, monkeypatch):
    """Also if it fails; otherwise a thread of gloo may abort the process at its exit, after everything was done."""

    def fail(*_):
        raise UserError("it fails")

    monkeypatch.setattr("aevq.training.recording.open_run", fail)
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'meeting'}", rank=0, world_size=1)
    code, _, err = command(main, "model=vae", "data=mnist5k")
    assert (code, err) == (1, "error: it fails\n")
    assert not distributed.is_initialized()
