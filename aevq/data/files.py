"""A file of a data set: its name, shape and hashes; finding it under the root; believing it or not."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

from aevq.config.schema import Name, check_value
from aevq.data.idx import idx_shape, is_gzip, read_content
from aevq.errors import UserError, expect

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["ROLES", "DataFile", "search_folders"]

ROLES = ("train_images", "train_labels", "test_images", "test_labels")


def _check_hash(content: bytes | bytearray, expected: str, origin: str) -> None:
    got = hashlib.sha256(content).hexdigest()
    if got != expected:
        raise UserError(f"{origin}: expected SHA-256 {expected[:12]}…, got {got[:12]}…")


@dataclass(frozen=True)
class DataFile:
    """What is known of one IDX file.

    Attributes:
        name: Of the raw file; the gzipped one is called `<name>.gz`.
        shape: `(N, H, W)` or `(N,)`.
        sha256: Hex digest of the raw content, where known.
        sha256_gz: Hex digest of the published `.gz`, where known.
    """

    name: str
    shape: tuple[int, ...]
    sha256: str | None = None
    sha256_gz: str | None = None

    @classmethod
    def from_config(cls, role: str, values: Mapping[str, Any]) -> DataFile:
        """An entry of `data.files`.

        Raises:
            UserError: If a value is missing, unknown or of a wrong kind.
        """
        key = f"data.files.{role}"
        known = {"name", "shape", "sha256", "sha256_gz"}
        ok = hasattr(values, "keys") and {"name", "shape"} <= set(values) <= known
        expect(ok, key, "name, shape and optionally sha256, sha256_gz", values)
        shape = tuple(values["shape"])
        ndim = 3 if role.endswith("images") else 1
        good_shape = len(shape) == ndim and all(isinstance(side, int) and side > 0 for side in shape)
        expect(good_shape, f"{key}.shape", f"{ndim} positive integers", values["shape"])
        for field in ("sha256", "sha256_gz"):
            digest = values.get(field)
            good_hash = digest is None or (isinstance(digest, str) and len(digest) == 64)
            expect(good_hash, f"{key}.{field}", "64 hex digits or null", digest)
        check_value(f"{key}.name", values["name"], Name)
        return cls(values["name"], shape, values.get("sha256"), values.get("sha256_gz"))

    def verifiable(self, gzipped: bool) -> bool:
        """Whether a hash is known that a copy, gzipped or raw, can be checked against."""
        return bool(self.sha256) or (gzipped and bool(self.sha256_gz))

    def load(self, data: bytes, origin: str) -> bytearray:
        """The raw content of a copy of this file, raw or gzipped, checked against all that is known.

        Raises:
            UserError: If hash, format, length or shape are not as expected; it names `origin`.
        """
        stream = BytesIO(data)
        if self.sha256_gz and is_gzip(stream):
            _check_hash(data, self.sha256_gz, origin)
        content = read_content(stream, origin)
        shape = idx_shape(bytes(content[:16]), origin)
        expect(shape == self.shape, origin, f"shape {self.shape}", shape)
        if self.sha256:
            _check_hash(content, self.sha256, origin)
        return content

    def find(self, folders: tuple[Path, ...]) -> Path | None:
        """The first copy in `folders`, raw before gzipped.

        The last folder is the root, which data sets share, and MNIST and Fashion-MNIST use the same names: a
        copy there counts only where a hash can tell whose it is.
        """
        for folder in folders:
            for gzipped, path in ((False, folder / self.name), (True, folder / f"{self.name}.gz")):
                if path.is_file() and (folder != folders[-1] or self.verifiable(gzipped)):
                    return path
        return None


def search_folders(root: Path, folder: str) -> tuple[Path, ...]:
    """Where files may lie: `<root>/<folder>/raw`, `<root>/<folder>`, `<root>`."""
    return (root / folder / "raw", root / folder, root)
