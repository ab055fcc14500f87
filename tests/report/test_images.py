import io
from base64 import b64decode

import numpy as np
import pytest
from PIL import Image

from aevq.report.images import load_picture


@pytest.mark.parametrize("content", [b"", b"<svg onload=alert(1)>", b"\x89PNG\r\n\x1a\nbroken"])
def test_what_is_no_png_is_left_out(content, tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    assert load_picture(path, "a", 0) is None


def test_strips_are_embedded_bit_for_bit_and_others_made_lighter(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (300, 300, 3), np.uint8)
    for folder in ("strips", "images"):
        (tmp_path / folder).mkdir()
        Image.fromarray(pixels).save(tmp_path / folder / "a.png")
    strip, other = (load_picture(tmp_path / folder / "a.png", "a", 0) for folder in ("strips", "images"))
    raw = (tmp_path / "strips" / "a.png").read_bytes()
    assert b64decode(strip.source.partition(",")[2]) == raw
    assert strip.strip
    assert not other.strip
    lighter = b64decode(other.source.partition(",")[2])
    assert len(lighter) < len(raw)
    assert Image.open(io.BytesIO(lighter)).size == (300, 300)
