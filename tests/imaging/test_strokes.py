from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from digitcore.data.pen_digits import PenDigit, draw_at_random, load_pen_digits
from digitcore.errors import DatasetError, DatasetMissingError
from digitcore.imaging.strokes import BRUSHES, CANVAS_SIDE, Stroke, place_strokes, render_strokes
from digitcore.settings import load_settings


def _bounds(ink: NDArray[np.uint8]) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


@given(
    digit=st.integers(0, 9),
    side=st.integers(28, 400),
    extent=st.floats(0.05, 0.9),
    x=st.floats(0, 1),
    y=st.floats(0, 1),
    brush=st.floats(1, 30),
)
def test_strokes_are_placed_inside_the_canvas(
    strokes_of: Callable[..., list[Stroke]], digit: int, side: int, extent: float, x: float, y: float, brush: float
) -> None:
    strokes = strokes_of(digit)
    placed = np.concatenate(place_strokes(strokes, side=side, extent=extent, position=(x, y), brush=brush))
    original = np.concatenate(strokes)
    size = np.ptp(placed, axis=0)
    assert size.max() == pytest.approx(extent * side, rel=1e-3)
    assert size[0] / size[1] == pytest.approx(np.ptp(original[:, 0]) / np.ptp(original[:, 1]), rel=1e-2)
    if size.max() + brush <= side:
        assert placed.min() >= brush / 2 - 1e-3
        assert placed.max() <= side - brush / 2 + 1e-3


@pytest.mark.parametrize(("position", "expected"), [((0, 0), (10, 10)), ((1, 1), (50, 50)), ((0.5, 0), (30, 10))])
def test_positions_are_shares_of_the_room_that_is_left(
    position: tuple[float, float], expected: tuple[float, float]
) -> None:
    square = [np.array([(0, 0), (8, 0), (8, 8), (0, 8)], dtype=np.float32)]
    placed = np.concatenate(place_strokes(square, side=100, extent=0.4, position=position, brush=20))
    assert placed.min(axis=0).tolist() == list(expected)


def test_a_dot_can_be_placed_and_drawn() -> None:
    for points in ([(5, 5)], [(5, 5), (5, 5)], [(5, 5), (5, 5), (5, 5)]):
        dot = [np.array(points, dtype=np.float32)]
        placed = place_strokes(dot, side=100, extent=0.5, position=(0.5, 0.5), brush=20)
        ink = render_strokes(placed, side=100, brush=20)
        assert ink.sum() / 255 == pytest.approx(np.pi * 10**2, rel=0.05)
        left, top, right, bottom = _bounds(ink)
        assert (left + right) / 2 == pytest.approx(50, abs=1)
        assert (top + bottom) / 2 == pytest.approx(50, abs=1)


def test_a_straight_line_is_as_wide_as_the_brush_and_has_round_ends() -> None:
    line = [np.array([(30, 50), (70, 50)], dtype=np.float32)]
    ink = render_strokes(line, side=100, brush=12)
    assert ink.dtype == np.uint8
    assert ink.shape == (100, 100)
    assert ink[:, 50].sum() / 255 == pytest.approx(12, abs=0.7)
    assert ink.sum() / 255 == pytest.approx(40 * 12 + np.pi * 6**2, rel=0.05)
    assert ink.max() == 255
    assert ((ink > 0) & (ink < 255)).any()  # anti-aliased


def test_corners_are_rounded_as_by_the_canvas() -> None:
    corner = [np.array([(20, 80), (50, 20), (80, 80)], dtype=np.float32)]
    _, top, _, _ = _bounds(render_strokes(corner, side=100, brush=2))
    assert top == pytest.approx(34, abs=1)  # the curve's peak at y = 35, less half a brush


def test_x_is_to_the_right_and_y_is_down() -> None:
    ink = render_strokes([np.array([(80, 10), (90, 10)], dtype=np.float32)], side=100, brush=4)
    left, top, right, bottom = _bounds(ink)
    assert left > 70
    assert right > 85
    assert bottom < 20
    assert top < 10


# --- pen digits ------------------------------------------------------------------------------------------------------


@pytest.mark.needs_pen_digits
def test_pen_digits() -> None:
    digits = load_pen_digits()
    assert len(digits) == 7_494
    assert {digit.writer for digit in digits} == set(range(1, 31))
    assert np.bincount([digit.label for digit in digits]).min() > 700
    for digit in digits[::50]:
        assert len(digit.strokes) >= 1
        for stroke in digit.strokes:
            assert stroke.dtype == np.float32
            assert stroke.ndim == 2
            assert stroke.shape[1] == 2
            assert len(stroke) >= 1
            assert np.isfinite(stroke).all()


@pytest.mark.needs_pen_digits
def test_no_point_is_lost() -> None:
    digits = load_pen_digits()
    with np.load(load_settings().data_directory / "drawn" / "pendigits.npz") as arrays:
        points = arrays["points"]
    assert np.array_equal(np.concatenate([stroke for digit in digits for stroke in digit.strokes]), points)


def test_missing_pen_digits(data_folder: Path) -> None:
    with pytest.raises(DatasetMissingError, match=r"pendigits\.npz is not there: set DIGITCORE_DATA"):
        load_pen_digits()


def _arrays() -> dict[str, NDArray[np.generic]]:
    """Two digits of one and two strokes."""
    return {
        "points": np.random.default_rng(0).normal(size=(30, 2)).astype(np.float32),
        "stroke_ptr": np.array([0, 10, 20, 30]),
        "digit_ptr": np.array([0, 1, 3]),
        "label": np.array([4, 7], dtype=np.uint8),
        "writer": np.array([1, 2], dtype=np.int32),
    }


@pytest.fixture
def pen_file(data_folder: Path) -> Path:
    path = data_folder / "drawn" / "pendigits.npz"
    path.parent.mkdir()
    np.savez_compressed(path, **_arrays())
    return path


def test_the_layout_of_the_file(pen_file: Path) -> None:
    one, two = load_pen_digits()
    assert (one.label, one.writer, [len(stroke) for stroke in one.strokes]) == (4, 1, [10])
    assert (two.label, two.writer, [len(stroke) for stroke in two.strokes]) == (7, 2, [10, 10])


@pytest.mark.parametrize("damage", ["empty", "text", "missing array", "labels cut", "pointers cut", "flipped"])
def test_a_damaged_file_is_a_dataset_error(pen_file: Path, damage: str) -> None:
    arrays, data = _arrays(), pen_file.read_bytes()
    if damage == "flipped":
        rng = np.random.default_rng(0)
        for position in rng.integers(0, len(data), 200):
            damaged = bytearray(data)
            damaged[position] ^= 1 << int(rng.integers(0, 8))
            pen_file.write_bytes(damaged)
            try:
                load_pen_digits()
            except DatasetError as error:
                assert "pendigits.npz" in str(error)  # noqa: PT017
        return
    if damage in ("empty", "text"):
        pen_file.write_bytes(b"" if damage == "empty" else b"strokes")
    else:
        if damage == "missing array":
            del arrays["writer"]
        elif damage == "labels cut":
            arrays["label"] = arrays["label"][:1]
        else:
            arrays["digit_ptr"] = arrays["digit_ptr"][:1]
        np.savez_compressed(pen_file, **arrays)
    with pytest.raises(DatasetError, match=r"pendigits\.npz cannot be read"):
        load_pen_digits()


@pytest.fixture
def square() -> PenDigit:
    corners = np.array([(0, 0), (9, 0), (9, 9), (0, 9), (0, 0)], dtype=np.float32)
    return PenDigit((corners,), label=0, writer=1)


def _extent(ink: NDArray[np.uint8]) -> int:
    """Longer side of the ink's box, in pixels."""
    return max(int(np.ptp(np.flatnonzero(ink.any(axis=axis)))) + 1 for axis in (0, 1))


@pytest.mark.parametrize("brush", BRUSHES)
def test_drawings_stay_on_the_canvas(square: PenDigit, brush: int) -> None:
    generator = np.random.default_rng(0)
    for _ in range(25):
        ink = draw_at_random(square, brush=brush, generator=generator)
        assert (ink.dtype, ink.shape, ink.max()) == (np.uint8, (CANVAS_SIDE, CANVAS_SIDE), 255)
        # What is cut off at an edge would be missing here: the strokes' extent and half a brush on either side.
        assert 0.35 * CANVAS_SIDE + 0.8 * brush <= _extent(ink) <= 0.8 * CANVAS_SIDE + brush + 2


def test_a_seed_means_the_same_drawings(square: PenDigit) -> None:
    one, same, other = (draw_at_random(square, brush=16, generator=np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
