import pytest
import torch

from aevq.metrics.latents import codebook_metrics


def test_perplexity_is_computed_over_the_whole_split_and_not_averaged_over_batches():
    codes = torch.tensor([[[0, 0]], [[1, 1]], [[2, 2]], [[2, 2]]])
    assert codebook_metrics(codes, 4) == {"codebook/perplexity": pytest.approx(2**1.5), "codebook/usage": 0.75}
