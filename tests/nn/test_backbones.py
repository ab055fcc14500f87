import pytest
import torch

from aevq.errors import UserError
from aevq.nn import MLP, Conv
from aevq.nn.conv import ResidualBlock

IMAGE = (1, 28, 28)


@pytest.mark.parametrize("network", [MLP([32, 16], "tanh"), Conv([4, 8], 1, "relu")])
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
        for _ in range(2):  # the first step opens the residual blocks, which begin as the identity
            optimizer.zero_grad()
            decoder(encoder(digits[:4])).square().mean().backward()
            optimizer.step()
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in parameters)


def test_residual_blocks_begin_as_the_identity():
    x = torch.randn(2, 8, 7, 7)
    block = ResidualBlock(8, torch.nn.SiLU)
    assert block(x).equal(x)
    assert any(p.abs().sum() > 0 for p in block.parameters())


@pytest.mark.parametrize("latent", [(5,), (3, 7, 7)])
def test_a_convolutional_decoder_begins_as_dark_as_digits_are(latent, digits):
    drawn = Conv([8, 16], 0, "silu", 1).decoder(latent, IMAGE)(torch.randn(100, *latent)).sigmoid()
    assert drawn.mean().item() == pytest.approx(digits.mean().item(), abs=0.03)


@pytest.mark.parametrize(("in_decoder", "expected"), [(None, (1, 1)), (3, (1, 3)), (0, (1, 0))])
def test_a_decoder_has_the_blocks_of_the_encoder_or_its_own(in_decoder, expected):
    network = Conv([4, 8], 1, "relu", in_decoder)
    halves = network.encoder(IMAGE, (3, 7, 7)), network.decoder((3, 7, 7), IMAGE)
    assert tuple(sum(isinstance(m, ResidualBlock) for m in half.modules()) for half in halves) == expected


def test_a_grid_that_the_halvings_do_not_give_is_refused():
    with pytest.raises(UserError, match=r"model\.grid.*28×28 into 7×7, got 8×8"):
        Conv([4, 8], 0, "relu").encoder(IMAGE, (3, 8, 8))


def test_an_image_that_does_not_divide_is_refused():
    with pytest.raises(UserError, match="3 halvings do not divide a 28×28 image"):
        Conv([4, 8, 8], 0, "relu").encoder(IMAGE, (3,))


@pytest.mark.parametrize("make", [lambda: MLP([], "relu"), lambda: MLP([0], "relu"), lambda: Conv([], 0, "relu")])
def test_empty_or_zero_widths_are_refused(make):
    with pytest.raises(UserError, match="a list of integers ≥ 1"):
        make()


def test_an_unknown_activation_names_the_nearest():
    with pytest.raises(UserError, match="did you mean 'silu'"):
        MLP([4], "silo")
