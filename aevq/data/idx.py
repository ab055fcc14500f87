"""The IDX format of MNIST: a big-endian header (magic, one int32 a dimension), then unsigned bytes.

Magic 2051 is images `(N, H, W)`, 2049 is labels `(N,)`. Content may be gzipped; that is read off its first
bytes, not off the file's name. A header is not believed: bytes are read in pieces until the promised number
has come, so one that claims 10^12 images costs nothing.

Source: LeCun, Cortes and Burges, "The MNIST database of handwritten digits".
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from typing import TYPE_CHECKING, BinaryIO

import torch

from aevq.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["idx_shape", "idx_tensor", "is_gzip", "read_content"]

_DIMENSIONS = {2051: 3, 2049: 1}
_MAX_BYTES = 1 << 31
_PIECE = 1 << 20


def is_gzip(stream: BinaryIO) -> bool:
    """Whether a seekable stream, which is rewound, holds gzip."""
    stream.seek(0)
    magic = stream.read(2)
    stream.seek(0)
    return magic == b"\x1f\x8b"


def idx_shape(header: bytes, origin: str) -> tuple[int, ...]:
    """The shape that the first bytes of a content promise.

    Raises:
        UserError: If they are no IDX header of images or labels, or promise more than 2 GiB.
    """
    magic = int.from_bytes(header[:4], "big")
    ndim = _DIMENSIONS.get(magic, 0)
    if len(header) < 4 or ndim == 0:
        raise UserError(f"{origin}: expected an IDX file (magic 2051 or 2049), got {header[:4].hex() or 'nothing'}")
    if len(header) < 4 + 4 * ndim:
        raise UserError(f"{origin}: expected an IDX header of {4 + 4 * ndim} bytes, got {len(header)}: truncated")
    shape = struct.unpack_from(f">{ndim}I", header, 4)
    if 0 in shape:
        raise UserError(f"{origin}: expected some data, got a header that claims {shape}")
    if math.prod(shape) > _MAX_BYTES:
        raise UserError(f"{origin}: expected at most {_MAX_BYTES} bytes of data, got a header that claims {shape}")
    return shape


def _read_at_most(stream: BinaryIO, count: int) -> bytearray:
    content = bytearray()
    while len(content) < count and (piece := stream.read(min(_PIECE, count - len(content)))):
        content += piece
    return content


def _read_plain(stream: BinaryIO, origin: str) -> bytearray:
    content = _read_at_most(stream, 16)
    shape = idx_shape(bytes(content), origin)
    expected = 4 + 4 * len(shape) + math.prod(shape)
    # One byte more than promised: it shows a file too long, and makes gzip check its checksum at the end.
    content += _read_at_most(stream, expected + 1 - len(content))
    if len(content) != expected:
        got = f"{len(content)}: truncated" if len(content) < expected else "more"
        raise UserError(f"{origin}: expected {expected} bytes for an IDX of shape {shape}, got {got}")
    return content


def read_content(stream: BinaryIO, origin: str) -> bytearray:
    """The raw IDX content of a stream, decompressed where needed, of exactly the length its header promises.

    Args:
        stream: Seekable, raw or gzipped.
        origin: What to call it in an error.

    Raises:
        UserError: If the content is broken, truncated, too long or not IDX.
    """
    if not is_gzip(stream):
        return _read_plain(stream, origin)
    try:
        with gzip.GzipFile(fileobj=stream) as unzipped:
            return _read_plain(unzipped, origin)  # type: ignore[arg-type]
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise UserError(f"{origin}: expected a whole gzip file, got a broken one ({error})") from error


def idx_tensor(content: bytearray, origin: str) -> Tensor:
    """Raw content as uint8 of its header's shape, sharing the memory of `content`."""
    shape = idx_shape(bytes(content[:16]), origin)
    return torch.frombuffer(content, dtype=torch.uint8, offset=4 + 4 * len(shape)).reshape(shape)
