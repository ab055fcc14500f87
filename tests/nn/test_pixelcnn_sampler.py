import pytest
import torch

from aevq.errors import UserError
from aevq.nn.pixelcnn import GatedPixelCNN
from aevq.nn.pixelcnn_sampler import inverse_cdf, sample_codes


def network(num_classes=None, num_codes=16, kernel=5, dtype=torch.float64):
    torch.manual_seed(0)
    net = GatedPixelCNN(num_codes, 8, 3, kernel, num_classes).to(dtype).eval()
    with torch.no_grad():
        net.head[-1].weight.mul_(20)  # peaked conditionals: a wrong context shows in the codes
    return net


def naive(net, uniforms, labels=None, temperature=1.0):
    """The whole network once per position."""
    codes = torch.zeros(uniforms.shape, dtype=torch.int64)
    for i in range(uniforms.shape[1]):
        for j in range(uniforms.shape[2]):
            codes[:, i, j] = inverse_cdf(net(codes, labels)[:, :, i, j], uniforms[:, i, j], temperature)
    return codes


def draw(*shape, seed=1):
    return torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize(("height", "width"), [(7, 7), (3, 8), (6, 1), (1, 5)])
@pytest.mark.parametrize("num_classes", [None, 4])
@torch.no_grad()
def test_cached_equals_naive_to_the_bit(num_classes, height, width, kernel):
    net = network(num_classes, kernel=kernel)
    labels = None if num_classes is None else torch.arange(32) % 4
    u = draw(32, height, width)
    assert torch.equal(sample_codes(net, u, labels, 0.8), naive(net, u, labels, 0.8))


@torch.no_grad()
def test_cached_equals_naive_in_float32_but_for_rounding():
    net = network(dtype=torch.float32)
    u = draw(256, 5, 5)
    same = (sample_codes(net, u) == naive(net, u)).all(dim=2).all(dim=1)
    assert same.float().mean() > 0.99


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


@pytest.mark.parametrize("bad", [0, -1.0, float("nan"), float("inf"), True])
def test_a_temperature_that_is_not_positive_is_refused(bad):
    with pytest.raises(UserError, match=r"^temperature: should be "):
        sample_codes(network(), draw(1, 2, 2), temperature=bad)
