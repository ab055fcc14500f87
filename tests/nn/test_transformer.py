import pytest
import torch

from aevq.nn.transformer import GridTransformer, attention

N, K = 6, 5


def network(causal=True, num_conditions=0, dropout=0.0):
    torch.manual_seed(0)
    net = GridTransformer(K, N, 16, 2, 4, num_conditions, dropout, causal).double().eval()
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return net


def tokens(rows=3):
    return torch.randint(K, (rows, N), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("num_conditions", [0, 4])
def test_the_jacobian_is_strictly_causal(num_conditions):
    net, embedded = network(num_conditions=num_conditions), []
    net.codes.register_forward_hook(lambda _module, _inputs, output: embedded.append(output))
    logits = net(tokens(1), torch.zeros(1, 1 if num_conditions else 0, dtype=torch.int64))
    for position in range(N):
        (gradient,) = torch.autograd.grad(logits[0, position].square().sum(), embedded, retain_graph=True)
        # The input of position i is the code of i − 1, and that of position 0 a blank.
        assert (gradient[0] != 0).any(-1).tolist() == [i <= position for i in range(N)]


def test_the_bidirectional_network_sees_every_position():
    net, embedded = network(causal=False), []
    net.codes.register_forward_hook(lambda _module, _inputs, output: embedded.append(output))
    logits = net(tokens(1), torch.zeros(1, 0, dtype=torch.int64))
    (gradient,) = torch.autograd.grad(logits[0, 2].square().sum(), embedded)
    assert (gradient[0] != 0).any(-1).all()


@torch.no_grad()
@pytest.mark.parametrize("num_conditions", [0, 4])
def test_position_by_position_equals_the_whole_grid(num_conditions):
    net, z = network(num_conditions=num_conditions), tokens()
    conditions = torch.tensor([[0, 3], [1, 2], [2, 2]])[:, : 2 if num_conditions else 0]
    caches = net.new_caches(3)
    inputs = torch.cat([torch.full((3, 1), net.blank), z[:, :-1]], 1)
    each = [net.next_logits(token, conditions, caches) for token in inputs.unbind(1)]
    torch.testing.assert_close(torch.stack(each, 1), net(z, conditions), atol=1e-12, rtol=0)


@torch.no_grad()
def test_conditions_are_told_apart_and_their_order_is_not():
    net, z = network(num_conditions=4), tokens(2)
    first, swapped, other = (net(z, torch.tensor([c, c])) for c in ([0, 3], [3, 0], [0, 2]))
    torch.testing.assert_close(first, swapped)
    assert not torch.allclose(first, other)


def test_attention_in_bfloat16_is_computed_in_float32_on_a_cpu():
    q, k, v = torch.randn(3, 2, 4, 5, 8, generator=torch.Generator().manual_seed(0)).bfloat16()
    exact = attention(q.double(), k.double(), v.double(), is_causal=True)
    with torch.autocast("cpu", torch.bfloat16):
        attended = attention(q, k, v, is_causal=True)
    torch.testing.assert_close(attended.double(), exact, atol=1e-6, rtol=1e-5)
