"""Segmentation: the digits in a picture of several, in reading order.

A digit is one connected component of ink, or a few: the bar of a 5 may stand apart, a 4 may be written in two strokes.
Components are joined by their positions relative to the height of the writing, not by columns: slanted neighbours may
overlap in a column and still be two digits. Digits that touch are one component and stay one here; only a network that
reads its parts can tell how many they are (`digitcore.models.touching`).
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from digitcore.imaging.components import Box, Components, box_of, find_components

__all__ = ["DigitInk", "PictureInk", "find_digits", "find_lines"]

_LEAST_BODY = 0.5  # of the height of the writing: a lower component is a part of a digit, or a low digit
_LARGEST_GAP = 0.3  # of that height, between a part and the body it belongs to
_LEAST_OVERLAP = 0.6  # of the narrower of two bodies, for them to be one digit
_MOST_PARTS = 60  # more components than this, as in noise, count as one digit: to join them would take seconds
_SAME_LINE = 0.3  # of the lower of two bodies that are beside each other


@dataclass(frozen=True, eq=False)
class DigitInk:
    """The ink of one digit of several."""

    box: Box
    """In pixels of the whole picture's ink."""
    ink: NDArray[np.uint8]  # (bottom - top, right - left), 255 = ink, without that of its neighbours


@dataclass(frozen=True, eq=False)
class PictureInk:
    """The ink of a picture, and its components and lines of digits, found on first use."""

    pixels: NDArray[np.uint8]  # (H, W), 255 = ink

    @cached_property
    def components(self) -> Components:
        """The connected components, specks among them."""
        return find_components(self.pixels)

    @cached_property
    def lines(self) -> list[list[DigitInk]]:
        """The digits line by line, as `find_lines` returns them."""
        numbers = (1 + np.flatnonzero(~self.components.specks()[1:])).tolist()
        groups = _grouped(self.components, numbers) if len(numbers) <= _MOST_PARTS else [numbers]
        return _in_lines([_digit_ink(self.pixels, self.components, group) for group in groups])

    @property
    def digits(self) -> list[DigitInk]:
        """The digits in reading order, as `find_digits` returns them."""
        return [digit for line in self.lines for digit in line]


def find_digits(ink: NDArray[np.uint8]) -> list[DigitInk]:
    """The digits in an ink map (H, W), 255 = ink: line by line from the top, each line from left to right.

    Specks are left out. The list for a blank map is empty.
    """
    return PictureInk(ink).digits


def find_lines(ink: NDArray[np.uint8]) -> list[list[DigitInk]]:
    """The digits of `find_digits`, one list per line. Digits whose heights overlap enough share a line."""
    return PictureInk(ink).lines


def _digit_ink(ink: NDArray[np.uint8], components: Components, group: Sequence[int]) -> DigitInk:
    boxes = components.boxes[np.array(group) - 1]
    left, top = (int(least) for least in boxes[:, :2].min(axis=0))
    right, bottom = (int(most) for most in boxes[:, 2:].max(axis=0))
    part = (slice(top, bottom), slice(left, right))
    return DigitInk((left, top, right, bottom), np.where(np.isin(components.numbers[part], group), ink[part], 0))


def _grouped(components: Components, numbers: Sequence[int]) -> list[list[int]]:
    """Component numbers grouped by digit."""
    if not numbers:
        return []
    heights = {number: _height(components.boxes[number - 1]) for number in numbers}
    tallest = max(heights.values())
    height = float(np.median([height for height in heights.values() if height >= _LEAST_BODY * tallest]))
    bodies = [number for number in numbers if heights[number] >= _LEAST_BODY * height]
    group_of = {number: number for number in numbers}
    for i, one in enumerate(bodies):
        for other in bodies[i + 1 :]:
            if _overlap(components.boxes[one - 1], components.boxes[other - 1]) >= _LEAST_OVERLAP and _same_line(
                components.boxes[one - 1], components.boxes[other - 1]
            ):
                _join(group_of, one, other)
    for part, nearest in _nearest(components, bodies, set(numbers) - set(bodies), within=_LARGEST_GAP * height):
        _join(group_of, nearest, part)
    return [[number for number in numbers if group_of[number] == name] for name in dict.fromkeys(group_of.values())]


def _nearest(
    components: Components, bodies: Sequence[int], parts: Collection[int], *, within: float
) -> Iterator[tuple[int, int]]:
    """Each part with the body nearest to it, where the gap between them is at most `within` pixels."""
    if not parts:
        return
    around = box_of(components.numbers)
    numbers = components.numbers[around[1] : around[3], around[0] : around[2]]
    distances, nearest = ndimage.distance_transform_edt(~np.isin(numbers, bodies), return_indices=True)
    for part in sorted(parts):
        left, top, right, bottom = components.boxes[part - 1] - (*around[:2], *around[:2])
        box = (slice(top, bottom), slice(left, right))
        gaps = np.where(numbers[box] == part, distances[box], np.inf)
        place = np.unravel_index(gaps.argmin(), gaps.shape)
        if gaps[place] - 1 <= within:
            row, column = nearest[:, top + place[0], left + place[1]]
            yield part, int(numbers[row, column])


def _join(group_of: dict[int, int], one: int, other: int) -> None:
    joined, emptied = group_of[one], group_of[other]
    group_of.update({number: joined for number, group in group_of.items() if group == emptied})


def _height(box: Box) -> int:
    return box[3] - box[1]


def _overlap(one: Box, other: Box) -> float:
    """Common width of two boxes, as a share of the narrower; negative where there is a gap between them."""
    shared = min(one[2], other[2]) - max(one[0], other[0])
    return shared / min(one[2] - one[0], other[2] - other[0])


def _same_line(one: Box, other: Box) -> bool:
    shared = min(one[3], other[3]) - max(one[1], other[1])
    return shared >= _SAME_LINE * min(_height(one), _height(other))


def _in_lines(digits: Sequence[DigitInk]) -> list[list[DigitInk]]:
    lines: list[list[DigitInk]] = []
    for digit in sorted(digits, key=lambda digit: digit.box[0] + digit.box[2]):
        line = next((line for line in lines if _same_line(line[-1].box, digit.box)), None)
        if line is None:
            lines.append([digit])
        else:
            line.append(digit)
    return sorted(lines, key=lambda line: min(digit.box[1] for digit in line))
