"""The digits in the boxes of a photographed sheet, cut out and preprocessed.

What is printed shows in most boxes: the median over the boxes is taken off, in grey pictures too. Ink belongs to the
box that holds most of it, so a stroke may cross the line; what runs through two boxes is cut between them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from digitcore.imaging.exact import Levels, area_sums, enlarge_bilinear, rounded
from digitcore.imaging.photograph import even_ground
from digitcore.imaging.preprocessing import DigitImage, grey_picture, preprocess_ink
from digitcore.imaging.sheet import BOX, BOX_CORNER, COLUMNS, GRID_CORNER, PITCH, ROWS, box_label
from digitcore.imaging.sheet_marks import find_sheet_marks, straighten

__all__ = ["SheetDigit", "read_sheet"]

_Value = TypeVar("_Value", np.float64, np.bool_)

_LONGEST = 2400  # pixels of the longer side of the picture that is worked with
_SCALE = 6  # pixels a millimetre of the straightened grid: a digit is about 60 pixels high
_CELL = (int(PITCH[1] * _SCALE), int(PITCH[0] * _SCALE))  # rows and columns of a cell
_MARGIN = 18  # pixels around the grid that are straightened too: a stroke may reach there
_GRID = (slice(_MARGIN, -_MARGIN), slice(_MARGIN, -_MARGIN))
_GROUND_STEP = 3  # pixels of the straightened grid to one of the ground
_WIDEST = 9.0  # millimetres: the widest ink
_LEAST_INK = 0.12  # of the light, which a pixel of ink takes away at least
_LEAST_PEN = 0.16  # likewise the darkest place of a digit
_FAINTEST = 0.3  # of the sheet's usual pen: the darkest place of a digit, at least
_OF_PEAK = 0.45  # of the darkest place: from here on it is ink
_SOFT = 0.6  # of that: from here on, beside ink, it is the edge of ink
_LEAST_SIDE = 2.5  # millimetres of the longer side of a digit
_OWN = 0.75  # share of connected ink in one cell, from which on all of it belongs there
_BORDER = 0.7  # millimetres on both sides of a box's line in which the print is looked for


@dataclass(frozen=True, eq=False)
class SheetDigit:
    """A digit from the box in this row and column, both from 0."""

    row: int
    column: int
    label: int
    """The small digit at the box."""
    ink: NDArray[np.uint8]  # (h, w), 255 = ink, 6 pixels a millimetre
    model_input: NDArray[np.uint8]  # (28, 28)


def read_sheet(image: DigitImage, *, name: str = "the picture") -> list[SheetDigit]:
    """The digits in the boxes that are not empty, row by row, from a photograph or scan of a filled sheet.

    name: of the picture, in errors.

    Raises:
        ImageError: the sheet is not there, cut off, too small or too blurred; or the picture cannot be used.
    """
    grey = grey_picture(image, longest=_LONGEST)
    sheet = find_sheet_marks(grey, name=name)
    corner = GRID_CORNER[0] - _MARGIN / _SCALE, GRID_CORNER[1] - _MARGIN / _SCALE
    shape = (ROWS * _CELL[0] + 2 * _MARGIN, COLUMNS * _CELL[1] + 2 * _MARGIN)
    depth = _depth(straighten(grey, sheet, corner=corner, shape=shape, scale=_SCALE))
    cells = _without_print(_as_cells(depth[_GRID]))
    depth[_GRID] = _as_grid(cells)
    return list(_digits(depth, cells))


def _depth(grid: NDArray[np.uint8]) -> Levels:
    """The share of the light, of 255, that each pixel (H, W) takes away from what the paper around it sends back."""
    levels = grid.astype(np.float64)
    small = rounded(256 * area_sums(levels, tuple(side // _GROUND_STEP for side in grid.shape)) / grid.size)
    closed = even_ground(small, side=int(_WIDEST * _SCALE / _GROUND_STEP), is_dark=True)
    ground = np.maximum(enlarge_bilinear(closed, grid.shape) / 256, 1)
    return rounded(255 * ((ground - levels) / ground).clip(0, 1))


def _as_cells(values: NDArray[_Value]) -> NDArray[_Value]:
    """Values (H, W) of the grid by row and column of boxes: (10, 10, h, w)."""
    return values.reshape(ROWS, _CELL[0], COLUMNS, _CELL[1]).swapaxes(1, 2)


def _as_grid(cells: NDArray[_Value]) -> NDArray[_Value]:
    """The inverse of `_as_cells`."""
    return cells.swapaxes(1, 2).reshape(ROWS * _CELL[0], COLUMNS * _CELL[1])


def _without_print(cells: Levels) -> Levels:
    """Depths (10, 10, h, w) less those of the printed line and the small digit, which lie where they always are."""
    border, small = _printed_places()
    line = np.where(border, np.median(cells, axis=(0, 1)), 0)
    labels = np.array([[box_label(row, column) for column in range(COLUMNS)] for row in range(ROWS)])
    inked = np.empty_like(cells)
    for label in range(10):
        of_label = cells[labels == label]
        digit = np.where(small, np.median(of_label, axis=0), 0)
        printed = ndimage.maximum_filter(np.maximum(line, digit), 3)
        inked[labels == label] = np.maximum(of_label - printed, 0)
    return inked


def _printed_places() -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Where in a cell (h, w) the line of the box may be, and where the small digit."""
    y, x = ((np.arange(side) + 0.5) / _SCALE for side in _CELL)
    outside = [np.maximum(BOX_CORNER[k] - places, places - BOX_CORNER[k] - BOX[k]) for k, places in ((1, y), (0, x))]
    from_line = np.maximum(outside[0][:, np.newaxis], outside[1])
    small = np.broadcast_to((y < BOX_CORNER[1])[:, np.newaxis], _CELL)
    return np.abs(from_line) < _BORDER, small


def _digits(depth: Levels, cells: Levels) -> Iterator[SheetDigit]:
    """The digits in depths without print, of the grid with its margin, and of its cells."""
    peaks = rounded(ndimage.uniform_filter(cells, (1, 1, 3, 3)).max(axis=(2, 3)))  # (10, 10)
    pen = float(np.median(peaks[peaks > 255 * _LEAST_PEN])) if (peaks > 255 * _LEAST_PEN).any() else 255.0
    filled = peaks > max(255 * _LEAST_PEN, _FAINTEST * pen)
    thresholds = np.where(filled, np.maximum(255 * _LEAST_INK, _OF_PEAK * peaks), 256)
    of_grid = thresholds.repeat(_CELL[0], axis=0).repeat(_CELL[1], axis=1)
    owners = _owners(depth > np.pad(of_grid, _MARGIN, mode="edge"))
    for row, column in zip(*np.nonzero(filled), strict=True):
        cell = int(row * COLUMNS + column)
        ink = _ink_of(depth, owners, cell, threshold=float(thresholds[row, column]))
        if ink is not None:
            model_input = preprocess_ink(ink).model_input
            yield SheetDigit(int(row), int(column), box_label(int(row), int(column)), ink, model_input)


def _owners(solid: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The number of the cell that each pixel (H, W) of ink belongs to; -1 where there is none or it is off the grid."""
    numbers, count = ndimage.label(solid, structure=np.ones((3, 3), dtype=bool))
    zones = _zones()
    shares = np.zeros((count + 1, ROWS * COLUMNS + 1), dtype=np.int64)
    np.add.at(shares, (numbers[solid], zones[solid]), 1)
    is_whole = shares.max(axis=1) >= _OWN * shares.sum(axis=1)
    owners = np.where(is_whole[numbers], shares.argmax(axis=1)[numbers], zones)
    return np.where(solid & (owners < ROWS * COLUMNS), owners, -1)


def _zones() -> NDArray[np.int64]:
    """The number of the cell whose box each pixel (H, W) is nearest to; off the grid, one more than the last."""
    places = []
    for k, count in ((1, ROWS), (0, COLUMNS)):
        between = BOX_CORNER[k] - (PITCH[k] - BOX[k]) / 2  # from the edge of a cell to the middle between two boxes
        pixels = np.arange(count * _CELL[1 - k] + 2 * _MARGIN) - _MARGIN - round(between * _SCALE)
        places.append(pixels // _CELL[1 - k])
    rows, columns = places[0][:, np.newaxis], places[1]
    inside = (rows >= 0) & (rows < ROWS) & (columns >= 0) & (columns < COLUMNS)
    return np.where(inside, rows * COLUMNS + columns, ROWS * COLUMNS)


def _ink_of(depth: Levels, owners: NDArray[np.int64], cell: int, *, threshold: float) -> NDArray[np.uint8] | None:
    """The ink (h, w) of a cell, its edges soft; None where it is no more than a speck."""
    row, column = divmod(cell, COLUMNS)
    window = tuple(
        slice(max(0, (place - 1) * side + _MARGIN), (place + 2) * side + _MARGIN)
        for place, side in zip((row, column), _CELL, strict=True)
    )
    own = owners[window] == cell
    if not own.any():
        return None
    rows, columns = (np.flatnonzero(own.any(axis=axis)) for axis in (1, 0))
    if max(np.ptp(rows), np.ptp(columns)) + 1 < _LEAST_SIDE * _SCALE:
        return None
    near = ndimage.binary_dilation(own, structure=np.ones((3, 3), dtype=bool), iterations=2)
    part = (slice(max(0, rows[0] - 2), rows[-1] + 3), slice(max(0, columns[0] - 2), columns[-1] + 3))
    faint, full = _SOFT * threshold, float(np.median(depth[window][own]))
    soft = ((depth[window] - faint) / (full - faint)).clip(0, 1)
    inked = np.where(near & ((owners[window] < 0) | own), soft, 0)[part]
    ink: NDArray[np.uint8] = rounded(255 * inked).astype(np.uint8)
    return ink
