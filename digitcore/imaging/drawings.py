"""The ink of drawings on an even ground, level by level: the same bytes as on the road for photographs, much sooner.

Where all pixels are grey, or all that matters is how opaque they are, everything follows from the 256 levels and how
often each occurs. What has noise, or may be a sheet on a margin, is left to the longer road.
"""

from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from digitcore.imaging.photograph import LEAST_CONTRAST, is_clean, is_noisy, is_within
from digitcore.imaging.surroundings import SHEET_DIFFERENCE, find_upright_sheet, without_frame

__all__ = ["margin_of", "plain_ink", "shares_of", "stretch"]

_Floats: TypeAlias = NDArray[np.float32]
_Value = TypeVar("_Value", np.uint8, np.float32)

_FULL_INK = 0.98  # peaks from here on are not stretched: MNIST's own are 254 or 255
_OPAQUE, _SOLID = 0.5, 0.9  # of full opacity
_MOST_SOLID = 0.5  # share of the pixels that are solid where these are strokes and not a card
_LEVELS = np.arange(256, dtype=np.uint8)


def plain_ink(image: Image.Image) -> NDArray[np.uint8] | None:
    """Ink (H, W) of a picture of mode L, RGB or RGBA; None where that takes more than its levels."""
    opacity = np.asarray(image.getchannel("A")) if image.mode == "RGBA" else None
    if opacity is not None and opacity.min() <= 255 * _OPAQUE:
        return _ink_of_opacity(opacity)
    levels = _grey_levels(image)
    return None if levels is None else _ink_of_grey(levels)


def _grey_levels(image: Image.Image) -> NDArray[np.uint8] | None:
    """The levels (H, W) of a picture whose channels are equal; None where they are not."""
    if image.mode == "L":
        return np.asarray(image)
    red, green, blue = (np.asarray(image.getchannel(name)) for name in "RGB")
    return red if np.array_equal(red, green) and np.array_equal(red, blue) else None


def _ink_of_opacity(opacity: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
    """Ink of strokes on nothing; None where they may be a card with a digit on it, or have a hole in the middle."""
    shares = shares_of(_LEVELS)
    if (
        np.median(shares_of(margin_of(opacity))) >= _OPAQUE
        or np.mean(is_within(opacity, shares > _SOLID)) > _MOST_SOLID
    ):
        return None
    greatest = shares[opacity.max()]
    return _inked(opacity, shares, greatest)


def _ink_of_grey(levels: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
    """Ink of a grey picture on an even ground; None where there is noise or a sheet."""
    difference = np.abs(shares_of(_LEVELS) - np.median(shares_of(margin_of(levels))))
    if find_upright_sheet(~is_within(levels, difference <= SHEET_DIFFERENCE)) is not None:
        return None
    greatest = max(difference[levels.min()], difference[levels.max()])
    if greatest >= LEAST_CONTRAST:
        relative = difference / greatest
        if not is_clean(levels, relative) and is_noisy(relative[levels]):
            return None
    return _inked(levels, difference, greatest)


def _inked(levels: NDArray[np.uint8], difference: _Floats, greatest: np.float32) -> NDArray[np.uint8]:
    """Ink of levels (H, W), each of which differs so much (256,) from the ground, the one farthest away so much."""
    if greatest < LEAST_CONTRAST:
        return np.zeros(levels.shape, dtype=np.uint8)
    return without_frame(stretch(difference, peak=float(greatest)).take(levels))


def shares_of(levels: NDArray[np.uint8]) -> _Floats:
    """Levels of 8 bits as shares of full."""
    return levels.astype(np.float32) / np.float32(255)


def margin_of(values: NDArray[_Value]) -> NDArray[_Value]:
    """The outermost pixels of values (H, W, ...), as (M, ...)."""
    width = max(1, min(values.shape[:2]) // 50)
    inner = values[width : len(values) - width]
    parts = (values[:width], values[width + len(inner) :], inner[:, :width], inner[:, width:][:, -width:])
    return np.concatenate([part.reshape(-1, *values.shape[2:]) for part in parts])


def stretch(difference: _Floats, *, peak: float) -> NDArray[np.uint8]:
    """Ink uint8 of a difference from the ground, with its peak at 255, unless that is (nearly) there already."""
    gain = 1.0 if peak >= _FULL_INK or peak == 0 else 1 / peak
    ink: NDArray[np.uint8] = np.rint(difference * (255 * gain)).clip(0, 255).astype(np.uint8)
    return ink
