import pytest
import torch

from aevq.errors import UserError
from aevq.models.schedule import WarmupCosine
from aevq.ops.schedule import warmup_cosine_factor


def test_the_factor_rises_linearly_and_falls_along_half_a_cosine():
    factors = [warmup_cosine_factor(step, 100, warmup=0.1, final=0.0) for step in range(101)]
    assert factors[:10] == pytest.approx([(step + 1) / 11 for step in range(10)])
    assert factors[10] == 1.0
    assert factors[55] == pytest.approx(0.5)
    assert factors[100] == pytest.approx(0.0)
    assert max(factors) == 1.0


@pytest.mark.parametrize("step", [100, 500])
def test_it_ends_at_its_final_factor_and_stays_there(step):
    assert warmup_cosine_factor(step, 100, 0.0, 0.2) == pytest.approx(0.2)


def test_it_drives_an_optimizer():
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=2.0)
    schedule = WarmupCosine(warmup=0.0, final=0.0)(optimizer, 10)
    rates = []
    for _ in range(10):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates == pytest.approx([2 * warmup_cosine_factor(step, 10, 0.0, 0.0) for step in range(10)])


@pytest.mark.parametrize("bad", [{"warmup": 1.0}, {"warmup": -0.1}, {"final": 1.5}])
def test_an_argument_outside_its_range_is_refused(bad):
    with pytest.raises(UserError, match=rf"^WarmupCosine\.{next(iter(bad))}: should be (less|greater) than"):
        WarmupCosine(**bad)
