"""Strokes placed, transformed and rendered."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from digitcore.imaging.strokes import Stroke, place_strokes, render_strokes, transform_points


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


@pytest.mark.parametrize("shape", [(2,), (5, 2), (3, 4, 2)])
def test_points_are_transformed_as_by_a_matrix_product(shape: tuple[int, ...]) -> None:
    generator = np.random.default_rng(0)
    points, matrix = generator.normal(size=shape), generator.normal(size=(2, 2))
    np.testing.assert_allclose(transform_points(points, matrix), points @ matrix.T)
