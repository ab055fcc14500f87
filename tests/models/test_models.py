"""Laws that hold for every model."""

import pytest
import torch

from aevq.latents import CodeSpec
from aevq.models import VariationalModel


def test_latents_fit_the_spec_and_decode_to_images(model, digits):
    x, spec = digits[:6], model.eval().latent_spec
    z = model.encode(x)
    assert z.shape == (6, *spec.shape)
    if isinstance(spec, CodeSpec):
        assert z.dtype == torch.int64
        assert 0 <= z.min() <= z.max() < spec.num_codes
    x_hat = model.decode(z)
    assert x_hat.shape == x.shape
    assert 0 <= x_hat.min() <= x_hat.max() <= 1
    assert x_hat.equal(model.reconstruct(x))
    assert model.embed(z).shape[0] == 6
    assert model.embed(z).is_floating_point()


def test_a_loss_term_is_a_number_per_image_and_does_not_depend_on_the_batch_size(model, digits):
    model.eval().double()
    x, terms = digits[:8].double(), []
    for repeats in (1, 2):
        torch.manual_seed(0)
        terms.append(model.loss_terms(x.repeat(repeats, 1, 1, 1)).by_name())
    for name, value in terms[0].items():
        assert value.shape == (8,)
        torch.testing.assert_close(terms[1][name][:8], value)


def test_encoding_is_deterministic_and_does_not_change_the_model(model, digits):
    model.eval()
    before = {name: v.clone() for name, v in model.state_dict().items() if torch.is_tensor(v)}
    assert model.encode(digits[:5]).equal(model.encode(digits[:5]))
    if not isinstance(model, VariationalModel):
        assert model.encode(digits[:5], torch.Generator()).equal(model.encode(digits[:5]))
    assert all(model.state_dict()[name].equal(v) for name, v in before.items())


def test_a_few_steps_on_one_batch_lower_the_objective(model, digits):
    x, losses = digits[::20], []
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=3e-3)
    for _ in range(60):  # a VQ-VAE with few channels needs many steps until it draws strokes
        loss = model.loss_terms(x).objective.mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 50


@pytest.mark.parametrize(("name", "expected"), [("ae", 1732.45), ("vae", 1743.68), ("vqvae", 393.56)])
def test_the_first_loss_is_the_golden_one(name, expected, make_model, digits):
    """A change of a formula, an initialisation or an image shows here; explain it before updating the number."""
    torch.manual_seed(0)
    model = make_model(name).eval()
    torch.manual_seed(0)
    assert model.loss_terms(digits).objective.mean().item() == pytest.approx(expected, abs=0.1)
