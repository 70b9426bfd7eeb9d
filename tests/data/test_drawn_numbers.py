"""Numbers drawn with the strokes of single digits."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from digitcore.data.drawn_numbers import DrawnNumber, draw_numbers
from digitcore.data.pen_digits import PenDigit
from digitcore.imaging.components import Box, box_of
from digitcore.imaging.strokes import Stroke

seeds = st.integers(0, 10_000)


@pytest.fixture(scope="module")
def digits(strokes_of: Callable[..., list[Stroke]]) -> list[PenDigit]:
    """Ten digits each of two writers: one writes the odd labels, the other the even ones."""
    return [PenDigit(tuple(strokes_of(label)), label, writer=label % 2) for label in range(10)]


def _number(digits: list[PenDigit], *, seed: int, touching: bool = False) -> DrawnNumber:
    return next(draw_numbers(digits, count=1, generator=np.random.default_rng(seed), touching=touching))


def _union(boxes: tuple[Box, ...]) -> Box:
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)


@given(seed=seeds, touching=st.booleans())
def test_boxes_hold_all_ink(digits: list[PenDigit], seed: int, touching: bool) -> None:
    number = _number(digits, seed=seed, touching=touching)
    assert number.ink.dtype == np.uint8
    assert 2 <= len(number.number) == len(number.boxes) <= 6
    assert _union(number.boxes) == box_of(number.ink)
    assert number.ink[[0, -1]].max() == number.ink[:, [0, -1]].max() == 0


@given(seed=seeds)
def test_digits_stand_from_left_to_right_and_apart(digits: list[PenDigit], seed: int) -> None:
    """Where they share a row there is a gap: between the boxes of upright neighbours, too."""
    number = _number(digits, seed=seed)
    middles = [left + right for left, _, right, _ in number.boxes]
    assert middles == sorted(middles)


@given(seed=seeds)
def test_a_number_is_of_one_writer(digits: list[PenDigit], seed: int) -> None:
    assert len({int(digit) % 2 for digit in _number(digits, seed=seed).number}) == 1


def test_touching_numbers_are_narrower(digits: list[PenDigit]) -> None:
    widths = [
        [_number(digits, seed=seed, touching=touching).ink.shape[1] for seed in range(40)] for touching in (False, True)
    ]
    assert np.mean(widths[1]) < np.mean(widths[0])


def test_a_seed_repeats_the_numbers(digits: list[PenDigit]) -> None:
    first, same, other = (list(draw_numbers(digits, count=3, generator=np.random.default_rng(i))) for i in (1, 1, 2))
    assert [number.number for number in first] == [number.number for number in same]
    assert all(np.array_equal(a.ink, b.ink) for a, b in zip(first, same, strict=True))
    assert not np.array_equal(first[0].ink, other[0].ink)
