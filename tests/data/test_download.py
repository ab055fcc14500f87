"""Files on the disk, and what a mirror may do: be down, lie, break off, redirect."""

import gzip
import io
import logging
import struct
import threading
from pathlib import Path

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from urllib3.exceptions import ProtocolError

from aevq.data import download
from aevq.data.download import FILES
from aevq.errors import UserError
from helpers.small_data import MIRRORS, small_source

FIRST, SECOND = MIRRORS
IMAGES, LABELS = FILES[:2]


def raw_folder(module) -> Path:
    return module.root / "MNIST" / "raw"


def put(module, contents: dict[str, bytes], *zipped: str) -> None:
    folder = raw_folder(module)
    folder.mkdir(parents=True, exist_ok=True)
    for name, raw in contents.items():
        path, data = (f"{name}.gz", gzip.compress(raw, mtime=0)) if name in zipped else (name, raw)
        (folder / path).write_bytes(data)


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and path.name != ".lock"]


# Files on the disk


@pytest.mark.parametrize("of_gz", [False, True])
@pytest.mark.parametrize("zipped", [(), (IMAGES, LABELS)], ids=["raw", "gz"])
def test_files_on_the_disk_are_read_and_nothing_is_written(make, web, contents, zipped, of_gz):
    module = make(small_source(contents, of_gz=of_gz))
    put(module, contents, *zipped)
    before = sorted(module.root.rglob("*"))
    for path in before:
        path.chmod(0o555 if path.is_dir() else 0o444)
    module.prepare()
    assert (module.name, module.sizes) == ("mnist", {"train": 50, "val": 10, "test": 20})
    assert sorted(module.root.rglob("*")) == before
    assert not web.asked


def swap_last_bit(raw: bytes) -> bytes:
    return raw[:-1] + bytes([raw[-1] ^ 1])


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("damage", [lambda data: data[:-30], swap_last_bit, lambda data: b""])
def test_a_damaged_file_is_an_error_that_names_it(make, web, contents, damage, suffix):
    module = make()
    put(module, contents, *(FILES if suffix else ()))
    path = raw_folder(module) / f"{IMAGES}{suffix}"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match=f"MNIST/raw/{IMAGES}{suffix}: .*to have it downloaded again") as error:
        module.prepare()
    assert "\n" not in str(error.value)
    assert not web.asked


def test_a_gz_file_is_compared_with_the_published_one_where_only_that_is_known(make, contents):
    module = make(small_source(contents, of_gz=True))
    put(module, contents | {IMAGES: swap_last_bit(contents[IMAGES])}, IMAGES)
    with pytest.raises(UserError, match=f"{IMAGES}.gz: expected SHA-256"):
        module.prepare()


headers = st.builds(
    lambda magic, sizes: struct.pack(f">{1 + len(sizes)}I", magic, *sizes),
    st.sampled_from([2051, 2049, 2050, 0, 2**32 - 1]),
    st.lists(st.integers(0, 2**32 - 1) | st.integers(0, 4) | st.just(28), max_size=4),
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@given(
    data=st.builds(bytes.__add__, headers, st.binary(max_size=200)) | st.binary(max_size=50),
    file=st.sampled_from(FILES),
)
def test_any_bytes_in_a_raw_file_of_unknown_hash_are_an_error(make, contents, data, file):
    module = make(small_source(contents, of_gz=True))
    put(module, contents | {file: data})
    with pytest.raises(UserError) as error:
        module.prepare()
    assert "\n" not in str(error.value)
    assert "MNIST/raw" in str(error.value)


def test_labels_that_are_not_classes_are_refused(make, contents):
    module = make(small_source(contents, of_gz=True))
    put(module, contents | {LABELS: contents[LABELS][:-1] + bytes([77])})
    with pytest.raises(UserError, match=f"{LABELS}: expected .* labels below 10"):
        module.prepare()


# Downloads


@pytest.mark.parametrize("of_gz", [False, True])
def test_files_are_downloaded_checked_stored_raw_and_not_downloaded_again(make, web, contents, of_gz):
    web.serve(FIRST, contents)
    module = make(small_source(contents, of_gz=of_gz))
    fingerprint = module.fingerprint
    stored = {path.name: path.read_bytes() for path in raw_folder(module).iterdir() if path.name != ".lock"}
    assert stored == contents
    assert make().fingerprint == fingerprint
    assert web.asked.total() == 4
    (raw_folder(module) / IMAGES).unlink()
    make().prepare()
    assert web.asked.total() == 5


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


def test_a_redirect_to_https_is_followed_and_one_to_http_is_not(make, web, contents, tmp_path):
    web.serve("https://moved.test/", contents)
    web.serve("http://moved.test/", contents)
    for name in contents:
        web.pages[f"{FIRST}{name}.gz"] = (302, {"location": f"https://moved.test/{name}.gz"}, b"")
    make().prepare()
    for name in contents:
        web.pages[f"{FIRST}{name}.gz"] = (302, {"location": f"http://moved.test/{name}.gz"}, b"")
    module = make(small_source(contents, [FIRST]), fallback="error", root=str(tmp_path / "other"))
    with pytest.raises(UserError, match=r"first\.test.*InvalidSchema"):
        module.prepare()
    assert not any(url.startswith("http://") for url in web.asked)


def test_every_mirror_is_https():
    assert all(mirror.startswith("https://") for source in download.SOURCES.values() for mirror in source.mirrors)
    with pytest.raises(requests.exceptions.InvalidSchema):
        download.https_session().get("http://first.test/")


def test_without_mirrors_the_embedded_images_are_used_with_exactly_one_warning(make, web, caplog):
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
    for part in ("ConnectionError", "5,000 embedded", "mnist5k", str(raw_folder(module)), "t10k-labels-idx1-ubyte"):
        assert part in text
    assert (module.name, module.sizes) == ("mnist5k", {"train": 4490, "val": 10, "test": 500})
    assert web.asked.total() == 2, "one file that no mirror has is enough to know"


@pytest.mark.parametrize("download", [True, False])
def test_without_a_fallback_it_is_one_clear_line_and_nothing_is_left(make, web, tmp_path, download):
    web.down(FIRST)
    web.pages[f"{SECOND}{IMAGES}.gz"] = requests.ConnectTimeout("slow")
    module = make(root=str(tmp_path / "new" / "data"), fallback="error", download=download)
    with pytest.raises(UserError) as raised:
        module.prepare()
    text = str(raised.value)
    assert "\n" not in text
    assert f"MNIST is not in {raw_folder(module)}" in text
    assert f"Put its four files ({', '.join(FILES)}; raw or .gz) there" in text
    if download:
        assert "first.test/mnist/" in text
        assert "ConnectTimeout" in text
    else:
        assert not web.asked
    assert files_below(tmp_path / "new") == []


def test_wrong_content_is_an_error_even_where_a_fallback_is_allowed(make, web, contents):
    web.down(SECOND)
    web.serve(FIRST, contents | {IMAGES: swap_last_bit(contents[IMAGES])})
    module = make()
    with pytest.raises(UserError, match=r"first.test.*expected SHA-256 \w{12}…, got .*second.test"):
        module.prepare()
    assert module.name == "mnist"
    assert not (raw_folder(module) / IMAGES).exists()


@pytest.mark.parametrize("of_gz", [False, True])
def test_a_truncated_or_raw_download_is_wrong_content(make, web, contents, of_gz):
    source = small_source(contents, [FIRST], of_gz)
    web.serve(FIRST, contents)
    whole = web.pages[f"{FIRST}{IMAGES}.gz"]
    for page, message in ((whole[:-20], "end-of-stream"), (contents[IMAGES], "gzip")):
        web.pages[f"{FIRST}{IMAGES}.gz"] = page
        with pytest.raises(UserError, match=f"{IMAGES}.gz: .*{message}"):
            make(source).prepare()


class Breaking(io.BytesIO):
    def stream(self, *args, **kwargs):
        yield self.read(100)
        raise ProtocolError("connection broken")


def test_a_transfer_that_breaks_off_leaves_nothing_behind(make, web, contents):
    web.pages[f"{FIRST}{IMAGES}.gz"] = (200, {}, Breaking(contents[IMAGES]))
    module = make(small_source(contents, [FIRST]), fallback="error")
    with pytest.raises(UserError, match=r"first\.test.*ChunkedEncodingError"):
        module.prepare()
    assert files_below(module.root) == []


def test_four_at_once_download_once(make, web, contents):
    web.serve(FIRST, contents)
    modules = [make() for _ in range(4)]
    threads = [threading.Thread(target=module.prepare) for module in modules]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(web.asked.values()) == {1}
    assert web.asked.total() == 4
    assert len({module.fingerprint["all"] for module in modules}) == 1


def test_a_root_that_cannot_be_written_is_named_and_falls_back(make, web, tmp_path):
    (tmp_path / "file").write_text("in the way")
    root = str(tmp_path / "file" / "x")
    with pytest.raises(UserError, match=rf"cannot write to {root}/MNIST/raw \(Not a directory\)"):
        make(root=root, fallback="error").prepare()
    module = make(root=root)
    module.prepare()
    assert module.name == "mnist5k"
