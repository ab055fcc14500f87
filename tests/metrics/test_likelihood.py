from types import SimpleNamespace

import pytest
import torch

from aevq.metrics.likelihood import loss_terms
from aevq.metrics.protocol import EvaluationSettings
from aevq.metrics.subject import Subject


def subject_of(model, x):
    data = SimpleNamespace(images=lambda split: x, labels=lambda split: None)
    return Subject(model, {}, data, None, EvaluationSettings())


def test_means_weigh_images_and_not_chunks(digits):
    x = digits[:700]
    terms = SimpleNamespace(by_name=lambda: {"kl": terms.x.sum((1, 2, 3))})
    model = SimpleNamespace(device="cpu", loss_terms=lambda chunk: vars(terms).update(x=chunk) or terms)
    metrics = loss_terms(subject_of(model, x))
    assert metrics["loss/kl"] == pytest.approx(x.sum((1, 2, 3)).mean().item(), rel=1e-5)
    assert metrics["rate/kl_bits"] == pytest.approx(metrics["loss/kl"] / 0.693147, rel=1e-5)


def test_the_noise_is_the_same_each_time_and_the_callers_random_state_stays(make_model, digits):
    model, state = make_model("vae").eval(), torch.get_rng_state()
    first, second = (subject_of(model, digits).loss_terms for _ in range(2))
    assert all(first[name].equal(second[name]) for name in ("objective", "distortion", "kl"))
    assert torch.get_rng_state().equal(state)


def test_a_model_without_a_kl_has_no_rate(make_model, digits):
    assert set(loss_terms(subject_of(make_model("ae").eval(), digits))) == {"loss/objective", "loss/distortion"}
