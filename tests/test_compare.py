"""The command `python -m aevq.compare`, as a user types it."""

import csv
import json
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from aevq.compare import compare
from aevq.compare import main as compare_main
from aevq.errors import UserError
from aevq.train import main as train_main
from helpers.run_folders import make_run
from helpers.small_runs import QUICK, SMALL

SAMPLED = {"reconstruction/mse": 0.01, "samples/standard_normal/fd": 3.0, "rate/kl_bits": 36.0}


@pytest.fixture
def sweep(tmp_path):
    """A finished sweep of two models and two seeds, under runs/sweep."""
    folder = tmp_path / "runs" / "sweep" / "first"
    for seed in (1, 2):
        make_run(folder / f"{seed}_ae", "AE", seed)
        make_run(folder / f"{seed + 2}_vae", "VAE", seed, SAMPLED)
    return folder


def table_of(folder):
    with (folder / "comparison.csv").open(newline="") as file:
        return {(row["group"], row["metric"]): row for row in csv.DictReader(file)}


def test_trained_runs_are_compared_and_every_metric_is_that_of_their_files(command):
    for seed in (1, 2):
        code, _, err = command(train_main, "model=vae", f"seed={seed}", *QUICK, *SMALL["vae"], "evaluation.samples=20")
        assert code == 0, err
    runs = list(Path("runs").glob("*_s[12]"))
    code, out, err = command(compare_main, *map(str, runs))
    assert code == 0, err
    assert "VAE" in out
    values = defaultdict(list)
    for run in runs:
        for name, value in json.loads((run / "result.json").read_text())["metrics"].items():
            values[name].append(value)
    table = table_of(Path("report"))
    assert len(values) > 15
    for name, (first, second) in values.items():
        row = table["VAE", name]
        assert float(row["mean"]) == np.mean([first, second])
        assert float(row["std"]) == np.std([first, second], ddof=1)
        assert row["n"] == "2"
    html = Path("report/index.html").read_text()
    assert html.count('class="pixels"') >= 3


def test_a_sweeps_report_lies_in_its_folder(sweep, command):
    code, out, err = command(compare_main, "latest")
    assert code == 0, err
    assert {path.name for path in (sweep / "report").iterdir()} == {"index.html", "comparison.csv", "comparison.md"}
    assert "report  runs/sweep/first/report/index.html" in out
    assert command(compare_main, "latest")[0] == 0  # again: the report is no run


def test_markdown_marks_the_best_and_names_the_prior_and_a_missing_metric_is_absent_from_the_csv(sweep):
    compare([sweep])
    assert ("AE", "rate/kl_bits") not in table_of(sweep / "report")
    text = (sweep / "report" / "comparison.md").read_text()
    assert "| VAE | **0.01**" in text
    assert "(standard_normal)" in text
    assert "| AE | *0.015 ± 0.007* |" in text or "| AE | 0.015 ± 0.007 |" in text
    assert "| – |" in text


def test_mixed_runs_are_refused_until_asked_for(sweep, command):
    make_run(sweep / "5_vae", "VAE", 3, fingerprint="0" * 64)
    code, _, err = command(compare_main, "latest")
    assert code == 1
    assert "5_vae" in err
    assert len(err.strip().splitlines()) == 1
    assert not (sweep / "report").exists()
    code, out, err = command(compare_main, "--allow-mixed", "latest", "out=mixed")
    assert code == 0, err
    assert "warning" in out
    assert Path("mixed/index.html").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "expected folders of runs or sweeps"),
        (["nowhere"], "compare: no run or sweep 'nowhere' in "),
        (["latest", "oot=x"], "oot: unknown option; did you mean 'out'?"),
        (["latest", "--alow-mixed"], "alow_mixed: unknown option; did you mean 'allow_mixed'?"),
        (["latest", "out=a_file"], "out: cannot write a_file"),
    ],
)
def test_bad_input_gets_one_clear_line(arguments, message, sweep, command):
    Path("a_file").write_text("mine")
    code, _, err = command(compare_main, *arguments)
    assert code == 1
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert Path("a_file").read_text() == "mine"
    assert not (sweep / "report").exists()


def test_python_gets_the_path_or_the_error(sweep, tmp_path):
    assert compare([sweep, sweep / "1_ae"], out=tmp_path / "out") == tmp_path / "out" / "index.html"
    with pytest.raises(UserError):
        compare([])


CLICK = """
<script>
window.problems = [];
window.addEventListener("error", (event) => problems.push(event.message));
window.addEventListener("securitypolicyviolation", (event) => problems.push("refused " + event.blockedURI));
console.error = (...words) => problems.push(words.join(" "));
</script>
"""
REPORT = """
<script>
const order = () => [...document.querySelectorAll("#metrics tbody th")].map((head) => head.dataset.value).join();
const orders = new Set([order()]);
let clicks = 0;
for (const part of document.querySelectorAll("button, summary, nav a")) {
  part.click(); orders.add(order()); clicks += 1;
}
const wide = document.documentElement.scrollWidth > window.innerWidth;
const broken = [...document.images].filter((image) => !image.complete || image.naturalWidth === 0).length;
parent.postMessage(JSON.stringify({ problems, clicks, orders: orders.size, wide, broken }), "*");
</script>
"""
FRAME = """
<!DOCTYPE html><body><script>
window.addEventListener("message", (event) => { document.body.append("FOUND", event.data, "END"); });
</script><iframe src="page.html" style="width: {width}px; height: 900px"></iframe>
"""


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 390])
def test_a_browser_shows_the_report_without_an_error(width, sweep, tmp_path):
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("there is no chromium on PATH")
    html = compare([sweep]).read_text()
    page, frame = tmp_path / "page.html", tmp_path / "frame.html"
    page.write_text(html.replace("<head>", f"<head>{CLICK}", 1).replace("</body>", f"{REPORT}</body>"))
    frame.write_text(FRAME.replace("{width}", str(width)))  # a window of its own is never as narrow as a phone
    flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    flags += ["--disable-component-update", "--disable-sync", f"--user-data-dir={tmp_path / 'profile'}"]
    command = [chromium, *flags, "--window-size=1400,1000", "--virtual-time-budget=5000", "--dump-dom", frame.as_uri()]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    found = json.loads(dom.rpartition("FOUND")[2].partition("END")[0])
    assert found["problems"] == []
    assert found["clicks"] > 10
    assert found["orders"] == 2  # AE, VAE; VAE, AE
    assert not found["wide"]
    assert found["broken"] == 0
