import pytest
import torch

from aevq.errors import UserError
from aevq.models import VQVAE
from aevq.nn import Conv, GradientUpdate, Laplace


def vqvae(**changes):
    sizes = {"num_codes": 16, "code_dim": 4, "network": Conv([4, 8])}
    parts = {"codebook_update": GradientUpdate(), "restart": None, "codebook_init": "normal", "likelihood": Laplace()}
    return VQVAE(**sizes | parts | changes)


def test_the_objective_is_equation_3(digits):
    terms = vqvae().loss_terms(digits[:8])
    torch.testing.assert_close(terms.objective, terms.distortion + terms.codebook + 0.25 * terms.commitment)
    torch.testing.assert_close(terms.codebook, terms.commitment)


def test_the_commitment_term_trains_the_encoder_and_the_codebook_term_the_codebook(digits):
    model = vqvae()
    model.loss_terms(digits[:8]).commitment.sum().backward()
    assert model.quantizer.codebook.grad is None
    assert any(p.grad.abs().sum() > 0 for p in model.encoder.parameters())
    model.zero_grad()
    model.loss_terms(digits[:8]).codebook.sum().backward()
    assert model.quantizer.codebook.grad.abs().sum() > 0
    assert all(p.grad is None for p in model.encoder.parameters())


def test_the_gradient_of_the_distortion_reaches_the_encoder_through_the_codes(digits):
    model = vqvae()
    model.loss_terms(digits[:8]).distortion.sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in model.encoder.parameters() if p.ndim > 1)


def test_decoding_the_codes_is_the_forward_pass_and_their_embedding_the_code_vectors(digits):
    model = vqvae().eval()
    z_q = model.quantizer(model.vectors(digits[:4])).z_q
    expected = model.likelihood.mean(model.decoder(z_q.movedim(-1, 1)))
    torch.testing.assert_close(model.reconstruct(digits[:4]), expected)
    codes = model.encode(digits[:2])
    assert model.embed(codes).view(2, 7, 7, 4)[1, 3, 5].equal(model.quantizer.codebook[codes[1, 3, 5]])


@pytest.mark.parametrize("bad", [{"num_codes": 0}, {"code_dim": 0}, {"grid": [7, 0]}, {"codebook_init": "kmean"}])
def test_bad_arguments_are_named(bad):
    with pytest.raises(UserError, match=rf"^VQVAE\.{next(iter(bad))}\S*: "):
        vqvae(**bad)
