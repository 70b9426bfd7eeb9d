"""Non-digits, to evaluate refusals: letters, symbols, scribbles, doodles, noise and fashion items.

They are not used for training or to choose a threshold.
"""

import gzip
import importlib.util
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from digitcore.errors import DatasetError, DatasetMissingError
from digitcore.imaging.strokes import BRUSHES, CANVAS_SIDE, Stroke, draw_strokes_at_random, transform_points

__all__ = [
    "DOODLES",
    "FASHION_FOLDER",
    "LETTERS",
    "NOISES",
    "RESEMBLING",
    "SCRIBBLES",
    "SYMBOLS",
    "NonDigit",
    "doodles",
    "fashion_items",
    "noises",
    "pen_letters",
    "printed_letters",
    "printed_symbols",
    "scribbles",
]

FASHION_FOLDER = Path("/usr/share/datasets/fashion-mnist")
"""Folder of Debian's package `dataset-fashion-mnist`."""

RESEMBLING = {
    "B": "8",
    "D": "0 with one straight side",
    "G": "6",
    "I": "1",
    "O": "0",
    "Q": "0 with a tail or a slash, cursive a 2",
    "S": "5",
    "Y": "open 4",
    "Z": "2",
    "b": "6",
    "g": "9 with a hook",
    "i": "1 under a dot",
    "l": "1",
    "o": "0",
    "q": "9",
    "s": "5",
    "y": "open 4, hooked 9",
    "z": "2",
}
"""The digit that a letter resembles: one of its usual forms is, apart from place and size, a form of that digit."""

# Forms of each letter: strokes of points "xy" on a grid from 0 to 8, y downwards; a point given twice is a corner.
_FORMS: dict[str, tuple[str, ...]] = {
    "A": ("08 30 30 68|15 55", "08 03 20 40 63 68|05 65"),
    "B": ("00 08|00 40 62 44 04 04|04 54 66 48 08", "08 08 00 00 51 53 04 04 65 67 08"),
    "C": ("61 30 02 06 38 67", "52 30 03 06 38 57"),
    "D": ("00 08|00 40 63 65 48 08", "00 00 08 08 57 64 51 00"),
    "E": ("60 60 00 00 08 08 68|04 54", "00 08|00 60|04 54|08 68", "61 30 02 24 34 24 06 38 67"),
    "F": ("60 60 00 00 08|04 44", "00 08|00 60|04 54"),
    "G": ("61 30 02 06 38 67 64 64 44", "62 30 02 06 38 66 64|44 74"),
    "H": ("00 08|60 68|04 64", "00 18|70 68|14 64"),
    "I": ("30 38", "10 50|30 38|18 58"),
    "J": ("50 56 38 07", "20 80|50 56 38 07"),
    "K": ("00 08|60 04 04 68", "00 08|60 04|24 68"),
    "L": ("00 00 08 08 58", "10 10 08 08 68"),
    "M": ("08 00 00 35 35 60 60 68", "08 10 10 37 37 60 60 78"),
    "N": ("08 00 00 68 68 60", "08 00|00 68|68 60"),
    "O": ("40 00 08 88 80 40", "30 01 07 38 67 61 30"),
    "P": ("00 08|00 50 62 54 04", "08 00 00 61 63 04"),
    "Q": ("40 00 08 88 80 40|56 89", "30 01 07 38 67 61 30|46 68"),
    "R": ("00 08|00 50 62 54 04|24 68", "08 00 00 61 63 04 04 68"),
    "S": ("61 30 02 24 46 38 07", "51 20 02 34 66 38 07"),
    "T": ("00 60|30 38", "30 38|00 70"),
    "U": ("00 06 38 66 60", "00 05 28 55 60 60 68"),
    "V": ("00 38 38 60", "10 37 37 70"),
    "W": ("00 28 28 42 42 68 68 80", "00 06 28 46 42 46 68 86 80"),
    "X": ("00 68|60 08", "10 58|60 18"),
    "Y": ("00 34 34|60 34 38", "00 34|70 08"),
    "Z": ("00 60 60 08 08 68", "00 60 60 08 08 68|14 54"),
    "a": ("63 33 05 07 38 66 63 63 68", "13 42 64 68|65 25 07 38 66"),
    "b": ("00 08|04 43 66 48 08", "00 00 08 68 64 04"),
    "c": ("63 32 05 38 67", "54 33 05 38 57"),
    "d": ("60 68|64 33 06 38 67", "63 33 06 38 65 60 60 68"),
    "e": ("05 65 63 32 05 38 67", "15 64 42 04 07 48 66"),
    "f": ("61 40 22 28|04 54", "60 40 31 38|14 54"),
    "g": ("62 31 03 35 63 61 61 68 39 08", "63 32 04 36 63 63 57 38 07"),
    "h": ("00 08|05 33 64 68", "00 08 04 43 65 68"),
    "i": ("33 38|30 31", "33 36 48|30 31"),
    "j": ("43 46 38 17|40 41", "43 45 28 07|40 41"),
    "k": ("00 08|53 05 05 58", "00 08|53 05|25 58"),
    "l": ("30 38", "30 36 48"),
    "m": ("03 08|05 23 35 38|35 53 65 68", "03 08 04 23 35 38 34 53 65 68"),
    "n": ("03 08|05 33 64 68", "03 03 08 04 42 65 68"),
    "o": ("40 00 08 88 80 40", "42 04 28 56 52 42"),
    "p": ("00 08|01 40 63 45 04", "08 00 40 62 44 03"),
    "q": ("61 30 03 45 62|60 68", "62 30 02 35 62 62 68"),
    "r": ("03 08|05 23 53", "03 08 05 33 54"),
    "s": ("61 30 02 24 46 38 07", "52 21 13 45 67 28 07"),
    "t": ("30 37 58 67|03 63", "30 38|03 63"),
    "u": ("03 06 28 66 63 63 68", "03 07 38 56 63|63 67 78"),
    "v": ("03 38 38 63", "02 28 28 52"),
    "w": ("03 28 28 44 44 68 68 83", "03 07 28 46 43 47 68 86 83"),
    "x": ("03 58|53 08", "02 68|62 08"),
    "y": ("00 34|60 08", "00 03 25 63 60 66 38 07"),
    "z": ("03 53 53 08 08 58", "02 62 62 08 08 68"),
}
LETTERS = tuple(_FORMS)
_FONTS = ("DejaVuSans", "DejaVuSans-Oblique", "DejaVuSerif", "DejaVuSansMono-Bold", "STIXGeneral", "STIXGeneralItalic")

SYMBOLS = tuple("ΔΛΞΠΣΨΩЖДФЩЮЯ★♥♪✈☎✂☂☀☺⚓∞√≈≠÷@#=+*")
"""Capitals of Greek and Cyrillic that resemble no digit, and signs."""
_SYMBOL_FONTS = ("DejaVuSans", "DejaVuSans-Oblique", "DejaVuSans-Bold")

_FORMS_OF_DOODLES = {
    "star": "08 30 30 68 68 03 03 63 63 08",
    "house": "08 08 03 03 30 30 63 63 68 68 08|03 63|28 25 45 48",
    "heart": "38 38 04 02 20 32 32 40 62 64 38",
    "smiley": "40 00 08 88 80 40|22 23|62 63|25 37 57 65",
    "arrow": "04 84|50 84 84 58",
    "check mark": "04 28 28 80",
    "hash": "20 18|60 58|02 82|06 86",
    "lightning": "40 40 04 04 44 44 18",
    "cross in a box": "00 00 80 80 88 88 08 08 00|00 88|80 08",
    "envelope": "00 00 80 80 86 86 06 06 00|00 44 44 80",
    "stick figure": "30 21 32 41 30|32 35|03 63|35 08|35 68",
    "sun": "33 24 35 55 64 53 33|40 41|47 48|04 14|74 84|11 22|71 62|17 26|77 66",
}
DOODLES = tuple(_FORMS_OF_DOODLES)


@dataclass(frozen=True, eq=False)
class NonDigit:
    """A picture of something other than a digit."""

    kind: str
    """Name of the letter, doodle, ..."""
    picture: NDArray[np.uint8]  # (H, W), light ink on black


def pen_letters(*, per_kind: int, generator: np.random.Generator) -> Iterator[NonDigit]:
    """Every letter of `LETTERS`, `per_kind` times, its forms in turn, varied in proportions, slant, shake and brush."""
    for letter in LETTERS:
        for i in range(per_kind):
            yield _written(letter, _FORMS[letter][i % len(_FORMS[letter])], generator)


def doodles(*, per_kind: int, generator: np.random.Generator) -> Iterator[NonDigit]:
    """Every doodle of `DOODLES`, `per_kind` times, varied in the same way."""
    for name in DOODLES:
        for _ in range(per_kind):
            yield _written(name, _FORMS_OF_DOODLES[name], generator)


def printed_letters() -> Iterator[NonDigit]:
    """Every letter of `LETTERS` in each of six typefaces that come with matplotlib.

    Raises:
        DatasetMissingError: matplotlib or its typefaces are not installed.
    """
    yield from _printed(LETTERS, _FONTS)


def printed_symbols() -> Iterator[NonDigit]:
    """Every sign of `SYMBOLS`, upright, slanted and bold. No rule for refusals was chosen by them.

    Raises:
        DatasetMissingError: as `printed_letters`.
    """
    yield from _printed(SYMBOLS, _SYMBOL_FONTS)


def _printed(signs: Sequence[str], fonts: Sequence[str]) -> Iterator[NonDigit]:
    package = importlib.util.find_spec("matplotlib")  # not imported: only its files are used
    folder = Path(package.origin or "").parent / "mpl-data" / "fonts" / "ttf" if package else Path()
    if not all((folder / f"{font}.ttf").is_file() for font in fonts):
        raise DatasetMissingError("The typefaces of matplotlib are not installed: pip install matplotlib.")
    for name in fonts:
        font = ImageFont.truetype(str(folder / f"{name}.ttf"), size=CANVAS_SIDE // 2)
        for sign in signs:
            picture = Image.new("L", (CANVAS_SIDE, CANVAS_SIDE))
            ImageDraw.Draw(picture).text((CANVAS_SIDE // 2,) * 2, sign, fill=255, font=font, anchor="mm")
            yield NonDigit(sign, np.asarray(picture))


def scribbles(*, per_kind: int, generator: np.random.Generator) -> Iterator[NonDigit]:
    """Every kind of `SCRIBBLES`, `per_kind` times."""
    for name, scribble in _SCRIBBLES.items():
        for _ in range(per_kind):
            yield _drawn(name, scribble(generator), generator)


def noises(*, per_kind: int, generator: np.random.Generator) -> Iterator[NonDigit]:
    """Every kind of `NOISES`, `per_kind` times in 28x28 and `per_kind` times in 280x280 pixels."""
    for name, noise in _NOISES.items():
        for side in (28, CANVAS_SIDE):
            for _ in range(per_kind):
                yield NonDigit(name, noise(generator, side))


def fashion_items(folder: Path = FASHION_FOLDER, *, count: int, generator: np.random.Generator) -> list[NonDigit]:
    """`count` of the 10,000 test pictures of Fashion-MNIST, all different.

    Source: H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning
    Algorithms", 2017; Debian's package `dataset-fashion-mnist`.

    Raises:
        DatasetMissingError: its files are not in the folder.
        DatasetError: they cannot be read.
    """
    kinds = ("T-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
    images = _read_idx(folder / "t10k-images-idx3-ubyte.gz", header=16).reshape(-1, 28, 28)
    labels = _read_idx(folder / "t10k-labels-idx1-ubyte.gz", header=8)
    return [NonDigit(kinds[labels[i]], images[i]) for i in generator.permutation(len(images))[:count]]


def _read_idx(path: Path, *, header: int) -> NDArray[np.uint8]:
    if not path.is_file():
        raise DatasetMissingError(f"{path} is not there: apt-get install dataset-fashion-mnist.")
    try:
        return np.frombuffer(gzip.decompress(path.read_bytes()), dtype=np.uint8, offset=header)
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise DatasetError(f"{path} cannot be read ({error}): install dataset-fashion-mnist again.") from error


def _written(kind: str, form: str, generator: np.random.Generator) -> NonDigit:
    strokes = [
        np.array([[*map(int, point)] for point in stroke.split()], dtype=np.float32) for stroke in form.split("|")
    ]
    return _drawn(kind, _varied(strokes, generator), generator)


def _varied(strokes: list[Stroke], generator: np.random.Generator) -> list[Stroke]:
    """The strokes, in units of about 8, varied at random: shaken, narrower or wider, slanted, turned a little."""
    width = generator.uniform(0.75, 1.25)
    slant = np.array([[1.0, generator.uniform(-0.25, 0.25)], [0.0, 1.0]])
    angle = generator.uniform(-0.12, 0.12)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    shaken = []
    for stroke in strokes:
        corner = np.r_[False, (stroke[1:] == stroke[:-1]).all(axis=1)]  # twice the same point stays so
        shake = generator.normal(0, 0.25, stroke.shape)
        shake[corner] = shake[np.flatnonzero(corner) - 1]
        moved = transform_points(transform_points((stroke + shake) * [width, 1.0], slant), turn)
        shaken.append(moved.astype(np.float32))
    return shaken


def _drawn(kind: str, strokes: list[Stroke], generator: np.random.Generator) -> NonDigit:
    brush = float(generator.choice(BRUSHES))
    return NonDigit(kind, draw_strokes_at_random(strokes, brush=brush, generator=generator))


def _zigzag(generator: np.random.Generator) -> list[Stroke]:
    turns = int(generator.integers(7, 14))
    points = np.stack([np.linspace(0, 1, turns), np.arange(turns) % 2 * generator.uniform(0.5, 1)], axis=1)
    points += generator.normal(0, 0.03, points.shape)
    return [points.astype(np.float32)]


def _spiral(generator: np.random.Generator) -> list[Stroke]:
    angle = np.linspace(0, generator.uniform(5, 9) * np.pi, 150) + generator.uniform(0, 2 * np.pi)
    radius = np.linspace(0.02, 0.5, 150)
    return [np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).astype(np.float32)]


def _hatching(generator: np.random.Generator) -> list[Stroke]:
    strokes = []
    for across in range(int(generator.integers(1, 3))):
        for position in np.linspace(0, 1, int(generator.integers(5, 10))):
            line = np.array([(position - 0.1, 0), (position + 0.1, 1)]) + generator.normal(0, 0.02, (2, 2))
            strokes.append((line[:, ::-1] if across else line).astype(np.float32))
    return strokes


def _random_walk(generator: np.random.Generator) -> list[Stroke]:
    return [np.cumsum(generator.normal(size=(int(generator.integers(40, 120)), 2)), axis=0).astype(np.float32)]


def _coil(generator: np.random.Generator) -> list[Stroke]:
    angle = np.linspace(0, generator.uniform(4, 7) * 2 * np.pi, 160)
    height = generator.uniform(0.3, 0.6)
    x = angle / angle[-1] + 0.12 * np.cos(angle)
    return [np.stack([x, height * np.sin(angle) / 2], axis=1).astype(np.float32)]


def _tangle(generator: np.random.Generator) -> list[Stroke]:
    return [generator.uniform(0, 1, (int(generator.integers(12, 25)), 2)).astype(np.float32)]


_SCRIBBLES: dict[str, Callable[[np.random.Generator], list[Stroke]]] = {
    "zigzag": _zigzag,
    "spiral": _spiral,
    "hatching": _hatching,
    "random walk": _random_walk,
    "coil": _coil,
    "tangle": _tangle,
}
SCRIBBLES = tuple(_SCRIBBLES)


def _uniform(generator: np.random.Generator, side: int) -> NDArray[np.uint8]:
    return generator.integers(0, 256, (side, side), dtype=np.uint8)


def _gaussian(generator: np.random.Generator, side: int) -> NDArray[np.uint8]:
    return generator.normal(128, 48, (side, side)).clip(0, 255).astype(np.uint8)


def _salt_and_pepper(generator: np.random.Generator, side: int) -> NDArray[np.uint8]:
    share = generator.uniform(0.05, 0.5)
    return np.where(generator.random((side, side)) < share, np.uint8(255), np.uint8(0))


_NOISES: dict[str, Callable[[np.random.Generator, int], NDArray[np.uint8]]] = {
    "uniform": _uniform,
    "gaussian": _gaussian,
    "salt and pepper": _salt_and_pepper,
}
NOISES = tuple(_NOISES)
