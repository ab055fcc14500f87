import pytest

from aevq.report.labels import labels


@pytest.mark.parametrize(
    ("models", "configs", "expected"),
    [
        (["AE", "VAE"], [{"model.beta": 1}, {"model.latent_dim": 3}], ["AE", "VAE"]),
        (["VAE", "VAE"], [{"model.beta": 1.0}, {"model.beta": 4.0}], ["VAE beta=1", "VAE beta=4"]),
        (["AE", "VAE", "VAE"], [{}, {"model.beta": 1}, {"model.beta": 4}], ["AE", "VAE beta=1", "VAE beta=4"]),
        (
            ["VAE", "VAE"],
            [
                {"model.likelihood._target_": "aevq.nn.Gaussian", "model.likelihood.sigma": 0.3},
                {"model.likelihood._target_": "aevq.nn.Bernoulli"},
            ],
            ["VAE likelihood=Gaussian", "VAE likelihood=Bernoulli"],
        ),
        (
            ["VAE"] * 2,
            [{"model._target_": "aevq.models.VAE"}, {"model._target_": "mine.VAE"}],
            ["VAE model=aevq.models.VAE", "VAE model=mine.VAE"],
        ),
        (["AE", "AE"], [{"x": 1}, {"x": "1"}], ["AE x=1 (1)", "AE x=1 (2)"]),
        (["AE", "AE"], [{"hidden": [512, 256]}, {"hidden": None}], ["AE hidden=[512,256]", "AE hidden=null"]),
    ],
)
def test_the_shortest_names_that_tell_groups_apart(models, configs, expected):
    assert labels(models, configs) == expected


def test_a_grid_needs_both_keys_and_a_key_that_follows_is_left_out():
    grid = [{"model.num_codes": k, "model.code_dim": d, "note": k * 2} for k in (64, 128) for d in (4, 8)]
    found = labels(["VQVAE"] * 4, grid)
    assert len(set(found)) == 4
    assert all(len(name.split()) == 3 and "code_dim=" in name for name in found)


def test_keys_that_end_alike_keep_as_much_as_it_takes():
    configs = [{"a.lr": x, "b.lr": y} for x in (1, 2) for y in (1, 2)]
    assert labels(["AE"] * 4, configs)[0] == "AE a.lr=1 b.lr=1"
