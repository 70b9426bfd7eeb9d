"""Files of kinds that are not read are called what they are, by their bytes."""

import json
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from digitcore.errors import ImageError
from digitcore.imaging.file_kinds import unread_kind
from digitcore.imaging.preprocessing import read_image
from digitcore.serving.cli import main


def _boxed(*brands: bytes) -> bytes:
    """The start of a file that holds a box of brands."""
    box = b"ftyp" + brands[0] + bytes(4) + b"".join(brands[1:])
    return struct.pack(">I", len(box) + 4) + box + b"\0\0\0\x08mdat" + bytes(2000)


UNREAD = {
    "a HEIC file": [
        _boxed(b"heic", b"mif1", b"heic"),
        _boxed(b"mif1", b"mif1", b"heic"),
        _boxed(b"msf1", b"hevc"),
        _boxed(b"heix"),
    ],
    "a HEIF file": [_boxed(b"mif1", b"mif1", b"unif")],
    "an AVIF file": [_boxed(b"avif", b"mif1", b"miaf"), _boxed(b"mif1", b"avif")],
    "a JPEG XL file": [b"\xff\x0a" + bytes(90), b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(90)],
    "a PDF": [b"%PDF-1.7\n" + bytes(90)],
    "an SVG file": [
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"\n<?xml version='1.0'?>\n<!-- drawn -->\n<svg width='9'/>",
    ],
}


@pytest.mark.parametrize("kind", UNREAD)
def test_what_is_not_read_is_named(kind: str) -> None:
    for data in UNREAD[kind]:
        with pytest.raises(ImageError) as raised:
            read_image(data, name="IMG_0001.jpg")
        problem, _, what_helps = str(raised.value).partition(". ")
        assert problem == f"IMG_0001.jpg cannot be read as a picture: it is {kind}"
        assert what_helps == "Open it and save it as JPEG or PNG."


def test_what_is_read_is_none_of_them(draw: Callable[..., np.ndarray], encode: Callable[..., bytes]) -> None:
    for file_format in ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM"):
        assert unread_kind(encode(draw(4), file_format)) is None


@pytest.mark.parametrize(
    "data", [b"ftyp", b"\0\0\0\0ftyp", b"\xff\xff\xff\xffftypxxxx", b"....ftypisom", b"", b"<?xml"]
)
def test_what_only_resembles_them_is_not(data: bytes) -> None:
    assert unread_kind(data) is None


@pytest.mark.skipif(not features.check("avif"), reason="this build of Pillow writes no AVIF")
def test_an_avif_file_of_pillow_is_told(encode: Callable[..., bytes]) -> None:
    assert unread_kind(encode(Image.new("L", (90, 90)), "AVIF")) == "an AVIF file"


def test_the_command_line_says_it_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "five.png"
    path.write_bytes(UNREAD["a HEIC file"][0])
    assert main(["predict", "--json", str(path)]) == 1
    output = capsys.readouterr()
    assert json.loads(output.out) == []
    assert f"{path} cannot be read as a picture: it is a HEIC file" in output.err
