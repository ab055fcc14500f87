import torch

from aevq.metrics.probes import probe_metrics


def clusters(n):
    """Vectors whose first four dimensions encode a first class; a second class is not encoded."""
    labels = torch.stack([torch.arange(n) % 4, torch.arange(n) // 4 % 4], 1)
    return torch.cat([torch.eye(4)[labels[:, 0]], torch.rand(n, 4)], 1), labels


def test_an_encoded_class_is_found_and_another_one_is_chance():
    train, x = clusters(400), clusters(200)
    encoded = probe_metrics("latent", train[0], train[1][:, :1], x[0], x[1][:, :1])
    absent = probe_metrics("latent", train[0], train[1][:, 1:], x[0], x[1][:, 1:])
    assert encoded == {"probe/latent/linear": 1.0, "probe/latent/knn": 1.0}
    assert all(value < 0.45 for value in absent.values())


def test_of_two_classes_the_accuracy_is_the_mean():
    train, x = clusters(400), clusters(200)
    alone = [probe_metrics("a", train[0], train[1][:, c : c + 1], x[0], x[1][:, c : c + 1]) for c in range(2)]
    both = probe_metrics("a", train[0], train[1], x[0], x[1])
    for name in ("probe/a/linear", "probe/a/knn"):
        assert both[name] == (alone[0][name] + alone[1][name]) / 2
