"""The page: what comes from files is inert, nothing is loaded, what has no content is left out."""

import json
import re
from html.parser import HTMLParser

import pytest
from PIL import Image

from aevq.report.page import render
from aevq.report.write import compare_folders
from helpers.run_folders import evaluate_by_hand, make_run, sweep_of

EVIL = "<img src=x onerror=alert(1)>"
SAMPLED = {
    "reconstruction/mse": 0.01,
    "reconstruction/fd": 0.5,
    "samples/standard_normal/fd": 3.0,
    "samples/standard_normal/kd": 0.1,
    "floor/fd": 0.12,
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
            self.rows[-1][-1] += data.strip() + " "


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
    for part in ("figures", "reconstructions", "samples", "trade-offs", "training", "latents", "cost", "again"):
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
    assert "These figures are not comparable" in page_of(three_models, allow_mixed=True)


def test_originals_are_shown_once_and_strips_stay_as_they_are(three_models):
    html = page_of(three_models)
    strips = [attributes for tag, attributes in Page(html).tags if tag == "img" and attributes["class"] == "bare"]
    assert [strip["alt"] for strip in strips].count("originals") == 1
    assert {strip["width"] for strip in strips if strip["alt"] == "originals"} == {"560"}


def test_a_run_without_strips_shows_its_titled_pictures(three_models):
    for strip in three_models.glob("*/images/strips/*.png"):
        strip.unlink()
    for name in ("reconstructions", "samples_standard_normal"):
        Image.new("RGB", (300, 60)).save(three_models / "ae1" / "images" / f"{name}.png")
    html = page_of(three_models)
    assert 'id="reconstructions"' in html
    assert 'class="bare"' not in html


def test_cells_show_the_mean_and_the_floor_comes_last(three_models):
    evaluate_by_hand(three_models / "vae2", SAMPLED | {"reconstruction/mse": 0.02})
    rows = Page(page_of(three_models)).rows
    headline = next(row for row in rows if row[0].startswith("VAE"))
    assert "0.015" in headline[1]
    floor = next(row for row in rows if row[0].startswith("real images"))
    assert floor[2].strip() == "0.12"


def test_a_resumed_run_says_so_with_every_commit(tmp_path):
    run = make_run(tmp_path / "a")
    values = json.loads((run / "result.json").read_text())
    resumes = [{"git": {"commit": "b" * 40, "dirty": True}}]
    values |= {"resumed": 1, "resumes": resumes, "git": {"commit": "a" * 40, "dirty": False}}
    (run / "result.json").write_text(json.dumps(values))
    html = page_of(tmp_path)
    assert f"{'a' * 40}, {'b' * 40} with local changes" in html
    assert "a (1x)" in html
