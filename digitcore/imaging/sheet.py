"""The sheet of boxes to write digits in: where everything is on it, and the sheet as SVG and PDF.

Places are in millimetres from the middle of the corner mark at the top left, x to the right and y downwards. The same
drawing, 187 x 258.5 mm, stands in the middle of either paper, so whoever reads a sheet need not know the paper. Its
dots are not where they are on a sheet that lies upside down or on its side: they say which way is up.
"""

from enum import Enum

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "BOX",
    "BOX_CORNER",
    "COLUMNS",
    "DOT_SIDE",
    "FRAME",
    "GRID_CORNER",
    "MARK_RADII",
    "PITCH",
    "ROWS",
    "Paper",
    "box_label",
    "dot_places",
    "mark_places",
    "sheet_pdf",
    "sheet_svg",
]

_Floats = NDArray[np.float64]

FRAME = (176.0, 247.5)
"""Width and height of the rectangle between the middles of the corner marks."""
MARK_RADII = (5.5, 3.7, 2.0)
"""Of a corner mark: of its ring outside and inside, and of the disc in its middle."""
DOT_SIDE = 3.0
"""Of the small squares beside the rows and columns."""
ROWS, COLUMNS = 10, 10
PITCH = (16.0, 21.0)
"""From box to box, across and down: the cell of a box, with the small printed digit above it."""
GRID_CORNER = (8.0, 22.5)
"""Top left corner of the first cell."""
BOX_CORNER = (1.0, 3.5)
"""Top left corner of a box in its cell."""
BOX = (14.0, 17.0)
"""Width and height of a box."""

_PALE, _SMALL, _BLACK = "#a9bcd8", "#6f86ad", "#000000"
_FONT = "Arial, Helvetica, 'Liberation Sans', sans-serif"
_POINTS = 72 / 25.4  # a millimetre
_TEXTS = (  # x, y, size, words
    (8.0, 10.5, 5.2, "Write the small digit into each box"),
    (8.0, 18.5, 3.6, "Name (not read): ______________________________"),
    (8.0, 240.0, 3.6, "Use a dark pen. Then take a picture of the whole sheet, with all four round marks on it."),
)


class Paper(Enum):
    """Paper by its name; the value is its width and height in millimetres."""

    A4 = (210.0, 297.0)
    LETTER = (215.9, 279.4)


def box_label(row: int, column: int) -> int:
    """The digit that belongs into a box.

    Every row and every column has all ten.

    >>> [box_label(1, column) for column in range(10)]
    [3, 4, 5, 6, 7, 8, 9, 0, 1, 2]
    """
    return (column + 3 * row) % 10


def mark_places() -> _Floats:
    """Middles (4, 2) of the corner marks, clockwise from the top left."""
    width, height = FRAME
    return np.array([[0, 0], [width, 0], [width, height], [0, height]])


def dot_places() -> _Floats:
    """Middles (40, 2) of the dots: left and right of each row, above and below each column."""
    down = GRID_CORNER[1] + BOX_CORNER[1] + BOX[1] / 2 + PITCH[1] * np.arange(ROWS)
    across = GRID_CORNER[0] + PITCH[0] * (np.arange(COLUMNS) + 0.5)
    sides = [np.column_stack([np.full(ROWS, x), down]) for x in (0.0, FRAME[0])]
    ends = [np.column_stack([across, np.full(COLUMNS, y)]) for y in (0.0, FRAME[1])]
    return np.concatenate(sides + ends)


def sheet_svg(paper: Paper = Paper.A4) -> str:
    """The sheet as an SVG document in the paper's size."""
    width, height = paper.value
    return _svg(paper, size=f'width="{width}mm" height="{height}mm"')


def sheet_pdf(paper: Paper = Paper.A4) -> bytes:
    """The sheet as a PDF document of one page in the paper's size; the fonts are in it."""
    import vl_convert

    width, height = paper.value
    return vl_convert.svg_to_pdf(  # takes lengths without a unit for points
        _svg(paper, size=f'width="{width * _POINTS:.4f}" height="{height * _POINTS:.4f}"')
    )


def _svg(paper: Paper, *, size: str) -> str:
    width, height = paper.value
    left, top = (width - FRAME[0]) / 2, (height - FRAME[1]) / 2
    shapes = [*map(_mark, mark_places().tolist()), *map(_dot, dot_places().tolist())]
    shapes += [_box(row, column) for row in range(ROWS) for column in range(COLUMNS)]
    shapes += [_text(x, y, size, words, colour=_BLACK) for x, y, size, words in _TEXTS]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {width} {height}">'
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>'
        f'<g transform="translate({left:.3f} {top:.3f})">{"".join(shapes)}</g></svg>'
    )


def _mark(place: tuple[float, float]) -> str:
    x, y = place
    outside, inside, disc = MARK_RADII
    return (
        f'<circle cx="{x}" cy="{y}" r="{(outside + inside) / 2:.3f}" fill="none" stroke="{_BLACK}" '
        f'stroke-width="{outside - inside:.3f}"/><circle cx="{x}" cy="{y}" r="{disc}" fill="{_BLACK}"/>'
    )


def _dot(place: tuple[float, float]) -> str:
    x, y = (middle - DOT_SIDE / 2 for middle in place)
    return f'<rect x="{x}" y="{y}" width="{DOT_SIDE}" height="{DOT_SIDE}" fill="{_BLACK}"/>'


def _box(row: int, column: int) -> str:
    """A pale box, and above its left end the small digit."""
    x, y = GRID_CORNER[0] + PITCH[0] * column + BOX_CORNER[0], GRID_CORNER[1] + PITCH[1] * row + BOX_CORNER[1]
    outline = (
        f'<rect x="{x}" y="{y}" width="{BOX[0]}" height="{BOX[1]}" rx="1" fill="none" stroke="{_PALE}" '
        'stroke-width="0.3"/>'
    )
    return outline + _text(x + 0.3, y - 0.6, 3.4, str(box_label(row, column)), colour=_SMALL)


def _text(x: float, y: float, size: float, words: str, *, colour: str) -> str:
    return f'<text x="{x}" y="{y}" font-family="{_FONT}" font-size="{size}" fill="{colour}">{words}</text>'
