import numpy as np
import pytest
import torch
from PIL import Image

from aevq.models import AE, VQVAE
from aevq.nn import MLP, Conv
from aevq.priors import Marginals, StandardNormal
from aevq.report.plots import (
    PlotSettings,
    draw_run,
    one_of_each,
    project,
    save_code_maps,
    save_codebook_usage,
    save_grid,
    save_manifold,
    save_plain_grid,
    save_rows,
    save_scatter,
)
from helpers.small_data import toys


def brightness(path):
    image = Image.open(path)
    assert image.width > 100
    assert image.height > 100
    return np.asarray(image.convert("L")).std()


def test_one_of_each_takes_as_many_of_each_class_as_the_smallest_class_has():
    assert one_of_each(torch.tensor([0, 0, 1]), 2).tolist() == [0, 2]


def test_a_grid_shows_its_images_and_equal_plots_are_equal_files(tmp_path, digits):
    for name, images in {"a": digits[:16], "b": digits[:16], "c": digits[16:32]}.items():
        save_grid(images, 8, "samples", tmp_path / f"{name}.png")
    a, b, c = ((tmp_path / f"{name}.png").read_bytes() for name in "abc")
    assert a == b != c
    assert brightness(tmp_path / "a.png") > 20


def test_a_strip_is_the_images_pixel_for_pixel(tmp_path, digits):
    path = tmp_path / "strips" / "samples.png"
    save_plain_grid(digits[:20], 8, path)
    image = Image.open(path)
    assert (image.mode, image.size) == ("L", (8 * 28, 3 * 28))
    pixels = torch.from_numpy(np.asarray(image) / 255).float()
    assert pixels[28:56, 56:84].allclose(digits[10, 0])
    assert not pixels[56:, 4 * 28 :].any()


def test_a_strip_of_stacked_digits_keeps_its_colours(tmp_path, digits):
    stacks = digits[:60].view(20, 3, 28, 28)
    path = tmp_path / "strips" / "samples.png"
    save_plain_grid(stacks, 8, path)
    image = Image.open(path)
    assert (image.mode, image.size) == ("RGB", (8 * 28, 3 * 28))
    pixels = torch.from_numpy(np.asarray(image) / 255).float().movedim(-1, 0)
    assert pixels[:, 28:56, 56:84].allclose(stacks[10])


def test_plots_of_stacked_digits_are_in_colour(tmp_path, digits):
    red = torch.cat([digits[:20], torch.zeros(20, 2, 28, 28)], 1)
    save_grid(red, 10, "grid", tmp_path / "grid.png")
    save_rows({"original": red[:10], "reconstruction": red[10:]}, "rows", tmp_path / "rows.png")
    save_code_maps(red[:10], torch.zeros(10, 7, 7).long(), 16, "codes", tmp_path / "codes.png")
    for path in tmp_path.iterdir():
        pixels = np.asarray(Image.open(path).convert("RGB")).astype(int)
        assert ((pixels[..., 0] > 200) & (pixels[..., 1:].max(-1) < 40)).sum() > 50, path.name


def test_rows_are_named(tmp_path, digits):
    save_rows({"original": digits[:10], "reconstruction": digits[10:20]}, "rows", tmp_path / "rows.png")
    assert brightness(tmp_path / "rows.png") > 20


def test_two_coordinates_are_shown_as_they_are_and_more_are_projected():
    z = torch.randn(60, 2)
    assert project(z) == (z, "z")
    xy, method = project(torch.randn(60, 80))
    assert xy.shape == (60, 2)
    assert method == "t-SNE"


@pytest.mark.parametrize("points", [1, 2, 3, 20])
def test_a_few_points_are_projected_too(points):
    assert project(torch.randn(points, 80))[0].shape == (points, 2)


@pytest.mark.parametrize("value", [1.0, float("nan"), float("inf")])
def test_latents_that_are_all_alike_or_not_finite_are_one_point(value):
    xy, method = project(torch.full((60, 8), value))
    assert xy.equal(torch.zeros(60, 2))
    assert method == "all latents are equal or not finite"


def test_a_projection_keeps_clusters_apart():
    labels = torch.arange(3).repeat_interleave(30)
    xy, _ = project(10 * torch.eye(6)[labels] + torch.randn(90, 6))
    nearest = torch.cdist(xy, xy).fill_diagonal_(torch.inf).argmin(1)
    assert (labels[nearest] == labels).float().mean() > 0.95


def test_latent_plots_are_written(tmp_path, digits, make_model):
    codes = torch.randint(0, 16, (10, 7, 7))
    save_scatter(torch.randn(50, 2), torch.arange(50) % 10, "map", tmp_path / "map.png")
    save_codebook_usage(codes, 16, "usage", tmp_path / "usage.png")
    save_code_maps(digits[:10], codes, 16, "codes", tmp_path / "codes.png")
    for path in tmp_path.iterdir():
        assert brightness(path) > 5


def test_one_image_has_a_code_map_too(tmp_path, digits):
    save_code_maps(digits[:1], torch.randint(0, 16, (1, 7, 7)), 16, "codes", tmp_path / "codes.png")
    assert (tmp_path / "codes.png").is_file()


@pytest.mark.parametrize("side", [5])
def test_the_manifold_is_decoded_from_a_plane(tmp_path, side):
    class Plane:
        device = torch.device("cpu")

        def decode(self, z):
            return z.sum(1).sigmoid().view(-1, 1, 1, 1).expand(-1, 1, 28, 28)

    save_manifold(Plane(), torch.randn(200, 2), "plane", tmp_path / "plane.png", side)
    assert brightness(tmp_path / "plane.png") > 5


def draw(data, folder, **settings):
    """Draw the plots of an untrained AE and VQ-VAE; return their names."""
    shape, drawn = data.image_shape, {}
    grid = (shape[1] // 2, shape[2] // 2)
    conv = VQVAE(shape, grid, num_codes=16, code_dim=16, network=Conv([4]), codebook_init="normal")
    for model, prior in ((AE(shape, 2, MLP([8])), StandardNormal), (conv, Marginals)):
        own = folder / type(model).__name__
        own.mkdir()
        priors = {"prior": prior(model.latent_spec)}
        images = draw_run(model.eval(), priors, data, own, PlotSettings(samples=8, **settings))
        drawn[own.name] = {path.stem for path in images}
    return drawn


OF_EACH = {"reconstructions", "interpolations", "latent_space", "samples_prior"}
OF_MODEL = {"AE": OF_EACH | {"manifold"}, "VQVAE": OF_EACH | {"codebook_usage", "code_maps"}}


@pytest.mark.fault("few points, one test image, one class or small images: every plot is drawn")
@pytest.mark.parametrize(
    ("data", "points"),
    [({}, 20), ({"shape": (3, 4, 4)}, 7), ({"test_images": 1}, 5), ({"classes": 1}, 3)],
    ids=str,
)
def test_plots_need_neither_many_images_nor_those_of_mnist(data, points, tmp_path, caplog):
    assert draw(toys(**data), tmp_path, map_points=points) == OF_MODEL
    assert not caplog.records


@pytest.mark.fault("a plot that fails: one warning, and all others are drawn")
def test_a_plot_that_fails_is_left_out(tmp_path, caplog, monkeypatch):
    def fail(*_):
        raise ValueError("too\nfew")

    monkeypatch.setattr("aevq.report.plots.project", fail)
    drawn = draw(toys(), tmp_path)
    assert drawn == {name: plots - {"latent_space"} for name, plots in OF_MODEL.items()}
    assert [record.getMessage() for record in caplog.records] == [
        "latent_space.png: left out (ValueError: too few)"
    ] * 2
