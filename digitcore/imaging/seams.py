"""Seams along which touching digits may be cut apart, and the parts between them.

A seam runs from top to bottom, one pixel a row and at most one aside from row to row, and crosses as little ink as
possible. Deep ink costs less, so that a seam follows the middle of two strokes that run together. Source: S. Avidan,
A. Shamir, "Seam Carving for Content-Aware Image Resizing", ACM Trans. Graphics 26 (2007), for the dynamic programming.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from digitcore.imaging.components import box_of, find_components
from digitcore.imaging.preprocessing import resize_ink
from digitcore.imaging.segmentation import DigitInk

__all__ = ["MOST_CUTS", "MOST_PIECES", "Part", "cut_out", "find_parts"]

MOST_CUTS = 20
"""Greatest number of seams, whatever the size of the ink."""

MOST_PIECES = 1_000
"""Ink in more pieces than this is not cut: it is noise, or a page full of signs."""

_LONGEST = 340  # pixels, of the ink that is cut; larger ink is reduced by a whole factor first
_SOLID = 128  # of 255
_EASE = 0.95  # reduction of the cost of a pixel half a stroke deep in the ink
_DRIFT = 0.15  # cost of a step aside, as a share of a pixel of full ink
_ROWS = (0.3, 0.5, 0.7)  # of the height: seams start at the cheapest pixels of these rows
_SPACING = 0.04  # of the height: a seam must be the cheapest within this distance
_APART = 0.15  # least ink between two seams, as a share of the stroke's width times the height
_MOST_CROSSED = 0.75  # most ink on a seam, as a share of the height: more would cut along a whole 1
_LEAST_HEIGHT = 0.5  # of a part, as a share of the whole's
_LEAST_WIDTH = 0.04
_WIDEST = 1.5  # width of a part, as a multiple of its own height

_Floats = NDArray[np.float32]
_Seam = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Part:
    """The ink between two seams, which are numbered from 0, the left edge, to the last, the right edge."""

    start: int
    end: int
    digit: DigitInk
    """Its ink, reduced by `factor`; its box is in pixels of the reduced ink where `factor` is not 1."""
    crossed: float
    """Ink on its right seam, as a share of the height of all the ink."""
    seams: tuple[_Seam, _Seam]
    """To its left and to its right, in pixels of the reduced ink."""
    factor: int


def find_parts(digit: DigitInk) -> list[Part]:
    """Parts that may be single digits, ordered by `start`, then `end`; all the ink as one part is not among them.

    Consecutive parts from 0 to the greatest `end` cover all the ink. The list is empty where no part reaches the right
    edge, or where the ink is in more than `MOST_PIECES` pieces.
    """
    if len(find_components(digit.ink)) > MOST_PIECES:
        return []
    factor = -(-max(digit.ink.shape) // _LONGEST)
    if factor > 1:
        digit = _reduced(digit, factor)
    ink = digit.ink
    height, width = ink.shape
    seams = [np.zeros(height, dtype=np.intp), *_find_seams(ink), np.full(height, width, dtype=np.intp)]
    last = len(seams) - 1
    pairs = ((i, j) for i in range(last) for j in range(i + 1, last + 1) if (i, j) != (0, last))
    parts = [part for start, end in pairs if (part := _part(digit, seams, start, end, factor=factor)) is not None]
    return parts if any(part.end == last for part in parts) else []


def cut_out(digit: DigitInk, part: Part) -> DigitInk:
    """The ink of a part of a digit, in its full size."""
    if part.factor == 1:
        return part.digit
    height, width = digit.ink.shape
    start, end = (np.repeat(seam * part.factor, part.factor)[:height, np.newaxis] for seam in part.seams)
    columns = np.arange(width)
    own = np.where((columns >= start) & (columns < end), digit.ink, 0)
    x, y = digit.box[:2]
    left, top, right, bottom = box_of(own)
    return DigitInk((x + left, y + top, x + right, y + bottom), own[top:bottom, left:right])


def _reduced(digit: DigitInk, factor: int) -> DigitInk:
    height, width = (-(-side // factor) for side in digit.ink.shape)
    spare = (height * factor - digit.ink.shape[0], width * factor - digit.ink.shape[1])
    padded = np.pad(digit.ink, ((0, spare[0]), (0, spare[1])))
    return DigitInk((0, 0, width, height), resize_ink(padded, (height, width)))


def _part(digit: DigitInk, seams: Sequence[_Seam], start: int, end: int, *, factor: int) -> Part | None:
    """The part between two seams; None where they cross, or where it is too low, wide or narrow for a digit."""
    ink = digit.ink
    height, width = ink.shape
    if (seams[start] > seams[end]).any():
        return None
    columns = np.arange(width)
    inside = (columns >= seams[start][:, np.newaxis]) & (columns < seams[end][:, np.newaxis])
    own = np.where(inside, ink, 0)
    if not own.any():
        return None
    left, top, right, bottom = box_of(own)
    if (
        bottom - top < _LEAST_HEIGHT * height
        or right - left < _LEAST_WIDTH * height
        or right - left > _WIDEST * (bottom - top)
    ):
        return None
    x, y = digit.box[:2]
    crossed = _crossed(ink, seams[end]) / height if seams[end][0] < width else 0.0
    box = (x + left, y + top, x + right, y + bottom)
    ends = (seams[start], seams[end])
    return Part(start, end, DigitInk(box, own[top:bottom, left:right]), crossed, ends, factor)


def _find_seams(ink: NDArray[np.uint8]) -> list[_Seam]:
    """Seams (H,) of ink (H, W), from left to right: in each row the first column to the right of the cut."""
    height = len(ink)
    components = find_components(ink)
    depths = np.minimum(1, components.depths / (components.stroke_width / 2))
    cost = (ink / 255 * (1 - _EASE * depths)).astype(np.float32)
    cuts: list[_Seam] = []
    left_of = np.pad(np.cumsum(ink >= _SOLID, axis=1), ((0, 0), (1, 0)))  # (H, W + 1)
    shares = [left_of[:, 0], left_of[:, -1]]
    for seam in _seams_through(cost):
        share = left_of[np.arange(height), seam]
        apart = min(int(np.abs(share - other).sum()) for other in shares)
        if apart > _APART * height * components.stroke_width and _crossed(ink, seam) <= _MOST_CROSSED * height:
            cuts.append(seam)
            shares.append(share)
        if len(cuts) == MOST_CUTS:
            break
    return sorted(cuts, key=lambda seam: float(seam.mean()))


def _crossed(ink: NDArray[np.uint8], seam: _Seam) -> int:
    return int(np.count_nonzero(ink[np.arange(len(ink)), seam] >= _SOLID))


def _seams_through(cost: _Floats) -> Iterator[_Seam]:
    """Seams through the pixels of `_ROWS` at which the least total cost has a local minimum, cheapest first."""
    height = len(cost)
    down, steps_down = _sweep(cost)
    up, steps_up = _sweep(cost[::-1])
    up, steps_up = up[::-1], steps_up[::-1]
    through = down + up - cost
    reach = 2 * max(1, round(_SPACING * height)) + 1
    places = []
    for row in sorted({round(share * (height - 1)) for share in _ROWS}):
        is_least = through[row] <= ndimage.minimum_filter1d(through[row], reach) + 1e-3
        ends = np.flatnonzero(np.diff(np.r_[0, is_least.view(np.int8), 0]))
        places += [(row, int(start + end - 1) // 2) for start, end in zip(ends[::2], ends[1::2], strict=True)]
    for row, column in sorted(places, key=lambda place: float(through[place])):
        yield _trace(steps_down, steps_up, row, column)


def _sweep(cost: _Floats) -> tuple[_Floats, NDArray[np.int8]]:
    """Least cost (H, W) of a path from the top row to each pixel, its own included, and the last step aside."""
    height, width = cost.shape
    best = np.full((height, width + 2), np.inf, dtype=np.float32)
    steps = np.zeros(cost.shape, dtype=np.int8)
    best[0, 1:-1] = cost[0]
    for y in range(1, height):
        straight, left, right = best[y - 1, 1:-1], best[y - 1, :-2] + _DRIFT, best[y - 1, 2:] + _DRIFT
        aside = np.minimum(left, right)
        steps[y] = np.where(aside < straight, np.where(left <= right, -1, 1), 0)
        best[y, 1:-1] = np.minimum(straight, aside) + cost[y]
    return best[:, 1:-1], steps


def _trace(steps_down: NDArray[np.int8], steps_up: NDArray[np.int8], row: int, column: int) -> _Seam:
    """The seam (H,) through a pixel, traced up and down from there by the steps of `_sweep`."""
    seam = np.empty(len(steps_down), dtype=np.intp)
    seam[row] = column
    for y in range(row, 0, -1):
        seam[y - 1] = seam[y] + steps_down[y, seam[y]]
    for y in range(row, len(steps_down) - 1):
        seam[y + 1] = seam[y] + steps_up[y, seam[y]]
    return seam
