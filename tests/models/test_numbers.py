"""Numbers: which pieces of ink are one digit, in which order, and what is read."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

import digitcore
from digitcore import find_digits, read_number
from digitcore.data.drawn_numbers import draw_numbers
from digitcore.data.pen_digits import load_pen_digits
from digitcore.imaging.segmentation import find_lines
from digitcore.imaging.strokes import render_strokes

Ink = NDArray[np.uint8]
Draw = Callable[..., Ink]
Points = list[list[tuple[float, float]]]


def _drawn(*strokes: list[tuple[float, float]], brush: float = 10) -> Ink:
    return render_strokes([np.array(stroke, dtype=np.float32) for stroke in strokes], side=400, brush=brush)


def test_digits_side_by_side_are_found_and_read(draw: Draw) -> None:
    classifier = digitcore.load_classifier("standard")
    for digits in ([1, 0], [4, 7, 1, 1], [9, 8, 3, 2, 6, 5]):
        drawings = [draw(digit, side=160, brush=10) for digit in digits]
        reading = read_number(classifier, np.hstack(drawings))
        assert reading.number == "".join(map(str, digits))
        assert reading.confidence == pytest.approx(np.prod([digit.prediction.confidence for digit in reading.digits]))
        for i, (found, drawing) in enumerate(zip(reading.digits, drawings, strict=True)):
            rows, columns = np.flatnonzero(drawing.any(axis=1)), np.flatnonzero(drawing.any(axis=0))
            assert found.box == (160 * i + columns[0], rows[0], 160 * i + columns[-1] + 1, rows[-1] + 1)
            assert found.prediction.digit == digits[i]


def test_one_digit_is_read_as_alone(draw: Draw) -> None:
    classifier = digitcore.load_classifier("compact")
    for digit in range(10):
        reading = read_number(classifier, draw(digit))
        (found,) = reading.digits
        left, top, right, bottom = found.box
        assert np.array_equal(found.ink, reading.ink[top:bottom, left:right])
        alone = classifier.predict(draw(digit))
        assert np.array_equal(found.prediction.model_input, alone.model_input)
        assert found.prediction.digit == alone.digit


def test_a_blank_picture_is_no_number() -> None:
    blank = np.zeros((90, 200), dtype=np.uint8)
    assert find_digits(blank) == []
    reading = read_number(digitcore.load_classifier("compact"), blank)
    assert (reading.number, reading.digits, reading.confidence, reading.accepted) == ("", (), 0, False)
    assert "blank" in str(reading.reason)


def test_the_ink_is_shared_out(draw: Draw) -> None:
    ink = np.hstack([draw(4), draw(5), draw(7)])
    digits = find_digits(ink)
    together = np.zeros_like(ink)
    for digit in digits:
        left, top, right, bottom = digit.box
        together[top:bottom, left:right] += digit.ink
    assert len(digits) == 3
    assert np.array_equal(together, ink)


@pytest.mark.parametrize("brush", [6, 12])
def test_parts_that_fly_belong_to_their_digit(brush: float) -> None:
    five: Points = [[(90, 110), (90, 150), (150, 170), (140, 220), (80, 225)], [(110, 80), (170, 75)]]
    four: Points = [[(240, 80), (220, 160), (290, 160)], [(270, 100), (270, 140)]]
    assert len(find_digits(_drawn(*five, brush=brush))) == 1
    assert len(find_digits(_drawn(*five, *four, brush=brush))) == 2


def test_slanted_neighbours_are_two() -> None:
    strokes: Points = [[(100, 300), (200, 100)], [(150, 300), (250, 100)]]
    first, second = find_digits(_drawn(*strokes))
    assert first.box[2] > second.box[0]  # their columns overlap
    assert first.box[0] < second.box[0]


def test_specks_are_no_digits(draw: Draw) -> None:
    ink = np.hstack([draw(3), draw(8)])
    dotted = ink.copy()
    dotted[5:9, 5:9] = dotted[260:270, 275:285] = 255
    assert [digit.box for digit in find_digits(dotted)] == [digit.box for digit in find_digits(ink)]


def test_lines_are_read_from_the_top(draw: Draw) -> None:
    ink = np.vstack([np.hstack([draw(1), draw(2)]), np.hstack([draw(3), draw(0)])])
    assert [len(line) for line in find_lines(ink)] == [2, 2]
    assert read_number(digitcore.load_classifier("standard"), ink).number == "12 30"


def test_a_doubtful_digit_makes_the_number_doubtful(draw: Draw) -> None:
    scribble = np.random.default_rng(0).integers(0, 2, (20, 20)).repeat(10, 0).repeat(10, 1).astype(np.uint8) * 255
    reading = read_number(digitcore.load_classifier("compact"), np.hstack([draw(3), np.pad(scribble, 40)]))
    refused = [i for i, digit in enumerate(reading.digits, start=1) if not digit.prediction.accepted]
    assert reading.accepted == (not refused)
    if refused:
        assert str(reading.reason).startswith(f"digit {refused[0]} of {len(reading.digits)}: ")


@pytest.mark.needs_pen_digits
def test_numbers_of_pen_digits_are_found() -> None:
    digits = [digit for digit in load_pen_digits() if digit.writer > 20]
    drawn = list(draw_numbers(digits, count=60, generator=np.random.default_rng(3)))
    assert {len(number.number) for number in drawn} == {2, 3, 4, 5, 6}
    right = sum([digit.box for digit in find_digits(number.ink)] == list(number.boxes) for number in drawn)
    assert right >= 57


@pytest.mark.needs_pen_digits
def test_drawn_numbers_are_what_they_say() -> None:
    digits = load_pen_digits()[:400]
    for touching in (False, True):
        seeds = (1, 1, 2)
        drawn = [
            next(draw_numbers(digits, count=1, generator=np.random.default_rng(seed), touching=touching))
            for seed in seeds
        ]
        assert np.array_equal(drawn[0].ink, drawn[1].ink)
        assert not np.array_equal(drawn[0].ink, drawn[2].ink)
        for number in drawn:
            assert len(number.boxes) == len(number.number)
            assert number.ink[[0, -1]].max() == number.ink[:, [0, -1]].max() == 0


def test_noise_is_one_thing_not_hundreds_of_digits() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (280, 280)).astype(np.uint8)
    noise[noise < 250] = 0
    (found,) = find_digits(noise)
    left, top, right, bottom = found.box
    assert min(right - left, bottom - top) > 270
    assert np.array_equal(found.ink, noise[top:bottom, left:right])
