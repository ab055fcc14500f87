import math

import pytest
import torch
from scipy.stats import multivariate_normal

from aevq.errors import UserError
from aevq.latents import CodeSpec, LatentSet, VectorSpec
from aevq.priors import (
    FittedNormal,
    Flow,
    FlowMatching,
    KernelDensity,
    Marginals,
    Mixture,
    PixelCNN,
    StandardNormal,
    Uniform,
    code_length,
    fitted_config,
    is_fitted,
    load_prior,
    save_prior,
)

VECTORS, CODES = VectorSpec(3), CodeSpec(5, 2, 3)
MIXTURE = {"num_components": 2, "max_iter": 100, "regularization": 1e-6}


def latent_set(train):
    labels = torch.zeros(len(train), dtype=torch.long)
    return LatentSet(train, labels, train[:10], labels[:10])


def two_clusters(n=4000):
    which = (torch.rand(n) < 0.3).double()[:, None]
    return which * 6 + torch.randn(n, 3, dtype=torch.float64) * torch.tensor([1.0, 0.5, 2.0])


def fitted():
    z, codes = two_clusters().float(), torch.randint(0, 5, (500, 2, 3)) // 2
    priors = [StandardNormal(VECTORS), FittedNormal(VECTORS), Mixture(VECTORS, **MIXTURE)]
    priors += [Uniform(CODES), Marginals(CODES, pseudo_count=0.5)]
    for prior in priors:
        prior.fit(latent_set(z if prior.spec is VECTORS else codes))
    return priors


every_prior = pytest.mark.parametrize("prior", fitted(), ids=lambda prior: type(prior).__name__)


@every_prior
def test_samples_have_the_shape_and_type_of_the_latents_and_depend_on_the_seed(prior):
    draws = [prior.sample(7, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert draws[0].shape == (7, *prior.spec.shape)
    assert draws[0].dtype == (torch.int64 if prior.spec is CODES else torch.float32)
    assert draws[0].equal(draws[1])
    assert not draws[0].equal(draws[2])
    assert prior.log_prob(draws[0]).shape == (7,)


@every_prior
def test_two_sets_of_its_samples_are_equally_likely(prior):
    z = prior.sample(20_000, torch.Generator().manual_seed(0))
    other = prior.sample(20_000, torch.Generator().manual_seed(1))
    a, b = prior.log_prob(z), prior.log_prob(other)
    assert abs(a.mean() - b.mean()) < 5 * (a.std() + b.std() + 1e-6) / math.sqrt(20_000)


def test_the_standard_normal_is_scipys():
    z = torch.randn(5, 3)
    expected = multivariate_normal(torch.zeros(3)).logpdf(z)
    torch.testing.assert_close(StandardNormal(VECTORS).log_prob(z), torch.as_tensor(expected).float())


def test_the_fitted_normal_has_the_moments_of_the_codes():
    z, prior = two_clusters(), FittedNormal(VECTORS)
    prior.fit(latent_set(z))
    drawn = prior.sample(200_000, torch.Generator().manual_seed(0)).double()
    torch.testing.assert_close(drawn.mean(0), z.mean(0), atol=0.05, rtol=0)
    torch.testing.assert_close(torch.cov(drawn.T), torch.cov(z.T), atol=0.1, rtol=0.02)


def test_the_mixture_finds_both_clusters_and_explains_the_codes_better_than_a_normal():
    z, mixture, normal = two_clusters(), Mixture(VECTORS, **MIXTURE), FittedNormal(VECTORS)
    mixture.fit(latent_set(z))
    normal.fit(latent_set(z))
    assert mixture.weights.sort().values.tolist() == pytest.approx([0.3, 0.7], abs=0.03)
    assert mixture.log_prob(z.float()).mean() > normal.log_prob(z.float()).mean() + 0.5


@pytest.mark.fault("a mixture fitted to some latents of a split sorted by class: they are of every class")
@pytest.mark.parametrize("order", ["sorted", "mixed"])
def test_a_mixture_that_is_fitted_to_some_latents_sees_every_class(order):
    labels = torch.arange(1000) % 2
    labels = labels.sort().values if order == "sorted" else labels
    z = 6 * labels[:, None] + 0.1 * torch.randn(1000, 3)
    mixture = Mixture(VECTORS, 2, max_fit=100)
    mixture.fit(LatentSet(z, labels, z, labels))
    assert mixture.means[:, 0].sort().values.tolist() == pytest.approx([0, 6], abs=0.1)
    if order == "mixed":  # the first ones, by which the published results were made
        first = Mixture(VECTORS, 2, max_fit=100)
        first.fit(LatentSet(z[:100], labels[:100], z, labels))
        assert first.means.equal(mixture.means)


def test_probabilities_of_all_code_grids_sum_to_one():
    spec = CodeSpec(3, 2, 2)
    grids = torch.cartesian_prod(*[torch.arange(3)] * 4).view(-1, 2, 2)
    marginals = Marginals(spec, pseudo_count=0.5)
    marginals.fit(latent_set(torch.randint(0, 2, (50, 2, 2))))
    for prior in (Uniform(spec), marginals):
        assert prior.log_prob(grids).exp().sum().item() == pytest.approx(1, abs=1e-5)


def test_marginals_are_the_frequencies_at_each_position():
    codes, prior = torch.randint(0, 5, (200, 2, 3)), Marginals(CODES, pseudo_count=1e-9)
    prior.fit(latent_set(codes))
    for position in range(6):
        frequency = torch.bincount(codes.flatten(1)[:, position], minlength=5) / 200
        torch.testing.assert_close(prior.log_probs[position].exp(), frequency, atol=1e-6, rtol=0)
    drawn = prior.sample(50_000, torch.Generator().manual_seed(0))
    torch.testing.assert_close((drawn == 2).float().mean(0), (codes == 2).float().mean(0), atol=0.01, rtol=0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Mixture(CODES), r"Mixture is a prior for vectors \(AE, VAE\), but the latents are grids"),
        (lambda: PixelCNN(VECTORS), r"PixelCNN is a prior for grids of codes \(VQ-VAE\), but the latents are vectors"),
        (lambda: Mixture(VECTORS, num_components=0), r"Mixture\.num_components: should be greater than 0, got 0"),
        (lambda: Mixture(VECTORS, 30, max_fit=9), r"max_fit: should be at least num_components, 30, got 9"),
        (lambda: Mixture(VECTORS, 30).fit(latent_set(torch.ones(9, 3))), r"Mixture\.num_components: needs at least"),
    ],
)
def test_latents_of_the_other_kind_and_bad_arguments_are_refused(make, message):
    with pytest.raises(UserError, match=f"^{message}"):
        make()


@every_prior
def test_a_saved_prior_can_be_loaded(prior, tmp_path):
    path = tmp_path / "prior.safetensors"
    save_prior(prior, path, "some weights")
    loaded = load_prior(path)
    draws = [p.sample(9, torch.Generator().manual_seed(3)) for p in (prior, loaded)]
    assert draws[0].equal(draws[1])
    assert loaded.spec == prior.spec
    assert is_fitted(path, loaded, "some weights")
    assert not is_fitted(path, loaded, "other weights")


def test_a_prior_with_other_arguments_is_not_the_one_that_was_fitted(tmp_path):
    path = tmp_path / "mixture.safetensors"
    save_prior(Mixture(VECTORS, 3), path, "weights")
    assert is_fitted(path, Mixture(VECTORS, 3), "weights")
    for other in (Mixture(VECTORS, 4), Mixture(VECTORS, 3, regularization=0.1), StandardNormal(VECTORS)):
        assert not is_fitted(path, other, "weights")


def test_a_damaged_prior_file_is_refused(tmp_path):
    path = tmp_path / "standard_normal.safetensors"
    save_prior(StandardNormal(VECTORS), path)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(UserError, match="not a fitted prior"):
        load_prior(path)
    assert not is_fitted(path, StandardNormal(VECTORS), "")
    assert not is_fitted(tmp_path / "missing", StandardNormal(VECTORS), "")


def test_the_code_length_sums_over_a_few_classes_and_encodes_one_of_many_first():
    spec, z, y = CodeSpec(4, 2, 2), torch.randint(4, (30, 2, 2)), torch.arange(30) % 12
    marginals = Marginals(spec)
    marginals.fit(latent_set(z))
    assert torch.equal(code_length(marginals, z, y), -marginals.log_prob(z))
    few, many = (PixelCNN(spec, 4, 1, conditional=True, num_classes=n).eval() for n in (3, 12))
    assert code_length(few, z, y % 3).allclose(-few.log_prob(z), atol=1e-5)
    assert code_length(many, z, y).allclose(math.log(12) - many.log_prob(z, y))
    assert (code_length(many, z, y) > -many.log_prob(z)).all()


def test_a_loaded_prior_knows_how_long_its_fit_took(tmp_path):
    path, prior = tmp_path / "mixture.safetensors", Mixture(VECTORS, 3)
    save_prior(prior, path, "weights")
    assert load_prior(path).fit_seconds is None
    prior.fit_seconds = 12.25
    save_prior(prior, path, "weights")
    assert load_prior(path).fit_seconds == 12.25
    assert is_fitted(path, Mixture(VECTORS, 3), "weights")


def test_a_file_says_how_its_prior_was_built(tmp_path):
    path = tmp_path / "mixture.safetensors"
    save_prior(Mixture(VECTORS, 3, fit_to="draw"), path, "weights")
    config = {"_target_": "aevq.priors.mixture.Mixture", "num_components": 3, "fit_to": "draw"}
    assert fitted_config(path, "weights") == config
    assert fitted_config(path, "other weights") is None
    path.write_bytes(b"damaged")
    assert fitted_config(path, "weights") is None
    assert fitted_config(tmp_path / "missing", "weights") is None


def test_the_size_of_a_prior_is_that_of_its_weights_or_of_what_it_holds():
    assert Mixture(VECTORS, 2).num_parameters == 2 + 2 * 3 + 2 * 3 * 3
    prior = PixelCNN(CODES, 4, 1)
    assert prior.num_parameters == sum(p.numel() for p in prior.parameters())


def test_a_prior_is_fitted_to_means_unless_it_is_told_otherwise():
    assert Mixture(VECTORS).fit_to == StandardNormal(VECTORS).fit_to == Uniform(CODES).fit_to == "mean"
    for prior in (FittedNormal, Mixture, KernelDensity, Flow, FlowMatching):
        assert prior(VECTORS, fit_to="draw").fit_to == "draw"
    with pytest.raises(
        UserError, match=r"^Mixture\.fit_to: should be 'mean' or 'draw', got 'draws'; did you mean 'draw'"
    ):
        Mixture(VECTORS, fit_to="draws")
