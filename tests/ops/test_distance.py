import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm

from aevq.ops.distance import Moments, frechet_distance, kernel_distance, moments


def random_moments(seed, dim=6):
    generator = torch.Generator().manual_seed(seed)
    a = torch.randn(dim, dim, generator=generator, dtype=torch.float64)
    return Moments(torch.randn(dim, generator=generator, dtype=torch.float64), a @ a.T)


def test_moments_equal_those_of_numpy(digits):
    features = digits.flatten(1)[:, 300:320]
    found = moments(features)
    np.testing.assert_allclose(found.mean, features.double().mean(0))
    np.testing.assert_allclose(found.covariance, np.cov(features.double().numpy().T), atol=1e-12)


def test_a_set_has_no_distance_to_itself(digits):
    m = moments(digits.flatten(1))  # 784 features, most covariances singular
    assert frechet_distance(m, m) == pytest.approx(0, abs=1e-6)


def test_it_is_that_of_the_matrix_root_and_symmetric():
    a, b = random_moments(0), random_moments(1)
    root = sqrtm((a.covariance @ b.covariance).numpy()).real
    expected = (a.mean - b.mean).square().sum() + (a.covariance + b.covariance).trace() - 2 * root.trace()
    assert frechet_distance(a, b) == pytest.approx(expected.item())
    assert frechet_distance(b, a) == pytest.approx(expected.item())


def test_it_grows_with_blur_noise_and_dropped_digits(digits):
    pixels = torch.nn.functional.avg_pool2d(digits, 4).flatten(1)
    real = moments(pixels)
    noisy = [frechet_distance(real, moments(pixels + s * torch.randn_like(pixels))) for s in (0.05, 0.1, 0.2)]
    dropped = [frechet_distance(real, moments(pixels[: 100 * kept])) for kept in (9, 6, 3)]
    for distances in (noisy, dropped):
        assert 0 < distances[0] < distances[1] < distances[2]


def test_the_kernel_distance_is_that_of_a_double_loop():
    a, b = torch.randn(5, 3, dtype=torch.float64), torch.randn(5, 3, dtype=torch.float64) + 1

    def k(x, y):
        return (x @ y / 3 + 1) ** 3

    pairs = [(i, j) for i in range(5) for j in range(5)]
    inner = sum(k(s[i], s[j]) for s in (a, b) for i, j in pairs if i != j) / 20
    expected = inner - 2 * sum(k(a[i], b[j]) for i, j in pairs) / 25
    assert kernel_distance(a, b, subset=5, subsets=1, seed=0) == pytest.approx(expected.item())


def test_the_kernel_distance_is_unbiased_and_separates_two_distributions():
    a, b, c = torch.randn(4000, 4), torch.randn(4000, 4), torch.randn(4000, 4) + 0.5
    same, other = (kernel_distance(a, s, subset=500, subsets=20, seed=0) for s in (b, c))
    assert abs(same) < 0.02
    assert other > 10 * abs(same)
    assert kernel_distance(a, c, 500, 20, seed=0) == other
