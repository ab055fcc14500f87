"""Three digits as colour channels: what a stack is, where its digits come from, and what it is called."""

from __future__ import annotations

import pytest
import torch
from hydra import compose, initialize_config_dir

from aevq.config.command_line import config_root
from aevq.config.instantiate import build
from aevq.data import SPLIT_NAMES, MNISTDataModule, StackedMNISTDataModule
from aevq.data.embedded import splits_or_embedded
from aevq.data.stacked import stack_digits
from aevq.errors import UserError

SIZES = {"train": 300, "val": 200, "test": 250}


def composed(*overrides: str):
    with initialize_config_dir(str(config_root()), version_base="1.3"):
        return compose("train", list(overrides)).data


def small(*overrides: str):
    sizes = [f"data.{split}_stacks={size}" for split, size in SIZES.items()]
    return build(composed("data=stacked_mnist5k", *sizes, *overrides))


@pytest.fixture(scope="module")
def digits():
    """The embedded digits, split as data=mnist5k splits them."""
    return splits_or_embedded(None, "embedded", 500, split_seed=0)


def whose(images, split) -> torch.Tensor:
    """Rows of a split's digits, for each single-channel image; -1 for one that is none of them."""
    rows = {bytes(image.numpy()): row for row, image in enumerate(split.images)}
    return torch.tensor([rows.get(bytes(image.contiguous().numpy()), -1) for image in images])


def test_the_channels_are_the_digits_that_the_label_names(digits):
    stacks = stack_digits(digits, SIZES, 3, seed=0)
    for name in SPLIT_NAMES:
        images, labels = stacks[name].images, stacks[name].labels
        assert (images.shape, images.dtype, labels.dtype) == ((SIZES[name], 3, 28, 28), torch.uint8, torch.int64)
        named = torch.stack([labels // 100, labels // 10 % 10, labels % 10], 1)
        for channel in range(3):
            rows = whose(images[:, channel], digits[name])
            assert (rows >= 0).all()
            assert digits[name].labels[rows].equal(named[:, channel])


def test_no_digit_is_in_two_splits(digits):
    stacks = stack_digits(digits, SIZES, 3, seed=0)
    for name in SPLIT_NAMES:
        for other in set(SPLIT_NAMES) - {name}:
            assert (whose(stacks[name].images.flatten(0, 1), digits[other]) == -1).all()


def test_the_stacks_depend_on_their_own_seed_alone(digits):
    first = stack_digits(digits, SIZES, 3, seed=0)
    torch.manual_seed(99)
    again, other = stack_digits(digits, SIZES, 3, seed=0), stack_digits(digits, SIZES, 3, seed=1)
    for name in SPLIT_NAMES:
        assert again[name].images.equal(first[name].images)
        assert not other[name].labels.equal(first[name].labels)
    assert small("seed=1").fingerprint == small("seed=2").fingerprint
    assert small("data.stack_seed=1").fingerprint["test"] != small().fingerprint["test"]


def test_the_committed_stacks_are_these():
    known = "d308a1fd31c677d00763f7d6a51f0daf507f63a5e9bd588cb7f8346e7e3fe7d6"
    assert small().fingerprint["all"] == known


def test_channels_are_drawn_independently_and_evenly(digits):
    stacks = stack_digits(digits, {"train": 26_000, "val": 10, "test": 10}, 3, seed=0)
    labels = stacks.train.labels
    assert labels.unique().numel() == 1000
    for channel in range(3):
        share = (labels // 10**channel % 10).bincount(minlength=10) / len(labels)
        assert share.tolist() == pytest.approx([0.1] * 10, abs=0.01)


def test_a_module_says_what_it_has():
    data = small("data.batch_size=20")
    assert isinstance(data, MNISTDataModule)
    assert (data.image_shape, data.num_classes, data.train_size) == ((3, 28, 28), 1000, 300)
    data.prepare()
    assert (data.name, data.sizes) == ("stacked_mnist5k", SIZES)
    x, y = next(iter(data.train_dataloader()))
    assert (x.shape, x.dtype, y.shape) == ((20, 3, 28, 28), torch.float32, (20,))
    assert 0 <= x.min() <= x.max() <= 1
    y, by_channel = data.labels("test"), data.digits("test")
    assert by_channel.shape == (250, 3)
    assert (100 * by_channel[:, 0] + 10 * by_channel[:, 1] + by_channel[:, 2]).equal(y)


@pytest.mark.parametrize("how", ["threshold", "dynamic"])
def test_stacks_can_be_made_binary(how):
    data = small(f"data.binarize={how}")
    assert set(data.images("test").unique().tolist()) == {0, 1}
    assert data.evaluated_sha256 == small(f"data.binarize={how}", "seed=5").evaluated_sha256


def test_where_no_mirror_answers_the_name_says_so(web, tmp_path, caplog):
    data = build(composed("data=stacked_mnist", f"data.root={tmp_path}", "data.train_stacks=50"))
    for mirror in data.source.mirrors:
        web.down(mirror)
    assert data.name == "stacked_mnist"
    data.prepare()
    assert data.name == "stacked_mnist5k"
    assert "results are named stacked_mnist5k" in caplog.text
    assert data.fingerprint["test"] == build(composed("data=stacked_mnist5k")).fingerprint["test"]


def test_the_yaml_of_the_full_set_reads_mnists_own_files():
    full, mnist = composed("data=stacked_mnist"), composed("data=mnist")
    for key in ("files", "mirrors", "folder", "val_size", "split_seed"):
        assert full[key] == mnist[key]
    assert isinstance(build(full), StackedMNISTDataModule)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.leave_out=3", r"data\.leave_out: expected null"),
        ("data.name=mnist5k", r"data\.name: expected a name that begins with stacked_, got 'mnist5k'"),
        ("data.train_stacks=0", r"data\.train_stacks: expected an integer ≥ 1, got 0"),
        ("data.image_shape=[1,28,28]", r"data\.image_shape: expected \[3, 28, 28\]"),
        ("data.num_classes=10", r"data\.num_classes: expected 1000, got 10"),
        ("data.stack_seed=-1", r"data\.stack_seed"),
    ],
)
def test_what_does_not_fit_stacks_is_refused_in_one_line(override, message):
    with pytest.raises(UserError, match=message) as error:
        build(composed("data=stacked_mnist5k", override), path="data")
    assert "\n" not in str(error.value)
