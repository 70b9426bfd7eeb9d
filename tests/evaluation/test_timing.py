from pathlib import Path

import pytest

import digitcore
from digitcore.evaluation.timing import known_milliseconds, median_seconds, milliseconds_per_digit


def test_one_digit_takes_time_which_is_remembered(cache_folder: Path) -> None:
    classifier = digitcore.load_classifier("compact")
    digest = classifier.checkpoint.digest
    assert known_milliseconds(digest) is None
    measured = milliseconds_per_digit(classifier)
    assert 0 < measured < 1_000
    assert known_milliseconds(digest) == pytest.approx(measured, rel=1e-5)
    (cached_file,) = (cache_folder / "timings").iterdir()
    cached_file.write_text("soon", encoding="utf-8")
    assert known_milliseconds(digest) is None


def test_the_median_leaves_the_first_call_out() -> None:
    calls = []
    assert median_seconds(lambda: calls.append(None), repeats=5) >= 0
    assert len(calls) == 6
