import pytest

from aevq.errors import UserError
from aevq.nn import MLP, Conv

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
        decoder(encoder(digits[:4])).square().mean().backward()
        parameters = [*encoder.parameters(), *decoder.parameters()]
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in parameters)


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
