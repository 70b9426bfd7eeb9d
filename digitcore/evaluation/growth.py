"""Growth: how time and memory rise with the digits, checkpoints, digits of a number and pixels that there are.

A curve comes from one run on one machine, so what counts is its slope: 1 is in proportion, 0 is not at all.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from digitcore.evaluation.timing import median_seconds
from digitcore.imaging.strokes import place_strokes, render_strokes
from digitcore.models.architectures import build_network
from digitcore.models.checkpoints import CheckpointMetadata, save_checkpoint
from digitcore.models.classifier import DigitClassifier, load_classifier
from digitcore.models.library import CheckpointLibrary
from digitcore.models.numbers import read_number

__all__ = ["GrowthCurve", "measure_growth", "slope_of"]

_CHECKPOINT = "compact"
_DIGITS = (1_000, 10_000, 100_000, 1_000_000)
_CHECKPOINTS = (1, 10, 100, 500)
_LENGTHS = (1, 2, 5, 10, 20)  # digits of a number
_SIDES = (28, 112, 336, 1_000, 2_000, 4_000)  # pixels
_QUICK = 10_000  # digits, and a hundredth of it checkpoints
_SEVEN = ([(0, 0), (8, 0), (3, 12)], [(2, 6), (7, 6)])
_HEIGHT = 60  # pixels of the digits of a number
_BLOCK = 10_000  # digits that are made at a time


@dataclass(frozen=True)
class GrowthCurve:
    """What some work takes by its size."""

    work: str
    unit: str
    """Of the size."""
    sizes: tuple[int, ...]
    seconds: tuple[float, ...]
    """Medians, where the work is short."""
    megabytes: tuple[float, ...] | None = None
    """The most that the work held beyond what was there before; None where it is not measured."""

    @property
    def slope(self) -> float:
        """That of the upper half of the curve."""
        return slope_of(self.sizes, self.seconds)


def slope_of(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """The power of the size with which the time rises: the slope in logarithms, of the larger half by least squares.

    Small sizes take what each call takes, whatever its size.

    >>> round(slope_of([1, 10, 100, 1000], [5, 5, 9, 90]), 3)
    1.0
    """
    half = slice(len(sizes) // 2 if len(sizes) > 3 else 0, None)
    return float(np.polyfit(np.log(sizes[half]), np.log(seconds[half]), 1)[0])


def measure_growth(*, quick: bool = False) -> Iterator[GrowthCurve]:
    """The curves, one after another; with `quick` up to a hundredth of the digits and a fifth of the checkpoints.

    Raises:
        CheckpointError: the checkpoint `compact` is missing.
    """
    classifier = load_classifier(_CHECKPOINT)
    digits = [size for size in _DIGITS if not quick or size <= _QUICK]
    checkpoints = [size for size in _CHECKPOINTS if not quick or size <= _QUICK // 100]
    sides = [side for side in _SIDES if not quick or side <= _QUICK // 10]
    yield _evaluations(classifier, digits)
    yield _folders(checkpoints)
    repeats = 3 if quick else 15
    numbers = [_number_of(length) for length in _LENGTHS]
    yield _readings("reading a number", "digits of it", _LENGTHS, numbers, partial(read_number, classifier), repeats)
    pictures = [_seven(side) for side in sides]
    yield _readings("reading a picture", "pixels a side", sides, pictures, classifier.predict, repeats)


def _readings(
    work: str,
    unit: str,
    sizes: Sequence[int],
    pictures: Sequence[NDArray[np.uint8]],
    read: Callable[[NDArray[np.uint8]], object],
    repeats: int,
) -> GrowthCurve:
    seconds = [median_seconds(partial(read, picture), repeats=repeats) for picture in pictures]
    return GrowthCurve(work, unit, tuple(sizes), tuple(seconds))


def _evaluations(classifier: DigitClassifier, sizes: Sequence[int]) -> GrowthCurve:
    """Answers for so many digits, which lie in a file."""
    seconds, megabytes = [], []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "digits.npy"
        _write_digits(path, max(sizes))
        images: NDArray[np.uint8] = np.load(path, mmap_mode="r")
        classifier.logits(images[:_BLOCK])
        for size in sizes:
            before, start = _own_megabytes(), time.perf_counter()
            megabytes.append(max(_own_megabytes() - before for _ in classifier.logits_by_batch(images[:size])))
            seconds.append(time.perf_counter() - start)
        del images
    return GrowthCurve(f"answers of `{_CHECKPOINT}`", "digits", tuple(sizes), tuple(seconds), tuple(megabytes))


def _write_digits(path: Path, count: int) -> None:
    """A file with model inputs (count, 28, 28); which digits they show is of no account."""
    block = np.random.default_rng(0).integers(0, 256, (_BLOCK, 28, 28), dtype=np.uint8)
    images = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(count, 28, 28))
    for start in range(0, count, _BLOCK):
        images[start : start + _BLOCK] = block[: count - start]
    images.flush()


def _own_megabytes() -> float:
    """Memory of this process that is not a file's; 0 where the system does not tell."""
    if sys.platform != "linux":
        return 0.0
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1e3


def _folders(sizes: Sequence[int]) -> GrowthCurve:
    """Opening a folder of so many checkpoints that nobody has read before."""
    seconds = []
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            for number in range(size):
                torch.manual_seed(number)
                path = Path(folder) / f"network-{number:03}.safetensors"
                save_checkpoint(path, build_network(_CHECKPOINT), CheckpointMetadata(_CHECKPOINT))
            start = time.perf_counter()
            CheckpointLibrary(Path(folder)).entries()
            seconds.append(time.perf_counter() - start)
    return GrowthCurve("opening a weights folder", "checkpoints", tuple(sizes), tuple(seconds))


def _seven(side: int, *, height: float = 0.6) -> NDArray[np.uint8]:
    """A drawn 7, dark on light, uint8 (side, side)."""
    strokes = [np.array(points, dtype=np.float32) for points in _SEVEN]
    brush = side * height / 9
    placed = place_strokes(strokes, side=side, extent=height, position=(0.5, 0.5), brush=brush)
    ink: NDArray[np.uint8] = render_strokes(placed, side=side, brush=brush)
    return 255 - ink


def _number_of(length: int) -> NDArray[np.uint8]:
    """A row of so many drawn sevens, dark on light."""
    return np.hstack([_seven(_HEIGHT, height=0.8)] * length)
