import torch

from aevq.models import VQVAE
from aevq.nn import Conv, GradientUpdate, Laplace


def vqvae(**changes):
    arguments = {
        "grid": (7, 7),
        "num_codes": 16,
        "code_dim": 4,
        "commitment_cost": 0.25,
        "network": Conv([4, 8], 0, "relu"),
        "codebook_update": GradientUpdate(),
        "restart": None,
        "codebook_init": "normal",
    }
    return VQVAE((1, 28, 28), **arguments | changes, likelihood=Laplace(0.1), optimizer=torch.optim.AdamW)


def test_the_objective_is_equation_3(digits):
    terms = vqvae().terms(digits[:8])
    torch.testing.assert_close(terms.objective, terms.distortion + terms.codebook + 0.25 * terms.commitment)
    torch.testing.assert_close(terms.codebook, terms.commitment)


def test_the_commitment_reaches_the_encoder_and_the_codebook_term_the_codebook(digits):
    model = vqvae()
    model.terms(digits[:8]).commitment.sum().backward()
    assert model.quantizer.codebook.grad is None
    assert any(p.grad.abs().sum() > 0 for p in model.encoder.parameters())
    model.zero_grad()
    model.terms(digits[:8]).codebook.sum().backward()
    assert model.quantizer.codebook.grad.abs().sum() > 0
    assert all(p.grad is None for p in model.encoder.parameters())


def test_the_reconstruction_reaches_the_encoder_through_the_codes(digits):
    model = vqvae()
    model.terms(digits[:8]).distortion.sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in model.encoder.parameters() if p.ndim > 1)


def test_decoding_the_codes_is_the_forward_pass(digits):
    model = vqvae().eval()
    z_q = model.quantizer(model.vectors(digits[:4])).z_q
    expected = model.likelihood.mean(model.decoder(z_q.movedim(-1, 1)))
    torch.testing.assert_close(model.reconstruct(digits[:4]), expected)


def test_the_embedding_is_the_code_vectors(digits):
    model = vqvae().eval()
    codes = model.encode(digits[:2])
    assert model.embed(codes).view(2, 7, 7, 4)[1, 3, 5].equal(model.quantizer.codebook[codes[1, 3, 5]])
