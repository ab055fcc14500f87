"""How Lightning reads and writes checkpoints here: whole or not at all, and never by running what is in them."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO
from typing_extensions import override

from aevq.files import atomic_write

__all__ = ["AtomicCheckpointIO", "load_plain"]


class AtomicCheckpointIO(TorchCheckpointIO):
    """Saves beside the target, flushes, renames; loads tensors and plain values only.

    A kill while saving leaves the previous checkpoint whole.
    """

    @override
    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        content = io.BytesIO()
        torch.save(checkpoint, content)
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(target, content.getvalue())

    @override
    def load_checkpoint(self, path: Any, map_location: Any = "cpu", weights_only: bool | None = True) -> dict[str, Any]:
        return load_plain(Path(path), map_location)


def load_plain(path: Path, map_location: Any = "cpu") -> dict[str, Any]:
    """The tensors and plain values of a file by `torch.save`, read without running any code in it.

    PyTorch does not look at the checksums that it writes; here a flipped bit is noticed.

    Raises:
        ValueError: If the file is torn, was changed, or is none such.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
                raise ValueError("it is compressed, which no checkpoint is")
            if sum(entry.file_size for entry in entries) > path.stat().st_size:
                raise ValueError("it claims more than it holds")
            if (bad := archive.testzip()) is not None:
                raise ValueError(f"it was changed since it was written: the checksum of {bad} does not fit")
        content: Any = torch.load(path, map_location=map_location, weights_only=True)
    except ValueError:
        raise
    except Exception as error:  # whatever a stranger's bytes provoke
        raise ValueError(f"{type(error).__name__}: {str(error).partition(chr(10))[0]}") from error
    if not isinstance(content, dict):
        raise ValueError(f"it holds a {type(content).__name__}")
    return content
