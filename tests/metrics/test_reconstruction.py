import math

import numpy as np
import pytest
from torchmetrics.functional.image import peak_signal_noise_ratio

from aevq.metrics.reconstruction import pca_mse, reconstruction_metrics


def test_a_perfect_reconstruction(digits):
    metrics = reconstruction_metrics(digits, digits)
    assert metrics["reconstruction/mse"] == metrics["reconstruction/l1"] == 0
    assert metrics["reconstruction/psnr"] == math.inf
    assert metrics["reconstruction/ssim"] == metrics["reconstruction/sharpness"] == pytest.approx(1)


def test_metrics_are_those_of_numpy_and_torchmetrics(digits):
    x, x_hat = digits, (digits * 0.8 + 0.05).clamp(0, 1)
    metrics = reconstruction_metrics(x, x_hat)
    difference = x.numpy().astype(np.float64) - x_hat.numpy()
    assert metrics["reconstruction/mse"] == pytest.approx((difference**2).mean())
    assert metrics["reconstruction/l1"] == pytest.approx(np.abs(difference).mean())
    assert metrics["reconstruction/psnr"] == pytest.approx(peak_signal_noise_ratio(x_hat, x, 1.0).item(), abs=1e-3)


def test_cross_entropy_is_that_of_the_bernoulli_likelihood_on_the_same_means(digits):
    x_hat = (digits * 0.8 + 0.05).double()
    nats = -(digits * x_hat.log() + (1 - digits) * (1 - x_hat).log()).sum((1, 2, 3)).mean()
    assert reconstruction_metrics(digits, x_hat)["reconstruction/cross_entropy"] == pytest.approx(float(nats))
    certain_and_wrong = (digits < 0.5).to(digits)
    assert math.isfinite(reconstruction_metrics(digits, certain_and_wrong)["reconstruction/cross_entropy"])


def test_psnr_is_that_of_the_split_and_not_a_mean_over_images(digits):
    x_hat = digits.clone()
    x_hat[0] = 1 - x_hat[0]
    mse = (digits[0] - x_hat[0]).double().square().mean().item() / len(digits)
    assert reconstruction_metrics(digits, x_hat)["reconstruction/psnr"] == pytest.approx(-10 * math.log10(mse))


def test_more_noise_is_worse_by_every_metric(digits):
    a, b = (reconstruction_metrics(digits, (digits + s).clamp(0, 1)) for s in (0.05, 0.3))
    assert all(a[f"reconstruction/{name}"] < b[f"reconstruction/{name}"] for name in ("mse", "l1"))
    assert all(a[f"reconstruction/{name}"] > b[f"reconstruction/{name}"] for name in ("psnr", "ssim"))


def test_pca_is_that_of_scikit_learn(digits):
    from sklearn.decomposition import PCA

    train, x = digits[::2], digits[1::2]
    pca = PCA(8, svd_solver="full").fit(train.flatten(1).double().numpy())
    flat = x.flatten(1).double().numpy()
    expected = ((pca.inverse_transform(pca.transform(flat)) - flat) ** 2).mean()
    assert pca_mse(train, x, 8) == pytest.approx(expected)
