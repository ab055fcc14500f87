from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from aevq.data import MNISTDataModule
from aevq.errors import UserError

MIRROR = "https://first.test/mnist/"


@pytest.fixture
def ready(make, web, contents):
    web.serve(MIRROR, contents)
    return make


def gather(loader):
    xs, ys = zip(*loader, strict=True)
    return torch.cat(xs), torch.cat(ys)


def test_batches_are_what_models_expect(ready):
    module = ready(batch_size=8)
    assert module.image_shape == (1, 28, 28)
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


def test_dynamic_binarisation_is_redrawn_in_training_and_repeats_with_the_seed(ready):
    def epochs(seed):
        loader = ready(binarize="dynamic", seed=seed, batch_size=50).train_dataloader()
        return [next(iter(loader)) for _ in range(2)]

    def sums(batches):  # a class's pixels on: independent of the order of the images
        return [x[y == 7].sum(0) for x, y in batches]

    first, second = sums(epochs(1))
    assert set(epochs(1)[0][0].unique().tolist()) == {0, 1}
    assert not torch.equal(first, second)
    assert all(torch.equal(a, b) for (a, _), (b, _) in zip(epochs(1), epochs(1), strict=True))


def test_the_runs_seed_orders_the_batches_and_does_not_touch_the_splits(ready):
    one, two = ready(seed=1), ready(seed=2)
    assert one.fingerprint == two.fingerprint
    assert one.evaluated_sha256 == two.evaluated_sha256
    assert not torch.equal(gather(one.train_dataloader())[1], gather(two.train_dataloader())[1])


def test_ranks_of_a_trainer_share_the_batches(ready):
    def labels(rank, world_size, batch_size):
        module = ready(batch_size=batch_size)
        strategy = SimpleNamespace(root_device=torch.device("cpu"))
        module.trainer = SimpleNamespace(strategy=strategy, global_rank=rank, world_size=world_size)
        return [y for _, y in module.train_dataloader()]

    ranks = [labels(rank, 2, 4) for rank in range(2)]
    joined = [torch.stack(pair, 1).flatten() for pair in zip(*ranks, strict=True)]
    assert all(torch.equal(a, b) for a, b in zip(joined, labels(0, 1, 8), strict=True))


def test_overfitting_sees_the_same_few_images_again(ready):
    module = ready()
    strategy = SimpleNamespace(root_device=torch.device("cpu"))
    module.trainer = SimpleNamespace(strategy=strategy, global_rank=0, world_size=1, overfit_batches=1)
    loader = module.train_dataloader()
    assert torch.equal(next(iter(loader))[0], next(iter(loader))[0])


def test_a_batch_larger_than_the_data_is_refused(ready):
    with pytest.raises(UserError, match=r"data\.batch_size: expected at most 50"):
        ready(batch_size=51).train_dataloader()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 0}, r"data\.batch_size: expected an integer ≥ 1, got 0"),
        ({"batch_size": True}, r"data\.batch_size: expected an integer"),
        ({"eval_batch_size": 1.5}, r"data\.eval_batch_size: expected an integer"),
        ({"val_size": -1}, r"data\.val_size"),
        ({"split_seed": "a"}, r"data\.split_seed"),
        ({"seed": None}, r"data\.seed: expected an integer ≥ 0 and < 2\^32, got None"),
        ({"binarize": "dynamik"}, r"data\.binarize: expected one of none, threshold, dynamic, got 'dynamik'"),
        ({"fallback": "maybe"}, r"data\.fallback: expected one of embedded, error"),
        ({"name": "fashion_mnist"}, r"data\.fallback: expected error for fashion_mnist"),
        ({"name": ""}, r"data\.name"),
        ({"root": 3}, r"data\.root"),
        ({"timeout": 0}, r"data\.timeout"),
        ({"mirrors": ["http://plain.test/"]}, r"data\.mirrors: expected a list of https:// addresses"),
        ({"mirrors": "https://one.test/"}, r"data\.mirrors"),
        ({"files": {"train_images": {}}}, r"data\.files: expected the keys train_images, train_labels"),
        ({"files": {}, "fallback": "error"}, r"data\.files: expected four files"),
        ({"hashes": ()}, r"data\.files\.train_images: expected sha256 or sha256_gz"),
    ],
)
def test_bad_arguments_are_named_before_anything_is_read(make, web, tmp_path, changes, message):
    with pytest.raises(UserError, match=message):
        make(**changes)
    assert not web.asked
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"name": "a"}, "name, shape and optionally"),
        ({"name": "a", "shape": [3], "md5": "x"}, "name, shape and optionally"),
        ({"name": "a", "shape": [60, 28]}, r"train_images\.shape: expected 3 positive integers"),
        ({"name": "a", "shape": [60, 28, 28], "sha256": "short"}, r"sha256: expected 64 hex digits"),
    ],
)
def test_bad_file_entries_are_named(make, entry, message):
    files = dict.fromkeys(("train_images", "train_labels", "test_images", "test_labels"), entry)
    with pytest.raises(UserError, match=rf"data\.files\.train_images.*{message}|{message}"):
        make(files=files)


def composed(name, conf):
    with initialize_config_dir(str(conf), version_base="1.3"):
        return instantiate(compose("train", [f"data={name}", "seed=3"]).data)


@pytest.mark.parametrize("name", ["mnist", "mnist5k", "fashion_mnist", "kmnist"])
def test_every_yaml_builds_its_module(name, pytestconfig):
    module = composed(name, pytestconfig.rootpath / "conf")
    assert isinstance(module, MNISTDataModule)
    assert (module.requested_name, module.seed, module.image_shape) == (name, 3, (1, 28, 28))


def test_mnist5k_asks_nobody_and_warns_of_nothing(web, pytestconfig, caplog):
    module = composed("mnist5k", pytestconfig.rootpath / "conf")
    module.prepare()
    assert module.sizes == {"train": 4000, "val": 500, "test": 500}
    assert not web.asked
    assert not caplog.records
