"""Files that are on the disk already."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from aevq.errors import UserError

IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


def put(folder: Path, contents: dict[str, bytes], *zipped: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, raw in contents.items():
        path, data = (f"{name}.gz", gzip.compress(raw, mtime=0)) if name in zipped else (name, raw)
        (folder / path).write_bytes(data)


@pytest.mark.parametrize("folder", ["MNIST/raw", "MNIST", "."])
@pytest.mark.parametrize("zipped", [(), (IMAGES, LABELS)], ids=["raw", "gz"])
def test_files_are_found_where_people_put_them(make, web, contents, folder, zipped):
    module = make()
    put(module.source.root / folder, contents, *zipped)
    module.prepare()
    assert module.name == "mnist"
    assert not web.asked
    assert not list(module.source.root.rglob(".lock")), "reading must not write"


def test_a_shared_folder_is_not_believed_without_a_hash(make, web, contents):
    """Fashion-MNIST's files are called and shaped like MNIST's: in the root they could be either's."""
    module = make(("sha256_gz",), name="fashion_mnist", folder="FashionMNIST", fallback="error")
    put(module.source.root, contents)
    with pytest.raises(UserError, match="fashion_mnist is not under"):
        module.prepare()
    put(module.source.root, contents, *contents)
    module.prepare()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda raw: raw[:-5], "truncated"),
        (lambda raw: raw[:-1] + bytes([raw[-1] ^ 1]), "expected SHA-256"),
        (lambda raw: gzip.compress(raw)[:-30], "whole gzip file"),
        (lambda raw: b"\0\0\x08\x03\0\0\0\x01\0\0\0\x01\0\0\0\x01\0", r"shape \(60, 28, 28\), got \(1, 1, 1\)"),
        (lambda raw: b"", "got nothing"),
    ],
)
def test_a_bad_file_is_an_error_that_names_it_and_no_fallback(make, web, contents, damage, message):
    web.serve("https://first.test/mnist/", contents)
    module = make()
    put(module.source.root / "MNIST/raw", contents | {IMAGES: damage(contents[IMAGES])})
    with pytest.raises(UserError, match=f"MNIST/raw/{IMAGES}.*{message}"):
        module.prepare()
    assert not web.asked


def test_labels_that_are_no_classes_are_refused(make, contents):
    wrong = bytearray(contents[LABELS])
    wrong[20] = 77
    module = make(hashes=(), mirrors=[])
    put(module.source.root / "MNIST", contents | {LABELS: bytes(wrong)})
    with pytest.raises(UserError, match=f"{LABELS}: expected classes below 10, got 77"):
        module.prepare()


def test_a_root_that_cannot_be_written_is_named(make, web, contents, tmp_path):
    (tmp_path / "file").write_text("in the way")
    web.serve("https://first.test/mnist/", contents)
    with pytest.raises(UserError, match=rf"cannot write to {tmp_path}/file/x/MNIST/raw \(Not a directory\)"):
        make(root=str(tmp_path / "file" / "x"), fallback="error").prepare()


def test_a_root_that_cannot_be_written_still_falls_back(make, web, tmp_path):
    (tmp_path / "file").write_text("in the way")
    module = make(root=str(tmp_path / "file" / "x"))
    module.prepare()
    assert module.name == "mnist5k"
