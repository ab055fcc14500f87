import pytest
import torch

from aevq.errors import UserError
from aevq.nn import MLP, Conv
from aevq.nn.conv import ResidualBlock

IMAGE = (1, 28, 28)


@pytest.mark.parametrize("network", [MLP(), Conv(), MLP([32, 16], "tanh"), Conv([4, 8], 1, "relu")])
@pytest.mark.parametrize("latent", [(5,), (3, 7, 7)])
def test_encoder_and_decoder_have_the_shapes_asked_for(network, latent, digits):
    encoder, decoder = network.encoder(IMAGE, latent), network.decoder(latent, IMAGE)
    z = encoder(digits[:2])
    assert z.shape == (2, *latent)
    assert decoder(z).shape == (2, *IMAGE)


def test_every_parameter_gets_a_gradient(digits):
    for network in (MLP([16], "gelu"), Conv([4, 8], 2, "elu")):
        encoder, decoder = network.encoder(IMAGE, (6,)), network.decoder((6,), IMAGE)
        parameters = [*encoder.parameters(), *decoder.parameters()]
        optimizer = torch.optim.Adam(parameters)
        for _ in range(2):  # the residual blocks are the identity until the first step
            optimizer.zero_grad()
            decoder(encoder(digits[:4])).square().mean().backward()
            optimizer.step()
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in parameters)


def test_a_residual_block_is_initially_the_identity():
    x = torch.randn(2, 8, 7, 7)
    block = ResidualBlock(8, torch.nn.SiLU)
    assert block(x).equal(x)
    assert any(p.abs().sum() > 0 for p in block.parameters())


@pytest.mark.parametrize("latent", [(5,), (3, 7, 7)])
def test_a_convolutional_decoder_is_initially_as_dark_as_digits_are(latent, digits):
    images = Conv([8, 16], 0, "silu", 1).decoder(latent, IMAGE)(torch.randn(100, *latent)).sigmoid()
    assert images.mean().item() == pytest.approx(digits.mean().item(), abs=0.03)


@pytest.mark.parametrize(("in_decoder", "expected"), [(None, (1, 1)), (3, (1, 3)), (0, (1, 0))])
def test_a_decoder_has_the_blocks_of_the_encoder_or_its_own(in_decoder, expected):
    network = Conv([4, 8], 1, "relu", in_decoder)
    halves = network.encoder(IMAGE, (3, 7, 7)), network.decoder((3, 7, 7), IMAGE)
    assert tuple(sum(isinstance(m, ResidualBlock) for m in half.modules()) for half in halves) == expected


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Conv([4, 8]).encoder(IMAGE, (3, 8, 8)), "grid: should be 7×7, as .*28×28 images, got 8×8"),
        (lambda: Conv([4, 8, 8]).encoder(IMAGE, (3,)), r"network\.channels: 3 halvings do not divide a 28×28 image"),
        (lambda: MLP([]), r"MLP\.hidden: should have at least 1 item"),
        (lambda: MLP([4, 0]), r"MLP\.hidden\.1: should be greater than 0, got 0"),
        (lambda: Conv([4], -1), r"Conv\.residual_blocks: should be greater than or equal to 0, got -1"),
        (lambda: MLP([4], "silo"), r"MLP\.activation: should be .*, got 'silo'; did you mean 'silu'"),
    ],
)
def test_what_does_not_fit_is_refused(make, message):
    with pytest.raises(UserError, match=f"^{message}"):
        make()
