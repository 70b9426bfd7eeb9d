"""Denoising: ink in pictures with an uneven ground, such as photographs, scans and JPEG files."""

import functools
from collections.abc import Sequence
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from digitcore.imaging.exact import Levels, area_sums, enlarge_bilinear, least_squares, rounded, smooth
from digitcore.imaging.surroundings import at_the_rim

__all__ = ["LEAST_CONTRAST", "clean", "denoise", "even_ground", "is_clean", "is_even", "is_noisy", "is_within"]

LEAST_CONTRAST = 0.1
"""Least difference between ink and ground, as a share of white."""

_Floats: TypeAlias = NDArray[np.float32]
_Value = TypeVar("_Value", np.uint8, np.float32)

_LEAST_LIGHT = 0.05  # of white: darker places count as lit this much
_GREY_LEVELS = 65535  # white, on the scale of whole numbers in which noisy pictures are computed
_LOGARITHM_STEPS = 4096  # a unit: finer than an 8-bit step of grey
_DARKEST, _BRIGHTEST = -16384, 4096  # steps
_GROUND_SIDE = 120  # pixels of the longer side: light changes slowly
_LEAST_GAP = 4  # between ink and ground in a noisy picture, in standard deviations of the ground
_LEAST_GROUND = 0.1  # share of the pixels of a clean picture that have the ground's colour
_LEAST_DIFFERENCE = 0.5 / 255  # of full ink: half a step of grey at 8 bits
_STROKE, _FULL_STROKE = 0.3, 0.6  # of full ink, from which on a pixel is of a stroke, and not of a printed line
_STRAY, _MOST_STRAY = 0.12, 0.01  # of full ink, as JPEG leaves beside strokes; share of an even ground with more
_MOST_STRAY_OF_FEW = 0.1  # likewise of a small picture
_MOST_SHADED, _LEAST_SHADED = 0.15, 64  # share of the edge that is shaded; pixels of a side, for soft strokes are too
_FULL_INK = 0.9  # of full ink, from which on ink that touches the edge is not a shadow
_FAINT = 0.06  # pixels below this share of full ink, away from any stroke, are noise


def is_noisy(relative: _Floats) -> bool:
    """Whether the ground is uneven. relative: difference (H, W) from the ground, 1 = full ink.

    It is uneven where hardly any pixel has exactly the ground's colour, where a good part of the edge has neither that
    of the ground nor that of the ink, as in a shadow, or where faint pixels far from any stroke go up and down.
    Enlarged pictures have faint pixels far from strokes too, but those form steps and slopes.
    """
    if np.mean(relative < _LEAST_DIFFERENCE) < _LEAST_GROUND:
        return True
    if min(relative.shape) >= _LEAST_SHADED and _is_shaded(_edge_of(relative)):
        return True
    faint = (relative > _LEAST_DIFFERENCE) & (relative < _FAINT)
    rows, columns = np.nonzero(faint)
    rough = _is_extreme(relative, rows, columns) | _is_extreme(relative.T, columns, rows)
    strokes = relative >= _STROKE
    most = _most_rough(int(np.count_nonzero(strokes)))
    if np.count_nonzero(rough) <= most:
        return False
    return bool(np.count_nonzero(~_near(strokes)[rows[rough], columns[rough]]) > most)


def is_clean(levels: NDArray[np.uint8], relative: _Floats) -> bool:
    """Whether it can be told from its levels (H, W) alone that a picture is not noisy.

    relative: difference (256,) of each level from the ground, 1 = full ink; it rises on both sides of the ground's.
    """
    if np.mean(is_within(levels, relative < _LEAST_DIFFERENCE)) < _LEAST_GROUND:
        return False
    if min(levels.shape) >= _LEAST_SHADED and _is_shaded(relative[_edge_of(levels)]):
        return False
    alike, pale, weak = (
        int(np.count_nonzero(is_within(levels, chosen)))
        for chosen in (relative <= _LEAST_DIFFERENCE, relative < _FAINT, relative < _STROKE)
    )
    return pale - alike <= _most_rough(levels.size - weak)


def is_within(levels: NDArray[np.uint8], chosen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether each level is among those chosen (256,), which are all from one level to another.

    >>> is_within(np.array([[3, 9]], np.uint8), np.arange(256) > 5)
    array([[False,  True]])
    """
    places = np.flatnonzero(chosen)
    if len(places) == 0:
        return np.zeros(levels.shape, dtype=bool)
    within: NDArray[np.bool_] = levels - np.uint8(places[0]) <= np.uint8(places[-1] - places[0])  # those below wrap
    return within


def _edge_of(values: NDArray[_Value]) -> NDArray[_Value]:
    """The values of the outermost rows and columns, those of the corners twice."""
    return np.concatenate([values[0], values[-1], values[:, 0], values[:, -1]])


def _is_shaded(edge: _Floats) -> bool:
    return bool(np.mean((edge >= _FAINT) & (edge < _FULL_INK)) > _MOST_SHADED)


def _most_rough(strokes: int) -> float:
    """Faint pixels that go up and down in a clean picture, at most, with so many pixels of strokes."""
    return max(20, 0.02 * strokes)


def _is_extreme(values: _Floats, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Whether values (H, W) at places (N,) are above both neighbours in their row, or below both."""
    last = values.shape[1] - 1
    here = values[rows, columns]
    before, after = values[rows, np.maximum(columns - 1, 0)], values[rows, np.minimum(columns + 1, last)]
    extreme: NDArray[np.bool_] = (here - before) * (after - here) < 0
    return extreme


def is_even(relative: _Floats) -> bool:
    """Whether a noisy ground is of one colour but for faint noise, as in a JPEG of a drawing.

    relative: difference (H, W) from the colour of the margin, 1 = full ink.
    """
    is_small = max(relative.shape) < _LEAST_SHADED  # of which little ground is left, and light cannot be told from ink
    ground = ~_near(relative >= _FULL_STROKE)
    if np.mean(ground) < _LEAST_GROUND:
        return bool(is_small)
    stray = ndimage.median_filter(relative, size=3)[ground] >= _STRAY  # noise of single pixels aside
    return bool(np.mean(stray) <= (_MOST_STRAY_OF_FEW if is_small else _MOST_STRAY))


def clean(relative: _Floats) -> _Floats:
    """Ink (H, W) in [0, 1] of a picture with an even ground: what is near strokes, less the noise.

    Which of two colours is the ink, the margin has said: no width of the lines is assumed. Specks are removed.
    """
    strokes = relative >= _STROKE
    strokes = _without_specks(strokes & ~at_the_rim(strokes))
    ink: _Floats = np.where(_near(strokes), np.clip((relative - _STRAY) / (1 - _STRAY), 0, 1), 0)
    return ink.astype(np.float32)


def _near(strokes: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels (H, W) of strokes and of their edges."""
    near: NDArray[np.bool_] = ndimage.binary_dilation(strokes, structure=np.ones((3, 3), dtype=bool), iterations=2)
    return near


def denoise(colour: _Floats) -> _Floats:
    """Ink (H, W) in [0, 1] of a noisy picture with an uneven ground; all zero where nothing stands out.

    A grey closing (or opening, for light ink) wider than any stroke gives the ground. Pixels that differ from it by
    more than Otsu's threshold are ink. Ruled lines, and specks far smaller than the largest component, are removed.
    """
    grey = smooth(_grey_levels(colour), sigma=max(colour.shape[:2]) / 700)
    ground, is_dark = _uneven_ground(grey)
    contrast = (ground - grey if is_dark else grey - ground).astype(np.float32)
    # Dark ink takes a share of the light that falls on it, light ink adds to it.
    full_light = np.maximum(ground, _LEAST_LIGHT * _GREY_LEVELS).astype(np.float32) if is_dark else _GREY_LEVELS
    difference: _Floats = np.clip(contrast / full_light, 0, None)
    least, threshold = _thresholds(difference)
    solid = difference > threshold
    rim = at_the_rim(solid)
    if rim.any():
        difference = np.where(ndimage.binary_dilation(rim, iterations=1 + max(rim.shape) // 50), 0, difference)
        least, threshold = _thresholds(difference)
        solid = difference > threshold
    if not solid.any() or not _stands_out(difference, solid, others=difference <= least):
        return np.zeros_like(difference)
    solid = _without_specks(solid)
    full = float(np.percentile(difference[solid], 75))
    soft = np.clip((difference - threshold / 2) / max(full - threshold / 2, 1e-6), 0, 1)
    ink: _Floats = np.where(ndimage.binary_dilation(solid, iterations=2), soft, 0).astype(np.float32)
    return ink


def _grey_levels(colour: _Floats) -> Levels:
    """The mean of the channels of colour (H, W, C) in [0, 1], in steps of 1 / `_GREY_LEVELS`."""
    total = sum(colour[:, :, channel] for channel in range(1, colour.shape[2])) + colour[:, :, 0]
    levels: Levels = np.rint(total * np.float32(_GREY_LEVELS / colour.shape[2])).astype(np.float64)
    return levels


def _uneven_ground(grey: Levels) -> tuple[Levels, bool]:
    """The ground under grey (H, W), estimated on a reduced picture, and whether the ink is dark."""
    scale = min(1.0, _GROUND_SIDE / max(grey.shape))
    height, width = (max(1, round(side * scale)) for side in grey.shape)
    small = rounded(area_sums(grey, (height, width)) / grey.size)
    light = _smooth_light(small)
    flat = rounded(small * _GREY_LEVELS / light)
    side = max(3, min(small.shape) // 3)
    depths = (smooth(small, sigma=side / 3) - small).astype(np.int64)
    is_dark = int((depths**3).sum()) > 0  # but for ink, as at the edge of a shadow, as much is darker as lighter
    # Either ground leaves out all ink; the nearer one follows a lamp, or the edge of a shadow.
    nearer = np.minimum if is_dark else np.maximum
    lit = rounded(even_ground(flat, side=side, is_dark=is_dark) * light / _GREY_LEVELS)
    ground = nearer(lit, even_ground(small, side=side, is_dark=is_dark))
    return enlarge_bilinear(ground, grey.shape), is_dark


def even_ground(grey: Levels, *, side: int, is_dark: bool) -> Levels:
    """The ground under grey (H, W) whose ink is narrower than side pixels; at a sharp edge it stays sharp."""
    even = np.pad(smooth(grey, sigma=side / 40), side, mode="edge")  # or the noise's extremes would be the ground
    even = ndimage.grey_closing(even, (side, side)) if is_dark else ndimage.grey_opening(even, (side, side))
    even = even[side:-side, side:-side]
    smoothed = rounded(smooth(even, sigma=side / 16))
    nearer: Levels = np.minimum(even, smoothed) if is_dark else np.maximum(even, smoothed)
    return nearer


def _smooth_light(grey: Levels) -> Levels:
    """The light on grey (H, W): its logarithm is a polynomial of degree 4, fitted three times to the pixels near it."""
    rows, columns = (np.linspace(-1, 1, side) if side > 1 else np.zeros(1) for side in grey.shape)
    terms = [
        np.multiply.outer(rows**i, columns**j).ravel() for i in range(5) for j in range(5 - i)
    ]  # 15 arrays (H * W,)
    logarithms = _logarithms()[grey.astype(np.int64).ravel()]
    near = np.ones(logarithms.shape, dtype=bool)
    for _ in range(3):
        fitted = _fit_terms(terms, logarithms, near)
        distances = np.abs(logarithms - fitted)
        near = distances <= max(0.01, 2 * float(np.median(distances)))
    steps = np.rint(fitted * _LOGARITHM_STEPS).clip(_DARKEST, _BRIGHTEST).astype(np.int64)
    return _exponentials()[steps - _DARKEST].reshape(grey.shape)


def _fit_terms(terms: Sequence[Levels], values: Levels, chosen: NDArray[np.bool_]) -> Levels:
    """The combination (N,) of terms that comes nearest to values (N,) where chosen, by least squares."""
    fitted = np.zeros(values.shape)
    for factor, term in zip(least_squares([term[chosen] for term in terms], values[chosen]), terms, strict=True):
        fitted = fitted + factor * term
    return fitted


@functools.cache
def _logarithms() -> Levels:
    """Natural logarithm of each grey level's share of white, in steps of 1 / `_LOGARITHM_STEPS`.

    A table in coarse steps, since the last bit of `np.log` and `np.exp` depends on the processor.
    """
    shares = np.maximum(np.arange(_GREY_LEVELS + 1) / _GREY_LEVELS, _LEAST_LIGHT)
    logarithms: Levels = np.rint(np.log(shares) * _LOGARITHM_STEPS) / _LOGARITHM_STEPS
    return logarithms


@functools.cache
def _exponentials() -> Levels:
    """The grey level of each logarithm from `_DARKEST` to `_BRIGHTEST` steps."""
    shares = np.exp(np.arange(_DARKEST, _BRIGHTEST + 1) / _LOGARITHM_STEPS)
    levels: Levels = np.rint(shares * _GREY_LEVELS)
    return levels


def _thresholds(difference: _Floats) -> tuple[float, float]:
    """Least difference of anything from the ground, and of ink: greater where ruled lines lie under the pen's."""
    least = _otsu(difference)
    above = difference[difference > least]
    if len(above) < 2:
        return least, least
    darker = _otsu(above)
    pen = difference > darker
    is_ruled = bool(pen.any()) and _reaches_edges(difference > least) and not _reaches_edges(pen)
    return least, darker if is_ruled else least


def _reaches_edges(solid: NDArray[np.bool_]) -> bool:
    """Whether solid pixels (H, W) touch two opposite edges of the picture."""
    return bool((solid[:, 0].any() and solid[:, -1].any()) or (solid[0].any() and solid[-1].any()))


def _stands_out(difference: _Floats, solid: NDArray[np.bool_], *, others: NDArray[np.bool_]) -> bool:
    """Whether the pixels of ink differ from the others by more than two halves of pure noise would."""
    gap = float(np.median(difference[solid]) - np.median(difference[others]))
    return gap >= max(LEAST_CONTRAST, _LEAST_GAP * float(np.std(difference[others])))


def _otsu(values: _Floats) -> float:
    """The threshold that best separates values into two classes; the value itself where all are about the same.

    Source: N. Otsu, "A threshold selection method from gray-level histograms", IEEE Trans. SMC 9 (1979).
    """
    counts, edges = np.histogram(values, bins=256)
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)
    above = below[-1] - below
    sums = np.cumsum(counts * centres)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (sums / below - (sums[-1] - sums) / above) ** 2
    between = np.where(np.isfinite(between), between, -1)
    return float(centres[between.argmax()] if between.max() >= 0 else values.max())


def _without_specks(solid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    components, _ = ndimage.label(solid, structure=np.ones((3, 3), dtype=bool))
    sizes = np.bincount(components.ravel())
    sizes[0] = 0
    mask: NDArray[np.bool_] = (sizes >= 0.03 * sizes.max())[components]
    return mask
