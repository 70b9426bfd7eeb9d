"""One digit or a number: what explains the ink better, however the ink falls apart."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

import digitcore
from digitcore import read_number, read_picture
from digitcore.data.drawn_numbers import draw_numbers
from digitcore.data.pen_digits import JUDGING_WRITERS, PenDigit, load_pen_digits
from digitcore.imaging.strokes import draw_strokes_at_random
from tests.drawn_forms import GAPS, drawn

Draw = Callable[..., NDArray[np.uint8]]


@pytest.mark.parametrize("form", GAPS)
def test_a_digit_with_gaps_is_one(form: str) -> None:
    classifier = digitcore.load_classifier("world")
    for brush in (8, 24):
        ink = drawn(GAPS[form], brush=brush)
        reading = read_picture(classifier, ink)
        assert (reading.answer, reading.number) == (form[0], None)
        assert read_number(classifier, ink).number == form[0]


def test_digits_side_by_side_are_a_number(draw: Draw) -> None:
    """Two lines of them too, and the same whether or not it is known that there are several."""
    classifier = digitcore.load_classifier("world")
    digits = [draw(digit, 1, side=200, brush=12) for digit in range(10)]
    pictures = {
        f"{a}{b}": np.hstack([digits[a], digits[b]]) for a, b in ((1, 0), (1, 1), (4, 2), (8, 7), (0, 0), (7, 1))
    }
    pictures["12 34"] = np.vstack([np.hstack(digits[1:3]), np.hstack(digits[3:5])])
    pictures["3 5"] = np.vstack([digits[3], digits[5]])
    for number, ink in pictures.items():
        reading = read_picture(classifier, ink)
        assert reading.number is not None, number
        assert (reading.answer, reading.confidence, reading.accepted, reading.reason) == (
            number, reading.number.confidence, True, None,
        )  # fmt: skip
        assert read_number(classifier, ink).number == number


def test_what_is_read_as_one_is_the_prediction(draw: Draw) -> None:
    classifier = digitcore.load_classifier("compact")
    for ink in (draw(6), np.zeros((90, 90), np.uint8), np.eye(90, dtype=np.uint8) * 255):
        reading, prediction = read_picture(classifier, ink), classifier.predict(ink)
        assert (reading.answer, reading.confidence) == (str(prediction.digit), prediction.confidence)
        assert (reading.accepted, reading.reason) == (prediction.accepted, prediction.reason)


def _is_several(classifier: digitcore.DigitClassifier, digit: PenDigit, *, brush: float, apart: bool = False) -> bool:
    """Whether a pen digit is taken for a number; apart: with its last stroke moved by a tenth of its size."""
    generator = np.random.default_rng([digit.writer, digit.label])
    strokes = list(digit.strokes)
    if apart:
        size, angle = float(np.ptp(np.concatenate(strokes), axis=0).max()), generator.uniform(0, 2 * np.pi)
        strokes[-1] = (strokes[-1] + 0.1 * size * np.array([np.cos(angle), np.sin(angle)])).astype(np.float32)
    ink = draw_strokes_at_random(strokes, brush=brush, generator=generator)
    return read_picture(classifier, ink).number is not None


@pytest.mark.slow
@pytest.mark.needs_pen_digits
def test_pen_digits_are_one_with_any_brush() -> None:
    """As they are, and with a stroke moved."""
    classifier = digitcore.load_classifier("world")
    digits = [digit for digit in load_pen_digits() if digit.writer in JUDGING_WRITERS][::20]
    in_strokes = [digit for digit in digits if len(digit.strokes) > 1]
    for brush in (6, 12, 24, 48):
        assert sum(_is_several(classifier, digit, brush=brush) for digit in digits) <= 1
        assert np.mean([_is_several(classifier, digit, brush=brush, apart=True) for digit in in_strokes]) < 0.05


@pytest.mark.slow
@pytest.mark.needs_pen_digits
def test_numbers_of_pen_digits_are_seen_as_numbers() -> None:
    classifier = digitcore.load_classifier("world")
    digits = [digit for digit in load_pen_digits() if digit.writer in JUDGING_WRITERS]
    numbers = list(draw_numbers(digits, count=100, generator=np.random.default_rng(5)))
    assert sum(read_picture(classifier, number.ink).answer == number.number for number in numbers) >= 95
