"""Connected components of an ink map, and which of them are specks: dust, or a stray dot of the pen.

Pixels with ink are connected where they touch by a side or a corner. Lengths are in pixels of the ink.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["Box", "Components", "box_of", "find_components"]

Box: TypeAlias = tuple[int, int, int, int]
"""left, top, right, bottom in pixels; right and bottom are exclusive."""

_EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=bool)
_LONGEST_DOT = 1.3  # length of a dot, as a multiple of its own width or the pen's, whichever is greater
_LARGEST_DOT = 1 / 3  # of the longer side of the rest: more than that is a part of what is written
_LEAST_GAP = 0.5  # stroke widths between a dot and the rest: less is a broken stroke
_LONGEST_SLIP = 2.0  # like _LONGEST_DOT, for a dot at least _FAR_GAP away from the rest
_FAR_GAP = 2.0  # stroke widths


@dataclass(frozen=True, eq=False)
class Components:
    """Connected components of an ink map (H, W), numbered from 1."""

    numbers: NDArray[np.int32]  # (H, W), 0 = without ink
    count: int

    def __len__(self) -> int:
        return self.count

    @cached_property
    def boxes(self) -> NDArray[np.int64]:
        """Boxes (N, 4): row i is the `Box` of component i + 1."""
        return _boxes(self.numbers, self.count)

    @cached_property
    def depths(self) -> NDArray[np.float64]:
        """Distance (H, W) of each inked pixel to the nearest one without ink; beyond the border there is none."""
        depths: NDArray[np.float64] = ndimage.distance_transform_edt(np.pad(self.numbers > 0, 1))[1:-1, 1:-1]
        return depths

    @cached_property
    def stroke_width(self) -> float:
        """Width of the pen. Across a stroke the depth rises evenly to half the width, so its median is a quarter."""
        return 4 * float(np.median(self.depths[self.numbers > 0]))

    def specks(self) -> NDArray[np.bool_]:
        """Whether each component is a speck, as (len(self) + 1,), False for the ground.

        A speck is about as long as it, or the pen, is wide; it is small compared with the rest, which is all that is
        longer; and it is at least half a stroke width away from the rest. At a distance of two stroke widths, a slip
        of the pen twice as long as wide counts as well. Bars, feet and flags are longer, broken strokes closer. Where
        there are only dots, none is a speck.
        """
        specks = np.zeros(len(self) + 1, dtype=bool)
        if len(self) < 2:
            return specks
        lengths = (self.boxes[:, 2:] - self.boxes[:, :2]).max(axis=1)
        left, top, right, bottom = box_of(self.numbers)
        if lengths.min() > _LARGEST_DOT * max(right - left, bottom - top):  # the rest takes 30 times as long
            return specks
        inked = self.numbers > 0
        depths = np.zeros(len(self) + 1)
        np.maximum.at(depths, self.numbers[inked], self.depths[inked])  # ndimage.maximum would sort all pixels
        widths = np.maximum(2 * depths[1:], self.stroke_width)
        specks[1:] = lengths <= _LONGEST_SLIP * widths
        rest = ~specks[self.numbers] & inked
        if not rest.any():
            return np.zeros_like(specks)
        left, top, right, bottom = box_of(rest)
        specks[1:] &= lengths <= _LARGEST_DOT * max(right - left, bottom - top)
        distances = np.full(len(self) + 1, np.inf)
        np.minimum.at(distances, self.numbers[inked], ndimage.distance_transform_edt(~rest)[inked])
        gaps = (distances[1:] - 1) / self.stroke_width
        specks[1:] &= np.where(lengths <= _LONGEST_DOT * widths, gaps >= _LEAST_GAP, gaps >= _FAR_GAP)
        return specks


def find_components(ink: NDArray[np.uint8]) -> Components:
    """The connected components of an ink map (H, W), 0 where there is no ink."""
    numbers: NDArray[np.int32] = np.empty(ink.shape, dtype=np.int32)
    count: int = ndimage.label(ink, structure=_EIGHT_NEIGHBOURS, output=numbers)
    return Components(numbers, count)


def _boxes(numbers: NDArray[np.int32], count: int) -> NDArray[np.int64]:
    """Boxes (N, 4) of the components numbered 1 to N; ndimage.find_objects takes twenty times as long for dust."""
    boxes = np.zeros((count + 1, 4), dtype=np.int64)
    for axis, by_row in ((1, numbers), (0, numbers.T)):
        places, others = np.nonzero(by_row)  # in order of the places, of which the last that is assigned stays
        owners = by_row[places, others]
        boxes[owners[::-1], axis] = places[::-1]
        boxes[owners, axis + 2] = places + 1
    return boxes[1:]


def box_of(ink: NDArray[np.uint8] | NDArray[np.int32] | NDArray[np.bool_]) -> Box:
    """The smallest box that holds every pixel of ink (H, W) that is not 0.

    Raises:
        ValueError: every pixel is 0.
    """
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    if len(rows) == 0:
        raise ValueError("ink must not be blank")
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
