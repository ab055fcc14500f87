import pytest
import torch

from aevq.nn.pixelcnn import GatedPixelCNN


def network(num_codes=5, channels=6, layers=3, kernel=3, num_conditions=0, dropout=0.0):
    torch.manual_seed(0)
    return GatedPixelCNN(num_codes, channels, layers, kernel, num_conditions, dropout).double().eval()


@torch.no_grad()
def influence(net, height, width, conditions=None):
    """changed[p, q]: whether another code at position p changes the logits at q, for one random grid."""
    n = height * width
    grid = torch.randint(5, (height, width), generator=torch.Generator().manual_seed(1))
    others = (grid.flatten() + torch.eye(n, dtype=torch.int64)) % 5
    conditions = None if conditions is None else conditions.expand(n + 1, -1)
    logits = net(torch.cat([grid.view(1, height, width), others.view(n, height, width)]), conditions)
    # The logits are about 0.1: rounding by place in the batch stays under 1e-15, a leak does not.
    return (logits[1:] - logits[:1]).abs().amax(dim=1).flatten(1) > 1e-14


@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize(("height", "width"), [(7, 7), (3, 5)])
@pytest.mark.parametrize(("num_conditions", "conditions"), [(0, None), (3, torch.tensor([[2, 0]]))])
def test_no_position_sees_itself_or_what_comes_later(kernel, height, width, num_conditions, conditions):
    changed = influence(network(kernel=kernel, num_conditions=num_conditions), height, width, conditions)
    assert not changed.tril().any()
    assert changed.any()


@pytest.mark.parametrize(("kernel", "layers"), [(3, 6), (5, 3)])
def test_there_is_no_blind_spot(kernel, layers):
    changed = influence(network(kernel=kernel, layers=layers), 7, 7)
    assert changed[:-1, -1].all()
    assert changed[: 3 * 7 + 3, 3 * 7 + 3].all(), "also above and to the right of the middle"


def test_a_row_sees_the_rows_above_through_one_layer():
    changed = influence(network(kernel=3, layers=1), 3, 5).view(3, 5, 3, 5)[:, :, 2, 2]
    assert changed.tolist() == [
        [False, True, True, True, False],
        [False, True, True, True, False],
        [True, True, False, False, False],
    ]


def test_the_gradient_is_causal_too():
    net = network(layers=6)
    embedded = []
    net.embedding.register_forward_hook(lambda _module, _inputs, output: embedded.append(output))
    logits = net(torch.zeros(1, 4, 4, dtype=torch.int64))
    (gradient,) = torch.autograd.grad(logits[0, 0, 2, 1], embedded)
    assert (gradient[0] != 0).any(dim=-1).flatten().tolist() == [True] * 9 + [False] * 7


def test_any_grid_fits_the_same_weights():
    net = network()
    wide = torch.randint(5, (2, 4, 9))
    torch.testing.assert_close(net(wide)[:, :, :2], net(wide[:, :2]))
