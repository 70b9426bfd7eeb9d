"""Pictures that are meant to hurt, by name: each a function that gives the bytes of a file."""

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, TiffImagePlugin

Pixels = NDArray[np.uint8]
SIDE = 1000
LARGEST = 3900  # just under 16 million pixels


def encoded(picture: Pixels | Image.Image, file_format: str = "PNG", **options: Any) -> bytes:  # noqa: ANN401
    """A picture in a file of this format."""
    image = Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def _dots(side: int, step: int, size: int = 1) -> Pixels:
    """Dots at equal distances."""
    pixels = np.full((side, side), 255, np.uint8)
    for row in range(size):
        for column in range(size):
            pixels[row::step, column::step] = 0
    return pixels


def _noise(side: int, share: float) -> Pixels:
    """Each pixel ink or ground, by chance."""
    return np.where(np.random.default_rng(0).random((side, side)) < share, 0, 255).astype(np.uint8)


def _grey_noise(side: int) -> Pixels:
    return np.random.default_rng(0).integers(0, 256, (side, side), np.uint8)


def _maze(side: int, cell: int) -> Pixels:
    """Walls to the right of or below each cell, by chance."""
    pixels, right = np.full((side, side), 255, np.uint8), np.random.default_rng(0).random((side, side)) < 0.5
    for top in range(0, side - cell, cell):
        for left in range(0, side - cell, cell):
            if right[top, left]:
                pixels[top : top + cell + 1, left + cell] = 0
            else:
                pixels[top + cell, left : left + cell + 1] = 0
    return pixels


def _spiral(side: int, step: int) -> Pixels:
    """One line that winds inwards."""
    pixels = np.full((side, side), 255, np.uint8)
    for i in range(0, side // 2, step):
        pixels[i, i : side - i] = pixels[i : side - i, side - 1 - i] = 0
        pixels[side - 1 - i, i : side - i] = pixels[i + step : side - i, i] = 0
    return pixels


def _rings(side: int, step: int) -> Pixels:
    y, x = np.mgrid[:side, :side] - side / 2
    return np.where(np.hypot(x, y) % step < 2, 0, 255).astype(np.uint8)


def _comb(side: int, step: int, *, across: bool = False) -> Pixels:
    """Teeth at equal distances that hang together at one end."""
    pixels = np.full((side, side), 255, np.uint8)
    pixels[0], pixels[:, ::step] = 0, 0
    return np.ascontiguousarray(pixels.T) if across else pixels


def _checkers(side: int, cell: int) -> Pixels:
    y, x = np.mgrid[:side, :side] // cell
    return np.where((x + y) % 2, 0, 255).astype(np.uint8)


def _text(side: int, size: int, letters: str = "8357 ") -> Pixels:
    """A page full of letters."""
    image = Image.new("L", (side, side), 255)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(size)
    line = letters * (2 * side // size // len(letters) + 1)
    for top in range(0, side, size):
        draw.text((0, top), line, font=font, fill=0)
    return np.asarray(image)


def _digits(side: int, count: int, size: int) -> Pixels:
    """Digits at places by chance."""
    image, generator = Image.new("L", (side, side), 255), np.random.default_rng(0)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(size)
    for left, top, digit in generator.integers(0, (side - size, side - size, 10), (count, 3)).tolist():
        draw.text((left, top), str(digit), font=font, fill=0)
    return np.asarray(image)


def _halftone(side: int, cell: int) -> Pixels:
    """Discs in rows, larger and smaller."""
    y, x = np.mgrid[:side, :side]
    radius = cell * (0.35 + 0.2 * np.sin(7 * x / side) * np.cos(5 * y / side))
    return np.where(np.hypot(x % cell - cell / 2, y % cell - cell / 2) < radius, 0, 255).astype(np.uint8)


def _crosses(side: int, step: int) -> Pixels:
    """Plus signs whose boxes touch."""
    pixels = np.full((side, side), 255, np.uint8)
    for shift in range(step - 1):
        pixels[step // 2 :: step, shift::step] = 0
        pixels[shift::step, step // 2 :: step] = 0
    return pixels


def _nested(side: int, step: int) -> Pixels:
    """Boxes inside boxes."""
    pixels = np.full((side, side), 255, np.uint8)
    for i in range(0, side // 2 - 1, step):
        pixels[[i, side - 1 - i], i : side - i] = 0
        pixels[i : side - i, [i, side - 1 - i]] = 0
    return pixels


def _fractal(side: int) -> Pixels:
    """A Sierpinski carpet."""
    y, x = np.mgrid[:side, :side]
    hole = np.zeros((side, side), bool)
    while x.max() > 0:
        hole |= (x % 3 == 1) & (y % 3 == 1)
        x, y = x // 3, y // 3
    return np.where(hole, 255, 0).astype(np.uint8)


def _gradient(side: int) -> Pixels:
    return np.tile(np.linspace(0, 255, side).astype(np.uint8), (side, 1))


def _scattered(side: int, count: int, size: int) -> Pixels:
    """Small squares at places by chance."""
    pixels, generator = np.full((side, side), 255, np.uint8), np.random.default_rng(0)
    for top, left in generator.integers(0, side - size, (count, 2)):
        pixels[top : top + size, left : left + size] = 0
    return pixels


def _lines(side: int, count: int) -> Pixels:
    """Lines from border to border that all cross."""
    image, generator = Image.new("L", (side, side), 255), np.random.default_rng(0)
    draw = ImageDraw.Draw(image)
    for left, right in generator.integers(0, side, (count, 2)).tolist():
        draw.line((left, 0, right, side), fill=0, width=2)
    return np.asarray(image)


PATTERNS: dict[str, Callable[[], Pixels]] = {
    **{f"dots of {size} every {step}": partial(_dots, SIDE, step, size) for step, size in ((2, 1), (3, 2), (6, 3))},
    **{f"dots every {step}": partial(_dots, SIDE, step) for step in (3, 5, 9)},
    "dots every 3, the largest": partial(_dots, LARGEST, 3),
    **{f"noise, {share:.0%} ink": partial(_noise, SIDE, share) for share in (0.001, 0.02, 0.3, 0.59, 0.9)},
    "grey noise": partial(_grey_noise, SIDE),
    "grey noise, the largest": partial(_grey_noise, LARGEST),
    **{f"maze of cells of {cell}": partial(_maze, SIDE, cell) for cell in (2, 4, 9, 25)},
    **{f"spiral, {step} wide": partial(_spiral, SIDE, step) for step in (2, 4, 20)},
    **{f"rings, {step} apart": partial(_rings, SIDE, step) for step in (4, 11, 60)},
    **{f"comb, {step} apart": partial(_comb, SIDE, step) for step in (2, 3, 12)},
    "comb across": partial(_comb, SIDE, 4, across=True),
    **{f"checkers of {cell}": partial(_checkers, SIDE, cell) for cell in (1, 3, 40)},
    **{f"page of text of {size}": partial(_text, SIDE, size) for size in (10, 14, 22, 40, 90, 140)},
    "page of ones": partial(_text, SIDE, 24, "1"),
    "page of sevens, the largest": partial(_text, LARGEST, 60, "7 "),
    "page of letters": partial(_text, SIDE, 16, "mwWM@#&"),
    **{f"crosses every {step}": partial(_crosses, SIDE, step) for step in (5, 15, 50)},
    **{f"nested boxes, {step} apart": partial(_nested, SIDE, step) for step in (3, 10, 15, 20, 30, 40)},
    "halftone": partial(_halftone, SIDE, 60),
    "halftone, the largest": partial(_halftone, LARGEST, 60),
    **{f"{count} digits": partial(_digits, SIDE, count, size) for count, size in ((60, 80), (200, 80), (600, 25))},
    "fractal": partial(_fractal, 729),
    "gradient": partial(_gradient, SIDE),
    **{f"{count} squares": partial(_scattered, SIDE, count, size) for count, size in ((300, 20), (5000, 4))},
    **{f"{count} lines": partial(_lines, SIDE, count) for count in (20, 200)},
}
"""What is on a picture."""


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _png(*chunks: bytes, size: tuple[int, int] = (60, 60), depth: int = 8, colour: int = 0, rows: bytes = b"") -> bytes:
    """A PNG with these chunks before the pixels, which are grey where no others are given."""
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, 0))
    rows = rows or (b"\0" + bytes([200, 90] * (size[0] // 2))) * size[1]
    return (
        b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")
    )


def _bomb(size: tuple[int, int], **options: int) -> bytes:
    """A PNG that says it is of this size and holds zeros for a part of it."""
    return _png(size=size, rows=bytes(20_000_000), **options)


def _png_in_pieces() -> bytes:
    data = zlib.compress((b"\0" + bytes([200, 90] * 30)) * 60, 0)
    whole = _png()
    start, pieces = whole.index(b"IDAT") - 4, b"".join(_chunk(b"IDAT", data[i : i + 1]) for i in range(len(data)))
    return whole[:start] + pieces + _chunk(b"IDAT", b"") * 100_000 + _chunk(b"IEND", b"")


def _profile(data: bytes) -> bytes:
    return _chunk(b"iCCP", b"name\0\0" + zlib.compress(data))


def _exif(entries: int = 1, *, orientation: int = 6, kind: int = 3, loops: bool = False) -> bytes:
    """EXIF data with this many times the orientation, as the next directory the same again where it loops."""
    entry = struct.pack("<HHII", 274, kind, 1, orientation)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", entries) + entry * entries + struct.pack("<I", 8 if loops else 0)


def _palette(colours: int, *, index: int = 0, transparency: bytes = b"") -> bytes:
    rows = (b"\0" + bytes([index] * 30 + [0] * 30)) * 60
    chunks = [_chunk(b"PLTE", bytes(range(3)) * colours)]
    return _png(*chunks, *([_chunk(b"tRNS", transparency)] if transparency else []), colour=3, rows=rows)


def _animated(file_format: str, frames: int, side: int = 40) -> bytes:
    pictures = [Image.fromarray(_dots(side, 3 + i % 7)) for i in range(frames)]
    return encoded(pictures[0], file_format, save_all=True, append_images=pictures[1:])


def _jpeg(**options: Any) -> bytes:  # noqa: ANN401
    return encoded(_rings(300, 60), "JPEG", **options)


def _jpeg_with(segments: bytes, **options: Any) -> bytes:  # noqa: ANN401
    """A JPEG with these segments at its start."""
    data = _jpeg(**options)
    return data[:2] + segments + data[2:]


def _segment(marker: int, data: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2) + data


def _jpeg_of_scans(count: int) -> bytes:
    data = encoded(Image.new("L", (LARGEST, LARGEST), 255), "JPEG", progressive=True)
    start, end = data.rindex(b"\xff\xda"), data.rindex(b"\xff\xd9")
    return data[:end] + data[start:end] * count + data[end:]


def _jpeg_resized(width: int, height: int) -> bytes:
    """A JPEG whose header says another size."""
    data = bytearray(_jpeg())
    place = data.index(b"\xff\xc0") + 5
    data[place : place + 4] = struct.pack(">HH", height, width)
    return bytes(data)


def _gif_resized(width: int, height: int) -> bytes:
    """A GIF whose first frame, and screen, say another size."""
    data = bytearray(encoded(_dots(60, 5), "GIF"))
    place = data.index(b",", 13) + 5
    data[6:10] = data[place : place + 4] = struct.pack("<HH", width, height)
    return bytes(data)


def _bmp(width: int, height: int, *, bits: int = 8, compression: int = 0, colours: int = 0, data: bytes = b"") -> bytes:
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, len(data), 0, 0, colours, 0)
    return b"BM" + struct.pack("<IHHI", 54 + len(data) + 1024, 0, 0, 54 + 1024) + header + bytes(1024) + data


def _tiff_of_floats(values: NDArray[Any]) -> bytes:
    return encoded(Image.fromarray(values), "TIFF")


def _tiff(entries: list[tuple[int, int, int, int]], *, data: bytes = b"", following: int = 0) -> bytes:
    """A TIFF of these tags (number, kind, count, value) and data, which begin at byte 10,000."""
    directory = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return (b"II*\0\x08\0\0\0" + directory + struct.pack("<I", following)).ljust(10_000, b"\0") + data


def _grey_tiff(width: int, height: int, *others: tuple[int, int, int, int], data: bytes = b"") -> bytes:
    known = {256: (4, 1, width), 257: (4, 1, height), 258: (3, 1, 8), 259: (3, 1, 1), 262: (3, 1, 1)}
    known |= {273: (4, 1, 10_000), 277: (3, 1, 1), 278: (4, 1, height), 279: (4, 1, len(data))}
    known |= {number: entry for number, *entry in others}  # type: ignore[misc]
    return _tiff([(number, *entry) for number, entry in sorted(known.items())], data=data)


def _tiff_of_strips(count: int) -> bytes:
    """A TIFF whose every row is a strip of its own."""
    offsets = struct.pack(f"<{count}I", *[10_000 + 8 * count + i for i in range(count)])
    sizes = struct.pack(f"<{count}I", *[1] * count)
    strips = ((273, 4, count, 10_000), (278, 4, 1, 1), (279, 4, count, 10_000 + 4 * count))
    return _grey_tiff(1, count, *strips, data=offsets + sizes + bytes(range(256)) * (count // 256 + 1))


def _tiff_of_pages(count: int) -> bytes:
    return encoded(Image.new("L", (8, 8)), "TIFF", save_all=True, append_images=[Image.new("L", (8, 8))] * count)


def _compressed_tiff(compression: str, side: int) -> bytes:
    return encoded(Image.new("L", (side, side)), "TIFF", compression=compression)


def _tiff_with(tags: dict[int, Any]) -> bytes:
    directory = TiffImagePlugin.ImageFileDirectory_v2()
    for number, value in tags.items():
        directory[number] = value
    return encoded(_dots(60, 5), "TIFF", tiffinfo=directory)


def _cut(data: bytes, share: float) -> bytes:
    return data[: int(len(data) * share)]


def _floats(value: float) -> NDArray[np.float32]:
    values = np.zeros((60, 60), np.float32)
    values[20:40, 30] = value
    return values


def _whole_pictures() -> Iterator[tuple[str, Callable[[], bytes]]]:
    """An ordinary picture in each format; a small one, of whose bytes many say what the others mean."""
    for file_format in ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "PPM"):
        yield file_format, partial(encoded, _rings(60, 20), file_format)


WHOLE: dict[str, Callable[[], bytes]] = dict(_whole_pictures())
"""What the others are made of."""

FILES: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "zeros": lambda: bytes(100_000),
    "text": lambda: b"a picture" * 1000,
    **{
        f"{name}, the first {share:.1%}": partial(lambda make, share: _cut(make(), share), make, share)
        for name, make in WHOLE.items()
        for share in (0.005, 0.5, 0.97)
    },
    "PNG bomb of 2^31 pixels a side": lambda: _bomb((2**31 - 1, 2**31 - 1)),
    "PNG bomb of 16 bits": lambda: _bomb((3900, 3900), depth=16, colour=6),
    "PNG bomb of one bit": lambda: _bomb((12_000, 12_000), depth=1),
    "PNG of no width": lambda: _png(size=(0, 60), rows=b"\0"),
    "PNG with too few rows": lambda: _png(rows=b"\0" * 61),
    "PNG in 100,000 pieces": _png_in_pieces,
    "PNG with 100,000 texts": lambda: _png(_chunk(b"tEXt", b"a\0b") * 100_000),
    "PNG with a text of 10 MB": lambda: _png(_chunk(b"tEXt", b"a\0" + b"b" * 10_000_000)),
    "PNG with a text bomb": lambda: _png(_chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(500_000_000)))),
    "PNG with many text bombs": lambda: _png(_chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(900_000))) * 300),
    "PNG with an international text bomb": lambda: _png(
        _chunk(b"iTXt", b"a\0\1\0\0\0" + zlib.compress(bytes(100_000_000)))
    ),
    "PNG with a profile bomb": lambda: _png(_profile(bytes(300_000_000))),
    "PNG with a profile of noise": lambda: _png(_profile(np.random.default_rng(0).bytes(9000))),
    "PNG with 1,000 profiles": lambda: _png(_profile(b"x") * 1000),
    "PNG with EXIF": lambda: _png(_chunk(b"eXIf", _exif())),
    "PNG with EXIF of noise": lambda: _png(_chunk(b"eXIf", b"II*\0" + np.random.default_rng(0).bytes(9000))),
    "PNG with EXIF that loops": lambda: _png(_chunk(b"eXIf", _exif(loops=True))),
    "PNG with EXIF of 60,000 entries": lambda: _png(_chunk(b"eXIf", _exif(60_000))),
    "PNG with an orientation of a billion": lambda: _png(_chunk(b"eXIf", _exif(orientation=10**9, kind=4))),
    "PNG with an orientation that is text": lambda: _png(_chunk(b"eXIf", _exif(kind=2))),
    "PNG with a palette of none": lambda: _palette(0),
    "PNG with a palette of one": lambda: _palette(1, index=200),
    "PNG with a palette of 300": lambda: _palette(300, index=255),
    "PNG with a transparent palette": lambda: _palette(2, index=1, transparency=bytes([0, 128, 7, 255])),
    "PNG with transparency of noise": lambda: _png(_chunk(b"tRNS", bytes(range(200)))),
    "PNG without a palette": lambda: _png(colour=3),
    "PNG of an unknown kind": lambda: _png(colour=5),
    "PNG with gamma 0": lambda: _png(_chunk(b"gAMA", bytes(4)), _chunk(b"cHRM", bytes(32))),
    "PNG with a header twice": lambda: _png(_chunk(b"IHDR", struct.pack(">IIBBBBB", 9000, 9000, 8, 2, 0, 0, 0))),
    "PNG with a wrong checksum": lambda: _png()[:-20] + bytes(20),
    "PNG of one row": lambda: encoded(np.zeros((1, 16_000_000), np.uint8)),
    "PNG of one column": lambda: encoded(np.where(np.arange(16_000_000) % 2, 0, 255).astype(np.uint8)[:, np.newaxis]),
    "PNG of two rows": lambda: encoded(_noise(2800, 0.5).reshape(2, -1)),
    "PNG of one pixel": lambda: encoded(np.zeros((1, 1), np.uint8)),
    "PNG of 16 bits": lambda: encoded(Image.fromarray(_grey_noise(500).astype(np.uint16) * 257)),
    "PNG of colours and opacity": lambda: encoded(np.random.default_rng(0).integers(0, 256, (900, 900, 4), np.uint8)),
    "PNG of thousands of frames": lambda: _animated("PNG", 2000),
    "JPEG of 1,000 scans": lambda: _jpeg_of_scans(1000),
    "JPEG of 90 scans": lambda: _jpeg_of_scans(80),
    "JPEG that is wider than it holds": lambda: _jpeg_resized(65_000, 240),
    "JPEG that is higher than it holds": lambda: _jpeg_resized(240, 65_000),
    "JPEG of 4 gigapixels": lambda: _jpeg_resized(65_500, 65_500),
    "JPEG of no height": lambda: _jpeg_resized(300, 0),
    "JPEG with 200,000 comments": lambda: _jpeg_with(_segment(0xFE, b"") * 200_000),
    "JPEG with comments of 19 MB": lambda: _jpeg_with(_segment(0xFE, bytes(65_000)) * 290),
    "JPEG with fill of 19 MB": lambda: _jpeg_with(b"\xff" * 19_000_000),
    "JPEG with 250 profiles": lambda: _jpeg_with(_segment(0xE2, b"ICC_PROFILE\0\1\2" + bytes(65_000)) * 250),
    "JPEG with EXIF of noise": lambda: _jpeg(exif=b"Exif\0\0II*\0" + np.random.default_rng(0).bytes(9000)),
    "JPEG with EXIF that loops": lambda: _jpeg(exif=b"Exif\0\0" + _exif(loops=True)),
    "JPEG with EXIF of 5,000 entries": lambda: _jpeg(exif=b"Exif\0\0" + _exif(5000)),
    "JPEG with an index of pictures": lambda: _jpeg_with(_segment(0xE2, b"MPF\0II*\0" + bytes(64)) * 50),
    "JPEG with Photoshop's data": lambda: _jpeg_with(_segment(0xED, b"Photoshop 3.0\0" + b"8BIM\4\4\0\0" * 7000)),
    "JPEG with tables of zeros": lambda: _jpeg_with(_segment(0xDB, b"\0" + bytes(64)), quality=5),
    "JPEG with a table of codes that is full": lambda: _jpeg_with(_segment(0xC4, b"\0" + b"\xff" * 16)),
    "JPEG with restarts everywhere": lambda: _jpeg(restart_marker_blocks=1),
    "JPEG of four colours": lambda: encoded(Image.new("CMYK", (300, 300), (9, 90, 200, 0)), "JPEG"),
    "JPEG of the largest noise": lambda: encoded(_grey_noise(LARGEST), "JPEG", quality=50, progressive=True),
    "JPEG of text, the largest": lambda: encoded(_text(LARGEST, 40), "JPEG", quality=30),
    "GIF of thousands of frames": lambda: _animated("GIF", 3000),
    "GIF bomb": lambda: _gif_resized(65_535, 65_535),
    "GIF that says it is larger": lambda: _gif_resized(3900, 3900),
    "GIF of no width": lambda: _gif_resized(0, 60),
    "GIF with 100,000 comments": lambda: WHOLE["GIF"]()[:-1] + b"!\xfe\x01a\0" * 100_000 + b";",
    "GIF with comments first": lambda: b"GIF89a\x3c\0\x3c\0\0\0\0" + b"!\xfe\x01a\0" * 300_000 + b";",
    "GIF without colours": lambda: b"GIF89a\x3c\0\x3c\0\0\0\0,\0\0\0\0\x3c\0\x3c\0\0\2\2\x44\1\0;",
    "GIF of codes of 20 bits": lambda: b"GIF89a\x3c\0\x3c\0\0\0\0,\0\0\0\0\x3c\0\x3c\0\0\x14\2\x44\1\0;",
    "WebP of hundreds of frames": lambda: _animated("WEBP", 300),
    "WebP of the largest noise": lambda: encoded(_grey_noise(2500), "WEBP", quality=20),
    "WebP without loss": lambda: encoded(_text(LARGEST, 40), "WEBP", lossless=True, method=0),
    "WebP with EXIF of noise": lambda: encoded(_dots(60, 5), "WEBP", exif=np.random.default_rng(0).bytes(9000)),
    "WebP with a profile of noise": lambda: encoded(_dots(60, 5), "WEBP", icc_profile=bytes(500_000)),
    "BMP bomb": lambda: _bmp(100_000, 100_000),
    "BMP of negative width": lambda: _bmp(-60, 60, data=bytes(3600)),
    "BMP upside down": lambda: _bmp(60, -60, data=bytes(range(60)) * 60),
    "BMP of run lengths, all skips": lambda: _bmp(3900, 3900, compression=1, data=b"\0\2\1\1" * 100_000),
    "BMP of run lengths, all ends of lines": lambda: _bmp(3900, 3900, compression=1, data=b"\0\0" * 1_000_000),
    "BMP of run lengths of one": lambda: _bmp(3900, 3900, compression=1, data=b"\1\7" * 5_000_000),
    "BMP of no bits": lambda: _bmp(60, 60, bits=0),
    "BMP of four billion colours": lambda: _bmp(60, 60, colours=2**32 - 1, data=bytes(3600)),
    "TIFF of infinite floats": lambda: _tiff_of_floats(_floats(np.inf)),
    "TIFF of NaN": lambda: _tiff_of_floats(_floats(np.nan)),
    "TIFF of huge floats": lambda: _tiff_of_floats(_floats(3e38)),
    "TIFF of tiny floats": lambda: _tiff_of_floats(_floats(1e-44)),
    "TIFF of negative floats": lambda: _tiff_of_floats(_floats(-5e29)),
    "TIFF of 32 bits": lambda: _tiff_of_floats(np.full((60, 60), 2**31 - 1, np.int32)),
    "TIFF of floats, the largest": lambda: _tiff_of_floats(np.random.default_rng(0).random((2000, 2000), np.float32)),
    "TIFF of 100,000 strips": lambda: _tiff_of_strips(100_000),
    "TIFF of 1,000,000 strips": lambda: _tiff_of_strips(1_000_000),
    "TIFF of 2,000 pages": lambda: _tiff_of_pages(2000),
    "TIFF whose pages loop": lambda: _tiff([(256, 4, 1, 60), (257, 4, 1, 60)], following=8),
    "TIFF of 800 tags": lambda: _tiff([(1000 + i, 4, 1, i) for i in range(800)]),
    "TIFF with a tag of 4 billion values": lambda: _grey_tiff(60, 60, (700, 1, 2**32 - 1, 10_000), data=bytes(3600)),
    "TIFF with strips beyond its end": lambda: _grey_tiff(60, 60, (273, 4, 1, 2**31), data=bytes(3600)),
    "TIFF of 4 billion samples": lambda: _grey_tiff(60, 60, (277, 4, 1, 2**32 - 1), data=bytes(3600)),
    "TIFF of 65,535 bits": lambda: _grey_tiff(60, 60, (258, 3, 1, 65_535), data=bytes(3600)),
    "TIFF of an unknown compression": lambda: _grey_tiff(60, 60, (259, 3, 1, 34_712), data=bytes(3600)),
    "TIFF of strips of no rows": lambda: _grey_tiff(60, 60, (278, 4, 1, 0), data=bytes(3600)),
    "TIFF of tiles of one pixel": lambda: _grey_tiff(60, 60, (322, 4, 1, 1), (323, 4, 1, 1), data=bytes(3600)),
    "TIFF of palette colours without any": lambda: _grey_tiff(60, 60, (262, 3, 1, 3), data=bytes(3600)),
    "TIFF bomb of zeros": lambda: _compressed_tiff("tiff_adobe_deflate", 12_000),
    "TIFF bomb of repetitions": lambda: _compressed_tiff("tiff_lzw", LARGEST),
    "TIFF of run lengths": lambda: _compressed_tiff("packbits", LARGEST),
    "TIFF with a description of 10 MB": lambda: _tiff_with({270: "x" * 10_000_000}),
    "TIFF with a profile of noise": lambda: _tiff_with({34_675: np.random.default_rng(0).bytes(9000)}),
    "TIFF with an orientation of 99": lambda: _tiff_with({274: 99}),
    "PPM bomb": lambda: b"P6 1000000 1000000 255\n" + bytes(1000),
    "PPM of numbers as text": lambda: b"P2 1000 1000 255\n" + b"9 " * 1_000_000,
    "PPM of numbers as text that are missing": lambda: b"P3 3900 3900 255\n" + b"9 " * 1000,
    "PPM of a number of a million digits": lambda: b"P2 60 60 255\n" + b"9" * 1_000_000,
    "PPM of a width of a million digits": lambda: b"P6 " + b"9" * 1_000_000 + b" 60 255\n",
    "PPM of a comment of 19 MB": lambda: b"P5\n#" + b"x" * 19_000_000 + b"\n60 60 255\n" + bytes(3600),
    "PPM of a million comments": lambda: b"P5\n" + b"#\n" * 1_000_000 + b"60 60 255\n" + bytes(3600),
    "PPM of spaces": lambda: b"P2 60 60 255" + b" " * 15_000_000,
    "PPM of a brightest value of 0": lambda: b"P5 60 60 0\n" + bytes(3600),
    "PPM of a brightest value of 65,535": lambda: b"P5 600 600 65535\n" + bytes(720_000),
    "PPM of bits as text": lambda: b"P1 1000 1000\n" + b"10" * 500_000,
    "PPM of floats": lambda: b"Pf 60 60 -1.0\n" + _floats(np.nan).tobytes(),
    "PPM of floats of scale 0": lambda: b"Pf 60 60 0\n" + _floats(1).tobytes(),
}
"""Files that are not what they seem."""

PICTURES: dict[str, Callable[[], bytes]] = {
    **{name: partial(lambda make: encoded(make()), make) for name, make in PATTERNS.items()},
    **{
        f"{name} as a JPEG": partial(lambda make: encoded(make(), "JPEG", quality=40), PATTERNS[name])
        for name in (
            "dots every 5",
            "maze of cells of 9",
            "page of text of 22",
            "noise, 30% ink",
            "rings, 11 apart",
            "halftone",
        )
    },
    **FILES,
}
"""All hostile pictures."""
