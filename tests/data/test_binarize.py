import pytest
import torch

from aevq.data.binarize import BINARIZERS, DynamicBinarizer, bytes_sha256, to_unit

RAMP = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)


@pytest.mark.parametrize("mode", BINARIZERS)
def test_images_are_in_the_unit_interval_and_the_input_is_untouched(mode):
    images, binarizer = RAMP.clone(), BINARIZERS[mode]()
    for x in (binarizer.batch(images, 3), to_unit(binarizer.freeze(images, "test"))):
        assert x.dtype == torch.float32
        assert (x.shape, x.min(), x.max()) == (RAMP.shape, 0, 1)
    assert torch.equal(images, RAMP)
    assert mode == "dynamic" or torch.equal(binarizer.batch(RAMP, 3), x), "evaluation sees what training sees"


def test_threshold_is_at_one_half():
    assert torch.equal(BINARIZERS["threshold"]().batch(RAMP, 0), (RAMP.double() / 255 >= 0.5).float())


def test_a_drawn_pixel_is_one_as_often_as_it_is_bright():
    n = 4000
    mean = DynamicBinarizer().batch(RAMP.expand(n, -1, -1, -1), 7).double().mean(0)
    p = RAMP[0].double() / 255
    assert ((mean - p).abs() <= 5 * (p * (1 - p) / n).sqrt()).all()


def test_a_draw_is_a_pure_function_of_its_seed_or_split():
    binarizer = DynamicBinarizer()
    draw, fixed = binarizer.batch(RAMP, 1), {split: binarizer.freeze(RAMP, split) for split in ("train", "val", "test")}
    assert not torch.equal(binarizer.batch(RAMP, 2), draw)
    assert len({bytes_sha256(images) for images in fixed.values()}) == 3
    torch.manual_seed(5)
    assert torch.equal(DynamicBinarizer().batch(RAMP, 1), draw)
    assert torch.equal(DynamicBinarizer().freeze(RAMP, "test"), fixed["test"])


def test_the_fixed_draw_is_the_committed_one():
    """If this fails, every likelihood ever reported is of another test set."""
    known = "d4169dd53206b715aa20f4699bacdc99cf9cf2b29f7ca932062912ad3f3e17c1"
    assert bytes_sha256(DynamicBinarizer().freeze(RAMP.expand(50, -1, -1, -1), "test")) == known
