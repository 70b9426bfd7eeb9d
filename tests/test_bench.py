"""The measurements themselves, not their values."""

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

import digitcore
from digitcore import bench
from digitcore.bench import BRUSHES, CANVAS_SIDE, Measurement, draw_at_random, measure_all, milliseconds_per_digit
from digitcore.datasets import DigitSet
from digitcore.errors import DatasetMissingError
from digitcore.metrics import wilson_interval
from digitcore.strokes import PenDigit


@pytest.fixture
def square() -> PenDigit:
    corners = np.array([(0, 0), (9, 0), (9, 9), (0, 9), (0, 0)], dtype=np.float32)
    return PenDigit((corners,), label=0, writer=1)


@pytest.fixture
def few(validation_digits: DigitSet, monkeypatch: pytest.MonkeyPatch) -> None:
    """100 digits stand for mnist-test, which takes seconds."""
    digits = validation_digits.subset(np.arange(0, 5_000, 50))
    monkeypatch.setattr(bench, "is_available", lambda name: True)
    monkeypatch.setattr(bench, "load_digits", lambda name: digits)


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


def test_one_digit_takes_time() -> None:
    assert 0 < milliseconds_per_digit(digitcore.load_classifier("compact")) < 1_000


@pytest.mark.needs_pen_digits
@pytest.mark.usefixtures("few")
def test_all_figures() -> None:
    rows = list(measure_all(digitcore.load_classifier("compact"), drawings=8))
    assert [row.unit for row in rows] == ["ms", "s", "digits/s", "ms", "ms", "ms", *["accuracy"] * len(BRUSHES)]
    assert rows[1].name.startswith("mnist-test evaluated on ")
    assert rows[2].value == pytest.approx(100 / rows[1].value)
    assert rows[0].ratio == 1
    assert all(row.value > 0 for row in rows)
    _check_times(rows)
    for row, brush in zip(rows[-len(BRUSHES) :], BRUSHES, strict=True):
        assert row.name.startswith(f"8 pen digits drawn with a brush of {brush} px")
        assert row.interval == wilson_interval(round(row.value * 8), 8)
        assert row.value >= 0.5


def _check_times(rows: list[Measurement]) -> None:
    """Each time's ratio is to the first row."""
    for row in rows:
        if row.unit in ("ms", "s"):
            milliseconds = row.value * (1_000 if row.unit == "s" else 1)
            assert row.ratio == pytest.approx(milliseconds / rows[0].value, rel=1e-6)


@pytest.mark.usefixtures("data_folder", "few")
def test_times_come_before_what_needs_the_pen_strokes() -> None:
    measurements = measure_all(digitcore.load_classifier("compact"))
    _check_times(list(itertools.islice(measurements, 6)))
    with pytest.raises(DatasetMissingError, match="pendigits"):
        next(measurements)
