"""PNG images as data URLs."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from digitcore.imaging.png import digit_sheet, overlay, png_address


def _pixels(address: str) -> np.ndarray:
    head, data = address.split(",")
    assert head == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))


def test_a_picture_comes_back() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 31), dtype=np.uint8)
    assert np.array_equal(_pixels(png_address(pixels)), pixels)


@pytest.mark.parametrize(("count", "columns"), [(1, 1), (5, 3), (6, 3), (2, 7)])
def test_each_digit_stands_in_its_place(count: int, columns: int) -> None:
    images = np.random.default_rng(count).integers(0, 256, (count, 28, 28), dtype=np.uint8)
    sheet = _pixels(digit_sheet(images, columns=columns))
    assert sheet.shape == (28 * -(-count // columns), 28 * columns)
    for i, image in enumerate(images):
        row, column = divmod(i, columns)
        assert np.array_equal(sheet[28 * row : 28 * (row + 1), 28 * column : 28 * (column + 1)], image)


def test_values_colour_the_ink() -> None:
    ink = np.full((4, 4), 200, dtype=np.uint8)
    values = np.zeros((4, 4), dtype=np.float32)
    values[0, 0], values[0, 1], values[0, 2] = 2, -2, 1
    colours = overlay(ink, values).astype(int)
    assert colours.shape == (4, 4, 3)
    assert len(np.unique(colours[1:])) == 1  # grey where all values are 0
    assert colours[0, 0, 2] > colours[0, 0, 0]  # blue
    assert colours[0, 1, 0] > colours[0, 1, 2]  # orange
    np.testing.assert_allclose(colours[0, 2], (colours[0, 0] + colours[1, 0]) / 2, atol=1)
    assert not overlay(np.zeros_like(ink), np.zeros_like(values)).any()
