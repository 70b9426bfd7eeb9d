"""Drawings that are no digit, for networks to be taught that they do not know them.

Random smooth and angular strokes, outlines, filled shapes, and two digits at once. Letters, signs, clothes and noise
are left out on purpose: they measure how well a network refuses what it has never seen.

Source of the method: D. Hendrycks, M. Mazeika, T. Dietterich, "Deep Anomaly Detection with Outlier Exposure", ICLR
2019.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy.interpolate import make_interp_spline

from digitcore.strokes import Stroke, place_strokes, render_strokes
from digitcore.training.grammar import write_digit

__all__ = ["draw_outlier"]


def draw_outlier(*, side: int, brush: float, generator: np.random.Generator) -> NDArray[np.uint8]:
    """Ink (side, side), 255 = ink, of a drawing that is no digit, with a brush of this width in pixels."""
    kinds = list(_KINDS)
    draw = kinds[int(generator.choice(len(kinds), p=list(_KINDS.values())))]
    return draw(side, brush, generator)


def _strokes(side: int, brush: float, generator: np.random.Generator) -> NDArray[np.uint8]:
    """Two to six strokes through random points, curved or angular."""
    curved = generator.random() < 0.6
    strokes = [
        _random_stroke(int(generator.integers(3, 7)), curved, generator) for _ in range(generator.integers(2, 7))
    ]
    return _drawn(strokes, side, brush, generator)


def _long_stroke(side: int, brush: float, generator: np.random.Generator) -> NDArray[np.uint8]:
    """One stroke that goes on and on."""
    stroke = _random_stroke(int(generator.integers(8, 24)), generator.random() < 0.6, generator)
    return _drawn([stroke], side, brush, generator)


def _outlines(side: int, brush: float, generator: np.random.Generator) -> NDArray[np.uint8]:
    """One to three closed polygons of three to eight corners, and a stroke or two."""
    polygons = [_polygon(generator) for _ in range(generator.integers(1, 4))]
    closed = [np.repeat(np.concatenate([polygon, polygon[:1]]), 2, axis=0) for polygon in polygons]
    more = [_random_stroke(3, True, generator) for _ in range(generator.integers(1, 3))]
    return _drawn([*closed, *more], side, brush, generator)


def _shapes(side: int, brush: float, generator: np.random.Generator) -> NDArray[np.uint8]:
    """One to four filled polygons, some with holes."""
    picture = Image.new("L", (side, side), 0)
    draw = ImageDraw.Draw(picture)
    for i in range(generator.integers(1, 5)):
        corners = [tuple(corner) for corner in (_polygon(generator) * side).tolist()]
        draw.polygon(corners, fill=0 if i and generator.random() < 0.4 else int(generator.integers(120, 256)))
    ink = np.asarray(picture)
    return ink if ink.any() else _shapes(side, brush, generator)


def _two_digits(side: int, brush: float, generator: np.random.Generator) -> NDArray[np.uint8]:
    """Two digits side by side."""
    left, right = (write_digit(int(generator.integers(10)), generator=generator) for _ in range(2))
    edge = max(stroke[:, 0].max() for stroke in left) - min(stroke[:, 0].min() for stroke in right)
    apart = np.array([edge + generator.uniform(0.0, 0.35), generator.normal(0, 0.06)], dtype=np.float32)
    return _drawn([*left, *(stroke + apart for stroke in right)], side, brush, generator)


def _random_stroke(knots: int, curved: bool, generator: np.random.Generator) -> Stroke:
    middle, spread = generator.uniform(0.2, 0.8, 2), generator.uniform(0.15, 0.6)
    points = middle + generator.uniform(-spread, spread, (knots, 2))
    if not curved or knots < 4:
        return np.repeat(points, 2, axis=0).astype(np.float32)  # twice the same point makes a corner
    spline = make_interp_spline(np.arange(knots), points, k=3)
    return np.asarray(spline(np.linspace(0, knots - 1, knots * 8)), dtype=np.float32)


def _polygon(generator: np.random.Generator) -> NDArray[np.float32]:
    """Corners (C, 2) in the unit square, in order round a middle."""
    angles = np.sort(generator.uniform(0, 2 * np.pi, generator.integers(3, 9)))
    radii = generator.uniform(0.1, 0.5) * generator.uniform(0.5, 1, len(angles))
    corners = (
        generator.uniform(0.35, 0.65, 2) + np.stack([np.cos(angles), np.sin(angles)], axis=1) * radii[:, np.newaxis]
    )
    return corners.astype(np.float32)


def _drawn(strokes: list[Stroke], side: int, brush: float, generator: np.random.Generator) -> NDArray[np.uint8]:
    stretched = [stroke * np.array([generator.uniform(0.7, 1.3), 1], dtype=np.float32) for stroke in strokes]
    placed = place_strokes(stretched, side=side, extent=0.75, position=(0.5, 0.5), brush=brush)
    return render_strokes(placed, side=side, brush=brush)


_KINDS: dict[Callable[[int, float, np.random.Generator], NDArray[np.uint8]], float] = {  # share of each
    _strokes: 0.45,
    _long_stroke: 0.15,
    _outlines: 0.15,
    _shapes: 0.1,
    _two_digits: 0.15,
}
