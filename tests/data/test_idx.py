from __future__ import annotations

import gzip
import io
import struct

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from aevq.data.idx import idx_tensor, read_content
from aevq.errors import UserError


def idx_bytes(tensor):
    magic = {3: 2051, 1: 2049}[tensor.ndim]
    return struct.pack(f">{1 + tensor.ndim}I", magic, *tensor.shape) + tensor.numpy().tobytes()


def parse(data: bytes):
    return idx_tensor(read_content(io.BytesIO(data), "file"), "file")


shapes = st.one_of(st.tuples(st.integers(1, 20)), st.tuples(*[st.integers(1, 6)] * 3))


@given(shapes, st.integers(0, 1000), st.booleans())
def test_round_trip(shape, seed, zipped):
    tensor = torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)
    data = idx_bytes(tensor)
    parsed = parse(gzip.compress(data) if zipped else data)
    assert parsed.dtype == torch.uint8
    assert torch.equal(parsed, tensor)


IMAGES = idx_bytes(torch.arange(24, dtype=torch.uint8).reshape(2, 3, 4))
ZIPPED = gzip.compress(IMAGES)


@pytest.mark.parametrize("cut", range(len(IMAGES)))
def test_every_truncation_is_refused(cut):
    with pytest.raises(UserError, match=r"^file: expected"):
        parse(IMAGES[:cut])


@pytest.mark.parametrize("cut", range(2, len(ZIPPED)))
def test_every_truncation_of_a_gzip_is_refused(cut):
    with pytest.raises(UserError, match=r"^file: expected"):
        parse(ZIPPED[:cut])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (IMAGES + b"x", "expected 40 bytes .* got more"),
        (IMAGES[:30], "expected 40 bytes .* got 30: truncated"),
        (gzip.compress(IMAGES + b"x"), "got more"),
        (b"", "magic 2051 or 2049.*got nothing"),
        (struct.pack(">2I", 2052, 1), "magic"),
        (b"<html>not found</html>", "magic"),
        (struct.pack(">4I", 2051, 10**9, 1000, 1), "header that claims"),
        (struct.pack(">2I", 2049, 2 * 10**9), "truncated"),
        (struct.pack(">2I", 2049, 0), "expected some data"),
        (struct.pack(">4I", 2051, 3, 0, 28), "expected some data"),
        (ZIPPED[:-8] + b"\0\0\0\0" + ZIPPED[-4:], "broken one .*CRC"),
        (ZIPPED[:12] + bytes([ZIPPED[12] ^ 255]) + ZIPPED[13:], "broken one|magic|expected"),
    ],
)
def test_bad_content_is_refused(data, message):
    with pytest.raises(UserError, match=message):
        parse(data)


def test_a_lying_header_allocates_nothing():
    class Counting(io.BytesIO):
        largest = 0

        def read(self, size=-1):
            self.largest = max(self.largest, size)
            return super().read(size)

    stream = Counting(struct.pack(">2I", 2049, 2 * 10**9))
    with pytest.raises(UserError):
        read_content(stream, "file")
    assert 0 < stream.largest <= 1 << 20
