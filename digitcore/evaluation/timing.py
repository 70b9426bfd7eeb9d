"""Timing: milliseconds per digit on this machine."""

import statistics
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np

from digitcore.files import write_atomically
from digitcore.models.classifier import DigitClassifier
from digitcore.settings import load_settings

__all__ = ["known_milliseconds", "median_seconds", "milliseconds_per_digit", "timing_folder", "yardstick_seconds"]

_REPEATS = 21


def milliseconds_per_digit(classifier: DigitClassifier) -> float:
    """Median time of one digit through the network, on one core of this machine; measured now and stored."""
    inputs = np.zeros((1, 28, 28), dtype=np.uint8)
    milliseconds = 1e3 * median_seconds(lambda: list(classifier.logits_by_batch(inputs, threads=1)), repeats=_REPEATS)
    with suppress(OSError):
        write_atomically(timing_folder() / classifier.checkpoint.digest, f"{milliseconds:.6g}".encode())
    return milliseconds


def known_milliseconds(digest: str) -> float | None:
    """What `milliseconds_per_digit` last measured for the checkpoint with this digest; None where it never did."""
    try:
        return float((timing_folder() / digest).read_text())
    except (OSError, ValueError):
        return None


def median_seconds(step: Callable[[], object], *, repeats: int) -> float:
    """Median time of `repeats` calls of `step`, after one call that fills caches and is not counted."""
    step()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        step()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def yardstick_seconds() -> float:
    """Median time of NumPy's product of two 512×512 matrices: other times of the same run are compared with it."""
    matrix = np.ones((512, 512), dtype=np.float32)
    return median_seconds(lambda: matrix @ matrix, repeats=51)


def timing_folder() -> Path:
    """The folder where `milliseconds_per_digit` stores its results."""
    return load_settings().cache_directory / "timings"
