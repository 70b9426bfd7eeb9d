"""Files that take their decoder far too long are told by their bytes; no others are."""

import struct
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from digitcore.errors import ImageError
from digitcore.imaging.costly_files import costly_trait
from digitcore.imaging.preprocessing import read_image
from tests.faults.hostile_pictures import FILES, WHOLE

COSTLY = (
    "JPEG of 1,000 scans",
    "JPEG with fill of 19 MB",
    "BMP of run lengths of one",
    "TIFF of 1,000,000 strips",
    "PPM of a comment of 19 MB",
)


@pytest.mark.parametrize("kind", COSTLY)
def test_costly_files_are_refused_unopened(kind: str) -> None:
    data = FILES[kind]()
    with pytest.raises(ImageError, match=r"^mine is a .*: open it and save it again\.$"):
        read_image(data, name="mine")


def test_others_are_not(draw: Callable[..., NDArray[np.uint8]], encode: Callable[..., bytes]) -> None:
    large = Image.fromarray(np.random.default_rng(0).integers(0, 256, (1500, 1500, 3), dtype=np.uint8))
    files = [make() for make in WHOLE.values()]
    files += [encode(large, kind) for kind in ("JPEG", "BMP", "TIFF", "PPM", "PNG")]
    files += [encode(large, "JPEG", progressive=True), encode(large, "TIFF", big_tiff=True)]
    files += [encode(Image.fromarray(draw(3)).convert("1"), "PPM"), b"P2 # drawn\n3 1 255\n0 9 255\n" + b" " * 20_000]
    assert [costly_trait(data) for data in files] == [None] * len(files)


@pytest.mark.parametrize("start", [b"II*\0", b"MM\0*", b"II+\0\x08\0\0\0", b"MM\0+\0\x08\0\0", b"BM", b"P5"])
def test_whatever_follows_is_looked_at_without_an_error(start: bytes) -> None:
    generator = np.random.default_rng(0)
    tails = [generator.bytes(length) for length in (0, 1, 5, 30, 300) for _ in range(40)]
    tails += [struct.pack("<QQQ", 2**64 - 1, 2**64 - 1, 8), struct.pack(">I", 8) * 90]
    traits = [costly_trait(start + tail) for tail in tails]
    assert len(traits) == len(tails)
