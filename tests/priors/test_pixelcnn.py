import math
from functools import partial

import pytest
import pytorch_lightning as pl
import torch

from aevq.errors import UserError
from aevq.latents import CodeSpec, LatentSet
from aevq.priors import pixelcnn
from aevq.priors.codes import Marginals
from aevq.priors.pixelcnn import PixelCNN

SMALL = {"channels": 8, "layers": 2, "learning_rate": 1e-2, "weight_decay": 0.0, "batch_size": 32, "max_steps": 120}


def prior(spec=None, **changes):
    return PixelCNN(spec or CodeSpec(3, 2, 2), **SMALL | {"val_every_steps": 40} | changes)


def peaked(**changes):
    """Return a prior whose conditionals are far from uniform."""
    model = prior(**changes)
    torch.manual_seed(0)
    for parameter in model.network.head.parameters():
        torch.nn.init.normal_(parameter)
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


def trainer_in(folder, **arguments):
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    quiet |= {"accelerator": "cpu", "devices": 1, "num_sanity_val_steps": 0, "default_root_dir": folder}
    return pl.Trainer(**quiet | arguments)


# Density and sampling

with_and_without_classes = pytest.mark.parametrize("conditional", [False, True])


@with_and_without_classes
def test_probabilities_of_all_grids_sum_to_one(conditional):
    assert peaked(conditional=conditional).log_prob(all_grids()).exp().sum().item() == pytest.approx(1, abs=1e-6)


def test_classes_are_summed_out_uniformly():
    model = peaked(conditional=True)
    grids = all_grids()
    given = torch.stack([model.log_prob(grids, torch.full((81,), y)).exp() for y in range(10)])
    torch.testing.assert_close(model.log_prob(grids).exp(), given.mean(0))
    assert given.std(0).max() > 1e-3


@with_and_without_classes
def test_frequencies_are_the_probabilities(conditional):
    model, n = peaked(conditional=conditional), 20_000
    codes = model.sample(n, torch.Generator().manual_seed(0))
    p = model.log_prob(all_grids()).exp()
    frequencies = torch.bincount((codes.flatten(1) * torch.tensor([27, 9, 3, 1])).sum(1), minlength=81) / n
    assert ((frequencies - p).abs() < 5 * (p * (1 - p) / n).sqrt() + 1e-4).all()
    assert p.max() > 2 / 81


def test_labels_choose_the_class():
    model, n = peaked(conditional=True), 4000
    codes = model.sample(n, torch.Generator().manual_seed(0), labels=torch.full((n,), 3))
    p = model.log_prob(all_grids(), torch.full((81,), 3)).exp().view(3, 27).sum(1)  # of the first code
    torch.testing.assert_close(torch.bincount(codes[:, 0, 0], minlength=3) / n, p.float(), atol=0.04, rtol=0)


@with_and_without_classes
def test_samples_depend_on_the_seed_and_nothing_depends_on_chunks(conditional, monkeypatch):
    model = peaked(conditional=conditional)
    first, log_p = model.sample(50, torch.Generator().manual_seed(7)), model.log_prob(all_grids())
    monkeypatch.setattr(pixelcnn, "CHUNK", 7)
    torch.testing.assert_close(model.log_prob(all_grids()), log_p)
    assert torch.equal(model.sample(50, torch.Generator().manual_seed(7)), first)
    assert not torch.equal(model.sample(50, torch.Generator().manual_seed(8)), first)
    assert first.dtype == torch.int64
    assert first.shape == (50, 2, 2)


def test_dropout_is_off_and_the_mode_is_restored():
    model = prior(dropout=0.5).train()
    grids = all_grids()
    assert torch.equal(model.log_prob(grids), model.log_prob(grids))
    samples = [model.sample(20, torch.Generator().manual_seed(0)) for _ in range(2)]
    assert torch.equal(*samples)
    assert all(module.training for module in model.modules())
    assert not torch.equal(model.network(grids), model.network(grids))
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
    with pytest.raises(UserError, match=r"^latents: expected shape \(2, 2\), got"):
        prior().fit(stripe_set())


# Training


@with_and_without_classes
def test_learns_what_marginals_cannot(conditional):
    latents = stripe_set()
    marginals = Marginals(STRIPES, 1.0)
    marginals.fit(latents)
    model = prior(STRIPES, max_steps=240, layers=4, channels=16, conditional=conditional)
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


def test_same_seed_same_weights():
    models = [prior(STRIPES, max_steps=5, dropout=0.2, seed=seed) for seed in (1, 1, 2)]
    for model in models:
        torch.rand(1)
        model.fit(stripe_set())
    first, same, other = [model.log_prob(stripe_set().val) for model in models]
    assert torch.equal(first, same)
    assert not torch.allclose(first, other)


def test_resumed_equals_uninterrupted(tmp_path):
    latents = stripe_set()
    changes = {"max_steps": 45, "val_every_steps": 10, "dropout": 0.2}

    class Stop(pl.Callback):
        def on_train_batch_start(self, trainer, *_):
            if trainer.global_step == 25:
                raise InterruptedError

    def stopping(callbacks, **arguments):
        return trainer_in(tmp_path / "b", callbacks=[*callbacks, Stop()], **arguments)

    whole = prior(STRIPES, **changes)
    whole.fit(latents, partial(trainer_in, tmp_path / "a"))
    with pytest.raises(InterruptedError):
        prior(STRIPES, **changes).fit(latents, stopping)
    resumed = prior(STRIPES, **changes)
    resumed.fit(latents, partial(trainer_in, tmp_path / "b"), resume_from=tmp_path / "b" / "last.ckpt")
    for name, weight in whole.state_dict().items():
        assert torch.equal(weight, resumed.state_dict()[name]), name


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
