"""Runs of the pen: lines, curves and arcs as points a small step apart.

Lengths are in heights of a digit: x to the right from 0 to about 0.6, y downwards from 0 to 1.
"""

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["SPACING", "Points", "arc", "curve", "end_of", "joined", "length_of", "line", "spaced"]

Points: TypeAlias = NDArray[np.float64]
"""Float64 (P, 2)."""

SPACING = 0.02
"""Distance between neighbouring points of a run."""


def spaced(points: Points) -> Points:
    """The same path with points `SPACING` apart."""
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    along = np.concatenate([[0.0], np.cumsum(steps)])
    places = np.linspace(0, along[-1], max(2, round(along[-1] / SPACING) + 1))
    return np.stack([np.interp(places, along, points[:, axis]) for axis in (0, 1)], axis=1)


def length_of(step: Points) -> float:
    """Of one step (2,). `np.linalg.norm` would call BLAS, whose last bit depends on the processor."""
    return math.sqrt(float(step[0]) ** 2 + float(step[1]) ** 2)


def line(*corners: tuple[float, float]) -> Points:
    """Straight from corner to corner."""
    return spaced(np.array(corners, dtype=float))


def curve(*knots: tuple[float, float]) -> Points:
    """Smoothly through all knots: a centripetal Catmull-Rom spline (E. Catmull, R. Rom, 1974; P. J. Barry, 1988)."""
    points = np.array(knots, dtype=float)
    points = np.concatenate([[2 * points[0] - points[1]], points, [2 * points[-1] - points[-2]]])
    pieces = []
    for p0, p1, p2, p3 in zip(points, points[1:], points[2:], points[3:], strict=False):
        t0 = 0.0
        t1, t2, t3 = np.cumsum([max(length_of(b - a) ** 0.5, 1e-3) for a, b in ((p0, p1), (p1, p2), (p2, p3))])
        t = np.linspace(t1, t2, 16)[:, np.newaxis]
        a1 = (t1 - t) / (t1 - t0) * p0 + (t - t0) / (t1 - t0) * p1
        a2 = (t2 - t) / (t2 - t1) * p1 + (t - t1) / (t2 - t1) * p2
        a3 = (t3 - t) / (t3 - t2) * p2 + (t - t2) / (t3 - t2) * p3
        b1 = (t2 - t) / (t2 - t0) * a1 + (t - t0) / (t2 - t0) * a2
        b2 = (t3 - t) / (t3 - t1) * a2 + (t - t1) / (t3 - t1) * a3
        pieces.append((t2 - t) / (t2 - t1) * b1 + (t - t1) / (t2 - t1) * b2)
    return spaced(np.concatenate(pieces))


def arc(centre: tuple[float, float], radii: tuple[float, float], start: float, end: float) -> Points:
    """Along an ellipse from one angle to another, in degrees: 0 right, 90 down."""
    angle = np.radians(np.linspace(start, end, max(8, round(abs(end - start) / 6))))
    return spaced(np.stack([centre[0] + radii[0] * np.cos(angle), centre[1] + radii[1] * np.sin(angle)], axis=1))


def joined(*runs: Points) -> Points:
    """One stroke of several runs; where one does not begin at the end of the last, the pen goes there straight."""
    return spaced(np.concatenate(runs))


def end_of(run: Points) -> tuple[float, float]:
    """Where the pen is after a run."""
    return float(run[-1, 0]), float(run[-1, 1])
