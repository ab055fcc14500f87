import inspect
import json
import sys
from itertools import islice
from pkgutil import resolve_name
from types import SimpleNamespace

import pytest
import pytorch_lightning as pl
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from aevq.config.checks import to_config
from aevq.config.command_line import config_root
from aevq.config.instantiate import instantiate
from aevq.data import ImageDataModule, MNISTDataModule, Split
from aevq.errors import UserError
from helpers.small_data import MIRRORS


def build(config, trust=()):
    return instantiate(config, "data", ImageDataModule, trust=trust)


@pytest.fixture
def ready(make, web, contents):
    web.serve(MIRRORS[0], contents)
    return make


def gather(loader):
    xs, ys = zip(*loader, strict=True)
    return torch.cat(xs), torch.cat(ys)


def test_batches_are_what_models_expect(ready):
    module = ready(batch_size=8)
    assert (module.image_shape, module.num_classes) == ((1, 28, 28), 10)
    module.setup("fit")
    batches = list(module.train_dataloader())
    assert len(batches) == 50 // 8
    for x, y in batches:
        assert (x.shape, x.dtype, y.shape, y.dtype) == ((8, 1, 28, 28), torch.float32, (8,), torch.int64)
        assert 0 <= x.min() <= x.max() <= 1


@pytest.mark.parametrize("binarize", ["none", "threshold", "dynamic"])
@pytest.mark.parametrize("eval_batch_size", [3, 100])
def test_evaluation_sees_the_same_images_in_any_batch_size(ready, binarize, eval_batch_size):
    module = ready(binarize=binarize, eval_batch_size=eval_batch_size, seed=eval_batch_size)
    for split, loader in (("val", module.val_dataloader()), ("test", module.test_dataloader())):
        for _ in range(2):
            x, y = gather(loader)
            assert torch.equal(x, module.images(split))
            assert torch.equal(y, module.labels(split))
    reference = ready(binarize=binarize)
    assert torch.equal(module.images("test"), reference.images("test"))
    assert module.evaluated_sha256 == reference.evaluated_sha256


def test_dynamic_binarization_is_redrawn_in_training_and_repeats_with_the_seed(ready):
    def epochs(seed):
        loader = ready(binarize="dynamic", seed=seed, batch_size=50).train_dataloader()
        return [next(iter(loader)) for _ in range(2)]

    def sums(batches):  # sums over the images of one class do not depend on their order
        return [x[y == 7].sum(0) for x, y in batches]

    first, second = sums(epochs(1))
    assert set(epochs(1)[0][0].unique().tolist()) == {0, 1}
    assert not torch.equal(first, second)
    assert all(torch.equal(a, b) for (a, _), (b, _) in zip(epochs(1), epochs(1), strict=True))


def test_the_seed_of_the_run_orders_the_batches_and_does_not_change_the_splits(ready):
    one, two = ready(seed=1), ready(seed=2)
    assert one.fingerprint == two.fingerprint
    assert one.evaluated_sha256 == two.evaluated_sha256
    assert not torch.equal(gather(one.train_dataloader())[1], gather(two.train_dataloader())[1])


def trained(module, rank=0, world_size=1, **options):
    """The train loader under a trainer."""
    strategy = SimpleNamespace(root_device=torch.device("cpu"))
    module.trainer = SimpleNamespace(strategy=strategy, global_rank=rank, world_size=world_size, **options)
    return module.train_dataloader()


def test_ranks_of_a_trainer_share_the_batches(ready):
    ranks = [[y for _, y in trained(ready(batch_size=4), rank, 2)] for rank in range(2)]
    joined = [torch.stack(pair, 1).flatten() for pair in zip(*ranks, strict=True)]
    assert all(torch.equal(a, b) for a, (_, b) in zip(joined, trained(ready(batch_size=8)), strict=True))


def test_overfitting_sees_the_same_few_images_again(ready):
    loader = trained(ready(), overfit_batches=1)
    assert torch.equal(next(iter(loader))[0], next(iter(loader))[0])


@pytest.mark.fault("a few batches of a split that is sorted by class: they are of every class")
@pytest.mark.parametrize(
    ("split", "limit"),
    [
        ("train", {}),
        ("train", {"overfit_batches": 2}),
        ("val", {"limit_val_batches": 1}),
        ("val", {"limit_val_batches": 0.3}),
    ],
)
def test_a_few_batches_of_a_sorted_split_are_of_every_class(split, limit):
    module = MNISTDataModule("mnist5k", batch_size=50, eval_batch_size=100)
    assert (module.labels(split).diff() >= 0).all()
    trained(module, **limit)
    seen = islice(getattr(module, f"{split}_dataloader")(), 2)
    assert torch.cat([y for _, y in seen]).unique().numel() == 10


def test_a_batch_larger_than_the_data_is_refused(ready):
    with pytest.raises(UserError, match=r"data\.batch_size: expected at most 50"):
        ready(batch_size=51).train_dataloader()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 0}, "batch_size: should be greater than 0, got 0"),
        ({"batch_size": True}, "batch_size: should be a valid integer, got True"),
        ({"eval_batch_size": 1.5}, "eval_batch_size: should be a valid integer"),
        ({"val_size": -1}, "val_size"),
        ({"split_seed": "a"}, "split_seed"),
        ({"seed": None}, "seed: should be a valid integer, got None"),
        ({"binarize": "dynamik"}, "binarize: .*, got 'dynamik'; did you mean 'dynamic'"),
        ({"fallback": "maybe"}, "fallback: should be 'embedded' or 'error'"),
        ({"name": "fashion_mnist", "fallback": "embedded"}, "fallback: expected error for fashion_mnist"),
        ({"name": "minst"}, "name: expected one of mnist, fashion_mnist, kmnist, mnist5k, got 'minst'"),
        ({"name": "../x"}, "name"),
        ({"root": 3}, "root"),
        ({"timeout": 0}, "timeout"),
        ({"leave_out": 10}, "leave_out: expected a class below 10, got 10"),
        ({"image_shape": [3, 28, 28]}, r"image_shape: expected \[1, 28, 28\], got \[3, 28, 28\]"),
        ({"name": "mnist5k", "val_size": 15}, "val_size: expected a multiple of 10 below 4500 for mnist5k, got 15"),
        ({"name": "mnist5k", "val_size": 4500}, "val_size: expected a multiple of 10 below 4500 for mnist5k, got 4500"),
        ({"mirrors": []}, "mirrors: no such argument"),
    ],
)
def test_bad_arguments_are_named_before_anything_is_read(make, web, tmp_path, changes, message):
    with pytest.raises(UserError, match=f"^MNISTDataModule\\.{message}"):
        make(**changes)
    assert not web.asked
    assert not list(tmp_path.iterdir())


def test_mnist5k_downloads_nothing_and_warns_of_nothing(web, caplog):
    module = MNISTDataModule("mnist5k")
    assert module.train_size == 4000
    module.prepare()
    assert module.sizes == {"train": 4000, "val": 500, "test": 500}
    assert not web.asked
    assert not caplog.records


@pytest.mark.parametrize("name", ["mnist5k", "mnist"])
def test_a_validation_split_is_as_large_as_the_configuration_says(name, tmp_path):
    module = MNISTDataModule(name, val_size=1000, root=str(tmp_path), download=False)
    module.prepare()
    assert module.sizes == {"train": 3500, "val": 1000, "test": 500}
    assert module.train_size == 3500
    assert module.labels("val").bincount().tolist() == [100] * 10
    assert MNISTDataModule("mnist5k").splits.test.images.equal(module.splits.test.images)


def test_a_class_left_out_of_the_training_is_in_the_test_set(ready):
    module = ready(leave_out=3)
    assert 3 not in module.labels("train")
    assert 3 in module.labels("test")


def test_the_stated_train_size_is_the_real_one():
    assert MNISTDataModule("kmnist").train_size == 55_000
    assert MNISTDataModule(val_size=60_000).train_size == 0


class Mean(pl.LightningModule):
    """Predicts one image for all."""

    def __init__(self, shape):
        super().__init__()
        self.image = torch.nn.Parameter(torch.zeros(shape))

    def training_step(self, batch, batch_idx):
        return (batch[0] - self.image).square().mean()

    def validation_step(self, batch, batch_idx):
        assert batch[0].shape[1:] == self.image.shape

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=1.0)


def fit(data) -> Mean:
    model = Mean(data.image_shape)
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    pl.Trainer(max_steps=3, accelerator="cpu", enable_checkpointing=False, **quiet).fit(model, data)
    return model


def test_a_plain_trainer_trains_on_it():
    assert fit(MNISTDataModule("mnist5k")).image.sum() > 0


def composed(name: str, *overrides: str):
    with initialize_config_dir(str(config_root()), version_base="1.3"):
        return compose("train", [f"data={name}", *overrides])


def defaults_of(cls: type) -> dict:
    """Return the defaults of the arguments of a class and its bases, as a yaml writes them."""
    found = {}
    for base in reversed(cls.__mro__):
        if issubclass(base, ImageDataModule) and "__init__" in vars(base):
            found |= {
                p.name: p.default for p in inspect.signature(base).parameters.values() if p.default is not p.empty
            }
    return {name: list(value) if isinstance(value, tuple) else value for name, value in found.items()}


@pytest.mark.parametrize("name", [path.stem for path in (config_root() / "data").glob("[!_]*.yaml")])
def test_a_yaml_and_the_constructor_have_the_same_defaults(name):
    node = OmegaConf.to_container(composed(name, "seed=0").data, resolve=True)
    cls = resolve_name(node.pop("_target_"))
    assert node.pop("_convert_") == "all"
    assert node == defaults_of(cls) | {"name": name}
    assert cls(name).name == name


def test_the_used_configuration_builds_the_data_really_used(tmp_path):
    missing = build(composed("mnist", f"data.root={tmp_path}", "data.download=false", "data.split_seed=2").data)
    missing.prepare()
    again = build(to_config(missing) | {"name": missing.name})
    assert again.name == "mnist5k"
    assert again.fingerprint == missing.fingerprint


def test_full_mnist_has_the_splits_of_the_studies(pytestconfig):
    root = pytestconfig.rootpath.parent / "shared"
    if not (root / "MNIST" / "raw").is_dir():
        pytest.skip(f"there is no MNIST in {root}")
    study = json.loads((pytestconfig.rootpath / "experiments/01_ae_vae_vqvae/results.json").read_text())
    known = study["data"][0]["fingerprint"]
    assert MNISTDataModule(root=str(root), download=False, fallback="error").fingerprint == known


PYTHON = """
import torch
from aevq.data import ImageDataModule, Split

class Stripes(ImageDataModule):
    def read(self):
        images = torch.arange(60).view(-1, 1, 1, 1).expand(60, 3, 16, 20).byte()
        return Split(images[:50], torch.arange(50) % 4), Split(images[50:], torch.arange(10) % 4)
"""
YAML = """
defaults: [_base, _self_]
_target_: striped.stripes.Stripes
name: stripes
image_shape: [3, 16, 20]
num_classes: 4
val_size: 10
batch_size: 8
"""


def test_one_python_file_and_one_yaml_add_a_data_set_of_another_shape(tmp_path, monkeypatch):
    for path, text in (("striped/stripes.py", PYTHON), ("conf/data/stripes.yaml", YAML)):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    config = composed("stripes", f"hydra.searchpath=[file://{tmp_path}/conf]", "model=ae")
    assert config.model.image_shape == [3, 16, 20]
    with pytest.raises(UserError, match="refused"):
        build(config.data)
    data = build(config.data, trust=("striped.",))
    assert (data.name, data.train_size, data.num_classes) == ("stripes", 40, 4)
    assert fit(data).image.shape == (3, 16, 20)
    assert data.digits("val").shape == (10, 1)
    assert to_config(data)["_target_"] == "striped.stripes.Stripes"
    monkeypatch.delitem(sys.modules, "striped.stripes")


class Given(ImageDataModule):
    """Returns what it was given."""

    train = test = None

    def read(self):
        return self.train, self.test


BYTES, LABELS = torch.zeros(8, 4, 5).byte(), torch.zeros(8).long()


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (torch.zeros(8, 4, 4), LABELS, "given: train images: expected uint8, got torch.float32"),
        (BYTES, LABELS, r"images: expected shape \(N, 1, 4, 4\), got \(8, 1, 4, 5\)"),
        (BYTES[:, :, :4], LABELS[:7], r"labels: expected shape \(8,\), got \(7,\)"),
        (BYTES[:, :, :4], LABELS + 3, r"labels: expected in \[0, 3\), got \(3, 3\)"),
        (BYTES[:0, :, :4], LABELS[:0], "images: expected at least one"),
    ],
)
def test_what_a_data_set_returns_is_checked(images, labels, message):
    data = Given("given", image_shape=(1, 4, 4), num_classes=3, val_size=2)
    data.train = data.test = Split(images, labels)
    with pytest.raises(UserError, match=message):
        data.prepare()
