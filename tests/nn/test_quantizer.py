import pytest
import torch

from aevq.errors import UserError
from aevq.nn import DeadCodeRestart, EMAUpdate, GradientUpdate, VectorQuantizer


def quantizer(update=None, restart=None, num_codes=8):
    return VectorQuantizer(num_codes, 3, update or EMAUpdate(0.9), restart).double()


def test_each_vector_becomes_its_nearest_code():
    q, z = quantizer(), torch.randn(4, 5, 3, dtype=torch.float64)
    out = q(z)
    nearest = torch.cdist(z.flatten(0, 1), q.codebook).argmin(1).view(4, 5)
    assert out.codes.equal(nearest)
    torch.testing.assert_close(out.z_q, q.codebook[nearest])
    torch.testing.assert_close(out.commitment_loss, (z - q.codebook[nearest]).square().sum(-1))


def test_nothing_moves_in_eval_mode():
    for update in (EMAUpdate(0.9), GradientUpdate()):
        q = quantizer(update, DeadCodeRestart(0.9, 1)).eval()
        before = {name: value.clone() for name, value in q.state_dict().items() if torch.is_tensor(value)}
        q(torch.randn(50, 3, dtype=torch.float64))
        q.step()
        assert all(q.state_dict()[name].equal(value) for name, value in before.items())


def test_moving_averages_follow_the_formula():
    q, z = quantizer(), torch.randn(40, 3, dtype=torch.float64)
    counts, sums, start = torch.ones(8).double(), q.codebook.detach().clone(), q.codebook.detach().clone()
    codes = q(z).codes
    q.step()
    for k in range(8):
        counts[k] = 0.9 * counts[k] + 0.1 * (codes == k).sum()
        sums[k] = 0.9 * sums[k] + 0.1 * z[codes == k].sum(0)
    torch.testing.assert_close(q.codebook.detach(), sums / counts[:, None], atol=1e-6, rtol=0)
    unused = counts == 0.9
    assert unused.any()
    torch.testing.assert_close(q.codebook.detach()[unused], start[unused])


def test_a_code_that_is_never_used_does_not_move():
    q = quantizer(num_codes=2).float()
    q.start(torch.tensor([[0.0, 0, 0], [100.0, 100, 100]]))
    for _ in range(20_000):
        q.update.step(q.codebook.data, torch.tensor([5.0, 0.0]), torch.tensor([[5.0, 5, 5], [0, 0, 0]]))
    torch.testing.assert_close(q.codebook.data, torch.tensor([[1.0, 1, 1], [100, 100, 100]]), rtol=1e-3, atol=0)


def test_two_half_batches_before_a_step_move_it_like_the_whole_one():
    z = torch.randn(40, 3, dtype=torch.float64)
    whole, halves = quantizer(), quantizer()
    halves.load_state_dict(whole.state_dict())
    whole(z)
    halves(z[:20])
    halves(z[20:])
    whole.step()
    halves.step()
    torch.testing.assert_close(whole.codebook, halves.codebook, atol=1e-6, rtol=0)


def test_the_gradient_passes_to_the_encoder_and_a_codebook_learns_only_from_its_own_term():
    q, z = quantizer(GradientUpdate()), torch.randn(6, 3, dtype=torch.float64, requires_grad=True)
    upstream = torch.randn(6, 3, dtype=torch.float64)
    q(z).z_q.backward(upstream)
    assert z.grad.equal(upstream)
    q(z).commitment_loss.sum().backward()
    assert q.codebook.grad is None
    q(z).codebook_loss.sum().backward()
    assert q.codebook.grad.abs().sum() > 0


def with_dead_codes(every):
    q = quantizer(restart=DeadCodeRestart(0.5, every), num_codes=4)
    q.start(torch.tensor([[0.0, 0, 0], [50, 50, 50], [60, 60, 60], [70, 70, 70]]).double())
    q.share.copy_(torch.tensor([1.0, 0, 0, 0]))
    return q


def test_dead_codes_move_onto_vectors_of_the_batch():
    q, z = with_dead_codes(every=1), torch.randn(30, 3, dtype=torch.float64)
    q(z)
    q.step()
    assert (torch.cdist(q.codebook[1:], z).min(1).values < 1e-6).all()
    assert q.update.counts[1:].eq(1).all()
    torch.testing.assert_close(q.update.sums[1:], q.codebook.detach()[1:])


def test_restarts_happen_only_at_the_interval():
    q, revived = with_dead_codes(every=3), []
    for _ in range(4):
        q(torch.randn(30, 3, dtype=torch.float64))
        q.step()
        revived.append((q.codebook[1:] < 10).all().item())
    assert revived == [False, False, True, True]


def test_the_state_round_trips_with_the_step_count():
    q = quantizer(restart=DeadCodeRestart(0.5, 2))
    for _ in range(3):
        q(torch.randn(30, 3, dtype=torch.float64))
        q.step()
    other = quantizer(restart=DeadCodeRestart(0.5, 2))
    other.load_state_dict(q.state_dict())
    z = torch.randn(30, 3, dtype=torch.float64)
    for each in (q, other):
        each(z)
        each.step()
    assert other.steps == q.steps == 4
    assert other.codebook.equal(q.codebook)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: EMAUpdate(-0.1), r"EMAUpdate\.decay: should be greater than or equal to 0, got -0\.1"),
        (lambda: EMAUpdate(1.0), r"EMAUpdate\.decay: should be less than 1, got 1\.0"),
        (lambda: DeadCodeRestart(0.5, 0), r"DeadCodeRestart\.every: should be greater than 0, got 0"),
        (lambda: DeadCodeRestart(treshold=0.5), r"DeadCodeRestart\.treshold: no such argument; did you mean 'thresh"),
    ],
)
def test_bad_arguments_are_named(make, message):
    with pytest.raises(UserError, match=f"^{message}"):
        make()
