"""Priors over vectors that are trained, and the one that only remembers."""

import math
from functools import partial

import pytest
import torch
from sklearn.neighbors import KernelDensity as ReferenceDensity
from torch.autograd.functional import jacobian
from torch.distributions import Normal

from aevq.errors import UserError
from aevq.latents import LatentSet, VectorSpec
from aevq.priors import FittedNormal, Flow, FlowMatching, KernelDensity, load_prior, save_prior, standardized
from aevq.priors.flow_matching import heun
from helpers.prior_training import assert_resumed_equals_uninterrupted

QUICK = {"batch_size": 64, "max_steps": 30, "val_every_steps": 10}
FLOW = QUICK | {"layers": 4, "hidden": (32, 32)}
MATCHING = QUICK | {"width": 32, "layers": 2, "sampling_steps": 16}


def flow(dim=2, **changes):
    return Flow(VectorSpec(dim), **FLOW | changes)


def matching(dim=2, **changes):
    return FlowMatching(VectorSpec(dim), **MATCHING | changes)


def kernels(dim=2, **changes):
    return KernelDensity(VectorSpec(dim), **changes)


def latent_set(train, val=None):
    val = train if val is None else val
    return LatentSet(train, torch.zeros(len(train)).long(), val, torch.zeros(len(val)).long())


def ring(n):
    """Return points around a circle of radius 2 with the centre (5, 0)."""
    angle, radius = 2 * math.pi * torch.rand(n), 2 + 0.1 * torch.randn(n)
    return torch.stack([5 + radius * angle.cos(), radius * angle.sin()], 1)


def untrained(make, dim, **changes):
    """Return a prior in float64 whose weights are random and whose density is no normal one."""
    prior = make(dim, **changes).double()
    torch.manual_seed(0)
    if isinstance(prior, KernelDensity):
        prior.fit(latent_set(2 * torch.rand(30, dim).double()))
        prior.bandwidth.fill_(0.3)
        return prior
    prior.mean.copy_(torch.linspace(-1, 1, dim))
    prior.std.copy_(torch.linspace(0.5, 1.5, dim))
    for parameter in prior.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return prior


with_density = pytest.mark.parametrize(
    "make", [flow, partial(matching, density=True, sampling_steps=32), kernels], ids=["flow", "matching", "kernels"]
)
trained = pytest.mark.parametrize("make", [flow, matching], ids=["flow", "matching"])
every = pytest.mark.parametrize("make", [flow, matching, kernels], ids=["flow", "matching", "kernels"])


# Densities


def log_normal(epsilon):
    return Normal(0.0, 1.0).log_prob(epsilon).sum()


@pytest.mark.parametrize(("dim", "layers"), [(1, 2), (2, 2), (5, 3), (5, 1)])
def test_the_density_of_a_flow_is_that_of_the_numerical_jacobian(dim, layers):
    prior = untrained(flow, dim, layers=layers)
    for z in 2 * torch.randn(5, dim, dtype=torch.float64):
        epsilon = prior.network()(prior.standardize(z))
        j = jacobian(lambda z: prior.network()(prior.standardize(z)), z)
        expected = log_normal(epsilon) + j.slogdet().logabsdet
        torch.testing.assert_close(prior.log_prob(z[None])[0], expected.detach())
        torch.testing.assert_close(prior.mean + prior.std * prior.from_noise(epsilon), z, atol=1e-8, rtol=0)


def test_the_density_by_the_trace_is_that_of_the_jacobian_of_the_ode():
    prior = untrained(matching, 3, density=True, sampling_steps=100)

    def to_noise(z):
        return heun(prior.network, prior.standardize(z[None]), 1.0, 0.0, 100)[0]

    for z in torch.randn(3, 3, dtype=torch.float64):
        expected = log_normal(to_noise(z)) + jacobian(to_noise, z).slogdet().logabsdet
        torch.testing.assert_close(prior.log_prob(z[None])[0], expected.detach(), atol=2e-4, rtol=0)
    normal = Normal(prior.mean, prior.std).log_prob(z).sum()
    assert abs(prior.log_prob(z[None])[0] - normal) > 0.1, "the test would pass without a network"


@with_density
@pytest.mark.parametrize("dim", [1, 2])
def test_a_density_integrates_to_one(make, dim):
    prior = untrained(make, dim)
    axis = torch.linspace(-7, 7, 501 if dim == 1 else 61, dtype=torch.float64)
    grid = torch.cartesian_prod(*[axis] * dim).view(-1, dim)
    total = prior.log_prob(grid).exp().sum() * (axis[1] - axis[0]) ** dim
    assert total.item() == pytest.approx(1, abs=0.01)


@with_density
def test_samples_follow_the_density(make):
    prior, n = untrained(make, 1), 20_000
    axis = torch.linspace(-7, 7, 501, dtype=torch.float64)
    cdf = torch.cumulative_trapezoid(prior.log_prob(axis[:, None]).exp(), axis)
    drawn = prior.sample(n, torch.Generator().manual_seed(0))[:, 0].sort().values
    empirical = torch.searchsorted(drawn, axis[1:]) / n
    assert (empirical - cdf).abs().max() < 1.95 / math.sqrt(n) + 2e-3  # Kolmogorov and Smirnov, at 0.1 %


def test_flow_matching_has_a_density_only_on_request():
    with pytest.raises(NotImplementedError, match="density=True"):
        matching().log_prob(torch.zeros(1, 2))


def test_heun_is_of_second_order():
    def derivative(y, t):  # y = exp(sin t)
        return y * t[:, None].cos()

    y, exact = torch.ones(1, 1, dtype=torch.float64), math.exp(math.sin(1))
    errors = [abs(heun(derivative, y, 0.0, 1.0, steps).item() - exact) for steps in (10, 20, 40)]
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.15)
    assert errors[1] / errors[2] == pytest.approx(4, rel=0.15)
    back = heun(derivative, torch.full_like(y, exact), 1.0, 0.0, 40).item()
    assert back == pytest.approx(1, abs=2 * errors[2])


def test_sampling_steps_converge():
    drawn = {}
    for steps in (8, 16, 256):
        prior = untrained(matching, 2, sampling_steps=steps)
        drawn[steps] = prior.sample(200, torch.Generator().manual_seed(0))
    coarse, fine = [(drawn[steps] - drawn[256]).abs().mean() for steps in (8, 16)]
    assert fine < coarse / 3


@pytest.mark.parametrize("dim", [1, 3])
def test_kernel_densities_are_those_of_scikit_learn(dim):
    z, query = torch.randn(400, dim).double() @ torch.diag(torch.arange(1.0, dim + 1).double()), torch.randn(30, dim)
    prior = kernels(dim).double()
    prior.fit(latent_set(z[:300], z[300:]))
    h = float(prior.bandwidth[0] / z[:300, 0].std(correction=0))
    assert 0.02 < h < 1
    reference = ReferenceDensity(bandwidth=1.0).fit(z[:300] / prior.bandwidth)
    expected = torch.from_numpy(reference.score_samples(query / prior.bandwidth)) - prior.bandwidth.log().sum()
    torch.testing.assert_close(prior.log_prob(query.double()), expected, atol=1e-5, rtol=1e-6)


def test_the_bandwidth_is_the_best_one_tried_and_the_latents_are_remembered():
    few, many, val = ring(30), ring(3000), ring(500)
    prior, bandwidths = kernels(), []
    for z in (few, many):
        prior.fit(latent_set(z, val))
        bandwidths.append(prior.bandwidth[0].item())
        at_best, best = prior.log_prob(val).mean(), prior.bandwidth.clone()
        for factor in (0.5, 2.0):
            prior.bandwidth.copy_(factor * best)
            assert prior.log_prob(val).mean() < at_best
    assert bandwidths[1] < bandwidths[0]
    prior.bandwidth.fill_(1e-4)
    drawn = prior.sample(1000, torch.Generator().manual_seed(0))
    assert (drawn[:, None] - many).abs().amax(2).amin(1).max() < 1e-3


# Sampling, files


@every
def test_samples_depend_on_the_seed_and_nothing_depends_on_chunks(make, monkeypatch):
    prior = untrained(make, 3, **{"density": True} if make is matching else {})
    first, log_p = prior.sample(50, torch.Generator().manual_seed(7)), prior.log_prob(torch.ones(5, 3).double())
    monkeypatch.setattr(standardized, "CHUNK", 7)
    monkeypatch.setattr("aevq.priors.kernel_density.CHUNK", 2)
    torch.testing.assert_close(prior.sample(50, torch.Generator().manual_seed(7)), first)
    torch.testing.assert_close(prior.log_prob(torch.ones(5, 3).double()), log_p)
    assert not torch.equal(prior.sample(50, torch.Generator().manual_seed(8)), first)
    assert first.shape == (50, 3)
    assert make(3).sample(2).dtype == torch.float32


@every
def test_a_saved_prior_can_be_loaded(make, tmp_path):
    prior, path = make(), tmp_path / "prior.safetensors"
    prior.fit(latent_set(ring(100)))
    save_prior(prior, path)
    read = load_prior(path)
    into_another = make()
    into_another.load_state_dict(read.state_dict())
    first, *others = [p.sample(9, torch.Generator().manual_seed(3)) for p in (prior, read, into_another)]
    assert all(torch.equal(first, other) for other in others)


def test_latents_of_another_dimension_are_not_loaded(tmp_path):
    path, prior = tmp_path / "prior.safetensors", kernels()
    prior.latents = torch.zeros(4, 3)
    save_prior(prior, path)
    with pytest.raises(UserError, match=r"not a fitted prior of aevq .*size mismatch for latents"):
        load_prior(path)


def test_dropout_is_off_and_the_mode_is_restored():
    prior = untrained(matching, 2, dropout=0.5).train()
    samples = [prior.sample(20, torch.Generator().manual_seed(0)) for _ in range(2)]
    assert torch.equal(*samples)
    assert all(module.training for module in prior.modules())
    prior.eval().sample(2)
    assert not prior.training


# Training


@trained
def test_learns_what_a_normal_cannot(make):
    latents = latent_set(ring(4000), ring(500))
    prior, normal = make(max_steps=200, batch_size=128, learning_rate=5e-3), FittedNormal(VectorSpec(2))
    state = torch.get_rng_state()
    prior.fit(latents)
    normal.fit(latents)
    assert torch.equal(torch.get_rng_state(), state), "training leaves the global random numbers alone"
    radius = (prior.sample(2000, torch.Generator().manual_seed(0)) - torch.tensor([5.0, 0.0])).norm(dim=1)
    assert ((radius - 2).abs() < 0.5).float().mean() > 0.85
    prior.density = True
    nats = [-p.log_prob(latents.val).mean().item() for p in (prior, normal)]
    assert nats[1] > 3.3
    assert nats[0] < 2.4  # the entropy is log(4π) + log(0.1 √(2πe)) = 1.65


def test_validation_always_has_the_same_noise():
    prior, z = matching().eval(), ring(50)
    state = torch.get_rng_state()
    assert torch.equal(prior.losses(z, None), prior.losses(z, None))
    assert torch.equal(torch.get_rng_state(), state)
    prior.train()
    assert not torch.equal(prior.losses(z, None), prior.losses(z, None))


@pytest.mark.parametrize("make", [flow, partial(matching, dropout=0.2)], ids=["flow", "matching"])
def test_resumed_equals_uninterrupted(make, tmp_path):
    latents = latent_set(ring(640), ring(128))
    assert_resumed_equals_uninterrupted(make, latents, tmp_path)


@pytest.mark.parametrize("dim", [1, 3])
@pytest.mark.parametrize("n", [1, 3])
@every
def test_few_latents_are_enough(make, n, dim):
    prior = make(dim)
    prior.fit(latent_set(torch.randn(n, dim)))
    assert prior.sample(5).isfinite().all()


@with_density
def test_a_constant_dimension_is_no_problem(make):
    z = torch.cat([ring(300), torch.full((300, 1), 1e3)], 1)
    prior = make(3)
    prior.fit(latent_set(z))
    drawn = prior.sample(100, torch.Generator().manual_seed(0))
    assert (drawn[:, 2] - 1e3).abs().max() < 0.1
    assert drawn.isfinite().all()
    assert prior.log_prob(z).isfinite().all()
    if isinstance(prior, KernelDensity):  # it does not influence the others
        alone = make(2)
        alone.fit(latent_set(z[:, :2]))
        torch.testing.assert_close(alone.bandwidth, prior.bandwidth[:2])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: flow(hidden=()), r"Flow\.hidden: "),
        (lambda: flow(layers=0), r"Flow\.layers: should be greater than 0, got 0"),
        (lambda: matching(dropout=1.0), r"FlowMatching\.dropout: should be less than 1, got 1\.0"),
        (lambda: matching(sampling_steps=0), r"FlowMatching\.sampling_steps: should be greater than 0, got 0"),
        (lambda: kernels(bandwidths=0), r"KernelDensity\.bandwidths: should be greater than 0, got 0"),
        (lambda: matching().sample(0), r"n: expected an integer ≥ 1, got 0"),
        (lambda: flow(3).fit(latent_set(ring(9))), r"latents: expected shape \(3,\), got \(2,\)"),
    ],
)
def test_bad_arguments_are_named(make, message):
    with pytest.raises(UserError, match=f"^{message}"):
        make()
