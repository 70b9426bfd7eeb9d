"""Synthetic outliers: drawings other than digits, for training with outlier exposure.

Random smooth and angular strokes, figures as tidy as signs, glyphs put together from the parts of letters, outlines,
filled shapes, two or three digits at once, and digits cut off at a side. Letters, signs, clothing and noise are not
drawn on purpose, since they evaluate how well a network refuses kinds that it was not trained on. A figure or a glyph
may resemble a letter by chance; one that resembles a digit is drawn again.

Source of the method: D. Hendrycks, M. Mazeika, T. Dietterich, "Deep Anomaly Detection with Outlier Exposure", ICLR
2019.
"""

import functools
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage
from scipy.interpolate import make_interp_spline

from digitcore.data.synthetic_digits import draw_hand, write_digit
from digitcore.imaging.preprocessing import preprocess_ink
from digitcore.imaging.strokes import Stroke, place_strokes, render_strokes, transform_points

__all__ = ["draw_outlier", "resembles_digit"]

_ALIKE = 0.91
"""Least cosine similarity of two blurred pictures of the same form. One in a hundred digits by the grammar is less
similar to the nearest of the others."""
_ALIKE_WHEN_CUT = 0.86  # what is left of a digit is a figure of its own only where it is clearly none
_COMPARED = 5_000  # digits by the grammar that a figure is compared with
_SHORTEST = 1.4  # length of all lines of a figure, as a multiple of its longer side: a single line may be a 1


def draw_outlier(*, side: int, brush: float, generator: np.random.Generator) -> NDArray[np.uint8]:
    """Ink (side, side), 255 = ink, of a drawing other than a digit, with a brush of this width in pixels."""
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
    """One long stroke."""
    stroke = _random_stroke(int(generator.integers(8, 24)), generator.random() < 0.6, generator)
    return _drawn([stroke], side, brush, generator)


def _figure(side: int, brush: float, generator: np.random.Generator) -> NDArray[np.uint8]:
    """Lines between the points of a lattice, straight or bent, or an open bow; some are their own mirror image."""
    while True:
        width = generator.uniform(0.5, 1)
        is_mirrored = generator.random() < 0.4
        strokes = _lattice_lines(width, generator, columns=2 if is_mirrored else 3)
        if generator.random() < 0.25:
            strokes = [_bow(width, generator), *strokes[: generator.integers(2)]]
        if is_mirrored:
            upright = generator.random() < 0.75
            mirror = np.array([-1, 1] if upright else [1, -1]), np.array([width, 0] if upright else [0, 1])
            strokes += [stroke * mirror[0] + mirror[1] for stroke in strokes]
        slant = np.array([[1, generator.normal(-0.05, 0.1)], [0, 1]])
        slanted = [transform_points(stroke, slant).astype(np.float32) for stroke in strokes]
        extent = np.ptp(np.concatenate(slanted), axis=0).max()
        length = sum(np.linalg.norm(np.diff(stroke, axis=0), axis=1).sum() for stroke in slanted)
        if length >= _SHORTEST * extent and not resembles_digit(slanted):
            return _drawn(slanted, side, brush, generator)


def _lattice_lines(width: float, generator: np.random.Generator, *, columns: int) -> list[NDArray[np.float64]]:
    """Strokes of one or more lines, each from a lattice point already reached; the lattice is three points high."""
    points = np.array([(x * width / 2, y / 2) for x in range(columns) for y in range(3)])
    points += generator.normal(0, 0.04, points.shape)
    reached = [int(generator.integers(len(points)))]
    strokes: list[NDArray[np.float64]] = []
    for _ in range(generator.integers(1, 4) if columns == 2 else generator.integers(2, 6)):
        goes_on = bool(strokes) and generator.random() < 0.6
        start = reached[-1] if goes_on else int(generator.choice(reached))
        end = int(generator.choice(np.delete(np.arange(len(points)), start)))
        line = _line(points[start], points[end], generator)
        if goes_on:
            strokes[-1] = np.concatenate([strokes[-1], line])
        else:
            strokes.append(line)
        reached.append(end)
    return strokes


def _line(start: NDArray[np.float64], end: NDArray[np.float64], generator: np.random.Generator) -> NDArray[np.float64]:
    """Points (9, 2) from start to end, a third of the times in a bow."""
    share = np.linspace(0, 1, 9)[:, np.newaxis]
    sideways = np.array([start[1] - end[1], end[0] - start[0]])
    bulge = generator.choice([-1, 1]) * generator.uniform(0.25, 0.6) if generator.random() < 0.35 else 0.0
    return np.asarray(start + (end - start) * share + sideways * bulge * 4 * share * (1 - share))


def _bow(width: float, generator: np.random.Generator) -> NDArray[np.float64]:
    """Points (24, 2) of two fifths to three quarters of an ellipse that opens to any side."""
    angles = generator.uniform(0, 2 * np.pi) + np.linspace(0, np.radians(generator.uniform(140, 270)), 24)
    radii = np.array([width / 2, 0.5]) * generator.uniform(0.6, 1, 2)
    return np.array([width / 2, 0.5]) + np.stack([np.cos(angles), np.sin(angles)], axis=1) * radii


def _glyph(side: int, brush: float, generator: np.random.Generator) -> NDArray[np.uint8]:
    """Two to four parts of letters: stems, bars, diagonals, ovals, bowls, arches and hooks, or a wave."""
    while True:
        parts = list(_PARTS)
        chosen = generator.choice(len(parts), size=generator.integers(2, 5), p=list(_PARTS.values()))
        width = generator.uniform(0.5, 0.9)
        strokes = [(parts[i](generator) * [width, 1]).astype(np.float32) for i in chosen]
        slant = np.array([[1, generator.normal(-0.05, 0.1)], [0, 1]])
        slanted = [transform_points(stroke, slant).astype(np.float32) for stroke in strokes]
        if not resembles_digit(slanted):
            return _drawn(slanted, side, brush, generator)


def _jittered(points: Sequence[tuple[float, float]], generator: np.random.Generator) -> NDArray[np.float64]:
    return np.array(points) + generator.normal(0, 0.03, (len(points), 2))


def _stem(generator: np.random.Generator) -> NDArray[np.float64]:
    x, top = generator.choice([0.0, 0.5, 1.0], p=[0.45, 0.2, 0.35]), generator.choice([0.0, 0.4], p=[0.7, 0.3])
    return _jittered([(x, top), (x, (top + 1) / 2), (x, 1.0)], generator)


def _bar(generator: np.random.Generator) -> NDArray[np.float64]:
    y = generator.choice([0.0, 0.5, 1.0])
    left, right = generator.uniform(-0.1, 0.2), generator.uniform(0.7, 1.1)
    return _jittered([(left, y), ((left + right) / 2, y), (right, y)], generator)


def _diagonal(generator: np.random.Generator) -> NDArray[np.float64]:
    corners = np.array([(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0), (0.5, 0.0), (0.5, 1.0), (0.0, 0.5), (1.0, 0.5)])
    start, end = generator.choice(len(corners), size=2, replace=False)
    return _jittered(
        [tuple(corners[start]), tuple((corners[start] + corners[end]) / 2), tuple(corners[end])], generator
    )


def _elliptic(
    generator: np.random.Generator,
    *,
    start: float,
    sweep: float,
    middle: tuple[float, float],
    radii: tuple[float, float],
) -> NDArray[np.float64]:
    angles = np.radians(start + np.linspace(0, sweep, 24) + generator.normal(0, 8))
    points = np.array(middle) + np.stack([np.cos(angles), np.sin(angles)], axis=1) * radii
    return np.asarray(points + generator.normal(0, 0.03, 2))


def _small_oval(generator: np.random.Generator) -> NDArray[np.float64]:
    top = generator.choice([0.0, 0.4])
    start = generator.uniform(0, 360)
    return _elliptic(
        generator, start=start, sweep=350, middle=(0.5, top + 0.3), radii=(generator.uniform(0.3, 0.5), 0.3)
    )


def _bowl(generator: np.random.Generator) -> NDArray[np.float64]:
    """A half oval that opens to the left or to the right, in the upper half, the lower half, or over both."""
    middle, height = ((0.25, 0.25), (0.75, 0.25), (0.5, 0.5))[generator.integers(3)]
    side = generator.choice([-90.0, 90.0])
    sweep = generator.uniform(170, 250)
    x = 0.1 if side < 0 else 0.9
    return _elliptic(
        generator, start=side, sweep=sweep, middle=(x, middle), radii=(generator.uniform(0.5, 0.9), height)
    )


def _arch(generator: np.random.Generator) -> NDArray[np.float64]:
    """An n or a u, with one leg longer in some hands."""
    top, bottom = generator.choice([0.0, 0.4]), 1.0
    angles = np.radians(np.linspace(180, 360, 16))
    bow = np.stack([0.5 + 0.45 * np.cos(angles), top + 0.25 + 0.25 * np.sin(angles)], axis=1)
    stroke = np.concatenate([[(0.05, bottom)], bow, [(0.95, bottom + generator.uniform(-0.3, 0.05))]])
    upside_down = np.array([0.0, 1.0]) + stroke * [1, -1] + [0.0, top]
    return np.asarray(upside_down if generator.random() < 0.5 else stroke)


def _hook(generator: np.random.Generator) -> NDArray[np.float64]:
    """A stem that turns to one side at its end, as in J, f or t."""
    x, size = generator.uniform(0.3, 0.8), generator.uniform(0.2, 0.4)
    side = generator.choice([-1, 1])
    angles = np.radians(np.linspace(0, generator.uniform(90, 190), 12))
    end = np.stack([x + side * size * (1 - np.cos(angles)), 1 - size * 0.5 + size * 0.5 * np.sin(angles)], axis=1)
    stroke = np.concatenate([[(x, 0.0), (x, 0.4)], end])
    return np.asarray(stroke * [1, -1] + [0, 1] if generator.random() < 0.4 else stroke)


def _wave(generator: np.random.Generator) -> NDArray[np.float64]:
    """One to three bends to the right, or down."""
    along = np.linspace(0, 1, 30)
    across = 0.5 + generator.uniform(0.15, 0.35) * np.sin(
        along * np.pi * generator.integers(2, 6) + generator.uniform(0, np.pi)
    )
    points = [along, across] if generator.random() < 0.6 else [across, along]
    return np.asarray(np.stack(points, axis=1))


_PARTS: dict[Callable[[np.random.Generator], NDArray[np.float64]], float] = {  # share of each
    _stem: 0.28,
    _bar: 0.16,
    _diagonal: 0.14,
    _small_oval: 0.1,
    _bowl: 0.12,
    _arch: 0.1,
    _hook: 0.06,
    _wave: 0.04,
}


def resembles_digit(strokes: Sequence[Stroke], *, similarity: float = _ALIKE) -> bool:
    """Whether a digit in a form of the grammar looks as much like these strokes, apart from place and size."""
    return bool((_written_digits() * _blurred(strokes)).sum(axis=1).max() >= similarity)


@functools.cache
def _written_digits() -> NDArray[np.float32]:
    generator = np.random.default_rng(0)
    return np.stack([_blurred(write_digit(i % 10, generator=generator)) for i in range(_COMPARED)])


def _blurred(strokes: Sequence[Stroke]) -> NDArray[np.float32]:
    """The model input (784,) of strokes drawn with an ordinary brush, blurred, of length 1."""
    side, brush = 84, 7
    placed = place_strokes(strokes, side=side, extent=0.75, position=(0.5, 0.5), brush=brush)
    picture = preprocess_ink(render_strokes(placed, side=side, brush=brush)).model_input.astype(np.float32)
    blurred = ndimage.gaussian_filter(picture, 1.2).ravel()
    return np.asarray(blurred / np.sqrt(np.square(blurred).sum()))


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


def _several_digits(side: int, brush: float, generator: np.random.Generator) -> NDArray[np.uint8]:
    """Two digits of one hand side by side, seldom three."""
    hand = draw_hand(generator)
    row: list[Stroke] = []
    for _ in range(3 if generator.random() < 0.2 else 2):
        digit = write_digit(int(generator.integers(10)), generator=generator, hand=hand)
        edge = max((float(stroke[:, 0].max()) for stroke in row), default=0.0)
        edge -= min(float(stroke[:, 0].min()) for stroke in digit)
        apart = np.array([edge + generator.uniform(0.0, 0.35), generator.normal(0, 0.06)], dtype=np.float32)
        row += [stroke + apart for stroke in digit]
    return _drawn(row, side, brush, generator)


def _cut_digit(side: int, brush: float, generator: np.random.Generator) -> NDArray[np.uint8]:
    """A digit without a third to a half of it, on any side."""
    while True:
        strokes = write_digit(int(generator.integers(10)), generator=generator)
        points = np.concatenate(strokes)
        axis, sign, share = int(generator.integers(2)), generator.choice([-1, 1]), generator.uniform(0.33, 0.55)
        edge = np.quantile(points[:, axis] * sign, 1 - share)
        rest = [stroke[stroke[:, axis] * sign < edge] for stroke in strokes]
        rest = [stroke for stroke in rest if len(stroke) > 4]
        if rest and not resembles_digit(rest, similarity=_ALIKE_WHEN_CUT):
            return _drawn(rest, side, brush, generator)


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
    _strokes: 0.22,
    _long_stroke: 0.08,
    _figure: 0.22,
    _glyph: 0.22,
    _outlines: 0.08,
    _shapes: 0.05,
    _several_digits: 0.09,
    _cut_digit: 0.04,
}
