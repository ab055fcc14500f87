"""Under autocast the networks compute in bfloat16; losses and nearest codes are computed in float32."""

import pytest
import torch

from aevq.nn import Bernoulli, EMAUpdate, Gaussian, Laplace, VectorQuantizer
from aevq.ops.precision import at_least_float32, no_autocast, without_tf32
from aevq.ops.quantize import nearest_code

BF16 = torch.autocast("cpu", torch.bfloat16)


def test_half_precision_becomes_float32_and_other_types_stay():
    x = torch.rand(3)
    assert at_least_float32(x) is x
    assert at_least_float32(x.double()).dtype == torch.float64
    for half in (torch.bfloat16, torch.float16):
        assert at_least_float32(x.to(half)).dtype == torch.float32
    with BF16, no_autocast(x):
        assert (x[None] @ x[:, None]).dtype == torch.float32


def test_tf32_is_off_inside_and_as_before_after():
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("high")
    try:
        with without_tf32():
            assert (torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32) == ("highest", False)
        assert (torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32) == ("high", before[1])
    finally:
        torch.set_float32_matmul_precision(before[0])


@pytest.mark.parametrize("likelihood", [Gaussian(0.2), Laplace(0.1), Bernoulli()])
def test_a_likelihood_is_that_of_the_same_outputs_in_float32(likelihood, digits):
    x, output = digits[:50].round(), torch.randn(50, 1, 28, 28).bfloat16()
    with BF16:
        nll, mean = likelihood.nll(x, output), likelihood.mean(output)
    assert torch.equal(nll, likelihood.nll(x, output.float()))
    assert torch.equal(mean, likelihood.mean(output.float()))


def test_codes_are_the_nearest_in_float32():
    quantizer = VectorQuantizer(64, 8, EMAUpdate(0.9)).train()
    with torch.no_grad():
        quantizer.codebook.div_(100).add_(1)  # codes that are equal in bfloat16
    z_e = 1 + torch.randn(500, 8) / 100
    with BF16:
        quantized = quantizer(z_e)
        assert not torch.equal(nearest_code(z_e, quantizer.codebook), quantized.codes)
    assert torch.equal(nearest_code(z_e, quantizer.codebook), quantized.codes)
    assert quantized.z_q.dtype == torch.float32


def test_the_terms_of_every_model_are_float32(model, digits):
    model.eval()
    with BF16:
        terms = model.loss_terms(digits[:20]).by_name()
    for name, value in terms.items():
        assert value.dtype == torch.float32, name
    exact = model.loss_terms(digits[:20]).by_name()
    torch.testing.assert_close(terms["distortion"], exact["distortion"], rtol=0.05, atol=0.0)
