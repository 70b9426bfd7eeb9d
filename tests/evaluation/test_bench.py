"""The measurements themselves, not their values."""

import itertools
import re

import numpy as np
import pytest

import digitcore
from digitcore.data.datasets import DigitSet
from digitcore.data.pen_forms import FORMS
from digitcore.data.pen_pictures import SURROUNDINGS
from digitcore.errors import DatasetMissingError
from digitcore.evaluation import bench
from digitcore.evaluation.bench import Measurement, measure_all
from digitcore.evaluation.metrics import wilson_interval
from digitcore.imaging.strokes import BRUSHES


@pytest.fixture
def few(validation_digits: DigitSet, monkeypatch: pytest.MonkeyPatch) -> None:
    """100 digits stand for mnist-test, which takes seconds."""
    digits = validation_digits.subset(np.arange(0, 5_000, 50))
    monkeypatch.setattr(bench, "is_available", lambda name: True)
    monkeypatch.setattr(bench, "load_digits", lambda name: digits)


@pytest.mark.needs_pen_digits
@pytest.mark.usefixtures("few")
def test_all_figures() -> None:
    rows = list(measure_all(digitcore.load_classifier("compact"), parts=("time", "drawn"), drawings=24))
    drawn = rows[6:]
    assert [row.unit for row in rows[:6]] == ["ms", "s", "digits/s", "ms", "ms", "ms"]
    assert rows[1].name.startswith("mnist-test evaluated on ")
    assert rows[2].value == pytest.approx(100 / rows[1].value)
    assert rows[0].ratio == 1
    assert all(row.value > 0 for row in rows[:6])
    _check_times(rows)
    accuracies = [row for row in drawn if row.unit == "accuracy"]
    sure = [row for row in drawn if row.unit != "accuracy"]
    assert all(re.fullmatch(r"\d+ answers over 99\.9% sure with a brush of \d+ px: right", row.name) for row in sure)
    for row, brush in zip(accuracies[: len(BRUSHES)], BRUSHES, strict=True):
        assert row.name.startswith(f"24 pen digits drawn with a brush of {brush} px")
        _check_interval(row, 24)
        assert row.value >= 0.5
    forms = [row.name for row in accuracies[len(BRUSHES) :]]
    assert forms
    assert all(re.fullmatch(f"({'|'.join(FORMS)}), drawn \\d+ times", name) for name in forms)


def _check_interval(row: Measurement, count: int) -> None:
    """It allows for writers: it is at least as wide as if each of so many digits were of another person."""
    low, high = wilson_interval(round(row.value * count), count)
    assert row.interval is not None
    assert row.interval[0] <= low <= row.value <= high <= row.interval[1]


def _check_times(rows: list[Measurement]) -> None:
    """Each time's ratio is to the first row."""
    for row in rows:
        if row.unit in ("ms", "s"):
            milliseconds = row.value * (1_000 if row.unit == "s" else 1)
            assert row.ratio == pytest.approx(milliseconds / rows[0].value, rel=1e-6)


@pytest.mark.usefixtures("data_folder", "few")
def test_times_come_before_what_needs_the_pen_strokes() -> None:
    measurements = measure_all(digitcore.load_classifier("compact"), parts=("time", "drawn"))
    _check_times(list(itertools.islice(measurements, 6)))
    with pytest.raises(DatasetMissingError, match="pendigits"):
        next(measurements)


@pytest.mark.slow
@pytest.mark.needs_pen_digits
def test_figures_of_pictures() -> None:
    """Drawings and photographs of every kind are read and accepted, and hardly any that is accepted is wrong."""
    rows = list(measure_all(digitcore.load_classifier("world"), parts=("pictures",), pictures=80))
    assert len(rows) == len({row.name for row in rows})
    for ending, least, most in ((": right", 0.97, 1), (": accepted", 0.95, 1), (": accepted and wrong", 0, 0.0125)):
        for shares in (
            [row.value for row in rows if row.name.endswith(ending) and "photographs" in row.name],
            [row.value for row in rows if row.name.endswith(ending) and "line" in row.name],
        ):
            assert len(shares) >= len(SURROUNDINGS)
            assert least <= float(np.mean(shares)) <= most, ending


@pytest.mark.needs_pen_digits
def test_figures_of_numbers() -> None:
    rows = list(measure_all(digitcore.load_classifier("compact"), parts=("numbers",), numbers=12))
    basic, touching = "12 numbers of 2 to 6 pen digits", "12 numbers of 2 to 6 pen digits whose neighbours may touch"
    assert [row.name for row in rows] == [
        f"{kind}: {figure}" for kind in (basic, touching) for figure in ("read exactly", "each digit found")
    ]
    for row in rows:
        _check_interval(row, 12)
    assert rows[1].value >= 0.8
    assert rows[0].value <= rows[1].value  # of these no number is read exactly by luck
