"""k-means by scikit-learn."""

import torch
from torch import Tensor


def kmeans(vectors: Tensor, num_centres: int, seed: int) -> Tensor:
    """Return the centres of a k-means of `vectors`; if there are fewer vectors than centres, the vectors, repeated.

    Args:
        vectors: `(N, D)`, on any device.
        num_centres: K.
        seed: Seed of the k-means++ start.

    Returns:
        `(K, D)`, float32, on the device of `vectors`.
    """
    from sklearn.cluster import MiniBatchKMeans  # takes a second to import, and only training needs it

    points = vectors.detach().float().cpu()
    if len(points) <= num_centres:
        return points.repeat(-(-num_centres // len(points)), 1)[:num_centres].to(vectors.device)
    fitted = MiniBatchKMeans(num_centres, random_state=seed, n_init=1, max_iter=20).fit(points.numpy())
    return torch.as_tensor(fitted.cluster_centers_, dtype=torch.float32, device=vectors.device)
