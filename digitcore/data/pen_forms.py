"""Forms of pen digits that are rare in MNIST, recognised by their strokes: slashed 0, flagged 1, open 4, barred 7."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from digitcore.data.pen_digits import PenDigit
from digitcore.imaging.strokes import place_strokes, render_strokes

__all__ = ["FORMS", "form_of"]

FORMS = ("slashed 0", "flagged 1", "open 4", "barred 7")

_LEAST = 0.1  # of the digit's height: shorter strokes are slips of the pen


def form_of(digit: PenDigit) -> str | None:
    """The one of `FORMS` in which a digit is written, None for every other form."""
    if digit.label == 0 and _is_slashed(digit):
        return "slashed 0"
    if digit.label == 1 and _is_flagged(digit):
        return "flagged 1"
    if digit.label == 4 and _is_open(digit):
        return "open 4"
    if digit.label == 7 and _is_barred(digit):
        return "barred 7"
    return None


def _unit(digit: PenDigit) -> list[NDArray[np.float64]]:
    """The strokes with y from 0, top, to 1, bottom, and x from 0 in the same unit."""
    points = np.concatenate(digit.strokes)
    least, height = points.min(axis=0), max(float(np.ptp(points[:, 1])), 1e-6)
    return [(stroke - least) / height for stroke in digit.strokes]


def _is_slashed(digit: PenDigit) -> bool:
    """A stroke goes through the middle of the oval, from rim to rim."""
    strokes = [_between(stroke) for stroke in _unit(digit) if np.ptp(stroke, axis=0).max() > 2 * _LEAST]  # no dots
    if not strokes:
        return False
    points = np.concatenate(strokes)
    middle = (points.max(axis=0) + points.min(axis=0)) / 2
    half = np.ptp(points, axis=0) / 2
    for stroke in strokes:
        radii = np.linalg.norm((stroke - middle) / half, axis=1)
        innermost = int(radii.argmin())
        if radii[innermost] < 0.3 and radii[:innermost].max(initial=0) > 0.4 and radii[innermost:].max() > 0.4:
            return True
    return False


def _between(stroke: NDArray[np.float64]) -> NDArray[np.float64]:
    """The stroke's points with others between them, a hundredth of the height apart."""
    lengths = np.linalg.norm(np.diff(stroke, axis=0), axis=1)
    along = np.concatenate([[0.0], np.cumsum(lengths)])
    places = np.linspace(0, along[-1], max(2, int(along[-1] * 100)))
    return np.stack([np.interp(places, along, stroke[:, axis]) for axis in (0, 1)], axis=1)


def _is_flagged(digit: PenDigit) -> bool:
    """The first stroke begins with an upstroke from the left."""
    stroke = _unit(digit)[0]
    top = int(stroke[:, 1].argmin())
    rise, run = stroke[0, 1] - stroke[top, 1], stroke[top, 0] - stroke[0, 0]
    return bool(rise > _LEAST and run > _LEAST / 2 and stroke[-1, 1] - stroke[top, 1] > 0.5)


def _is_open(digit: PenDigit) -> bool:
    """Drawn with a fine pen, the strokes enclose nothing."""
    placed = place_strokes(digit.strokes, side=120, extent=0.8, position=(0.5, 0.5), brush=5)
    _, grounds = ndimage.label(render_strokes(placed, side=120, brush=5) < 128)
    return bool(grounds == 1)


def _is_barred(digit: PenDigit) -> bool:
    """Another stroke, or the end of the only one, goes across the stem."""
    strokes = _unit(digit)
    if len(strokes) < 2:
        return False
    bar = strokes[-1]
    return bool(0.2 < bar[:, 1].mean() < 0.8 and np.ptp(bar[:, 0]) > _LEAST)
