"""Three digits as colour channels: what a stack is, where its digits come from, and what it is called."""

import pytest
import torch

from aevq.data import SPLIT_NAMES, MNISTDataModule, StackedMNISTDataModule
from aevq.data.mnist import stack_digits
from aevq.errors import UserError

SIZES = {"train": 300, "val": 200, "test": 250}


def small(name="stacked_mnist5k", **changes) -> StackedMNISTDataModule:
    sizes = {f"{split}_stacks": size for split, size in SIZES.items()}
    return StackedMNISTDataModule(name, **{**sizes, **changes})


@pytest.fixture(scope="module")
def digits():
    """The embedded digits, split as mnist5k splits them."""
    return MNISTDataModule("mnist5k").splits


def whose(images, split) -> torch.Tensor:
    """Rows of a split's digits, for each single-channel image; -1 for one that is none of them."""
    rows = {bytes(image.numpy()): row for row, image in enumerate(split.images)}
    return torch.tensor([rows.get(bytes(image.contiguous().numpy()), -1) for image in images])


def test_the_channels_are_digits_of_their_split_alone_and_the_label_names_them(digits):
    stacks = stack_digits(digits, SIZES, 3, seed=0)
    for name in SPLIT_NAMES:
        for other in set(SPLIT_NAMES) - {name}:
            assert (whose(stacks[name].images.flatten(0, 1), digits[other]) == -1).all()
        images, labels = stacks[name].images, stacks[name].labels
        assert (images.shape, images.dtype, labels.dtype) == ((SIZES[name], 3, 28, 28), torch.uint8, torch.int64)
        named = torch.stack([labels // 100, labels // 10 % 10, labels % 10], 1)
        for channel in range(3):
            rows = whose(images[:, channel], digits[name])
            assert (rows >= 0).all()
            assert digits[name].labels[rows].equal(named[:, channel])


def test_the_stacks_depend_on_their_own_seed_alone(digits):
    first = stack_digits(digits, SIZES, 3, seed=0)
    torch.manual_seed(99)
    again, other = stack_digits(digits, SIZES, 3, seed=0), stack_digits(digits, SIZES, 3, seed=1)
    for name in SPLIT_NAMES:
        assert again[name].images.equal(first[name].images)
        assert not other[name].labels.equal(first[name].labels)
    assert small(seed=1).fingerprint == small(seed=2).fingerprint
    assert small(stack_seed=1).fingerprint["test"] != small().fingerprint["test"]
    known = "d308a1fd31c677d00763f7d6a51f0daf507f63a5e9bd588cb7f8346e7e3fe7d6"
    assert small().fingerprint["all"] == known, "no earlier result of stacked digits can be compared"


def test_every_mode_occurs(digits):
    stacks = stack_digits(digits, {"train": 26_000, "val": 10, "test": 10}, 3, seed=0)
    assert stacks.train.labels.unique().numel() == 1000


def test_a_module_knows_its_images_and_sizes():
    data = small(batch_size=20)
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
    data = small(binarize=how)
    assert set(data.images("test").unique().tolist()) == {0, 1}
    assert data.evaluated_sha256 == small(binarize=how, seed=5).evaluated_sha256


def test_the_name_says_that_the_digits_are_the_embedded_ones(tmp_path, caplog):
    data = small("stacked_mnist", root=str(tmp_path), download=False)
    assert data.name == "stacked_mnist"
    data.prepare()
    assert data.name == "stacked_mnist5k"
    assert "results are named stacked_mnist5k" in caplog.text
    assert data.fingerprint == small().fingerprint


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"leave_out": 3}, "leave_out: should be None, got 3"),
        ({"name": "mnist5k"}, "name: expected one of stacked_mnist, .*, got 'mnist5k'"),
        ({"train_stacks": 0}, "train_stacks: should be greater than 0, got 0"),
        ({"image_shape": [1, 28, 28]}, r"image_shape: expected \[3, 28, 28\]"),
        ({"num_classes": 10}, "num_classes: expected 1000, got 10"),
        ({"stack_seed": -1}, "stack_seed"),
    ],
)
def test_bad_arguments_are_named(changes, message):
    with pytest.raises(UserError, match=rf"^StackedMNISTDataModule\.{message}"):
        small(**changes)
