import pytest
import torch

from aevq.nn.pixelcnn import GatedPixelCNN
from aevq.nn.pixelcnn_sampler import sample_codes
from aevq.ops.categorical import Draw, inverse_cdf


def network(num_conditions=0, num_codes=16, kernel=5, dtype=torch.float64):
    torch.manual_seed(0)
    net = GatedPixelCNN(num_codes, 8, 3, kernel, num_conditions).to(dtype).eval()
    with torch.no_grad():
        net.head[-1].weight.mul_(20)  # peaked conditionals: a wrong context shows in the codes
    return net


def naive(net, uniforms, conditions=None, temperature=1.0):
    """The whole network once per position."""
    codes = torch.zeros(uniforms.shape, dtype=torch.int64)
    for i in range(uniforms.shape[1]):
        for j in range(uniforms.shape[2]):
            codes[:, i, j] = inverse_cdf(net(codes, conditions)[:, :, i, j], uniforms[:, i, j], temperature)
    return codes


def draw(*shape, seed=1):
    return torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize(("height", "width"), [(7, 7), (3, 8), (6, 1), (1, 5)])
@pytest.mark.parametrize("num_conditions", [0, 4])
@torch.no_grad()
def test_cached_equals_naive_to_the_bit(num_conditions, height, width, kernel):
    net = network(num_conditions, kernel=kernel)
    conditions = torch.arange(64).view(32, 2) % 4 if num_conditions else None
    u = draw(32, height, width)
    assert torch.equal(sample_codes(net, Draw(u, temperature=0.8), conditions), naive(net, u, conditions, 0.8))


@torch.no_grad()
def test_cached_equals_naive_in_float32_but_for_rounding():
    net = network(dtype=torch.float32)
    u = draw(256, 5, 5)
    same = (sample_codes(net, Draw(u)) == naive(net, u)).all(dim=2).all(dim=1)
    assert same.float().mean() > 0.99
