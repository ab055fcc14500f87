import pytest
import torch

from aevq.ops.categorical import Draw, inverse_cdf


def draw(*shape, seed=1):
    return torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_inverse_cdf_at_the_borders():
    logits = torch.tensor([0.25, 0.0, 0.25, 0.5], dtype=torch.float64).log().expand(5, -1)
    u = torch.tensor([0.0, 0.2499, 0.2501, 0.5001, 1 - 2**-53], dtype=torch.float64)
    assert inverse_cdf(logits, u).tolist() == [0, 0, 2, 3, 3]


def test_temperature_sharpens():
    logits = torch.tensor([0.0, 1.0]).expand(4000, -1)
    u = draw(4000)
    shares = [inverse_cdf(logits, u, temperature).double().mean().item() for temperature in (0.5, 1.0, 2.0)]
    expected = [torch.sigmoid(torch.tensor(1.0) / temperature).item() for temperature in (0.5, 1.0, 2.0)]
    assert shares == pytest.approx(expected, abs=0.025)


def test_nucleus_is_the_fewest_codes_that_reach_top_p():
    logits = torch.tensor([0.1, 0.5, 0.05, 0.35], dtype=torch.float64).log().expand(20_000, -1)
    shares = torch.bincount(inverse_cdf(logits, draw(20_000), top_p=0.8), minlength=4) / 20_000
    torch.testing.assert_close(shares, torch.tensor([0, 0.5 / 0.85, 0, 0.35 / 0.85]), atol=0.01, rtol=0)
    assert inverse_cdf(logits, draw(20_000), top_p=1e-9).unique().tolist() == [1]
    assert torch.equal(inverse_cdf(logits, draw(20_000), top_p=1.0), inverse_cdf(logits, draw(20_000)))


def test_any_leading_shape():
    logits, u = torch.randn(3, 5, 7), draw(3, 5)
    each = torch.stack([inverse_cdf(logits[:, i], u[:, i]) for i in range(5)], 1)
    assert torch.equal(inverse_cdf(logits, u), each)


def test_guidance_draws_from_the_extrapolated_logits():
    given, free, u = torch.randn(6, 9), torch.randn(6, 9), draw(6, 2, 2)
    guided = Draw(u, guidance=1.5)
    assert guided.rows == 12
    assert torch.equal(guided(torch.cat([given, free]), 2), inverse_cdf(2.5 * given - 1.5 * free, u.flatten(1)[:, 2]))
    assert torch.equal(guided.for_network(u), torch.cat([u, u]))
    assert Draw(u).rows == 6
