"""What is around a digit on a picture and not of it: margins, frames, corners."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from digitcore.imaging.preprocessing import extract_ink, preprocess
from digitcore.imaging.strokes import render_strokes
from digitcore.imaging.surroundings import find_sheet, without_frame
from tests.imaging.test_preprocessing import OTHER_SHAPE, distance, photograph_of

Ink = NDArray[np.uint8]
Draw = Callable[..., Ink]

MARGINS = {
    "all around": ((40, 60), (80, 50)),
    "left and right": ((0, 0), (90, 90)),
    "above and below": ((70, 70), (0, 0)),
}


def _assert_alike(picture: Ink, ink: Ink) -> None:
    """The picture is read like the drawing of the same digit."""
    assert distance(preprocess(picture).model_input, preprocess(ink).model_input) < OTHER_SHAPE


@pytest.mark.parametrize("margin", MARGINS)
@pytest.mark.parametrize("colour", [0, 255])
@pytest.mark.parametrize("light", ["even", "slope", "lamp", "hard shadow"])
def test_a_photograph_is_read_on_any_margin(draw: Draw, light: str, colour: int, margin: str) -> None:
    for digit in (2, 7):
        ink = draw(digit, side=300, brush=14)
        photograph = photograph_of(ink, light=light, paper="plain", seed=digit)
        _assert_alike(np.pad(photograph, MARGINS[margin], constant_values=colour), ink)


@pytest.mark.parametrize("margin", MARGINS)
@pytest.mark.parametrize(("ground", "pen"), [(200, 20), (30, 255), (128, 0)])
def test_a_card_is_read_on_any_margin(draw: Draw, ground: int, pen: int, margin: str) -> None:
    for digit in range(10):
        ink = draw(digit)
        card = (ground + (float(pen) - ground) * ink / 255).astype(np.uint8)
        _assert_alike(np.pad(card, MARGINS[margin], constant_values=255 if ground < 200 else 0), ink)


def test_a_sheet_is_only_what_lies_on_a_margin_of_one_colour(draw: Draw) -> None:
    sheet = np.pad(np.full((100, 80), 0.5, np.float32), 30)
    assert find_sheet(sheet) == (slice(32, 128), slice(32, 108))
    spotted = sheet.copy()
    spotted[:30, :30] = 1
    disc = (np.hypot(*np.mgrid[-70:70, -70:70]) < 60).astype(np.float32)
    small = np.pad(np.full((20, 20), 0.5, np.float32), 30)  # as large as MNIST's digits
    drawing = draw(3).astype(np.float32) / 255
    for other in (spotted, disc, small, drawing, sheet[30:130, 30:110], np.zeros_like(sheet)):
        assert find_sheet(other) is None


@pytest.mark.parametrize("side", [112, 280, 336])
def test_drawings_are_taken_as_they_are(draw: Draw, side: int) -> None:
    """Digits of any width of line, straight lines as broad as they may be, rounded and filled shapes."""
    drawings = [
        draw(digit, seed, side=side, brush=share * side, extent=0.75)
        for digit in range(10)
        for seed in range(3)
        for share in (0.02, 0.07, 0.14, 0.2)
    ]
    middle, low, high = side / 2, 0.2 * side, 0.8 * side
    for share in (0.05, 0.07, 0.1, 0.15, 0.25, 0.35, 0.5):
        line = [[(middle, low), (middle, high)], [(low, middle), (high, middle)], [(middle, middle)] * 2]
        drawings += [render_strokes([np.array(points, np.float32)], side=side, brush=share * side) for points in line]
    for ink in drawings:
        assert np.array_equal(extract_ink(ink), ink)
        assert np.array_equal(extract_ink(255 - ink), ink)


def _framed(ink: Ink, *, width: int, tilt: float) -> Ink:
    """Ink (H, W) with a frame of lines of this width around it, tilted by this share of its side."""
    rows, columns = np.mgrid[: ink.shape[0], : ink.shape[1]]
    middle = len(ink) / 2
    across, down = columns - middle + tilt * (rows - middle), rows - middle - tilt * (columns - middle)
    reach = np.maximum(np.abs(across), np.abs(down))
    on_frame = (reach > 0.42 * len(ink) - width) & (reach <= 0.42 * len(ink))
    return np.where(on_frame, np.uint8(255), ink)


@pytest.mark.parametrize("width", [2, 8, 20])
@pytest.mark.parametrize("tilt", [0.0, 0.04, -0.1])
def test_a_frame_around_a_digit_changes_nothing(draw: Draw, width: int, tilt: float) -> None:
    for digit in range(10):
        ink = draw(digit, extent=0.5, brush=14)
        framed = _framed(ink, width=width, tilt=tilt)
        assert np.array_equal(extract_ink(framed), ink)
        assert np.array_equal(extract_ink(255 - framed), ink)


def test_what_is_no_frame_stays(draw: Draw) -> None:
    """A square with nothing inside or a dot, digits with ink inside their loops, and a frame that touches the digit."""
    nothing = np.zeros((280, 280), dtype=np.uint8)
    dotted = _framed(nothing, width=8, tilt=0)
    dotted[130:150, 130:150] = 255
    zero = draw(0, extent=0.8).copy()
    zero[120:160, 130:150] = 255
    touching = _framed(draw(4, extent=0.5), width=8, tilt=0)
    touching[130:150, :140] = 255
    for ink in (
        nothing,
        _framed(nothing, width=8, tilt=0),
        dotted,
        zero,
        touching,
        *(draw(digit) for digit in range(10)),
    ):
        assert np.array_equal(without_frame(ink), ink)


@pytest.mark.parametrize("reach", [0.1, 0.2, 0.3])
@pytest.mark.parametrize("grey", [20, 110])
@pytest.mark.parametrize("light", ["even", "slope", "lamp", "shadow"])
def test_a_piece_of_the_table_in_a_corner_is_left_out(draw: Draw, light: str, grey: int, reach: float) -> None:
    down, across = np.mgrid[:300, :300] / 300
    for digit in (3, 5, 8):
        ink = draw(digit, side=300, brush=12, extent=0.5, position=(0.2, 0.2))
        photograph = photograph_of(ink, light=light, paper="plain", seed=digit)
        _assert_alike(np.where(across + down > 2 - reach, grey, photograph).astype(np.uint8), ink)
