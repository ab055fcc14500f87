"""What a mirror may do to us: be down, lie, break off, redirect."""

from __future__ import annotations

import hashlib
import io
import logging
import threading
from pathlib import Path

import pytest
import requests
from urllib3.exceptions import ProtocolError

from aevq.data import mirrors
from aevq.errors import UserError

FIRST, SECOND = "https://first.test/mnist/", "https://second.test/mnist/"
IMAGES = "train-images-idx3-ubyte"


def raw_folder(module) -> Path:
    return module.source.root / "MNIST" / "raw"


@pytest.mark.parametrize("hashes", [("sha256",), ("sha256_gz",), ("sha256", "sha256_gz")])
def test_files_are_fetched_checked_and_stored_raw(make, web, contents, hashes):
    web.serve(FIRST, contents)
    module = make(hashes)
    module.prepare()
    assert module.name == "mnist"
    assert module.sizes == {"train": 50, "val": 10, "test": 20}
    stored = {path.name: path.read_bytes() for path in raw_folder(module).iterdir() if path.name != ".lock"}
    assert stored == contents


def test_what_is_stored_is_not_fetched_again(make, web, contents):
    web.serve(FIRST, contents)
    fingerprint = make().fingerprint
    assert web.asked.total() == 4
    assert make().fingerprint == fingerprint
    assert web.asked.total() == 4


def test_only_what_is_missing_is_fetched(make, web, contents):
    web.serve(FIRST, contents)
    make().prepare()
    module = make()
    (raw_folder(module) / IMAGES).unlink()
    module.prepare()
    assert web.asked.total() == 5
    assert web.asked[f"{FIRST}{IMAGES}.gz"] == 2


@pytest.mark.parametrize(
    "page",
    [
        requests.ConnectionError("down"),
        requests.ReadTimeout("slow"),
        requests.exceptions.SSLError("bad"),
        (500, {}, b""),
        (404, {}, b""),
        b"\x1f\x8b wrong",
        b"<html>",
        (302, {"location": f"http://plain.test/{IMAGES}.gz"}, b""),
    ],
    ids=["down", "timeout", "tls", "500", "404", "broken", "html", "http"],
)
def test_the_next_mirror_is_tried(make, web, contents, page):
    web.serve(SECOND, contents)
    web.pages[f"{FIRST}{IMAGES}.gz"] = page
    module = make()
    module.prepare()
    assert module.name == "mnist"


def test_a_redirect_to_https_is_followed_and_one_to_http_is_not(make, web, contents):
    web.serve("https://moved.test/", contents)
    web.serve("http://moved.test/", contents)
    for name in contents:
        web.pages[f"{FIRST}{name}.gz"] = (302, {"location": f"https://moved.test/{name}.gz"}, b"")
    make().prepare()
    for name in contents:
        web.pages[f"{FIRST}{name}.gz"] = (302, {"location": f"http://moved.test/{name}.gz"}, b"")
    module = make(fallback="error", mirrors=[FIRST], folder="Other")
    with pytest.raises(UserError, match=r"first\.test: redirected to an address that is not https"):
        module.prepare()
    assert not any(url.startswith("http://") for url in web.asked)


def test_the_session_has_no_plain_http():
    with pytest.raises(requests.exceptions.InvalidSchema):
        mirrors.https_session().get("http://first.test/")


def test_down_mirrors_fall_back_with_exactly_one_warning(make, web, caplog):
    web.down(FIRST)
    web.down(SECOND)
    module = make()
    with caplog.at_level(logging.WARNING):
        module.prepare()
        module.setup("fit")
        module.train_dataloader()
    (record,) = caplog.records
    text = record.getMessage()
    assert (record.name, record.levelname) == ("aevq.data", "WARNING")
    for part in ("no connection", "5,000 embedded", "mnist5k", str(raw_folder(module)), "t10k-labels-idx1-ubyte"):
        assert part in text
    assert (module.requested_name, module.name) == ("mnist", "mnist5k")
    assert module.sizes == {"train": 4000, "val": 500, "test": 500}
    assert web.asked.total() == 2, "one file that no mirror gives is enough to know"


def test_down_mirrors_are_one_clear_line_where_no_fallback_is_allowed(make, web):
    web.down(FIRST)
    web.pages[f"{SECOND}{IMAGES}.gz"] = requests.ConnectTimeout("slow")
    module = make(fallback="error", timeout=3)
    with pytest.raises(UserError) as raised:
        module.prepare()
    assert "\n" not in str(raised.value)
    assert f"mnist is not under {module.source.root}" in str(raised.value)
    assert "first.test: no connection; second.test: no answer within 3 s" in str(raised.value)


def test_wrong_content_is_an_error_even_where_a_fallback_is_allowed(make, web, contents):
    web.down(SECOND)
    changed = bytearray(contents[IMAGES])
    changed[-1] ^= 1
    web.serve(FIRST, contents | {IMAGES: bytes(changed)})
    expected, got = (hashlib.sha256(raw).hexdigest()[:12] for raw in (contents[IMAGES], changed))
    module = make()
    with pytest.raises(UserError, match=f"first.test.*expected SHA-256 {expected}…, got {got}….*second.test"):
        module.prepare()
    assert module.name == "mnist"
    assert not (raw_folder(module) / IMAGES).exists()


def test_a_truncated_archive_is_wrong_content(make, web, contents):
    web.serve(FIRST, contents)
    web.pages[f"{FIRST}{IMAGES}.gz"] = web.pages[f"{FIRST}{IMAGES}.gz"][:-20]
    with pytest.raises(UserError, match=f"first.test/mnist/{IMAGES}.gz: expected a whole gzip file"):
        make(mirrors=[FIRST]).prepare()


def test_without_a_raw_hash_only_the_published_gzip_is_believed(make, web, contents):
    web.serve(FIRST, contents)
    web.pages[f"{FIRST}{IMAGES}.gz"] = contents[IMAGES]
    with pytest.raises(UserError, match="expected a gzip file, got 00000803"):
        make(("sha256_gz",), mirrors=[FIRST]).prepare()


def test_a_transfer_that_breaks_off_leaves_nothing_behind(make, web, contents):
    class Breaking(io.BytesIO):
        def stream(self, *args, **kwargs):
            yield self.read(100)
            raise ProtocolError("connection broken")

    web.pages[f"{FIRST}{IMAGES}.gz"] = (200, {}, Breaking(contents[IMAGES]))
    module = make(fallback="error", mirrors=[FIRST])
    with pytest.raises(UserError, match=r"first\.test: the transfer broke off"):
        module.prepare()
    assert not raw_folder(module).exists()


def test_an_endless_transfer_is_cut(make, web):
    class Endless(io.BytesIO):
        given = 0

        def read(self, size=-1):
            self.given += size
            return bytes(size)

    body = Endless()
    web.pages[f"{FIRST}{IMAGES}.gz"] = (200, {}, body)
    with pytest.raises(UserError, match=r"expected at most .* bytes, got more"):
        make(mirrors=[FIRST]).prepare()
    assert body.given < 1 << 20


def test_four_at_once_download_once(make, web, contents):
    web.serve(FIRST, contents)
    modules = [make() for _ in range(4)]
    threads = [threading.Thread(target=module.prepare) for module in modules]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert web.asked.total() == 4
    assert set(web.asked.values()) == {1}
    assert len({module.fingerprint["all"] for module in modules}) == 1


def test_progress_is_shown_on_a_terminal_only(make, web, contents, monkeypatch, capsys):
    web.serve(FIRST, contents)
    make().prepare()
    assert capsys.readouterr() == ("", "")
    monkeypatch.setenv("FORCE_COLOR", "1")
    make(folder="Other").prepare()
    assert IMAGES in capsys.readouterr().err


def test_a_download_that_fails_leaves_no_folder_behind(make, web, tmp_path):
    for mirror in (FIRST, SECOND):
        web.down(mirror)
    with pytest.raises(UserError):
        make(root=str(tmp_path / "new" / "data"), fallback="error").prepare()
    assert not (tmp_path / "new").exists()
