import numpy as np
import pytest
import torch

from aevq.ops.quantize import code_counts, code_sums, kmeans, nearest_code, perplexity, straight_through, usage


@pytest.mark.parametrize("shape", [(7, 3), (2, 5, 3), (2, 4, 4, 3), (0, 3)])
def test_nearest_code_is_that_of_a_full_search_in_numpy(shape):
    z, codebook = torch.randn(*shape, dtype=torch.float64), torch.randn(11, 3, dtype=torch.float64)
    distances = np.linalg.norm(z.numpy()[..., None, :] - codebook.numpy(), axis=-1)
    codes = nearest_code(z, codebook)
    assert codes.shape == shape[:-1]
    np.testing.assert_array_equal(codes.numpy(), distances.argmin(-1))


def test_straight_through_has_the_value_of_the_code_and_the_gradient_of_the_identity():
    z_e = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    z_q = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    out = straight_through(z_e, z_q)
    torch.testing.assert_close(out, z_q)
    upstream = torch.randn_like(out)
    out.backward(upstream)
    assert z_e.grad.equal(upstream)
    assert z_q.grad is None


def test_counts_and_sums_are_those_of_a_loop():
    z, codes = torch.randn(50, 4, dtype=torch.float64), torch.randint(0, 6, (50,))
    for k in range(6):
        assert code_counts(codes, 6)[k] == (codes == k).sum()
        torch.testing.assert_close(code_sums(z, codes, 6)[k], z[codes == k].sum(0))


def test_perplexity_counts_codes_in_effective_use():
    assert perplexity(torch.tensor([5.0, 0, 0, 0])) == pytest.approx(1)
    assert perplexity(torch.tensor([3.0, 3, 3, 3])) == pytest.approx(4)
    p = torch.tensor([0.5, 0.25, 0.25, 0])
    assert perplexity(8 * p) == pytest.approx(2**1.5)
    assert perplexity(torch.zeros(4)) == 0


def test_usage_is_the_share_of_codes_that_occur():
    assert usage(torch.tensor([2.0, 0, 1, 0])) == 0.5


def test_separate_clusters_get_a_centre_each():
    centres = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    points = centres.repeat_interleave(100, 0) + 0.1 * torch.randn(300, 2)
    found = kmeans(points, 3, seed=0)
    assert (torch.cdist(centres, found).min(1).values < 0.1).all()
    assert kmeans(points, 3, seed=0).equal(found)


def test_fewer_points_than_centres_are_repeated():
    points = torch.randn(3, 2)
    assert kmeans(points, 7, seed=0).equal(points.repeat(3, 1)[:7])
