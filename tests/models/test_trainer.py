"""Models in a plain Trainer of Lightning, with any train loader, and back from its checkpoint."""

from functools import partial

import pytest
import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import DataLoader, RandomSampler, TensorDataset
from typing_extensions import override

from aevq.config.checks import PositiveFloat, to_config
from aevq.data import MNISTDataModule
from aevq.errors import UserError
from aevq.models import AE, VAE, VQVAE, LatentModel
from aevq.models.schedule import WarmupCosine
from aevq.nn import MLP, Bernoulli, Conv, DeadCodeRestart, GradientUpdate, Laplace
from aevq.nn.backbone import Backbone
from aevq.ops.quantize import kmeans

pytestmark = pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no `val_dataloader`")


class Flat(Backbone):
    """A backbone that is defined outside aevq."""

    def encoder(self, image_shape, latent_shape):
        return nn.Sequential(nn.Flatten(), nn.LazyLinear(latent_shape[0]))

    def decoder(self, latent_shape, image_shape):
        return nn.Sequential(nn.LazyLinear(784), nn.Unflatten(1, image_shape))


class Sharper(VAE):
    """A model that is defined outside aevq, with an argument of its own."""

    def __init__(self, factor: PositiveFloat = 2.0, **parts):
        super().__init__(**parts)
        self.factor = factor

    @override
    def decode(self, latent):
        return (super().decode(latent) * self.factor).clamp(0, 1)


class Recorder(pl.Callback):
    """Keeps the train images, the random state and the codebook at the start of the training."""

    def __init__(self):
        self.images, self.codebook = [], None

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if not self.images:
            self.rng = torch.get_rng_state()
            self.codebook = pl_module.quantizer.codebook.clone() if isinstance(pl_module, VQVAE) else None
        self.images.append(batch[0])


def trainer(folder=".", **arguments):
    quiet = {"accelerator": "cpu", "logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    return pl.Trainer(**{"max_steps": 3, "enable_checkpointing": False, "default_root_dir": folder} | quiet | arguments)


def small_vqvae(**changes):
    return VQVAE(**{"num_codes": 16, "code_dim": 4, "network": Conv([4, 8])} | changes)


@pytest.mark.parametrize("model", [AE, VAE, VQVAE])
def test_a_plain_script_trains(model, digits, tmp_path):
    torch.manual_seed(0)
    module, data = model(), MNISTDataModule("mnist5k", batch_size=32)
    x = digits[::20]
    before = (module.reconstruct(x) - x).square().mean()
    trainer(tmp_path, max_steps=5, log_every_n_steps=1).fit(module, data)
    assert module.global_step == 5
    assert (module.reconstruct(x) - x).square().mean() < before


@pytest.mark.filterwarnings("ignore:.*barebones.*")
def test_a_trainer_that_logs_nothing_trains(digits):
    module = VAE(network=MLP([8]))
    pl.Trainer(barebones=True, accelerator="cpu", max_steps=2).fit(module, DataLoader(TensorDataset(digits), 50))
    assert module.global_step == 2


shuffled, seeded = partial(DataLoader, batch_size=32, shuffle=True), torch.Generator().manual_seed
LOADERS = {
    "shuffled": shuffled,
    "with its own generator": lambda data: shuffled(data, generator=seeded(3)),
    "with a sampler": lambda data: DataLoader(data, 32, sampler=RandomSampler(data, generator=seeded(4))),
    "with a worker process": lambda data: shuffled(data, num_workers=1, persistent_workers=True),
    "our own": lambda _: MNISTDataModule("mnist5k", batch_size=32).train_dataloader(),
}


@pytest.mark.parametrize("name", LOADERS)
def test_the_k_means_start_leaves_the_loader_and_the_random_numbers_of_the_training_alone(name, digits):
    seen = {}
    for start in ("kmeans", "normal"):
        torch.manual_seed(0)
        seen[start] = Recorder()
        module = small_vqvae(codebook_init=start)
        loader = LOADERS[name](TensorDataset(digits[:320], torch.zeros(320)))
        trainer(max_steps=12, callbacks=[seen[start]]).fit(module, loader)
    assert torch.cat(seen["kmeans"].images).equal(torch.cat(seen["normal"].images))
    assert seen["kmeans"].rng.equal(seen["normal"].rng)
    assert not seen["kmeans"].codebook.equal(seen["normal"].codebook)


def test_the_k_means_start_takes_the_first_train_images(digits):
    module, recorder = small_vqvae(), Recorder()
    vectors = module.vectors(digits[: 40 * 16 // 7]).flatten(0, 2)
    trainer(callbacks=[recorder]).fit(module, DataLoader(TensorDataset(digits, torch.zeros(1000)), 32))
    torch.testing.assert_close(recorder.codebook.data, kmeans(vectors, 16, seed=0))


def test_of_fewer_images_than_a_k_means_needs_all_are_taken(digits):
    module = small_vqvae(num_codes=256)
    trainer().fit(module, DataLoader(TensorDataset(digits[:2]), 1))
    assert module.quantizer.codebook.isfinite().all()


@pytest.mark.fault("a validation on a GPU: the noise of the training continues behind it")
def test_a_validation_gives_the_random_numbers_of_every_device_back(monkeypatch):
    kept, module = [], VAE(network=MLP([8]))
    monkeypatch.setattr(torch.cuda, "get_rng_state_all", lambda: ["those of the training"])
    monkeypatch.setattr(torch.cuda, "set_rng_state_all", kept.append)
    before = torch.get_rng_state()
    module.on_validation_epoch_start()
    assert not torch.get_rng_state().equal(before)
    module.on_validation_epoch_end()
    assert torch.get_rng_state().equal(before)
    assert kept == [["those of the training"]]


ADAM = partial(torch.optim.Adam, lr=1e-3, betas=(0.8, 0.9))
MODELS = {
    "an AE of the defaults": lambda: AE(),
    "a VAE": lambda: VAE(beta=2.0, likelihood=Laplace(0.2, learned=True), optimizer=ADAM, schedule=None),
    "a VQ-VAE": lambda: small_vqvae(
        codebook_update=GradientUpdate(), restart=None, likelihood=Bernoulli(grey=True), optimizer=torch.optim.SGD
    ),
    "a VQ-VAE with restarts": lambda: small_vqvae(restart=DeadCodeRestart(0.1, 1), schedule=WarmupCosine(0.0)),
    "a class of one's own": lambda: Sharper(1.5, latent_dim=3, network=Flat()),
}


@pytest.mark.parametrize("name", MODELS)
def test_the_checkpoint_of_a_trainer_gives_the_model_back(name, digits, tmp_path):
    module = MODELS[name]()
    fitted = trainer(tmp_path, enable_checkpointing=True)
    fitted.fit(module, DataLoader(TensorDataset(digits, torch.zeros(1000)), 32, shuffle=True))
    path = fitted.checkpoint_callback.best_model_path
    before = torch.get_rng_state()
    loaded = type(module).load_from_checkpoint(path)
    assert torch.get_rng_state().equal(before)
    x = digits[:7]
    assert loaded.eval().reconstruct(x).equal(module.eval().reconstruct(x))
    for each in (module, loaded):
        torch.manual_seed(0)
        each.objective = each.loss_terms(x).objective
    assert loaded.objective.equal(module.objective)
    assert to_config(loaded) == to_config(module)


def test_a_class_of_somebody_else_is_built_only_where_it_is_trusted(digits, tmp_path):
    path = tmp_path / "model.ckpt"
    fitted = trainer(tmp_path)
    fitted.fit(Sharper(network=MLP([8])), DataLoader(TensorDataset(digits), 50))
    fitted.save_checkpoint(path)
    with pytest.raises(UserError, match="is not a class of aevq; refused"):
        VAE.load_from_checkpoint(path)
    assert isinstance(LatentModel.load_from_checkpoint(path, trust=[f"{__name__}."]), Sharper)
    with pytest.raises(UserError, match=r"model\._target_: expected a VQVAE"):
        VQVAE.load_from_checkpoint(path, trust=[f"{__name__}."])
    content = torch.load(path, weights_only=True)
    for target in ("os.system", "builtins.dict", "aevq.files.atomic_write"):
        content["model"]["network"]["_target_"] = target
        torch.save(content, path)
        with pytest.raises(UserError, match="refused"):
            Sharper.load_from_checkpoint(path)


@pytest.mark.parametrize(
    ("argument", "part", "message"),
    [
        ("optimizer", lambda parameters: torch.optim.SGD(parameters, 0.1), "should be defined in a module"),
        ("optimizer", partial(torch.optim.SGD, lr=-1.0), "Invalid learning rate"),
        ("optimizer", 3, "should be callable"),
        ("schedule", lambda optimizer, steps: None, "should be defined in a module"),
    ],
)
def test_a_part_that_would_fail_later_is_refused_at_once(argument, part, message):
    with pytest.raises(UserError, match=rf"^VAE\.{argument}: .*{message}"):
        VAE(**{argument: part})
