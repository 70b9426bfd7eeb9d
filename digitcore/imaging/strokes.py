"""Pen strokes: their place on a canvas, and rendering as the drawing canvas does it.

A stroke is float32 (P, 2): x to the right, y downwards.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

__all__ = [
    "BRUSHES",
    "CANVAS_SIDE",
    "InkStroke",
    "Stroke",
    "draw_strokes_at_random",
    "place_strokes",
    "relative_length",
    "render_strokes",
    "transform_points",
]

Stroke = NDArray[np.float32]

CANVAS_SIDE = 280
BRUSHES = (8, 16, 28)
"""Brush widths in pixels of a canvas `CANVAS_SIDE` pixels to a side."""

_EXTENTS = (0.35, 0.8)  # longer side of a drawing, as a share of the canvas

_SUPERSAMPLING = 3  # rendered pixels per pixel on each axis


@dataclass(frozen=True, eq=False)
class InkStroke:
    """A stroke in pixels of a canvas, and how wide the pen is."""

    points: Stroke
    width: float


def place_strokes(
    strokes: Sequence[Stroke], *, side: int, extent: float, position: tuple[float, float], brush: float
) -> list[Stroke]:
    """The strokes in pixels of a square canvas.

    side: of the canvas, in pixels. extent: longer side of the strokes, as a share of it. position: from (0, 0), top
    left, to (1, 1), bottom right. brush: width in pixels; the ink stays on the canvas wherever it fits.
    """
    points = np.concatenate(strokes)
    least, greatest = points.min(axis=0), points.max(axis=0)
    scale = extent * side / max(float((greatest - least).max()), 1e-6)
    room = side - brush - (greatest - least) * scale
    offset = brush / 2 + room * np.array(position)
    return [((stroke - least) * scale + offset).astype(np.float32) for stroke in strokes]


def draw_strokes_at_random(
    strokes: Sequence[Stroke], *, brush: float, generator: np.random.Generator, side: int = CANVAS_SIDE
) -> NDArray[np.uint8]:
    """Ink (side, side), 255 = ink, of strokes in any unit at a random position, 0.35 to 0.8 of the canvas long."""
    position = (float(generator.random()), float(generator.random()))
    extent = float(generator.uniform(*_EXTENTS))
    placed = place_strokes(strokes, side=side, extent=extent, position=position, brush=brush)
    return render_strokes(placed, side=side, brush=brush)


def render_strokes(strokes: Sequence[Stroke], *, side: int, brush: float) -> NDArray[np.uint8]:
    """Ink uint8 (side, side), 255 = ink, of strokes in pixels drawn with a round brush, anti-aliased.

    As in the drawing canvas, a stroke is a chain of quadratic curves through the middles of its segments.
    """
    scale = _SUPERSAMPLING
    picture = Image.new("L", (side * scale, side * scale), 0)
    draw = ImageDraw.Draw(picture)
    radius = brush * scale / 2
    for stroke in strokes:
        path = _smoothed(stroke) * scale
        corners = [(float(x), float(y)) for x, y in path]
        draw.line(corners, fill=255, width=max(1, round(brush * scale)))
        for x, y in corners:
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    return np.asarray(picture.reduce(scale))


def relative_length(strokes: Sequence[Stroke]) -> float:
    """Length of all strokes, as a multiple of the longer side of what they draw; 0 for a dot.

    >>> relative_length([np.array([[0, 0], [0, 4], [3, 4]], dtype=np.float32)])
    1.75
    """
    extent = float(np.ptp(np.concatenate(strokes), axis=0).max())
    length = sum(float(np.linalg.norm(np.diff(stroke, axis=0), axis=1).sum()) for stroke in strokes)
    return length / extent if extent else 0.0


def transform_points(points: NDArray[np.floating], matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """The matrix (2, 2) applied to points (..., 2), without BLAS: the same bits on every processor."""
    x, y = points[..., :1], points[..., 1:]
    transformed: NDArray[np.float64] = x * matrix[:, 0] + y * matrix[:, 1]
    return transformed


def _smoothed(stroke: Stroke) -> NDArray[np.float64]:
    """Points (Q, 2) close together on the curve that the canvas draws through a stroke."""
    points = stroke.astype(np.float64)
    if len(points) < 3:
        return points
    middles = (points[:-1] + points[1:]) / 2
    share = np.array([0.25, 0.5, 0.75, 1.0])[np.newaxis, :, np.newaxis]
    start, control, end = middles[:-1, np.newaxis], points[1:-1, np.newaxis], middles[1:, np.newaxis]
    curves = (1 - share) ** 2 * start + 2 * share * (1 - share) * control + share**2 * end
    return np.concatenate([points[:1], middles[:1], curves.reshape(-1, 2), points[-1:]])
