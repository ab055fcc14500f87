"""The page: texts from files are escaped, nothing is loaded, parts without content are left out."""

import io
import json
import re
from base64 import b64decode
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from aevq.report.comparison import compare_folders
from aevq.report.page import load_image, render
from helpers.run_folders import evaluate_by_hand, make_run, sweep_of

EVIL = "<img src=x onerror=alert(1)>"
SAMPLED = {
    "reconstruction/mse": 0.01,
    "reconstruction/fd": 0.5,
    "samples/standard_normal/fd": 3.0,
    "samples/standard_normal/kd": 0.1,
    "real/fd": 0.12,
    "rate/kl_bits": 36.0,
}


class Page(HTMLParser):
    """Every tag with its attributes, and the texts of table cells by row."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.rows = [], []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th") and self.rows:
            self.rows[-1].append("")

    def handle_data(self, data):
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data.strip().strip("●■◆▲▼") + " "


def page_of(folder, allow_mixed=False):
    return render(compare_folders([folder], allow_mixed))


@pytest.fixture
def three_models(tmp_path):
    for seed in (1, 2):
        make_run(tmp_path / f"ae{seed}", "AE", seed)
        make_run(tmp_path / f"vae{seed}", "VAE", seed, SAMPLED)
    return tmp_path


def test_names_and_errors_from_files_are_text(tmp_path):
    evil = f"model.latent_dim={EVIL!r}"
    make_run(tmp_path / "a", model=f"AE{EVIL}", name=EVIL, metrics=SAMPLED)
    make_run(tmp_path / "b", model="VAE", config=[evil], metrics={f"samples/{EVIL}/fd": 1.0, "reconstruction/mse": 1})
    make_run(tmp_path / "c", model="VAE", seed=2)
    make_run(tmp_path / "d", seed=3, status="failed", error=f"</script>{EVIL}")
    html = page_of(tmp_path)
    assert "&lt;img src=x onerror=alert(1)&gt;" in html
    tags = Page(html).tags
    assert not any("onerror" in attributes for _, attributes in tags)
    assert all(attributes["src"].startswith("data:image/png;base64,") for tag, attributes in tags if tag == "img")
    assert sum(tag == "script" for tag, _ in tags) == 1


def test_nothing_is_loaded_from_anywhere(three_models):
    html = page_of(three_models)
    for tag, attributes in Page(html).tags:
        for name in ("src", "href", "srcset", "data", "action", "xlink:href"):
            assert str(attributes.get(name, "#")).startswith(("#", "data:")), (tag, attributes)
    assert "@import" not in html
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", html))
    assert "default-src 'none'" in html


def test_parts_without_content_are_left_out(tmp_path, three_models):
    full = page_of(three_models)
    for part in ("metrics", "reconstructions", "samples", "trade-offs", "training", "latents", "cost", "reproduce"):
        assert f'id="{part}"' in full
    assert 'id="unfinished"' not in full
    assert "AE has no rate" in full
    failed = tmp_path / "failed"
    sweep_of(failed, [(None, "failed", "no such key")])
    bare = page_of(failed)
    assert "no such key" in bare
    assert re.findall(r'<section id="([^"]*)"', bare) == ["unfinished"]


def test_a_failed_run_is_listed_and_in_no_other_table(three_models):
    make_run(three_models / "x", "VQVAE", 3, {"reconstruction/mse": 123.456}, status="failed", error="diverged")
    html = page_of(three_models)
    assert "123.456" not in html
    rows = [row for row in Page(html).rows if any("diverged" in cell for cell in row)]
    assert len(rows) == 1
    assert sum("VQVAE" in cell for row in Page(html).rows for cell in row) == 0


def test_mixed_data_carry_a_warning(three_models):
    make_run(three_models / "x", "VAE", 3, SAMPLED, fingerprint="0" * 64)
    assert "These metrics are not comparable" in page_of(three_models, allow_mixed=True)


def test_originals_are_shown_once_and_plain_grids_stay_as_they_are(three_models):
    html = page_of(three_models)
    grids = [attributes for tag, attributes in Page(html).tags if tag == "img" and attributes["class"] == "pixels"]
    assert [grid["alt"] for grid in grids].count("originals") == 1
    assert {grid["width"] for grid in grids if grid["alt"] == "originals"} == {"560"}


def test_cells_show_the_mean_and_real_data_come_last(three_models):
    evaluate_by_hand(three_models / "vae2", SAMPLED | {"reconstruction/mse": 0.02})
    rows = Page(page_of(three_models)).rows
    headline = next(row for row in rows if row[0].strip() == "VAE")
    assert "0.015" in headline[1]
    reference = next(row for row in rows if row[0].startswith("real data"))
    assert reference[2].strip() == "0.12"


def test_a_resumed_run_says_so_with_every_commit(tmp_path):
    run = make_run(tmp_path / "a")
    values = json.loads((run / "result.json").read_text())
    resumes = [{"git": {"commit": "b" * 40, "dirty": True}}]
    values |= {"resumed": 1, "resumes": resumes, "git": {"commit": "a" * 40, "dirty": False}}
    (run / "result.json").write_text(json.dumps(values))
    html = page_of(tmp_path)
    assert f"{'a' * 40}, {'b' * 40} with local changes" in html
    assert "a (1x)" in html


def test_metrics_from_outside_the_package_have_their_own_titles(three_models):
    extra = [
        {"name": "reconstruction/lpips", "title": "LPIPS", "about": "a distance", "goal": "lower", "unit": "u"},
        {"name": "samples/<prior>/is", "title": "IS", "about": "inception score", "goal": "higher"},
    ]
    for seed in (1, 2):
        path = three_models / f"vae{seed}" / "result.json"
        result = json.loads(path.read_text())
        result.pop("sha256", None)
        result["metrics"] |= {"reconstruction/lpips": 0.25, "samples/standard_normal/is": 9.5}
        path.write_text(json.dumps(result | {"extra_metrics": extra}))
    rows = Page(page_of(three_models)).rows
    heads = [" ".join(head.split()) for row in rows for head in row]
    assert "LPIPS ↓ u" in heads
    assert "IS ↑" in heads
    assert any("0.25" in cell for row in rows for cell in row)


def damaged_pngs():
    """A PNG cut at many places and with single bytes changed, and files that are none."""
    file = io.BytesIO()
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(file, "PNG")
    png = file.getvalue()
    yield from (b"", b"<svg onload=alert(1)>", b"\x89PNG\r\n\x1a\nbroken")
    yield from (png[:n] for n in range(0, len(png) - 12, 5))
    yield from (png[:n] + bytes([png[n] ^ 255]) + png[n + 1 :] for n in range(8, len(png) - 12))


@pytest.mark.hostile
def test_a_damaged_png_is_left_out_or_still_shown_and_never_an_error(tmp_path):
    path, shown = tmp_path / "a.png", []
    for content in damaged_pngs():
        path.write_bytes(content)
        shown.append(load_image(path, "a", 0) is not None)
    assert shown[:4] == [False] * 4


def test_plain_grids_are_embedded_unchanged_and_plots_get_smaller(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (300, 300, 3), np.uint8)
    for folder in ("strips", "images"):
        (tmp_path / folder).mkdir()
        Image.fromarray(pixels).save(tmp_path / folder / "a.png")
    grid, plot = (load_image(tmp_path / folder / "a.png", "a", 0) for folder in ("strips", "images"))
    raw = (tmp_path / "strips" / "a.png").read_bytes()
    assert b64decode(grid.source.partition(",")[2]) == raw
    assert plot.is_plot
    assert not grid.is_plot
    smaller = b64decode(plot.source.partition(",")[2])
    assert len(smaller) < len(raw)
    assert Image.open(io.BytesIO(smaller)).size == (300, 300)


def test_metrics_of_validation_images_are_not_called_those_of_test_images(tmp_path):
    make_run(tmp_path / "a", config=["evaluation.split=val"])
    comparison = compare_folders([tmp_path])
    assert "measured on the 500 validation images" in comparison.summary
    assert "test images" not in comparison.summary


def test_size_and_times_of_each_prior_are_in_a_table(tmp_path):
    evaluate_by_hand(
        make_run(tmp_path / "vae", "VAE", 1, SAMPLED),
        {"samples/wide/fd": 2.0},
        priors={"wide": {"target": "", "fit_to": "mean", "parameters": 1234, "seconds": 7.25, "config": {}}},
        costs={"samples/wide/milliseconds": 0.5},
    )
    (row,) = (row for row in Page(page_of(tmp_path)).rows if row[0].strip() == "VAE" and "1,234" in "".join(row))
    assert [cell.strip() for cell in row[1:]] == ["wide", "1,234", "7.25", "0.5"]
