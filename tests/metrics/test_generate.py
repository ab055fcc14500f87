import pytest
import torch

from aevq.errors import UserError
from aevq.latents import CodeSpec
from aevq.metrics.generate import encode_all, generate, interpolate, reconstruct_all
from aevq.nn import distributed
from aevq.priors import StandardNormal, Uniform


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
