import itertools
import math
from functools import partial

import pytest
import pytorch_lightning as pl
import torch

from aevq.errors import UserError
from aevq.latents import CodeSpec, LatentSet
from aevq.priors import learned_codes
from aevq.priors.codes import Marginals
from aevq.priors.masked import Masked
from aevq.priors.pixelcnn import PixelCNN
from aevq.priors.transformer import Transformer
from helpers.prior_training import assert_resumed_equals_uninterrupted, trainer_in

SMALL = {"layers": 2, "learning_rate": 1e-2, "weight_decay": 0.0, "batch_size": 32, "max_steps": 120}
SMALL |= {"val_every_steps": 40, "num_clusters": 0}
SIZE = {PixelCNN: {"channels": 8}, Transformer: {"width": 16}, Masked: {"width": 16}}


def prior(spec=None, kind=PixelCNN, **changes):
    return kind(spec or CodeSpec(3, 2, 2), **SMALL | SIZE[kind] | changes)


def peaked(**changes):
    """Return a prior whose conditionals are far from uniform, with classes and clusters of unequal frequencies."""
    model = prior(**changes)
    torch.manual_seed(0)
    for parameter in model.network.head.parameters():
        torch.nn.init.normal_(parameter)
    torch.nn.init.normal_(model.cluster_distances)
    model.counts.copy_(torch.arange(1, model.counts.numel() + 1).view_as(model.counts))
    return model.double()


def all_grids():
    return torch.cartesian_prod(*[torch.arange(3)] * 4).view(-1, 2, 2)


def stripes(n, seed=0, num_codes=4, side=4):
    """Return grids whose rows rise by the class (0 or 1) + 1, and the classes; each position by itself is uniform."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(2, (n,), generator=generator)
    start = torch.randint(num_codes, (n, side, 1), generator=generator)
    codes = (start + (labels[:, None, None] + 1) * torch.arange(side)) % num_codes
    return codes, labels


def stripe_set(n=640):
    (train, train_labels), (val, val_labels) = stripes(n), stripes(128, seed=1)
    return LatentSet(train, train_labels, val, val_labels)


STRIPES = CodeSpec(4, 4, 4)


# Density and sampling

with_and_without_classes = pytest.mark.parametrize("conditional", [False, True])
every_prior = pytest.mark.parametrize("kind", SIZE)
causal_priors = pytest.mark.parametrize("kind", [PixelCNN, Transformer])


@causal_priors
@with_and_without_classes
def test_probabilities_of_all_grids_sum_to_one(kind, conditional):
    model = peaked(kind=kind, conditional=conditional)
    assert model.log_prob(all_grids()).exp().sum().item() == pytest.approx(1, abs=1e-6)


@causal_priors
@with_and_without_classes
def test_with_clusters_they_sum_to_less_and_with_the_other_clusters_to_one(kind, conditional):
    model, grids = peaked(kind=kind, conditional=conditional, num_clusters=4), all_grids()
    assert 0.05 < model.log_prob(grids).exp().sum().item() < 0.95
    y = torch.full((81,), 3 if conditional else 1)  # 1: the hidden class of an unconditional prior
    joint = [
        model.log_p_clusters[y, c] + model.log_conditional(grids, model.conditions(y, torch.full((81,), c)))
        for c in range(4)
    ]
    assert torch.stack(joint).exp().sum().item() == pytest.approx(1, abs=1e-6)
    own = torch.stack(joint).gather(0, model.clusters(grids)[None])[0]
    torch.testing.assert_close(own, model.log_prob(grids, y if conditional else None))


@every_prior
def test_classes_are_summed_out_with_their_frequencies(kind):
    model, grids = peaked(kind=kind, conditional=True), all_grids()
    model.counts[3] = 0
    present = [y for y in range(10) if y != 3]
    given = torch.stack([model.log_prob(grids, torch.full((81,), y)).exp() for y in present])
    p = model.class_probabilities[present, None]
    torch.testing.assert_close(model.log_prob(grids).exp(), (p * given).sum(0))
    assert given.std(0).max() > 1e-3
    assert p.std() > 0.01


@pytest.mark.parametrize("num_clusters", [0, 3])
def test_classes_and_clusters_are_drawn_with_their_frequencies(num_clusters):
    model, seen = peaked(conditional=True, num_clusters=num_clusters), []
    model.counts[3] = 0
    model.draw = lambda draw, conditions: seen.append(conditions) or torch.zeros(draw.rows, 2, 2, dtype=torch.int64)
    model.sample(20_000, torch.Generator().manual_seed(0))
    drawn = torch.cat(seen)
    shares = torch.bincount(drawn[:, 0], minlength=11) / 20_000
    torch.testing.assert_close(shares[:10].double(), model.class_probabilities, atol=0.01, rtol=0)
    assert shares[3] == shares[10] == 0
    if num_clusters:
        of_nine = torch.bincount(drawn[drawn[:, 0] == 9, 1] - 11, minlength=3).double()
        torch.testing.assert_close(of_nine / of_nine.sum(), model.log_p_clusters[9].exp(), atol=0.03, rtol=0)


def test_clusters_are_those_of_the_nearest_centre():
    latents = stripe_set()
    codebook = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    model = prior(STRIPES, num_clusters=5, conditional=True, num_classes=2)
    model.prepare(LatentSet(latents.train, latents.train_labels, latents.val, latents.val_labels, codebook))
    embedded = codebook[latents.train].flatten(1)
    own = model.clusters(latents.train)
    centres = torch.stack([embedded[own == c].mean(0) for c in range(5)])
    assert (torch.cdist(embedded, centres).argmin(1) == own).float().mean() > 0.9, "a k-means is nearly at rest"
    assert torch.equal(model.counts.sum(1), torch.bincount(latents.train_labels).float())
    assert torch.equal(model.counts.sum(0), torch.bincount(own, minlength=5).float())


@causal_priors
@with_and_without_classes
def test_frequencies_are_the_probabilities(kind, conditional):
    model, n = peaked(kind=kind, conditional=conditional), 20_000
    codes = model.sample(n, torch.Generator().manual_seed(0))
    p = model.log_prob(all_grids()).exp()
    frequencies = torch.bincount((codes.flatten(1) * torch.tensor([27, 9, 3, 1])).sum(1), minlength=81) / n
    assert ((frequencies - p).abs() < 5 * (p * (1 - p) / n).sqrt() + 1e-4).all()
    assert p.max() > 2 / 81


@torch.no_grad()
def test_masked_in_random_order_one_by_one_samples_its_bound():
    """One position a step, in an order that does not depend on the codes: of the network's own distribution."""
    model = peaked(kind=Masked, sampling_steps=7, choice_temperature=1e6)
    n = 20_000
    codes = model.sample(n, torch.Generator().manual_seed(0))
    grids, log_p = all_grids(), torch.zeros(24, 81).double()
    for row, order in zip(log_p, itertools.permutations(range(4)), strict=True):
        tokens = torch.full((81, 4), 3)
        for position in order:
            log_probs = model.network(tokens, torch.zeros(81, 0, dtype=torch.int64)).log_softmax(-1)
            row += log_probs[:, position].gather(1, grids.flatten(1)[:, position, None])[:, 0]
            tokens[:, position] = grids.flatten(1)[:, position]
    p = log_p.exp().mean(0)
    frequencies = torch.bincount((codes.flatten(1) * torch.tensor([27, 9, 3, 1])).sum(1), minlength=81) / n
    assert ((frequencies - p).abs() < 5 * (p * (1 - p) / n).sqrt() + 1e-4).all()
    torch.manual_seed(0)
    drawn = model.train().log_conditional(grids.repeat(2000, 1, 1), torch.zeros(81 * 2000, 0, dtype=torch.int64))
    estimates = drawn.view(2000, 81)
    error = 5 * estimates.std(0) / 2000**0.5
    assert ((estimates.mean(0) - log_p.mean(0)).abs() < error).all(), "log p(z) of each order, averaged over the orders"
    assert (error < 1.5).all()
    assert (log_p.mean(0) < p.log()).all(), "a lower bound"


@every_prior
def test_labels_choose_the_class_and_guidance_exaggerates_it(kind):
    model, n = peaked(kind=kind, conditional=True), 2000
    y = torch.full((n,), 3)

    def score(**options):
        codes = model.sample(n, torch.Generator().manual_seed(0), labels=y, **options)
        hidden = model.log_conditional(codes, model.conditions(torch.full((n,), 10), y))
        return (model.log_prob(codes, y) - hidden).mean()

    assert score(guidance=2.0) > score() + 0.1


@causal_priors
def test_labels_choose_the_class(kind):
    model, n = peaked(kind=kind, conditional=True), 4000
    codes = model.sample(n, torch.Generator().manual_seed(0), labels=torch.full((n,), 3))
    p = model.log_prob(all_grids(), torch.full((81,), 3)).exp().view(3, 27).sum(1)  # of the first code
    torch.testing.assert_close(torch.bincount(codes[:, 0, 0], minlength=3) / n, p.float(), atol=0.04, rtol=0)


@every_prior
@with_and_without_classes
def test_samples_depend_on_the_seed_and_nothing_depends_on_chunks(kind, conditional, monkeypatch):
    model = peaked(kind=kind, conditional=conditional, num_clusters=2)
    first, log_p = model.sample(50, torch.Generator().manual_seed(7)), model.log_prob(all_grids())
    monkeypatch.setattr(learned_codes, "CHUNK", 7)
    if kind is not Masked:  # whose estimate has one mask for each row of a chunk
        torch.testing.assert_close(model.log_prob(all_grids()), log_p)
    assert torch.equal(model.sample(50, torch.Generator().manual_seed(7)), first)
    assert not torch.equal(model.sample(50, torch.Generator().manual_seed(8)), first)
    assert first.dtype == torch.int64
    assert first.shape == (50, 2, 2)


@every_prior
def test_dropout_is_off_and_the_mode_is_restored(kind):
    model = prior(kind=kind, dropout=0.5).train()
    grids, none = all_grids(), torch.zeros(81, 0, dtype=torch.int64)
    assert torch.equal(model.log_prob(grids), model.log_prob(grids))
    samples = [model.sample(20, torch.Generator().manual_seed(0)) for _ in range(2)]
    assert torch.equal(*samples)
    assert all(module.training for module in model.modules())
    assert not torch.equal(model.logits(grids, none), model.logits(grids, none))
    model.eval().sample(2)
    assert not model.training


# Arguments


BAD = {"kernel": 4, "dropout": 1.0, "learning_rate": 0.0, "weight_decay": -1}
BAD |= dict.fromkeys(("layers", "channels", "batch_size", "max_steps", "val_every_steps", "patience"), 0)


@pytest.mark.parametrize(("key", "value"), BAD.items())
def test_bad_arguments_are_named(key, value):
    with pytest.raises(UserError, match=rf"^(PixelCNN|TrainedPrior)\.{key}: should be .*, got {value}$"):
        prior(**{key: value})


def test_labels_that_do_not_fit_and_latents_of_another_grid_are_refused():
    with pytest.raises(UserError, match=r"^labels: expected None"):
        prior().sample(2, labels=torch.tensor([0, 1]))
    with pytest.raises(UserError, match=r"^labels: expected 3 classes, got 2$"):
        prior(conditional=True).sample(3, labels=torch.tensor([0, 1]))
    absent = prior(conditional=True)
    absent.counts[4] = 0
    with pytest.raises(UserError, match=r"^labels: expected classes of the train split, .*, got 4$"):
        absent.sample(2, labels=torch.tensor([0, 4]))
    with pytest.raises(UserError, match=r"^labels: expected classes of the train split, .*, got -1$"):
        absent.sample(1, labels=torch.tensor([-1]))
    with pytest.raises(UserError, match=r"^latents: expected shape \(2, 2\), got"):
        prior().fit(stripe_set())


@pytest.mark.parametrize("bad", [0, -1.0, float("nan"), float("inf"), True])
def test_a_temperature_that_is_not_positive_is_refused(bad):
    with pytest.raises(UserError, match=r"^temperature: should be "):
        prior().sample(1, temperature=bad)


@pytest.mark.parametrize(("option", "bad"), [("top_p", 0), ("top_p", 1.1), ("guidance", -1), ("guidance", 1.0)])
def test_options_that_do_not_fit_are_refused(option, bad):
    with pytest.raises(UserError, match=rf"^{option}: "):
        prior().sample(1, **{option: bad})


def test_heads_divide_the_width():
    with pytest.raises(UserError, match=r"^Transformer\.heads: should divide width, 16, got 3$"):
        prior(kind=Transformer, heads=3)


# Training


@causal_priors
@with_and_without_classes
def test_learns_what_marginals_cannot(kind, conditional):
    latents = stripe_set()
    marginals = Marginals(STRIPES, 1.0)
    marginals.fit(latents)
    size = {"channels": 16} if kind is PixelCNN else {"width": 32}
    model = prior(STRIPES, kind, max_steps=240, layers=4, conditional=conditional, class_dropout=0.0, **size)
    state = torch.get_rng_state()
    model.fit(latents)
    assert torch.equal(torch.get_rng_state(), state), "training leaves the global random numbers alone"
    labels = latents.val_labels if conditional else None
    nats = -model.log_prob(latents.val, labels).mean().item()
    assert -marginals.log_prob(latents.val).mean() > 22
    # The source's entropy: four starts of ln 4, and ln 2 for the class unless it is given.
    assert nats < 8
    codes = model.sample(200, torch.Generator().manual_seed(0), labels=torch.ones(200).long() if conditional else None)
    steps = (codes.diff(dim=2) % 4).flatten(1)
    coherent = (steps == steps[:, :1]).all(1)
    assert coherent.float().mean() > 0.6


def test_masked_learns_that_positions_agree():
    codes = torch.randint(4, (640, 1, 1), generator=torch.Generator().manual_seed(0)).expand(-1, 4, 4)
    model = prior(STRIPES, Masked, max_steps=240, width=32)
    model.fit(LatentSet(codes[:512], torch.zeros(512).long(), codes[512:], torch.zeros(128).long()))
    assert -model.log_prob(codes[512:]).mean().item() < 4, "ln 4 = 1.39 nats, and 22.2 of each position by itself"
    drawn = model.sample(200, torch.Generator().manual_seed(0)).flatten(1)
    assert (drawn == drawn[:, :1]).all(1).float().mean() > 0.8
    assert drawn[:, 0].unique().tolist() == [0, 1, 2, 3]


@every_prior
def test_same_seed_same_weights(kind):
    models = [prior(STRIPES, kind, max_steps=5, dropout=0.2, num_clusters=3, seed=seed) for seed in (1, 1, 2)]
    for model in models:
        torch.rand(1)
        model.fit(stripe_set())
    first, same, other = [model.log_prob(stripe_set().val) for model in models]
    assert torch.equal(first, same)
    assert not torch.allclose(first, other)


@every_prior
@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
def test_resumed_equals_uninterrupted(kind, ema_decay, tmp_path):
    latents = stripe_set()
    changes = {"max_steps": 45, "val_every_steps": 10, "dropout": 0.2, "num_clusters": 3, "conditional": True}
    changes |= {"num_classes": 2, "ema_decay": ema_decay, "kind": kind}
    assert_resumed_equals_uninterrupted(partial(prior, STRIPES, **changes), latents, tmp_path)


def test_checkpoints(tmp_path):
    model = prior(STRIPES, max_steps=25, val_every_steps=10)
    model.fit(stripe_set(), partial(trainer_in, tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.ckpt", "last.ckpt"]
    last = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert last["global_step"] == 25, "the last step is validated and kept"
    best = torch.load(tmp_path / "best.ckpt", weights_only=True)["state_dict"]
    assert all(torch.equal(best[name], weight) for name, weight in model.state_dict().items())
    assert not model.training


def test_stops_early_and_keeps_the_best(tmp_path):
    latents = stripe_set(32)  # so few that it overfits
    model = prior(STRIPES, max_steps=600, val_every_steps=10, patience=2, channels=16)
    model.fit(latents, partial(trainer_in, tmp_path))
    assert model.trainer.global_step < 600
    best = model.trainer.early_stopping_callback.best_score.item()
    assert -model.log_prob(latents.val).mean().item() == pytest.approx(best, rel=1e-5)


@pytest.mark.parametrize("limits", [{"fast_dev_run": True}, {"limit_val_batches": 0}])
def test_trains_without_a_checkpoint(limits, tmp_path):
    model = prior(STRIPES, max_steps=12, val_every_steps=5)
    before = model.log_prob(stripe_set().val)
    model.fit(stripe_set(), partial(trainer_in, tmp_path, **limits))
    assert not torch.equal(model.log_prob(stripe_set().val), before)


def test_logs_means_at_the_interval_of_the_trainer(tmp_path):
    logger, seen = pl.loggers.logger.DummyLogger(), []
    logger.log_metrics = lambda metrics, step=None: seen.append((step, metrics))
    model = prior(STRIPES, max_steps=25, val_every_steps=10)
    model.fit(stripe_set(), partial(trainer_in, tmp_path, logger=logger, log_every_n_steps=5))
    train = {step: m["prior/pixelcnn/train_nats"] for step, m in seen if "prior/pixelcnn/train_nats" in m}
    assert sorted(train) == [4, 9, 14, 19, 24]
    assert train[4] > train[24]
    last = [m for _, m in seen if "prior/pixelcnn/val_nats" in m][-1]
    nats = -model.log_prob(stripe_set().val).mean().item()
    assert last["prior/pixelcnn/val_nats"] == pytest.approx(nats, rel=1e-5)
    assert last["prior/pixelcnn/val_bits"] == pytest.approx(nats / math.log(2), rel=1e-5)


def test_validates_and_keeps_the_moving_average(tmp_path):
    model = prior(STRIPES, max_steps=25, val_every_steps=10, ema_decay=0.9)
    model.fit(stripe_set(), partial(trainer_in, tmp_path))
    last = torch.load(tmp_path / "last.ckpt", weights_only=True)
    average, current = last["state_dict"], last["current_model_state"]
    assert all(torch.equal(average[name], weight) for name, weight in model.state_dict().items())
    assert not any(torch.equal(average[name], current[name]) for name, _ in model.named_parameters())


def test_trains_for_as_many_steps_as_the_model_unless_told():
    for max_steps, expected in ((None, 7), (3, 3)):
        model = prior(STRIPES, max_steps=max_steps)
        model.model_steps = 7
        model.fit(stripe_set())
        assert model.trainer.global_step == expected
