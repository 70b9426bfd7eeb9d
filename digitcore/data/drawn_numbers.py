"""Drawings of numbers with several digits, to evaluate number reading: pen digits of one writer, side by side."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from digitcore.data.pen_digits import PenDigit
from digitcore.imaging.components import Box, box_of
from digitcore.imaging.strokes import Stroke, render_strokes

__all__ = ["DrawnNumber", "draw_numbers"]

_LENGTHS = (2, 6)
_HEIGHTS = (60, 140)  # of the writing, in pixels
_SIZES = (0.85, 1.15)  # of each digit, as a share of it
_BRUSHES = (0.04, 0.2)  # width, as a share of it
_GAPS = (0.05, 0.6)  # between neighbours, as shares of it
_TOUCHING_GAPS = (-0.1, 0.1)
_JITTER = 0.08  # of the baseline, as a share of it


@dataclass(frozen=True, eq=False)
class DrawnNumber:
    """A number on a canvas."""

    ink: NDArray[np.uint8]  # (H, W), 255 = ink
    number: str
    boxes: tuple[Box, ...]
    """Boxes of the digits, in pixels of `ink`."""
    writer: int


def draw_numbers(
    digits: Sequence[PenDigit], *, count: int, generator: np.random.Generator, touching: bool = False
) -> Iterator[DrawnNumber]:
    """Numbers of 2 to 6 digits, each of one of the writers of `digits`, with a brush from thin to thick.

    The gap between neighbours at their nearest is 0.05 to 0.6 of the height of the writing, so slanted neighbours may
    overlap in a column; with `touching` it is -0.1 to 0.1, so that they may touch.
    """
    writers = sorted({digit.writer for digit in digits})
    by_writer = {writer: [digit for digit in digits if digit.writer == writer] for writer in writers}
    for _ in range(count):
        own = by_writer[writers[generator.integers(len(writers))]]
        chosen = [own[i] for i in generator.integers(len(own), size=generator.integers(*_LENGTHS, endpoint=True))]
        yield _draw(chosen, generator, touching=touching)


def _draw(digits: Sequence[PenDigit], generator: np.random.Generator, *, touching: bool) -> DrawnNumber:
    height = float(generator.uniform(*_HEIGHTS))
    brush = height * float(generator.uniform(*_BRUSHES))
    placed: list[list[Stroke]] = []
    for digit in digits:
        scaled = _scaled(digit.strokes, height=height * float(generator.uniform(*_SIZES)))
        gap = height * float(generator.uniform(*(_TOUCHING_GAPS if touching else _GAPS)))
        shift = np.array([0, height * float(generator.normal(0, _JITTER))])
        if placed:
            before = [stroke for strokes in placed for stroke in strokes]
            shift[0] = _shift(before, [stroke + shift for stroke in scaled], reach=brush + gap) + brush + gap
        placed.append([(stroke + shift).astype(np.float32) for stroke in scaled])
    return _render(placed, digits, brush=brush)


def _scaled(strokes: Sequence[Stroke], *, height: float) -> list[Stroke]:
    """The strokes with their foot at y = 0 and their longer side of this length."""
    points = np.concatenate(strokes)
    scale = height / max(float(np.ptp(points, axis=0).max()), 1e-6)
    foot = np.array([points[:, 0].min(), points[:, 1].max()])
    return [((stroke - foot) * scale).astype(np.float32) for stroke in strokes]


def _shift(before: Sequence[Stroke], after: Sequence[Stroke], *, reach: float) -> float:
    """Shift to the right that puts `after` right of `before` in all rows within `reach` of each other."""
    ends, starts = _dense(before), _dense(after)
    near = np.abs(ends[:, np.newaxis, 1] - starts[np.newaxis, :, 1]) <= reach
    distances = np.where(near, ends[:, np.newaxis, 0] - starts[np.newaxis, :, 0], -np.inf)
    return float(distances.max()) if near.any() else float(ends[:, 0].max() - starts[:, 0].min())


def _dense(strokes: Sequence[Stroke]) -> NDArray[np.float64]:
    """Points (P, 2) at most two pixels apart along the strokes."""
    dense = [strokes[0][:1].astype(np.float64)]
    for stroke in strokes:
        for start, end in pairwise(stroke):
            dense.append(np.linspace(start, end, 1 + max(1, int(np.abs(end - start).max() / 2))))
    return np.concatenate([*dense, *(stroke[:1] for stroke in strokes)])


def _render(placed: Sequence[Sequence[Stroke]], digits: Sequence[PenDigit], *, brush: float) -> DrawnNumber:
    points = np.concatenate([stroke for strokes in placed for stroke in strokes])
    corner = points.min(axis=0) - 2 * brush
    width, height = (int(length) for length in np.ceil(np.ptp(points, axis=0) + 4 * brush))
    ink, boxes = np.zeros((height, width), dtype=np.uint8), []
    for strokes in placed:
        own = np.concatenate(strokes) - corner
        left, top = (int(least) for least in np.floor(own.min(axis=0) - brush))
        side = int(np.ceil(np.ptp(own, axis=0).max() + 2 * brush)) + 1
        moved = [(stroke - corner - (left, top)).astype(np.float32) for stroke in strokes]
        drawn = render_strokes(moved, side=side, brush=brush)[: height - top, : width - left]
        part = ink[top : top + drawn.shape[0], left : left + drawn.shape[1]]
        np.maximum(part, drawn, out=part)
        x1, y1, x2, y2 = box_of(drawn)
        boxes.append((left + x1, top + y1, left + x2, top + y2))
    number = "".join(str(digit.label) for digit in digits)
    return DrawnNumber(ink, number, tuple(boxes), digits[0].writer)
