"""The short road gives the bytes of the long one wherever it gives any."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from digitcore.imaging import preprocessing
from digitcore.imaging.drawings import plain_ink
from digitcore.imaging.preprocessing import extract_ink

Draw = Callable[..., NDArray[np.uint8]]
Bytes = NDArray[np.uint8]


def _by_pixel(image: Image.Image) -> Bytes:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(preprocessing, "plain_ink", lambda picture: None)
        return extract_ink(image)


def _coverage(draw: Draw, digit: int, side: int) -> NDArray[np.float64]:
    return np.asarray(Image.fromarray(draw(digit)).resize((side, side), Image.Resampling.BILINEAR)) / 255


def _grey(ink: NDArray[np.float64], *, ground: int, colour: int) -> Bytes:
    return np.rint(ground + (colour - ground) * ink).astype(np.uint8)


@pytest.mark.parametrize("side", [28, 57, 280, 336, 1500])
@pytest.mark.parametrize(("ground", "colour"), [(255, 0), (0, 255), (200, 90), (90, 200), (128, 140), (5, 5)], ids=str)
def test_grey_drawings(draw: Draw, side: int, ground: int, colour: int) -> None:
    for digit in (1, 8):
        levels = _grey(_coverage(draw, digit, side), ground=ground, colour=colour)
        expected = _by_pixel(Image.fromarray(levels))
        for image in (Image.fromarray(levels), Image.fromarray(np.repeat(levels[:, :, np.newaxis], 3, axis=2))):
            assert np.array_equal(extract_ink(image), expected)


@pytest.mark.parametrize("side", [28, 336])
@pytest.mark.parametrize("ground", [0, 60, 127, 128, 200], ids=str)
def test_strokes_on_nothing(draw: Draw, side: int, ground: int) -> None:
    opacity = _grey(_coverage(draw, 3, side), ground=ground, colour=255)
    for alpha in (opacity, 255 - opacity):
        picture = np.dstack([np.full((side, side, 3), 30, np.uint8), alpha])
        assert np.array_equal(extract_ink(picture), _by_pixel(Image.fromarray(picture)))


def test_what_people_draw_takes_the_short_road(draw: Draw) -> None:
    for digit in range(10):
        coverage = _coverage(draw, digit, 336)
        on_nothing = np.dstack([np.full((336, 336, 3), 255, np.uint8), np.rint(255 * coverage).astype(np.uint8)])
        for picture in (_grey(coverage, ground=255, colour=0), _grey(coverage, ground=20, colour=230), on_nothing):
            assert plain_ink(Image.fromarray(picture)) is not None


@given(st.integers(0, 2**32 - 1), st.integers(1, 90), st.integers(1, 90), st.integers(1, 6))
def test_levels_at_random(seed: int, height: int, width: int, count: int) -> None:
    """Of a few levels, most of the picture being one; as grey, and as opacity."""
    generator = np.random.default_rng(seed)
    levels = generator.integers(0, 256, count, dtype=np.uint8)
    share = generator.uniform(0, 1)
    chosen = np.where(generator.random((height, width)) < share, 0, generator.integers(0, count, (height, width)))
    picture = np.kron(levels[chosen], np.ones((2, 2), np.uint8))
    grey = Image.fromarray(picture)
    assert np.array_equal(extract_ink(grey), _by_pixel(grey))
    opaque = Image.fromarray(np.dstack([np.full((*picture.shape, 3), 200, np.uint8), picture]))
    assert np.array_equal(extract_ink(opaque), _by_pixel(opaque))


def _with_sheet(draw: Draw) -> Bytes:
    picture = np.full((300, 300), 40, np.uint8)
    picture[60:260, 50:250] = _grey(_coverage(draw, 4, 200), ground=235, colour=10)
    return picture


def _with_frame(draw: Draw) -> Bytes:
    picture = np.pad(_grey(_coverage(draw, 5, 200), ground=255, colour=0), 20, constant_values=255)
    picture[8:11, 8:-8] = picture[-11:-8, 8:-8] = picture[8:-8, 8:11] = picture[8:-8, -11:-8] = 0
    return picture


def _as_jpeg(draw: Draw) -> Bytes:
    data = io.BytesIO()
    Image.fromarray(_grey(_coverage(draw, 6, 280), ground=255, colour=0)).save(data, "JPEG", quality=40)
    return np.array(Image.open(data))


def _noisy(draw: Draw) -> Bytes:
    noise = np.random.default_rng(0).normal(0, 8, (280, 280))
    return (_grey(_coverage(draw, 7, 280), ground=200, colour=20) + noise).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("make", [_with_sheet, _with_frame, _as_jpeg, _noisy])
def test_what_is_not_plain(draw: Draw, make: Callable[[Draw], Bytes]) -> None:
    picture = Image.fromarray(make(draw))
    assert np.array_equal(extract_ink(picture), _by_pixel(picture))
