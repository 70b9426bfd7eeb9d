"""Pen digits: their file, its damages, and how they are drawn."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from digitcore.data.pen_digits import PenDigit, draw_at_random, load_pen_digits
from digitcore.errors import DatasetError, DatasetMissingError
from digitcore.imaging.strokes import BRUSHES, CANVAS_SIDE
from digitcore.settings import load_settings


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


@pytest.mark.parametrize("damage", ["empty", "text", "missing array", "labels cut", "pointers cut"])
def test_a_damaged_file_is_a_dataset_error(pen_file: Path, damage: str) -> None:
    arrays = _arrays()
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


def test_a_flipped_bit_is_a_dataset_error_or_none(pen_file: Path) -> None:
    """Some bits say nothing about the strokes, such as those of a date; no other error may come."""
    data = pen_file.read_bytes()
    generator = np.random.default_rng(0)
    messages = []
    for position in generator.integers(0, len(data), 200):
        damaged = bytearray(data)
        damaged[position] ^= 1 << int(generator.integers(0, 8))
        pen_file.write_bytes(damaged)
        try:
            load_pen_digits()
        except DatasetError as error:
            messages.append(str(error))
    assert len(messages) > 100
    assert all("pendigits.npz" in message for message in messages)


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
