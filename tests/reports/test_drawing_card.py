"""The picture of a drawing and its answer."""

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from digitcore.reports.drawing_card import drawing_card

BARS = [(str(digit), 0.91 if digit == 7 else 0.01, "91%" if digit == 7 else "1%") for digit in range(10)]


def _card(picture: NDArray[np.uint8] | None = None, **changes: object) -> NDArray[np.int64]:
    drawing = np.full((336, 336, 4), 255, dtype=np.uint8) if picture is None else picture
    values = {"answer": "7", "words": "91.0% sure", "bars": BARS, "best": 7, "checkpoint": "world"} | changes
    image = Image.open(io.BytesIO(drawing_card(drawing, **values)))  # type: ignore[arg-type]
    assert (image.format, image.size, image.mode) == ("PNG", (960, 540), "RGB")
    return np.asarray(image).astype(np.int64)


def test_the_drawing_is_on_it_as_it_was_drawn() -> None:
    drawing = np.full((336, 336, 4), 255, dtype=np.uint8)
    drawing[100:200, 50:70, :3] = 0
    np.testing.assert_array_equal(_card(drawing)[48 : 48 + 336, 48 : 48 + 336], drawing[:, :, :3])


@pytest.mark.parametrize("shape", [(28, 28), (100, 400, 3), (400, 90, 4)])
def test_a_picture_of_any_shape_stays_inside_its_frame(shape: tuple[int, ...]) -> None:
    card, blank = _card(np.zeros(shape, dtype=np.uint8)), _card(np.full(shape, 255, dtype=np.uint8))
    rows, columns = np.nonzero((card != blank).any(axis=2))
    assert len(rows)
    assert rows.min() >= 48
    assert columns.min() >= 48
    assert max(rows.max(), columns.max()) < 48 + 336


def test_bars_are_as_long_as_their_shares_and_one_stands_out() -> None:
    blue = (_card() == (0x2F, 0x74, 0xC8)).all(axis=2)
    grey = (_card(best=None) == (0x8C, 0x96, 0xA3)).all(axis=2)
    assert blue.any()
    assert not (_card(best=None) == (0x2F, 0x74, 0xC8)).all(axis=2).any()
    full = (_card(bars=[("7", 1.0, "all")], best=0) == (0x2F, 0x74, 0xC8)).all(axis=2)
    assert blue.sum(axis=1).max() / full.sum(axis=1).max() == pytest.approx(0.91, abs=0.01)
    assert grey.sum(axis=1).max() == blue.sum(axis=1).max()


@pytest.mark.parametrize(
    "changes",
    [
        {"answer": "123456789012345678901234567890"},
        {"checkpoint": "a name that is far too long " * 10},
        {"words": "not a digit: " + "it looks like none of the ten " * 9},
        {"answer": "", "bars": [], "best": None},
        {"bars": [(str(i), 0.5, "half of all that there is") for i in range(40)]},
        {"checkpoint": "тест ✓ 漢字"},
    ],
)
def test_whatever_it_says_stays_inside(changes: dict[str, object]) -> None:
    card = _card(**changes)
    border = np.concatenate([card[:20].reshape(-1, 3), card[-10:].reshape(-1, 3), card[:, -20:].reshape(-1, 3)])
    assert (border == 255).all()
    assert (card[48 : 48 + 336, 48 : 48 + 336] == 255).all()
