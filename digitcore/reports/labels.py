"""Places for the names of points in a chart, so that names do not cover each other."""

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["PLACES", "Place", "label_places"]

_CHARACTER, _LINE = 7.0, 14.0
"""Pixels, of text at 12 px: the width of a character, rather too much, and the height of a line."""
_POINT = 6.0
"""Half a side of a point, in pixels."""


class Place(NamedTuple):
    """Where a name begins ("left") or ends ("right"), or has its middle, in pixels from its point; down is positive."""

    dx: int
    dy: int
    align: Literal["left", "center", "right"]


PLACES: Final = (
    Place(9, -8, "left"),
    Place(9, 10, "left"),
    Place(-9, -8, "right"),
    Place(-9, 10, "right"),
    Place(0, -16, "center"),
    Place(0, 18, "center"),
    Place(12, 0, "left"),
    Place(-12, 0, "right"),
)


def label_places(
    x: NDArray[np.float64], y: NDArray[np.float64], names: Sequence[str], *, width: float, height: float
) -> list[int]:
    """For each name the index in `PLACES` that covers the least of other names, of points, and of what is outside.

    x and y are in pixels from the upper left corner of a chart of this width and height. Longer names choose first.
    """
    points = np.stack([x - _POINT, y - _POINT, x + _POINT, y + _POINT], axis=1)  # (N, 4): left, top, right, bottom
    inside = np.array([0.0, 0.0, width, height])
    taken: list[NDArray[np.float64]] = list(points)
    chosen = [0] * len(names)
    for i in sorted(range(len(names)), key=lambda i: -len(names[i])):
        if not names[i]:
            continue
        boxes = [_box(x[i], y[i], names[i], place) for place in PLACES]
        costs = [sum(_overlap(box, other) for other in taken) + _area(box) - _overlap(box, inside) for box in boxes]
        chosen[i] = int(np.argmin(costs))
        taken.append(boxes[chosen[i]])
    return chosen


def _box(x: float, y: float, name: str, place: Place) -> NDArray[np.float64]:
    length = _CHARACTER * len(name)
    left = x + place.dx - {"left": 0.0, "center": length / 2, "right": length}[place.align]
    top = y + place.dy - _LINE / 2
    return np.array([left, top, left + length, top + _LINE])


def _area(box: NDArray[np.float64]) -> float:
    return float((box[2] - box[0]) * (box[3] - box[1]))


def _overlap(box: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    width = min(box[2], other[2]) - max(box[0], other[0])
    height = min(box[3], other[3]) - max(box[1], other[1])
    return float(max(width, 0) * max(height, 0))
