import base64
import io

import numpy as np
import pytest
from PIL import Image

from digitcore.pictures import digit_sheet, png_address


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
