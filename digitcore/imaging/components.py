"""The connected pieces of an ink map, and which of them are specks: dust, or a stray dot of the pen.

A piece is a set of inked pixels that touch by a side or a corner. Lengths are in pixels of the ink.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["Box", "Pieces", "box_of", "find_pieces"]

Box: TypeAlias = tuple[int, int, int, int]
"""left, top, right, bottom in pixels; right and bottom are exclusive."""

_TOUCHING = np.ones((3, 3), dtype=bool)
_LONGEST_DOT = 1.3  # times as long as it is, or the pen is, wide: the mark of a pen that hardly moved
_LARGEST_DOT = 1 / 3  # of the longer side of the rest: more than that is a part of what is written
_LEAST_GAP = 0.5  # stroke widths between a dot and the rest: less is a broken stroke
_LONGEST_SLIP = 2.0  # likewise as _LONGEST_DOT, of a dot so far from the rest that it is no part of it:
_FAR_GAP = 2.0  # stroke widths


@dataclass(frozen=True, eq=False)
class Pieces:
    """The pieces of an ink map (H, W), numbered from 1."""

    numbers: NDArray[np.int32]  # (H, W), 0 = no ink
    boxes: tuple[Box, ...]
    """The box of piece i + 1."""

    def __len__(self) -> int:
        return len(self.boxes)

    @cached_property
    def depths(self) -> NDArray[np.float64]:
        """How deep each pixel (H, W) lies in the ink: its distance to the nearest pixel without, the border's too."""
        depths: NDArray[np.float64] = ndimage.distance_transform_edt(np.pad(self.numbers > 0, 1))[1:-1, 1:-1]
        return depths

    @cached_property
    def stroke_width(self) -> float:
        """Width of the pen: across a stroke the depth rises evenly to half of it, so its median is a quarter."""
        return 4 * float(np.median(self.depths[self.numbers > 0]))

    def specks(self) -> NDArray[np.bool_]:
        """Which pieces are specks, as (len(self) + 1,), False for the ground.

        A speck is a dot, no longer than it or the pen is wide; it is small against what is no dot; and it stands apart
        from that by half a stroke width. Two stroke widths apart, a dot may be a slip of the pen twice as long as wide.
        Bars, feet and flags are longer, broken strokes closer. Where everything is dots, as in a lone one, nothing is a
        speck.
        """
        specks = np.zeros(len(self) + 1, dtype=bool)
        if len(self) < 2:
            return specks
        lengths = np.array([max(right - left, bottom - top) for left, top, right, bottom in self.boxes])
        left, top, right, bottom = box_of(self.numbers)
        if lengths.min() > _LARGEST_DOT * max(right - left, bottom - top):  # none: what follows takes 30 times as long
            return specks
        thickness = 2 * ndimage.maximum(self.depths, self.numbers, np.arange(1, len(self) + 1))
        widths = np.maximum(thickness, self.stroke_width)
        specks[1:] = lengths <= _LONGEST_SLIP * widths
        rest = ~specks[self.numbers] & (self.numbers > 0)
        if not rest.any():
            return np.zeros_like(specks)
        left, top, right, bottom = box_of(rest)
        specks[1:] &= lengths <= _LARGEST_DOT * max(right - left, bottom - top)
        distances = ndimage.distance_transform_edt(~rest)
        gaps = (ndimage.minimum(distances, self.numbers, np.arange(1, len(self) + 1)) - 1) / self.stroke_width
        specks[1:] &= np.where(lengths <= _LONGEST_DOT * widths, gaps >= _LEAST_GAP, gaps >= _FAR_GAP)
        return specks


def find_pieces(ink: NDArray[np.uint8]) -> Pieces:
    """The pieces of an ink map (H, W) in which 0 is no ink."""
    numbers: NDArray[np.int32] = np.empty(ink.shape, dtype=np.int32)
    ndimage.label(ink, structure=_TOUCHING, output=numbers)
    slices = ndimage.find_objects(numbers)
    return Pieces(numbers, tuple((x.start, y.start, x.stop, y.stop) for y, x in slices))


def box_of(ink: NDArray[np.uint8] | NDArray[np.int32] | NDArray[np.bool_]) -> Box:
    """The smallest box that holds all that is not 0 in ink (H, W).

    Raises:
        ValueError: all is 0.
    """
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    if len(rows) == 0:
        raise ValueError("ink must not be blank")
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
