"""Picture files of pen digits as people have them: drawings saved as PNG or JPEG, and photographs of paper."""

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from digitcore.data.pen_digits import PenDigit
from digitcore.imaging.strokes import Stroke, place_strokes, render_strokes, transform_points

__all__ = [
    "DRAWING_LINES",
    "DRAWING_SIDES",
    "LIGHTS",
    "PAPERS",
    "PENS",
    "SURROUNDINGS",
    "TABLES",
    "PenPicture",
    "drawing_file",
    "photographs",
    "texture",
]

DRAWING_SIDES = (28, 56, 112, 280, 560, 1000)
"""Sides of drawings in pixels."""
DRAWING_LINES = (0.0, 0.02, 0.05, 0.08, 0.14, 0.2)
"""Line widths of drawings, as shares of the side; 0 stands for one pixel."""
SURROUNDINGS = ("paper", "padded", "framed", "corner")
"""What else is on a photograph: nothing but paper; a margin of one colour around it, as where it was padded to a
square; a box drawn around the digit; a piece of the table, or a finger, in a corner."""

_Floats = NDArray[np.float64]

PENS = {
    "black ballpoint": (0.2, 0.2, 0.23),
    "blue ballpoint": (0.25, 0.33, 0.62),
    "pencil": (0.45, 0.45, 0.47),
    "red pen": (0.75, 0.25, 0.25),
    "green pen": (0.25, 0.55, 0.35),
    "felt-tip pen": (0.1, 0.1, 0.1),
}
"""Share of red, green and blue light that ink of full density lets through."""
PAPERS = ((0.97, 0.97, 0.96), (0.96, 0.93, 0.85), (0.88, 0.88, 0.88), (0.82, 0.78, 0.7))
"""Share of red, green and blue light that paper reflects."""
_PRINTS = ((0.72, 0.8, 0.92), (0.78, 0.78, 0.78), (0.92, 0.75, 0.75))  # colours of printed lines
_SKIN = (0.8, 0.6, 0.5)
TABLES = ((0.45, 0.3, 0.2), (0.2, 0.2, 0.22), (0.75, 0.6, 0.45))
"""Likewise tables."""


@dataclass(frozen=True, eq=False)
class PenPicture:
    """A picture file of one digit."""

    file: bytes
    label: int
    kind: str
    writer: int


def drawing_file(
    digit: PenDigit, *, side: int, line: float, quality: int | None, is_dark: bool, generator: np.random.Generator
) -> bytes:
    """A square drawing: PNG, or JPEG of this quality; dark on white or white on black.

    line: width as a share of the side, at least a pixel. The digit stands at a random place, as large as the canvas
    allows at most, and at least four lines long where that fits.
    """
    brush = max(1.0, line * side)
    most = 0.94 - brush / side
    extent = min(most, max(4 * brush / side, float(generator.uniform(0.5, 0.8))))
    position = (float(generator.uniform(0.1, 0.9)), float(generator.uniform(0.1, 0.9)))
    placed = place_strokes(digit.strokes, side=side, extent=extent, position=position, brush=brush)
    ink = render_strokes(placed, side=side, brush=brush)
    return _encoded(255 - ink if is_dark else ink, quality)


def photographs(
    digits: Sequence[PenDigit], *, count: int, generator: np.random.Generator, surroundings: str = "paper"
) -> Iterator[PenPicture]:
    """JPEG photographs of digits on paper, one digit each.

    Plain, ruled or squared paper with a texture, in even or slanting light, under a lamp or with a shadow on it, a
    little turned and blurred, with noise. surroundings: one of `SURROUNDINGS`.
    """
    for i in generator.permutation(len(digits))[:count]:
        digit = digits[i]
        picture, kind = _photograph(digit.strokes, generator, surroundings)
        yield PenPicture(_encoded(picture, int(generator.integers(50, 96))), digit.label, kind, digit.writer)


def _photograph(
    strokes: Sequence[Stroke], generator: np.random.Generator, surroundings: str
) -> tuple[NDArray[np.uint8], str]:
    """Colours uint8 (side, side, 3), and in a few words what they show."""
    side = int(generator.integers(240, 801))
    turn = float(generator.uniform(-0.1, 0.1))  # radians
    brush = max(1.5, side * float(np.exp(generator.uniform(np.log(0.008), np.log(0.05)))))
    extent = float(generator.uniform(0.3, 0.65))
    position = (float(generator.uniform(0.15, 0.85)), float(generator.uniform(0.15, 0.85)))
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    turned = [transform_points(stroke, rotation).astype(np.float32) for stroke in strokes]
    placed = place_strokes(turned, side=side, extent=extent, position=position, brush=brush)
    if surroundings == "framed":
        placed += _box_around(placed, brush=brush, side=side, generator=generator)
    ink = render_strokes(placed, side=side, brush=brush).astype(np.float64) / 255
    density = 1 - float(generator.uniform(0, 0.3)) * texture(side, generator, grain=brush)
    pen = str(generator.choice(list(PENS)))
    paper = str(generator.choice(["plain", "ruled", "squared"]))
    light = str(generator.choice(list(LIGHTS)))
    sheet = _sheet(paper, side, turn, generator)
    transmitted = 1 - (ink * density)[:, :, np.newaxis] * (1 - np.array(PENS[pen]))
    scene = sheet * transmitted
    if surroundings == "corner":
        scene = _with_corner(scene, placed, generator)
    scene = scene * LIGHTS[light](side, generator)[:, :, np.newaxis]
    blur = float(generator.uniform(0, 0.003)) * side
    scene = ndimage.gaussian_filter(scene, sigma=(blur, blur, 0))
    scene = scene + generator.normal(0, float(generator.uniform(0.002, 0.015)), scene.shape)
    picture = np.rint(255 * scene.clip(0, 1)).astype(np.uint8)
    if surroundings == "padded":
        picture = _padded(picture, generator)
    return picture, f"{pen}, {paper} paper, {light}"


def _box_around(strokes: Sequence[Stroke], *, brush: float, side: int, generator: np.random.Generator) -> list[Stroke]:
    """A box drawn by hand around strokes, as far from them as fits."""
    points = np.concatenate(strokes)
    gap = 2 * brush + 0.05 * side
    (left, top), (right, bottom) = points.min(axis=0) - gap, points.max(axis=0) + gap
    corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom], [left, top]])
    shaken = corners + generator.normal(0, 0.01 * side, corners.shape)
    share = np.linspace(0, 1, 10)[:, np.newaxis]
    sides = [start + share * (end - start) for start, end in pairwise(shaken)]
    return [np.concatenate(sides).clip(brush, side - brush).astype(np.float32)]


def _sheet(paper: str, side: int, turn: float, generator: np.random.Generator) -> _Floats:
    """Share (side, side, 3) of light that paper reflects: its colour, its grain, its printed lines."""
    colour = np.array(PAPERS[generator.integers(len(PAPERS))])
    grain = 1 + float(generator.uniform(0.005, 0.03)) * (texture(side, generator, grain=1.5) - 0.5)
    sheet = colour * grain[:, :, np.newaxis]
    if paper == "plain":
        return sheet
    down, across = np.mgrid[:side, :side] / side
    spacing = float(generator.uniform(0.07, 0.2)) if paper == "ruled" else float(generator.uniform(0.05, 0.12))
    width = float(generator.uniform(1, 2)) / side
    printed = np.array(_PRINTS[generator.integers(len(_PRINTS))])
    ways = [down - np.tan(turn) * across]
    if paper == "squared":
        ways.append(across + np.tan(turn) * down)
    offset = float(generator.random())
    on_line = np.zeros((side, side), dtype=bool)
    for way in ways:
        on_line |= (way + offset) % spacing < width
    return np.where(on_line[:, :, np.newaxis], sheet * printed, sheet)


def texture(side: int, generator: np.random.Generator, *, grain: float) -> _Floats:
    """Smooth noise (side, side) in [0, 1], its grains about so many pixels wide."""
    cells = max(2, round(side / max(grain, 1)))
    coarse = Image.fromarray(generator.random((cells, cells)).astype(np.float32))
    return np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC), dtype=np.float64).clip(0, 1)


def _with_corner(scene: _Floats, strokes: Sequence[Stroke], generator: np.random.Generator) -> _Floats:
    """The scene with a piece of the table, or a finger, in the corner that is farthest from the strokes."""
    side = len(scene)
    points = np.concatenate(strokes) / side
    corners = np.array([[0, 0], [1, 0], [0, 1], [1, 1]], dtype=np.float64)
    distances = np.array([np.abs(points - corner).sum(axis=1).min() for corner in corners])
    corner = corners[distances.argmax()]
    reach = min(float(generator.uniform(0.15, 0.35)), 0.8 * float(distances.max()))
    down, across = np.mgrid[:side, :side] / side
    horizontal, vertical = np.abs(across - corner[0]), np.abs(down - corner[1])
    if generator.random() < 0.5:
        hidden, colour = horizontal + vertical < reach, np.array(TABLES[generator.integers(len(TABLES))])
    else:
        hidden, colour = (horizontal / 0.7) ** 2 + vertical**2 < (0.8 * reach) ** 2, np.array(_SKIN)
    return np.where(hidden[:, :, np.newaxis], colour, scene)


def _padded(picture: NDArray[np.uint8], generator: np.random.Generator) -> NDArray[np.uint8]:
    """An upright or lying part of the picture that holds most of it, on a square of one colour."""
    side = len(picture)
    cut = int(side * generator.uniform(0, 0.1))
    part = picture[:, cut : side - cut] if generator.random() < 0.5 else picture[cut : side - cut]
    square = round(side * float(generator.uniform(1.05, 1.5)))
    colour = (255, 255, 255) if generator.random() < 0.7 else (0, 0, 0)
    padded = np.full((square, square, 3), colour, dtype=np.uint8)
    top, left = ((square - length) // 2 for length in part.shape[:2])
    padded[top : top + part.shape[0], left : left + part.shape[1]] = part
    return padded


def _even(side: int, generator: np.random.Generator) -> _Floats:
    return np.full((side, side), float(generator.uniform(0.75, 0.98)))


def _slanting(side: int, generator: np.random.Generator) -> _Floats:
    down, across = np.mgrid[:side, :side] / side
    angle = float(generator.uniform(0, 2 * np.pi))
    way = (across - 0.5) * np.cos(angle) + (down - 0.5) * np.sin(angle)
    light: _Floats = 0.7 - float(generator.uniform(0.2, 0.5)) * way
    return light


def _lamp(side: int, generator: np.random.Generator) -> _Floats:
    down, across = np.mgrid[:side, :side] / side
    x, y = generator.uniform(0.25, 0.75, size=2)
    light: _Floats = 0.2 + 0.75 / (1 + ((across - x) ** 2 + (down - y) ** 2) / 0.5**2) ** 1.5
    return light


def _shadow(side: int, generator: np.random.Generator) -> _Floats:
    """A straight shadow, its edge hard or soft."""
    down, across = np.mgrid[:side, :side] / side
    angle, depth = float(generator.uniform(0, 2 * np.pi)), float(generator.uniform(0.25, 0.5))
    edge = float(np.exp(generator.uniform(np.log(0.004), np.log(0.06))))
    way = (across - 0.5) * np.cos(angle) + (down - 0.5) * np.sin(angle) + float(generator.uniform(-0.2, 0.2))
    light: _Floats = 0.92 * (1 - depth / (1 + np.exp(-(way / edge).clip(-50, 50))))
    return light


LIGHTS: dict[str, Callable[[int, np.random.Generator], _Floats]] = {
    "even light": _even,
    "slanting light": _slanting,
    "a lamp": _lamp,
    "a shadow": _shadow,
}
"""Light (side, side) on a square picture, white being 1."""


def _encoded(picture: NDArray[np.uint8], quality: int | None) -> bytes:
    buffer = io.BytesIO()
    if quality is None:
        Image.fromarray(picture).save(buffer, "PNG", compress_level=1)
    else:
        Image.fromarray(picture).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()
