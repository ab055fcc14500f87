import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestNeighbors

from aevq.errors import UserError
from aevq.ops.manifold import manifold_scores, nearest_distance


def clusters(n, centres, seed=0):
    generator = torch.Generator().manual_seed(seed)
    which = torch.randint(len(centres), (n,), generator=generator)
    return torch.tensor(centres, dtype=torch.float64)[which] + 0.3 * torch.randn(
        n, 2, generator=generator, dtype=torch.float64
    )


FOUR = [[0, 0], [10, 0], [0, 10], [10, 10]]


def test_scores_are_those_of_the_definitions_with_scikit_learns_neighbours():
    real, samples, k = clusters(300, FOUR), clusters(250, FOUR[:3], seed=1) * 1.02, 5

    def radii(x):
        return NearestNeighbors(n_neighbors=k + 1).fit(x).kneighbors(x)[0][:, -1]

    distance = np.linalg.norm(real[:, None] - samples[None], axis=-1)
    in_real, in_samples = distance <= radii(real)[:, None], distance <= radii(samples)[None]
    scores = manifold_scores(real, samples, k)
    assert scores.precision == pytest.approx(in_real.any(0).mean())
    assert scores.recall == pytest.approx(in_samples.any(1).mean())
    assert scores.density == pytest.approx(in_real.sum(0).mean() / k)
    assert scores.coverage == pytest.approx(in_real.any(1).mean())


def test_a_set_against_itself_is_perfect_and_disjoint_sets_share_nothing():
    x = clusters(200, FOUR)
    same, other = manifold_scores(x, x, 5), manifold_scores(x, x + 100, 5)
    assert (same.precision, same.recall, same.coverage) == (1, 1, 1)
    assert same.density >= 1
    assert (other.precision, other.recall, other.density, other.coverage) == (0, 0, 0, 0)


def test_mode_collapse_costs_recall_and_coverage_and_no_precision():
    real, collapsed = clusters(400, FOUR), clusters(400, FOUR[:1], seed=1)
    scores = manifold_scores(real, collapsed, 5)
    assert scores.precision > 0.9
    assert scores.recall < 0.35
    assert scores.coverage < 0.35


def test_the_result_does_not_depend_on_the_chunks(monkeypatch):
    real, samples = clusters(300, FOUR), clusters(250, FOUR, seed=1)
    whole = manifold_scores(real, samples, 5)
    monkeypatch.setattr("aevq.ops.manifold.CHUNK", 7)
    assert manifold_scores(real, samples, 5) == whole


def test_the_nearest_distance_is_that_of_a_full_search():
    a, b = clusters(30, FOUR), clusters(40, FOUR, seed=1)
    torch.testing.assert_close(nearest_distance(a, b), torch.cdist(a, b).min(1).values)


def test_too_few_vectors_are_refused():
    with pytest.raises(UserError, match=r"^k: expected less than 5, the size of the smaller set, got 5"):
        manifold_scores(torch.randn(5, 2), torch.randn(50, 2), 5)
