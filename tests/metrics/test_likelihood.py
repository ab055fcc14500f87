import pytest
import torch

from aevq.metrics.likelihood import image_terms, mean_terms


def test_means_weigh_images_and_not_chunks(digits):
    x = digits[:700]
    terms = mean_terms(image_terms(lambda chunk: {"kl": chunk.sum((1, 2, 3))}, x))
    assert terms["loss/kl"] == pytest.approx(x.sum((1, 2, 3)).mean().item(), rel=1e-5)
    assert terms["rate/kl_bits"] == pytest.approx(terms["loss/kl"] / 0.693147, rel=1e-5)


def test_the_noise_is_the_same_each_time_and_the_callers_random_state_stays(make_model, digits):
    model = make_model("vae").eval()
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first, second = (image_terms(lambda chunk: model.loss_terms(chunk).by_name(), digits) for _ in range(2))
    assert all(first[name].equal(second[name]) for name in ("objective", "distortion", "kl"))
    assert torch.rand(1).equal(expected)


def test_a_model_without_a_kl_has_no_rate(make_model, digits):
    model = make_model("ae").eval()
    means = mean_terms(image_terms(lambda chunk: model.loss_terms(chunk).by_name(), digits))
    assert set(means) == {"loss/objective", "loss/distortion"}
