"""What is around a digit and not of it: a margin around a sheet, a frame, a piece of the table, a finger."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from digitcore.imaging.components import box_of, find_components

__all__ = ["SHEET_DIFFERENCE", "at_the_rim", "find_sheet", "find_upright_sheet", "is_written_on", "without_frame"]

SHEET_DIFFERENCE = 0.04
"""Least difference between a sheet and the margin around it, as a share of white."""

_LEAST_SIDE = 24  # pixels of a sheet or a frame: MNIST's own digits are smaller
_LEAST_MARGIN = 0.02  # share of the picture
_MOST_STRAY = 0.05  # share of the margin that differs from its colour: the blurred edge of the sheet
_LEAST_SHEET_SIDE = 0.3  # of the picture's longer side: strokes are narrower
_LEAST_SHEET = 0.6  # share of a sheet's pixels that differ from the margin: the others are ink of its colour
_LINED = 0.9  # share of an outline that is there
_SHEET_SKEW, _SKEW = 0.02, 0.15  # of its side: how far inside its box the outline of a sheet, or of a frame, may run
_MOST_FRAME = 0.5  # share of its box that a frame inks
_LEAST_INSIDE = 0.2  # longer side of what a frame goes around, as a share of the frame's longer side
_BROADER, _THINNER = 2.0, 0.6  # widest place of what reaches into the picture, in widths of what is written


def find_sheet(difference: NDArray[np.float32]) -> tuple[slice, slice] | None:
    """Rows and columns of an upright sheet on a margin of one colour; None where there is none.

    difference: of each pixel (H, W) from the margin's colour, in [0, 1].
    """
    return find_upright_sheet(difference > SHEET_DIFFERENCE)


def find_upright_sheet(differs: NDArray[np.bool_]) -> tuple[slice, slice] | None:
    """The same, of the pixels (H, W) that differ from the margin's colour."""
    if not differs.any():
        return None
    (top, bottom), (left, right) = (_mostly_inked(np.count_nonzero(differs, axis=axis)) for axis in (1, 0))
    sheet = differs[top:bottom, left:right]
    outside = differs.size - sheet.size
    if (
        min(sheet.shape) < _LEAST_SHEET_SIDE * max(differs.shape)
        or outside < _LEAST_MARGIN * differs.size
        or np.count_nonzero(differs) - np.count_nonzero(sheet) > _MOST_STRAY * outside
        or np.mean(sheet) < _LEAST_SHEET
        or not _is_outlined(sheet, skew=_SHEET_SKEW)
    ):
        return None
    inset = 1 + max(sheet.shape) // 100  # the sheet's own edge is half margin
    return slice(top + inset, bottom - inset), slice(left + inset, right - inset)


def _mostly_inked(counts: NDArray[np.intp]) -> tuple[int, int]:
    """The first row or column with over half as many pixels as the fullest one, and the one after the last such."""
    full = np.flatnonzero(2 * counts > counts.max())
    return int(full[0]), int(full[-1]) + 1


def is_written_on(inside: NDArray[np.uint8]) -> bool:
    """Whether ink (H, W) of a sheet is more than what rounded corners and soft edges leave around a solid shape."""
    height, width = (side // 10 for side in inside.shape)
    return bool(inside[height : len(inside) - height, width : inside.shape[1] - width].any())


def without_frame(ink: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Ink (H, W) without a frame that was drawn around all the rest, and does not touch it."""
    if not ink.any():
        return ink
    left, top, right, bottom = box_of(ink)
    framed = ink[top:bottom, left:right]
    if np.mean(framed > 0) > _MOST_FRAME or not _is_outlined(framed > 0, skew=_SKEW):
        return ink
    components = find_components(framed)
    sides = components.boxes[:, 2:] - components.boxes[:, :2]
    frame = int(sides.sum(axis=1).argmax())
    inner = np.delete(sides, frame, axis=0).max(initial=0)
    on_frame = components.numbers == frame + 1
    if inner < _LEAST_INSIDE * sides[frame].max() or not _is_outlined(on_frame, skew=_SKEW):
        return ink
    unframed = ink.copy()
    unframed[top:bottom, left:right][on_frame] = 0
    return unframed


def at_the_rim(solid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Solid pixels (H, W) of what reaches into the picture from outside, where that is not all there is.

    It holds a corner, runs from one edge to the next, or from edge to edge as a line thinner than those of the rest, or
    is much broader than them.
    """
    numbers, count = ndimage.label(solid, structure=np.ones((3, 3), dtype=bool))
    touches = np.zeros((4, count + 1), dtype=bool)
    holds_corner = np.zeros(count + 1, dtype=bool)
    for touch, edge in zip(touches, (numbers[0], numbers[-1], numbers[:, 0], numbers[:, -1]), strict=True):
        touch[edge] = True
        holds_corner[edge[[0, -1]]] = True
    touches[:, 0] = holds_corner[0] = False
    top, bottom, left, right = touches
    at_edge = top | bottom | left | right
    inside = ~at_edge
    inside[0] = False
    if not at_edge.any() or not inside.any():
        return np.zeros_like(solid)
    widest = ndimage.maximum(ndimage.distance_transform_edt(solid), numbers, np.arange(count + 1))
    pen = widest[inside].max()
    cuts_corner = (top | bottom) & (left | right)
    crosses = ((top & bottom) | (left & right)) & (widest < _THINNER * pen)
    from_outside = holds_corner | cuts_corner | crosses | (at_edge & (widest > _BROADER * pen))
    mask: NDArray[np.bool_] = from_outside[numbers]
    return mask


def _is_outlined(solid: NDArray[np.bool_], *, skew: float) -> bool:
    """Whether solid pixels run along all four sides of the picture (H, W), at most this share of it inside."""
    if min(solid.shape) < _LEAST_SIDE:
        return False
    for turned in (solid, solid[:, ::-1], solid.T, solid.T[:, ::-1]):
        within = max(1, round(skew * turned.shape[1]))
        if np.mean(turned[:, :within].any(axis=1)) < _LINED:
            return False
    return True
