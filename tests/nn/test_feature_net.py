import pytest
import torch

from aevq.data import embedded_digits
from aevq.errors import UserError
from aevq.nn.feature_net import WEIGHTS, load_feature_net


def test_it_knows_the_digits_and_is_frozen():
    net = load_feature_net()
    images, labels = embedded_digits()
    x = images[::10].view(-1, 1, 28, 28).float() / 255
    assert (net(x).argmax(1) == labels[::10]).float().mean() > 0.99
    assert net.features(x[:3]).shape == (3, 128)
    assert not any(p.requires_grad for p in net.parameters())
    assert not net.training


def test_other_weights_are_refused(tmp_path):
    content = bytearray(WEIGHTS.read_bytes())
    content[-1] ^= 1
    path = tmp_path / "feature_net.safetensors"
    path.write_bytes(content)
    path.with_suffix(".sha256").write_text(WEIGHTS.with_suffix(".sha256").read_text())
    with pytest.raises(UserError, match="not the feature net"):
        load_feature_net(path)
    path.unlink()
    with pytest.raises(UserError, match="cannot be read"):
        load_feature_net(path)


def test_features_of_an_image_do_not_depend_on_the_batch(digits):
    net = load_feature_net()
    torch.testing.assert_close(net.features(digits[:20])[7], net.features(digits[7:8])[0], atol=1e-4, rtol=1e-4)
