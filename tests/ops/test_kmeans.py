import torch

from aevq.ops.kmeans import kmeans


def test_separate_clusters_get_a_centre_each():
    centres = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    points = centres.repeat_interleave(100, 0) + 0.1 * torch.randn(300, 2)
    found = kmeans(points, 3, seed=0)
    assert (torch.cdist(centres, found).min(1).values < 0.1).all()


def test_fewer_points_than_centres_are_repeated():
    points = torch.randn(3, 2)
    assert kmeans(points, 7, seed=0).equal(points.repeat(3, 1)[:7])


def test_the_same_seed_gives_the_same_centres():
    points = torch.randn(500, 4)
    assert kmeans(points, 8, seed=1).equal(kmeans(points, 8, seed=1))
