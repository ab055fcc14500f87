import pytest

from aevq.metrics.pca import pca_mse


def test_pca_is_that_of_scikit_learn(digits):
    from sklearn.decomposition import PCA

    train, x = digits[::2], digits[1::2]
    pca = PCA(8, svd_solver="full").fit(train.flatten(1).double().numpy())
    flat = x.flatten(1).double().numpy()
    expected = ((pca.inverse_transform(pca.transform(flat)) - flat) ** 2).mean()
    assert pca_mse(train, x, 8) == pytest.approx(expected)
