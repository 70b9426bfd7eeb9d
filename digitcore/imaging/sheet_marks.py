"""The sheet in a photograph: found by its corner marks and dots, and straightened.

A homography brings the middles of the four corner marks to their places; what paper that bends and a lens leave, a
polynomial of degree 3, fitted to the 40 dots. Positions are float64 in an order of operations that does not depend on
the processor, and are rounded to 1/256 of a pixel; the grey between pixels is an exact sum, rounded once.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import KDTree

from digitcore.errors import ImageError
from digitcore.imaging.exact import least_squares
from digitcore.imaging.sheet import DOT_SIDE, FRAME, MARK_RADII, dot_places, mark_places

__all__ = ["FoundSheet", "find_sheet_marks", "straighten"]

_Floats = NDArray[np.float64]
_Grey = NDArray[np.uint8]

_LEVELS = (0.5, 0.35, 0.65)  # of the way from the darkest to the lightest around a pixel, below which it is dark
_AROUND = 0.045  # of the picture's longer side: as far as "around" reaches
_LEAST_CONTRAST = 40  # levels between darkest and lightest
_MOST_MARKS = 8  # rings that are looked at: more than four where something else is in the picture
_MOST_RINGS = 64  # that are looked at for a disc
_LEAST_DISC, _LEAST_RING = 5, 8  # pixels of the one, and pixels across the other
_DISC = MARK_RADII[2] / MARK_RADII[0]
_OFF_CENTRE = 0.15  # of its ring's width: how far the disc may be from the middle
_DARK = 0.72  # of the paper beside it: what a dot must be darker than
_LEAST_DOTS = 0.6  # share of the dots that must be there
_REACH = 5.0  # millimetres from its place within which a dot is looked for
_FINE = 4  # samples a millimetre
_FARTHEST = 1.0  # millimetres from the fitted bend: a dot farther away is something else
_LEAST_SCALE = 1.6  # pixels a millimetre
_LEAST_SHARP = 0.8  # of the contrast of large areas that the gaps of the marks must have


@dataclass(frozen=True, eq=False)
class FoundSheet:
    """Where a sheet is in a picture."""

    homography: _Floats
    """(3, 3), from millimetres on the sheet to pixels."""
    bend: _Floats
    """(2, 10) factors of the polynomial, in millimetres, by which x and y differ from the homography's."""

    def pixels(self, places: _Floats) -> _Floats:
        """Pixels (..., 2) of places (..., 2) in millimetres."""
        bent = np.stack([sum(f * t for f, t in zip(row, _terms(places), strict=True)) for row in self.bend], axis=-1)
        return _project(self.homography, places + bent)


def find_sheet_marks(grey: _Grey, *, name: str) -> FoundSheet:
    """The sheet in a picture (H, W), whichever way up; name: of the picture, in errors.

    Raises:
        ImageError: there is none, or it is cut off, too small or too blurred.
    """
    marks = _find_rings(grey)
    best_fit = max(_fits(grey, marks), key=lambda fit: fit[0], default=None)
    if best_fit is None or best_fit[0] < _LEAST_DOTS:
        raise ImageError(_not_found(len(marks), name))
    homography = best_fit[1]
    scale = _least_scale(homography)
    if scale < _LEAST_SCALE:
        raise ImageError(
            f"{name} shows the sheet too small, {scale:.1f} pixels a millimetre of the {_LEAST_SCALE:g} needed: "
            "go nearer, or send the picture in its full size."
        )
    if _sharpness(grey, homography) < _LEAST_SHARP:
        raise ImageError(f"{name} is too blurred: hold still, let the camera focus, and take it again.")
    return FoundSheet(homography, _fit_bend(grey, homography))


def straighten(
    grey: _Grey, sheet: FoundSheet, *, corner: tuple[float, float], shape: tuple[int, int], scale: int
) -> _Grey:
    """A part of the sheet, upright, uint8 (h, w), `scale` pixels a millimetre, from this corner on."""
    straight = np.empty(shape, dtype=np.uint8)
    across = corner[0] + (np.arange(shape[1]) + 0.5) / scale
    for first in range(0, shape[0], 128):  # few rows at a time: positions take 16 bytes for each byte of the picture
        down = corner[1] + (np.arange(first, min(first + 128, shape[0])) + 0.5) / scale
        places = np.stack(np.broadcast_arrays(across, down[:, np.newaxis]), axis=-1)
        straight[first : first + 128] = _sample(grey, sheet.pixels(places))
    return straight


def _sample(grey: _Grey, places: _Floats) -> _Grey:
    """Grey (...) between the pixels' middles at places (..., 2), by linear interpolation; outside, that of the edge."""
    height, width = grey.shape
    steps = np.floor(256 * (places - 0.5) + 0.5)
    x = steps[..., 0].clip(0, 256 * (width - 1)).astype(np.int64)
    y = steps[..., 1].clip(0, 256 * (height - 1)).astype(np.int64)
    left, top = np.minimum(x // 256, max(width - 2, 0)), np.minimum(y // 256, max(height - 2, 0))
    x, y = x - 256 * left, y - 256 * top
    flat, first = grey.ravel(), top * width + left
    upper = flat[first] * (256 - x) + flat[first + 1] * x
    lower = flat[first + width] * (256 - x) + flat[first + width + 1] * x
    sampled: _Grey = ((upper * (256 - y) + lower * y + 32768) // 65536).astype(np.uint8)
    return sampled


def _find_rings(grey: _Grey) -> list[tuple[float, float, float]]:
    """Middle x and y, and width, of each ring with a disc in its middle, the largest first."""
    low, range_ = _extremes(grey)
    rings: list[tuple[float, float, float]] = []
    for level in _LEVELS:
        for ring in _rings_of(((grey - low) < level * range_) & (range_ >= _LEAST_CONTRAST)):
            if all(np.hypot(ring[0] - x, ring[1] - y) > width / 2 for x, y, width in rings):
                rings.append(ring)
        if len(rings) >= 4:
            break
    return sorted(rings, key=lambda ring: -ring[2])[:_MOST_MARKS]


def _extremes(grey: _Grey) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The darkest grey (H, W) around each pixel, and by how much the lightest is lighter."""
    step = max(1, max(grey.shape) // 500)
    rows, columns = (-(-side // step) for side in grey.shape)
    padded = np.pad(grey, ((0, rows * step - grey.shape[0]), (0, columns * step - grey.shape[1])), mode="edge")
    small = padded.reshape(rows, step, columns, step).mean(axis=(1, 3), dtype=np.float32)
    side = 2 * max(1, round(_AROUND * max(small.shape) / 2)) + 1
    low, high = ndimage.minimum_filter(small, side), ndimage.maximum_filter(small, side)
    full = (slice(grey.shape[0]), slice(grey.shape[1]))
    enlarged = [values.repeat(step, axis=0).repeat(step, axis=1)[full] for values in (low, high - low)]
    return enlarged[0], enlarged[1]


def _rings_of(dark: NDArray[np.bool_]) -> Iterator[tuple[float, float, float]]:
    """The same for dark pixels (H, W): connected ones of which each is a ring, or the disc in its middle."""
    numbers, count = ndimage.label(dark, structure=np.ones((3, 3), dtype=bool))
    boxes = np.array([[s[1].start, s[0].start, s[1].stop, s[0].stop] for s in ndimage.find_objects(numbers)])
    if count < 2:
        return
    areas = np.bincount(numbers.ravel(), minlength=count + 1)[1:]
    sides = boxes[:, 2:] - boxes[:, :2]
    middles, widths = (boxes[:, :2] + boxes[:, 2:]) / 2, sides.mean(axis=1)
    fills = areas / sides.prod(axis=1)
    round_ = (sides.max(axis=1) < 2.5 * sides.min(axis=1)) & (areas >= _LEAST_DISC)
    discs = np.flatnonzero(round_ & (fills > 0.6))
    rings = np.flatnonzero(round_ & (fills > 0.2) & (fills < 0.68) & (widths >= _LEAST_RING))
    if len(discs) == 0 or len(rings) == 0:
        return
    rings = rings[np.argsort(-widths[rings], kind="stable")][:_MOST_RINGS]
    distances, nearest = KDTree(middles[discs]).query(middles[rings])
    inside = discs[nearest]
    ratios = widths[inside] / widths[rings] / _DISC
    fit = (distances < _OFF_CENTRE * widths[rings]) & (ratios > 0.55) & (ratios < 1.6)
    for disc, width in zip(inside[fit], widths[rings[fit]], strict=True):
        left, top, right, bottom = boxes[disc]
        rows, columns = np.nonzero(numbers[top:bottom, left:right] == disc + 1)
        yield float(left + columns.mean() + 0.5), float(top + rows.mean() + 0.5), float(width)


def _fits(grey: _Grey, rings: list[tuple[float, float, float]]) -> Iterator[tuple[float, _Floats]]:
    """For four rings in any of the four turns: the share of the dots that are in their places, and the homography."""
    for four in combinations(rings, 4):
        points = np.array([ring[:2] for ring in four])
        middle = points.mean(axis=0)
        corners = points[np.argsort(np.arctan2(*(points - middle).T[::-1]))]
        if not _is_convex(corners):
            continue
        for turn in range(4):
            homography = _homography(np.roll(corners, turn, axis=0))
            yield float(np.mean(_dark_dots(grey, homography))), homography


def _is_convex(corners: _Floats) -> bool:
    """Whether corners (4, 2), clockwise, are of a quadrilateral that is convex, and no line."""
    sides = np.roll(corners, -1, axis=0) - corners
    following = np.roll(sides, -1, axis=0)
    turns = sides[:, 0] * following[:, 1] - sides[:, 1] * following[:, 0]
    return bool((turns > 0.05 * (sides**2).sum(axis=1).max()).all())


def _homography(corners: _Floats) -> _Floats:
    """From millimetres on the sheet to pixels, with the corner marks at corners (4, 2).

    Source: P. Heckbert, "Fundamentals of Texture Mapping and Image Warping", 1989, section 2.2.3.
    """
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = corners.tolist()
    dx1, dx2, dx3 = x1 - x2, x3 - x2, x0 - x1 + x2 - x3
    dy1, dy2, dy3 = y1 - y2, y3 - y2, y0 - y1 + y2 - y3
    area = dx1 * dy2 - dx2 * dy1
    g, h = (dx3 * dy2 - dx2 * dy3) / area, (dx1 * dy3 - dx3 * dy1) / area
    unit = np.array([[x1 - x0 + g * x1, x3 - x0 + h * x3, x0], [y1 - y0 + g * y1, y3 - y0 + h * y3, y0], [g, h, 1]])
    homography: _Floats = unit / np.array([FRAME[0], FRAME[1], 1])
    return homography


def _project(homography: _Floats, places: _Floats) -> _Floats:
    x, y = places[..., 0], places[..., 1]
    column, row, depth = (a * x + b * y + c for a, b, c in homography.tolist())
    return np.stack([column / depth, row / depth], axis=-1)


def _dark_dots(grey: _Grey, homography: _Floats) -> NDArray[np.bool_]:
    """Which of the 40 dots are darker than the paper on both their sides along their row or column of dots."""
    dots = dot_places()
    along = np.where((dots[:, :1] == 0) | (dots[:, :1] == FRAME[0]), [[0.0, 1.0]], [[1.0, 0.0]])
    places = np.stack([dots + shift * along for shift in (-1.6 * DOT_SIDE, 0, 1.6 * DOT_SIDE)])
    spots = places[:, :, np.newaxis] + _spot(0.7)
    before, here, after = _sample(grey, _project(homography, spots)).mean(axis=2)
    dark: NDArray[np.bool_] = here < _DARK * np.minimum(before, after)
    return dark


def _spot(radius: float) -> _Floats:
    """Nine places (9, 2) around one, as far apart as this."""
    steps = np.array([-radius, 0, radius])
    return np.stack(np.meshgrid(steps, steps), axis=-1).reshape(9, 2)


def _least_scale(homography: _Floats) -> float:
    """Pixels a millimetre along the shortest side of the sheet."""
    corners = _project(homography, mark_places())
    lengths = np.hypot(*(np.roll(corners, -1, axis=0) - corners).T)
    return float((lengths / np.array([FRAME[0], FRAME[1]] * 2)).min())


def _sharpness(grey: _Grey, homography: _Floats) -> float:
    """Contrast between the rings, the gaps in them and the discs as a share of that between paper and discs."""
    outside, inside, disc = MARK_RADII
    angles = np.arange(16) * (np.pi / 8)
    circle = np.column_stack([np.cos(angles), np.sin(angles)])
    radii = np.array([0.0, (disc + inside) / 2, (inside + outside) / 2, outside + 1.5])
    places = mark_places()[:, np.newaxis, np.newaxis] + radii[:, np.newaxis, np.newaxis] * circle
    middle, gap, ring, paper = np.moveaxis(_sample(grey, _project(homography, places)).mean(axis=2), 1, 0)
    contrast = (2 * gap - middle - ring) / np.maximum(2 * paper - middle - ring, 1)
    return float(np.median(contrast))


def _fit_bend(grey: _Grey, homography: _Floats) -> _Floats:
    """Factors (2, 10) of the bend, from how far the dots are from their places."""
    flat = FoundSheet(homography, np.zeros((2, len(_terms(mark_places())))))
    places, off = np.concatenate([dot_places(), mark_places()]), np.zeros((44, 2))
    off[:40] = _offsets(grey, flat)
    near = np.isfinite(off).all(axis=1)
    bend = flat.bend
    for _ in range(3):
        bend = np.array([least_squares([term[near] for term in _terms(places)], way[near]) for way in off.T])
        fitted = FoundSheet(np.eye(3), bend).pixels(places) - places
        near = (np.abs(off - fitted) < _FARTHEST).all(axis=1)
        if np.count_nonzero(near) < 24:
            return flat.bend
    return bend


def _offsets(grey: _Grey, flat: FoundSheet) -> _Floats:
    """How far (40, 2), in millimetres, the middle of each dot is from its place; NaN where there is no dot."""
    offsets = np.full((40, 2), np.nan)
    side = int(2 * _REACH * _FINE)
    steps = (np.arange(side) + 0.5) / _FINE - _REACH
    for k, (x, y) in enumerate(dot_places()):
        around = straighten(grey, flat, corner=(x - _REACH, y - _REACH), shape=(side, side), scale=_FINE)
        dark = around < (int(around.min()) + int(around.max())) / 2
        numbers, count = ndimage.label(dark)
        areas = np.bincount(numbers.ravel(), minlength=count + 1)[1:] / _FINE**2
        likely = np.flatnonzero((areas > 0.4 * DOT_SIDE**2) & (areas < 1.8 * DOT_SIDE**2))
        if len(likely) == 1:
            rows, columns = np.nonzero(numbers == likely[0] + 1)
            offsets[k] = steps[columns].mean(), steps[rows].mean()
    return offsets


def _terms(places: _Floats) -> list[_Floats]:
    """The ten products of powers of x and y up to degree 3 at places (..., 2), the sheet reaching from -1 to 1."""
    x, y = (2 * places[..., k] / FRAME[k] - 1 for k in (0, 1))
    powers = [[np.ones_like(v), v, v * v, v * v * v] for v in (x, y)]
    return [powers[0][i] * powers[1][j] for i in range(4) for j in range(4 - i)]


def _not_found(marks: int, name: str) -> str:
    if 0 < marks < 4:
        return (
            f"{name} shows {marks} of the sheet's four round corner marks: take it again with the whole sheet in it, "
            "flat, sharp, and nothing on its corners."
        )
    return (
        f"{name} shows no sheet to be read: print the sheet from here, and photograph all of it from above, its four "
        "round corner marks sharp."
    )
