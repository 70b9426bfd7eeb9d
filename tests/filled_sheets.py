"""Sheets filled in by pen and photographed as a phone does, with the true ink of every box."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import vl_convert
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from digitcore.data.pen_digits import PenDigit
from digitcore.data.pen_pictures import LIGHTS, PAPERS, PENS, texture
from digitcore.imaging import sheet
from digitcore.imaging.sheet import Paper
from digitcore.imaging.strokes import place_strokes, render_strokes

_Floats = NDArray[np.float64]

SCALE = 8
"""Pixels of the clean sheet to a millimetre."""
PENS_OF_SHEETS = ("black ballpoint", "blue ballpoint", "pencil", "red pen", "felt-tip pen")
_FARTHEST_OVER = 1.8  # millimetres that ink reaches out of its box
_MESH = 24  # tiles to a side of the picture, each of which is warped on its own


@dataclass(frozen=True, eq=False)
class FilledSheet:
    """A sheet before it is photographed."""

    colour: _Floats  # (H, W, 3), the share of light that it reflects
    inks: dict[tuple[int, int], NDArray[np.uint8]]
    """By row and column, uint8 (h, w), 255 = ink: of three cells by three, or what of these is on the grid."""


def fill_sheet(
    digits: Sequence[PenDigit],
    generator: np.random.Generator,
    *,
    pen: str,
    paper: Paper = Paper.A4,
    empty: float = 0.0,
    over: float = 0.05,
    grey: bool = False,
) -> FilledSheet:
    """A sheet whose boxes hold digits of one writer.

    empty: share of the boxes left empty. over: share of the digits that cross the line of their box. grey: printed in
    black and white.
    """
    png = vl_convert.svg_to_png(sheet.sheet_svg(paper), ppi=72 * 25.4 * SCALE / 96)  # it takes 96 pixels for 72
    printed = Image.open(io.BytesIO(png)).convert("L" if grey else "RGB").convert("RGB")
    colour = np.asarray(printed) / 255 * np.array(PAPERS[generator.integers(len(PAPERS))])
    brush = SCALE * float(generator.uniform(1.0, 1.6) if pen == "felt-tip pen" else generator.uniform(0.45, 0.8))
    ink, inks = np.zeros(colour.shape[:2], dtype=np.uint8), {}
    for row in range(sheet.ROWS):
        for column in range(sheet.COLUMNS):
            if generator.random() < empty:
                continue
            of_label = [digit for digit in digits if digit.label == sheet.box_label(row, column)]
            digit = of_label[generator.integers(len(of_label))]
            written, (top, left) = _written(digit, generator, row, column, paper, brush=brush, over=over)
            part = ink[top : top + len(written), left : left + len(written)]
            np.maximum(part, written[: part.shape[0], : part.shape[1]], out=part)
            inks[row, column] = written
    density = 1 - 0.25 * texture(max(ink.shape), generator, grain=brush)[: ink.shape[0], : ink.shape[1]]
    return FilledSheet(colour * (1 - (ink / 255 * density)[:, :, np.newaxis] * (1 - np.array(PENS[pen]))), inks)


def _written(
    digit: PenDigit,
    generator: np.random.Generator,
    row: int,
    column: int,
    paper: Paper,
    *,
    brush: float,
    over: float,
) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """Ink of a digit on a square as high as a box and 1.5 mm more above and below, and where its corner is."""
    side = int((sheet.BOX[1] + 3) * SCALE)
    points = np.concatenate(digit.strokes)
    width, height = np.ptp(points, axis=0)
    length = float(generator.uniform(7.5, 12.5))
    free = (np.array(sheet.BOX) - length * np.array([width, height]) / max(width, height) - brush / SCALE) / 2
    if generator.random() < over:
        shift = np.array([0.0, 0.0])
        way = generator.integers(2)
        shift[way] = generator.choice([-1, 1]) * (free[way] + generator.uniform(0.3, _FARTHEST_OVER))
    else:
        shift = generator.uniform(-1, 1, 2) * (free - 0.5).clip(0)
    placed = place_strokes(digit.strokes, side=side, extent=length * SCALE / side, position=(0.5, 0.5), brush=brush)
    ink = render_strokes(placed, side=side, brush=brush)
    left, top = ((paper.value[k] - sheet.FRAME[k]) / 2 + sheet.GRID_CORNER[k] for k in (0, 1))
    x = left + sheet.PITCH[0] * column + sheet.BOX_CORNER[0] + sheet.BOX[0] / 2 + shift[0]
    y = top + sheet.PITCH[1] * row + sheet.BOX_CORNER[1] + sheet.BOX[1] / 2 + shift[1]
    return ink, (round(y * SCALE - side / 2), round(x * SCALE - side / 2))


def photograph_sheet(
    filled: FilledSheet,
    generator: np.random.Generator,
    *,
    longest: int = 2000,
    fill: float = 0.85,
    turn: int | None = None,
    tilt: float = 0.08,
    bend: float = 2.0,
    blur: float = 0.25,
    light: str | None = None,
    table: tuple[float, float, float] = (0.45, 0.3, 0.2),
    scene: Callable[[_Floats], _Floats] = lambda colour: colour,
    quality: int = 80,
) -> bytes:
    """A JPEG photograph.

    longest: side in pixels. fill: the sheet's height as a share of the picture's. turn: quarters of a turn, by default
    any. tilt: how far the corners are from their places, as a share of the sheet. bend: of the paper, in millimetres.
    blur: in millimetres on the sheet. scene: what is done to the colours (H, W, 3) of the photograph before the light.
    """
    size = (round(longest * 3 / 4), longest)
    picture = _warped(_on_table(filled.colour, table), generator, size, fill=fill, tilt=tilt, bend=bend * SCALE)
    turn = int(generator.integers(4)) if turn is None else turn
    colour = scene(np.rot90(np.asarray(picture) / 255, turn))
    kind = light or str(generator.choice(list(LIGHTS)))
    lit = Image.fromarray(LIGHTS[kind](240, generator).astype(np.float32)).resize(colour.shape[1::-1])
    warm = np.array([1, generator.uniform(0.85, 1), generator.uniform(0.65, 1)])
    colour = colour * np.asarray(lit)[:, :, np.newaxis] * warm
    sigma = blur * fill * longest / Paper.A4.value[1]
    colour = ndimage.gaussian_filter(colour.astype(np.float32), sigma=(sigma, sigma, 0), truncate=3)
    colour = colour + generator.normal(0, generator.uniform(0.004, 0.015), colour.shape)
    buffer = io.BytesIO()
    Image.fromarray(np.rint(255 * colour.clip(0, 1)).astype(np.uint8)).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def _on_table(colour: _Floats, table: tuple[float, float, float]) -> Image.Image:
    """The sheet in the middle of a table three times as large."""
    sheet_ = Image.fromarray(np.rint(255 * colour).astype(np.uint8))
    whole = Image.new("RGB", (3 * sheet_.width, 3 * sheet_.height), tuple(round(255 * share) for share in table))
    whole.paste(sheet_, (sheet_.width, sheet_.height))
    return whole


def _warped(
    scene: Image.Image,
    generator: np.random.Generator,
    size: tuple[int, int],
    *,
    fill: float,
    tilt: float,
    bend: float,
) -> Image.Image:
    """The scene seen from a little aside, the sheet in its middle filling so much of the picture's height."""
    width, height = (side / 3 for side in scene.size)
    seen = height / fill
    corners = np.array([[0, 0], [0, 1], [1, 1], [1, 0]]) - 0.5  # of the picture: as Pillow orders them
    angle = float(generator.uniform(-0.12, 0.12))
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    reach = corners * np.array([seen * size[0] / size[1], seen]) @ rotation
    reach = reach * (1 + generator.uniform(0, tilt, (4, 1)))
    homography = _from_unit_square(reach + 1.5 * np.array([width, height]))
    steps = [np.linspace(0, 1, _MESH + 1), np.linspace(0, 1, _MESH + 1)]
    phase, way = generator.uniform(0, 2 * np.pi), generator.uniform(0, np.pi)

    def source(u: float, v: float) -> tuple[float, float]:
        x, y, depth = homography @ np.array([u, v, 1])
        x, y = x / depth, y / depth
        wave = bend * np.sin(phase + np.pi * (x * np.cos(way) + y * np.sin(way)) / height)
        return float(x + wave * np.cos(way)), float(y + wave * np.sin(way))

    edges = [np.rint(step * side).astype(int) for step, side in zip(steps, size, strict=True)]
    mesh = []
    for i in range(_MESH):
        for j in range(_MESH):
            box = (edges[0][i], edges[1][j], edges[0][i + 1], edges[1][j + 1])
            places = [(box[0], box[1]), (box[0], box[3]), (box[2], box[3]), (box[2], box[1])]
            mesh.append((tuple(map(int, box)), sum((source(x / size[0], y / size[1]) for x, y in places), ())))
    reduced = max(1, int(seen / size[1]))
    if reduced > 1:  # or pixels would be skipped
        scene = scene.reduce(reduced)
        mesh = [(box, tuple(place / reduced for place in quad)) for box, quad in mesh]
    return scene.transform(size, Image.Transform.MESH, mesh, Image.Resampling.BICUBIC)


def _from_unit_square(corners: _Floats) -> _Floats:
    """The homography (3, 3) that brings (0, 0), (0, 1), (1, 1), (1, 0) to corners (4, 2), by linear equations."""
    rows, values = [], []
    for (u, v), (x, y) in zip([(0, 0), (0, 1), (1, 1), (1, 0)], corners, strict=True):
        rows += [[u, v, 1, 0, 0, 0, -u * x, -v * x], [0, 0, 0, u, v, 1, -u * y, -v * y]]
        values += [x, y]
    return np.append(np.linalg.solve(np.array(rows, dtype=float), np.array(values)), 1).reshape(3, 3)
