"""Getting the four files of a data set: from the disk, else from a mirror, stored for the next time.

Absent and wrong are told apart. Absent (no file, no mirror that answers) is `Unreachable`, for which a caller
may have a stand-in. Wrong (a file or a mirror's content that is truncated, or has another hash) is always an
error.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from aevq.data.files import ROLES, DataFile, search_folders
from aevq.data.idx import idx_tensor
from aevq.data.mirrors import Unreachable, download
from aevq.errors import UserError, expect
from aevq.files import atomic_write

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import Tensor

__all__ = ["NUM_CLASSES", "Source"]

NUM_CLASSES = 10
LARGEST = 1 << 31  # bytes of a file that is read at all


@dataclass(frozen=True)
class Source:
    """Where a data set comes from.

    Attributes:
        name: For messages.
        root: Folder that holds data sets.
        folder: The data set's own folder in it.
        files: One for each of `aevq.data.files.ROLES`.
        mirrors: Base addresses, https.
        timeout: Seconds a mirror may be silent.
    """

    name: str
    root: Path
    folder: str
    files: Mapping[str, DataFile]
    mirrors: tuple[str, ...]
    timeout: float

    def load(self) -> dict[str, Tensor]:
        """The four files as uint8 tensors: images `(N, H, W)`, labels `(N,)`.

        Raises:
            Unreachable: If a file is not on the disk and no mirror answers, or the folder cannot be written.
            UserError: If a file or a mirror's content is not what it should be.
        """
        if self._missing():
            try:
                self._fetch()
            except Unreachable as error:
                raise Unreachable(f"{self.name} is not under {self.root}, and {error}. {self._advice()}") from error
        tensors = {role: self._read(self.files[role]) for role in ROLES}
        for part in ("train", "test"):
            self._check_labels(part, tensors[f"{part}_images"], tensors[f"{part}_labels"])
        return tensors

    @property
    def _folders(self) -> tuple[Path, ...]:
        return search_folders(self.root, self.folder)

    def _missing(self) -> list[DataFile]:
        return [file for file in self.files.values() if file.find(self._folders) is None]

    def _read(self, file: DataFile) -> Tensor:
        path = file.find(self._folders)
        if path is None:
            raise UserError(f"{file.name}: expected it under {self.root}, but it has gone")
        try:
            size = path.stat().st_size
            expect(size <= LARGEST, str(path), f"at most {LARGEST} bytes", size)
            data = path.read_bytes()
        except OSError as error:
            raise UserError(f"{path}: expected a readable file, got {error.strerror}") from error
        return idx_tensor(file.load(data, str(path)), str(path))

    def _check_labels(self, part: str, images: Tensor, labels: Tensor) -> None:
        name = self.files[f"{part}_labels"].name
        expect(len(images) == len(labels), name, f"{len(images)} labels, one an image", len(labels))
        expect(int(labels.max()) < NUM_CLASSES, name, f"classes below {NUM_CLASSES}", int(labels.max()))

    def _advice(self) -> str:
        names = ", ".join(file.name for file in self.files.values())
        return f"For the full set, put its four files ({names}; raw or .gz) into {self._folders[0]}"

    def _fetch(self) -> None:
        target = self._folders[0]
        with _locked(target):
            for file in self._missing():  # asked again: another process may have fetched while we waited
                content = download(file, self.mirrors, self.timeout)
                try:
                    atomic_write(target / file.name, content)
                except OSError as error:
                    raise Unreachable(f"cannot write {target / file.name} ({error.strerror or error})") from error


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Make a folder and hold its lock, so that of several processes one downloads and the others wait.

    Raises:
        Unreachable: If the folder cannot be made or written.
    """
    lock = FileLock(folder / ".lock")
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError as error:
        raise Unreachable(f"cannot write to {folder} ({error.strerror or error})") from error
    try:
        yield
    except BaseException:
        lock.release()
        _remove_empty(folder / ".lock", made)
        raise
    lock.release()


def _remove_empty(lock: Path, folders: list[Path]) -> None:
    """Leave no trace of a download that failed: the folders made for it, innermost first, unless they hold more."""
    if not folders:
        return
    with suppress(OSError):
        lock.unlink(missing_ok=True)
        for path in folders:
            path.rmdir()
