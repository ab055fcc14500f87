import pytest
import torch

from aevq.latents import CodeSpec, VectorSpec
from aevq.metrics import codebook_metrics


def test_it_is_computed_over_the_whole_split_and_not_averaged_over_batches():
    spec = CodeSpec(4, 1, 2)
    codes = torch.tensor([[[0, 0]], [[1, 1]], [[2, 2]], [[2, 2]]])
    metrics = codebook_metrics(spec, codes)
    assert metrics["codebook/perplexity"] == pytest.approx(2**1.5)
    assert metrics["codebook/usage"] == 0.75


def test_a_model_without_a_codebook_has_no_such_figures():
    assert codebook_metrics(VectorSpec(3), torch.randn(5, 3)) == {}
