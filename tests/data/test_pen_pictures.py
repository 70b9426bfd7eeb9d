"""Picture files of pen digits: what they hold, and that a network reads a few of each kind."""

import itertools

import numpy as np
import pytest

import digitcore
from digitcore.data.pen_digits import PenDigit, load_pen_digits
from digitcore.data.pen_pictures import DRAWING_LINES, SURROUNDINGS, drawing_file, photographs
from digitcore.imaging.preprocessing import read_image

pytestmark = pytest.mark.needs_pen_digits


@pytest.fixture(scope="module")
def digits() -> list[PenDigit]:
    return [digit for digit in load_pen_digits() if digit.writer <= 20]


@pytest.mark.parametrize("is_dark", [True, False])
@pytest.mark.parametrize("quality", [None, 60, 95])
@pytest.mark.parametrize("side", [28, 112, 336])
def test_drawings_are_whole_and_on_their_ground(
    digits: list[PenDigit], side: int, quality: int | None, is_dark: bool
) -> None:
    """Their margin is of the ground's colour, whatever the width of the line, and their ink is not."""
    generator = np.random.default_rng(side)
    for line, digit in zip(DRAWING_LINES, digits[:: len(digits) // len(DRAWING_LINES)], strict=False):
        options = {"side": side, "line": line, "quality": quality, "is_dark": is_dark}
        image = read_image(drawing_file(digit, **options, generator=generator))  # type: ignore[arg-type]
        pixels = np.asarray(image.convert("L")).astype(int)
        ground = 255 if is_dark else 0
        assert image.format == ("PNG" if quality is None else "JPEG")
        assert pixels.shape == (side, side)
        assert np.median(np.abs(pixels[[0, -1]] - ground)) <= 20
        assert np.abs(pixels - ground).max() >= 100


@pytest.mark.parametrize("surroundings", SURROUNDINGS)
def test_photographs_are_read(digits: list[PenDigit], surroundings: str) -> None:
    """Ten of each kind, the same in every run; the slow checks read more of them."""
    taken, again = (
        list(photographs(digits, count=count, generator=np.random.default_rng(1), surroundings=surroundings))
        for count in (10, 1)
    )
    assert taken[0].file == again[0].file
    predictions = digitcore.load_classifier("world").predict_batch([read_image(picture.file) for picture in taken])
    right = [prediction.digit == picture.label for prediction, picture in zip(predictions, taken, strict=True)]
    accepted = [prediction.accepted for prediction in predictions]
    assert sum(right) >= 9
    assert sum(accepted) >= 8
    assert not any(itertools.compress(accepted, [not is_right for is_right in right]))
