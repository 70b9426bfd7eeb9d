"""Digits that touch: taken apart where their parts are read better, and nothing else is."""

import time
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

import digitcore
from digitcore import find_digits, read_number
from digitcore.data.drawn_numbers import draw_numbers
from digitcore.data.pen_digits import JUDGING_WRITERS, load_pen_digits
from digitcore.imaging.components import Box, box_of
from digitcore.imaging.seams import MOST_CUTS, find_parts
from digitcore.imaging.segmentation import DigitInk
from digitcore.imaging.strokes import render_strokes
from digitcore.models.numbers import read_picture
from digitcore.models.touching import read_apart

Ink = NDArray[np.uint8]
Draw = Callable[..., Ink]
Points = list[list[tuple[float, float]]]

_MARGIN = 30


def _side_by_side(*inks: Ink, overlap: int) -> tuple[Ink, list[Box]]:
    """The inks with a margin around, each so far left that a row of it meets that many pixels of those before it."""
    together = np.zeros((inks[0].shape[0], sum(ink.shape[1] for ink in inks)), dtype=np.uint8)
    boxes = []
    for ink in inks:
        left, top, right, bottom = box_of(ink)
        own = ink[:, left:right]
        shift = _MARGIN
        if boxes:
            rows = np.flatnonzero(together.any(axis=1) & own.any(axis=1))
            ends = together.shape[1] - (together[rows, ::-1] > 0).argmax(axis=1)
            shift = int((ends - (own[rows] > 0).argmax(axis=1)).max()) - overlap
        part = together[:, shift : shift + right - left]
        np.maximum(part, own, out=part)
        boxes.append((shift, top, shift + right - left, bottom))
    return together, boxes


def _shared(one: Box, other: Box) -> float:
    """Area that two boxes share, as a share of what they cover together."""
    width, height = min(one[2], other[2]) - max(one[0], other[0]), min(one[3], other[3]) - max(one[1], other[1])
    shared = max(0, width) * max(0, height)
    areas = [(right - left) * (bottom - top) for left, top, right, bottom in (one, other)]
    return shared / (sum(areas) - shared)


def _together(digits: Sequence[DigitInk], shape: tuple[int, ...]) -> NDArray[np.int64]:
    total = np.zeros(shape, dtype=np.int64)
    for digit in digits:
        left, top, right, bottom = digit.box
        total[top:bottom, left:right] += digit.ink
    return total


def test_two_that_touch_are_two(draw: Draw) -> None:
    """In reading order, each with its own box, ink, input and confidence."""
    classifier = digitcore.load_classifier("world")
    pairs = [(2, 3), (3, 5), (6, 0), (0, 0), (5, 6), (8, 3)]
    right = 0
    for seed, pair in enumerate(pairs):
        ink, boxes = _side_by_side(*(draw(digit, seed, brush=14) for digit in pair), overlap=6)
        (whole,) = find_digits(ink)
        reading = read_number(classifier, ink)
        assert reading.number == "".join(str(digit.prediction.digit) for digit in reading.digits)
        (apart,) = read_apart(classifier, [whole])
        assert [digit.box for digit in apart] == [digit.box for digit in reading.digits]
        assert np.array_equal(_together(apart, ink.shape), ink)
        for one, other in pairwise(reading.digits):
            assert one.box[0] + one.box[2] < other.box[0] + other.box[2]
        if reading.number == "".join(map(str, pair)):
            right += all(_shared(box, digit.box) > 0.75 for box, digit in zip(boxes, reading.digits, strict=True))
    assert right >= 4


def test_three_that_touch_are_three(draw: Draw) -> None:
    classifier = digitcore.load_classifier("world")
    numbers = [(2, 0, 3), (3, 6, 2)]
    read = [
        read_number(classifier, _side_by_side(*(draw(digit, 4, brush=12) for digit in number), overlap=5)[0]).number
        for number in numbers
    ]
    assert sum(said == "".join(map(str, number)) for said, number in zip(read, numbers, strict=True)) >= 1


def test_one_digit_stays_one(draw: Draw) -> None:
    classifier = digitcore.load_classifier("world")
    for digit in range(10):
        for seed, brush in enumerate((8, 18, 30)):
            ink = draw(digit, seed, brush=brush)
            prediction = classifier.predict(ink)
            (found,) = read_number(classifier, ink).digits
            assert found.box == prediction.preprocessed.box
            assert np.array_equal(found.prediction.model_input, prediction.model_input)
            assert read_picture(classifier, ink).number is None


_FORMS: dict[str, Points] = {
    "a wide 0": [[(80, 200), (120, 150), (200, 135), (290, 150), (320, 200), (280, 250), (190, 262), (78, 200)]],
    "a flat 2": [[(90, 150), (140, 115), (200, 130), (190, 175), (100, 240), (140, 238), (290, 240)]],
    "a 5 with a flying bar": [[(150, 110), (145, 170), (200, 175), (220, 220), (190, 270)], [(165, 90), (235, 82)]],
    "a barred 7": [[(120, 100), (250, 95), (200, 190), (170, 300)], [(150, 195), (250, 190)]],
    "an open 4": [[(150, 90), (120, 200), (260, 195)], [(235, 110), (225, 300)]],
    "an 8": [[(240, 120), (190, 90), (150, 130), (235, 230), (190, 285), (145, 235), (235, 140), (240, 120)]],
}  # fmt: skip


@pytest.mark.parametrize("form", _FORMS)
def test_strokes_of_one_digit_stay_together(form: str) -> None:
    strokes = [np.array(stroke, dtype=np.float32) for stroke in _FORMS[form]]
    for brush in (10, 22):
        ink = render_strokes(strokes, side=400, brush=brush)
        assert len(read_number(digitcore.load_classifier("world"), ink).digits) == 1


@pytest.mark.needs_pen_digits
def test_pen_digits_stay_one(pen_drawings: list[Ink]) -> None:
    classifier = digitcore.load_classifier("world")
    assert sum(len(read_number(classifier, ink).digits) for ink in pen_drawings) == len(pen_drawings)


@pytest.mark.needs_pen_digits
def test_numbers_whose_digits_touch_are_read() -> None:
    digits = [digit for digit in load_pen_digits() if digit.writer in JUDGING_WRITERS]
    drawn = list(draw_numbers(digits, count=12, generator=np.random.default_rng(8), touching=True))
    classifier = digitcore.load_classifier("world")
    assert sum(read_number(classifier, number.ink).number == number.number for number in drawn) >= 6


def test_several_are_seen_where_they_stand_apart_or_touch(draw: Draw) -> None:
    classifier = digitcore.load_classifier("world")
    touching, _ = _side_by_side(draw(2, brush=14), draw(3, brush=14), overlap=5)
    for ink in (np.hstack([draw(2), draw(3)]), touching):
        reading = read_picture(classifier, ink).number
        assert reading is not None
        assert reading.number == "23"
    blank = np.zeros((60, 90), dtype=np.uint8)
    assert read_picture(classifier, blank).number is None


def test_large_digits_that_touch_are_cut_in_their_full_size(draw: Draw) -> None:
    """Parts are sought in reduced ink; what is returned has all the ink of the picture."""
    classifier = digitcore.load_classifier("world")
    small, _ = _side_by_side(draw(2, brush=14), draw(3, brush=14), overlap=5)
    left, top, right, bottom = box_of(small)
    large = np.pad(small[top:bottom, left:right], 10).repeat(2, axis=0).repeat(2, axis=1)
    reading = read_picture(classifier, large).number
    assert reading is not None
    assert reading.number == "23"
    total = np.zeros_like(large)
    for digit in reading.digits:
        left, top, right, bottom = digit.box
        assert digit.ink.shape == (bottom - top, right - left)
        total[top:bottom, left:right] += digit.ink
    assert np.array_equal(total, large)


def _dots(count: int) -> Ink:
    ink = np.zeros((1024, 1024), dtype=np.uint8)
    ink[::3, ::3] = 255
    return np.where(np.arange(1024)[:, np.newaxis] < 3 * (1 + 3 * count // 1024), ink, 0).astype(np.uint8)


def _maze() -> Ink:
    walls = np.kron(
        np.random.default_rng(3).integers(0, 2, (128, 128), dtype=np.uint8), np.ones((8, 8), dtype=np.uint8)
    )
    return 255 * walls


def _sevens(draw: Draw) -> Ink:
    return np.tile(draw(7, side=20, brush=2), (50, 50))


@pytest.mark.parametrize("kind", ["dots", "maze", "sevens", "stripes", "noise"])
def test_reading_what_falls_to_pieces_takes_bounded_work(draw: Draw, kind: str) -> None:
    """At most sixty times the processor time of one large digit, whatever the picture is made of."""
    noise = np.random.default_rng(0).integers(0, 2, (1024, 1024), dtype=np.uint8)
    pictures: dict[str, Ink] = {
        "dots": _dots(110_000),
        "maze": _maze(),
        "sevens": _sevens(draw),
        "stripes": np.where(np.arange(1024) % 6 < 2, 255, np.zeros((1024, 1), dtype=int)).astype(np.uint8),
        "noise": 255 * noise,
    }
    classifier = digitcore.load_classifier("world")
    digit = draw(3, side=1024, brush=60)

    def seconds(ink: Ink) -> float:
        start = time.process_time()
        read_number(classifier, ink)
        return time.process_time() - start

    seconds(digit)
    assert seconds(pictures[kind]) < 60 * max(seconds(digit) for _ in range(3))


def test_parts_share_out_the_ink(draw: Draw) -> None:
    """Any row of parts from the left edge to the right one leaves nothing and has nothing twice."""
    ink, _ = _side_by_side(draw(3), draw(4), draw(5), overlap=6)
    (whole,) = find_digits(ink)
    parts = find_parts(whole)
    last = max(part.end for part in parts)
    rows = [[part] for part in parts if part.start == 0]
    complete = 0
    while rows:
        row = rows.pop()
        if row[-1].end < last:
            rows += [[*row, part] for part in parts if part.start == row[-1].end]
            continue
        complete += 1
        assert np.array_equal(_together([part.digit for part in row], ink.shape), ink)
        if complete == 40:
            break
    assert complete > 1
    for part in parts:
        assert part.digit.box == tuple(map(sum, zip(box_of(part.digit.ink), part.digit.box[:2] * 2, strict=True)))
        assert part.crossed >= 0


def test_noise_has_few_cuts() -> None:
    """However much ink there is, and however many holes."""
    random = np.random.default_rng(0)
    for shape in ((60, 900), (300, 500), (1, 40), (40, 1)):
        for density in (0.02, 0.3, 0.9):
            noise = np.where(random.random(shape) < density, 255, 0).astype(np.uint8)
            noise[0, 0] = noise[-1, -1] = 255
            parts = find_parts(DigitInk((0, 0, shape[1], shape[0]), noise))
            assert max((part.end for part in parts), default=0) <= MOST_CUTS + 1
            assert len(parts) <= (MOST_CUTS + 1) * (MOST_CUTS + 2) / 2


def test_nothing_is_read_in_nothing() -> None:
    assert read_apart(digitcore.load_classifier("compact"), []) == []
