import pytest
import torch

from aevq.errors import UserError
from aevq.latents import CodeSpec
from aevq.metrics.generate import draw_all, encode_all, encode_splits, generate, interpolate, reconstruct_all
from aevq.nn import distributed
from aevq.priors import StandardNormal, Uniform
from helpers.small_data import toys


def prior_for(model):
    spec = model.latent_spec
    return Uniform(spec) if isinstance(spec, CodeSpec) else StandardNormal(spec)


def test_the_same_seed_gives_the_same_images_whatever_was_drawn_before(model):
    model.eval()
    first = generate(model, prior_for(model), 5, seed=1)
    torch.rand(10)
    assert generate(model, prior_for(model), 5, seed=1).equal(first)
    assert not generate(model, prior_for(model), 5, seed=2).equal(first)
    assert first.shape == (5, 1, 28, 28)


def test_chunks_change_nothing(model, digits):
    model.eval()
    assert len(digits) > 500
    z = encode_all(model, digits)
    torch.testing.assert_close(z[501], encode_all(model, digits[501:502])[0])
    torch.testing.assert_close(reconstruct_all(model, digits)[501], model.reconstruct(digits[501:502])[0])


def test_a_path_begins_and_ends_at_the_reconstructions(model, digits):
    model.eval()
    start, end = digits[:3], digits[500:503]
    path = interpolate(model, start, end, steps=6)
    assert path.shape == (3, 6, 1, 28, 28)
    torch.testing.assert_close(path[:, 0], model.reconstruct(start))
    torch.testing.assert_close(path[:, -1], model.reconstruct(end))
    differs = not encode_all(model, start).equal(encode_all(model, end))
    assert path[:, 2].equal(path[:, 0]) is not differs


@pytest.mark.fault("one of several processes runs out of memory while they share a metric: it fails in all of them")
@pytest.mark.parametrize("here", [True, False])
def test_a_chunk_that_fails_on_one_rank_fails_on_every_rank(here, monkeypatch):
    def fail(rows):
        raise ValueError("broken")

    monkeypatch.setattr(distributed, "world_size", lambda: 2)
    monkeypatch.setattr(distributed, "global_rank", lambda: 0)
    monkeypatch.setattr(
        distributed, "gather_objects", lambda own: [own, "rank 1: MemoryError: " if not here else [own]]
    )
    message = "^rank 0: ValueError: broken$" if here else "^rank 1: MemoryError"
    with distributed.sharing_chunks(), pytest.raises(UserError, match=message):
        distributed.map_rows(fail if here else torch.neg, torch.zeros(4), 2)


def test_draws_depend_on_the_seed_and_not_on_what_was_drawn_before(make_model, digits):
    model = make_model("vae").eval()
    first, again, other = (draw_all(model, digits, seed) for seed in (0, 0, 1))
    assert first.equal(again)
    assert not (first == other).any()
    q = model.posterior(digits)
    noise = ((first - q.mu) / (0.5 * q.log_var).exp()).detach()
    assert not noise[:500].allclose(noise[500:], atol=1e-2)  # each chunk has noise of its own
    assert noise.mean().abs() < 0.1
    assert noise.std() == pytest.approx(1, abs=0.05)


def test_draws_are_encoded_only_if_they_are_used(make_model, monkeypatch):
    calls = []
    monkeypatch.setattr("aevq.metrics.generate.draw_all", lambda m, x, seed: calls.append(seed) or draw_all(m, x, seed))
    latents = encode_splits(make_model("vae").eval(), toys())
    assert latents.of("mean") is latents
    assert not calls
    assert latents.of("draw") is latents.of("draw")
    assert calls == [0, 1]
    assert latents.of("draw").train.shape == latents.train.shape
    assert not latents.of("draw").train.equal(latents.train)
    assert latents.of("draw").train_labels.equal(latents.train_labels)


def test_of_a_deterministic_model_draws_are_the_latents(make_model):
    latents = encode_splits(make_model("ae").eval(), toys())
    assert latents.of("draw") is latents


def test_options_reach_the_prior(make_model):
    class Tempered(StandardNormal):
        def sample(self, n, generator=None, temperature=1.0):
            return temperature * super().sample(n, generator)

    model = make_model("ae").eval()
    cold = generate(model, Tempered(model.latent_spec), 3, 0, temperature=0.0)
    torch.testing.assert_close(cold, model.decode(torch.zeros(3, 4)))


def test_what_a_shared_function_maps_itself_is_the_work_of_one_rank(monkeypatch):
    gathered = []
    monkeypatch.setattr(distributed, "world_size", lambda: 2)
    monkeypatch.setattr(distributed, "global_rank", lambda: 0)
    monkeypatch.setattr(distributed, "gather_objects", lambda own: gathered.append(own) or [own, own])
    with distributed.sharing_chunks():
        found = distributed.map_rows(lambda rows: distributed.map_rows(torch.neg, rows, 1), torch.arange(4), 2)
    assert len(gathered) == 1
    assert found.tolist() == [0, -1, 0, -1]  # the second rank is a copy of the first
