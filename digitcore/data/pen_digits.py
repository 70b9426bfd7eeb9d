"""Pen digits: strokes of thirty writers on a tablet."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from digitcore.errors import DatasetError, DatasetMissingError
from digitcore.files import load_arrays
from digitcore.imaging.strokes import CANVAS_SIDE, Stroke, draw_strokes_at_random
from digitcore.settings import load_settings

__all__ = [
    "CHOOSING_WRITERS",
    "JUDGING_WRITERS",
    "REPORTING_WRITERS",
    "PenDigit",
    "draw_at_random",
    "load_pen_digits",
    "pen_digits_file",
]

CHOOSING_WRITERS = range(21, 26)
"""Writers whose digits choose between checkpoints and fit what is fitted after training."""
REPORTING_WRITERS = range(26, 31)
"""Writers whose digits are for final figures only."""
JUDGING_WRITERS = range(CHOOSING_WRITERS.start, REPORTING_WRITERS.stop)
"""Writers whose digits are for evaluation only, never for training."""


@dataclass(frozen=True, eq=False)
class PenDigit:
    """One digit as it was written on a tablet, in the tablet's units."""

    strokes: tuple[Stroke, ...]
    label: int
    writer: int


def pen_digits_file() -> Path:
    """Path of the file that `load_pen_digits` reads."""
    return load_settings().data_directory / "drawn" / "pendigits.npz"


def load_pen_digits() -> list[PenDigit]:
    """The 7,494 digits of 30 writers in `DIGITCORE_DATA/drawn/pendigits.npz`.

    Source: E. Alpaydin, F. Alimoglu, "Pen-Based Recognition of Handwritten Digits", UCI repository, CC BY 4.0.

    Raises:
        DatasetMissingError: the file is not on this machine.
        DatasetError: it cannot be read.
    """
    path = pen_digits_file()
    if not path.is_file():
        raise DatasetMissingError(f"{path} is not there: set DIGITCORE_DATA to a folder that holds it.")
    return list(_read_pen_digits(path))


def _read_pen_digits(path: Path) -> Iterator[PenDigit]:
    try:
        arrays = load_arrays(path)
        strokes = np.split(arrays["points"], arrays["stroke_ptr"][1:-1])
        starts, labels, writers = arrays["digit_ptr"], arrays["label"], arrays["writer"]
        for start, end, label, writer in zip(starts[:-1], starts[1:], labels, writers, strict=True):
            yield PenDigit(tuple(strokes[start:end]), int(label), int(writer))
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise DatasetError(f"{path} cannot be read ({error}): copy it again.") from error


def draw_at_random(
    digit: PenDigit, *, brush: float, generator: np.random.Generator, side: int = CANVAS_SIDE
) -> NDArray[np.uint8]:
    """Ink (side, side), 255 = ink, of a pen digit drawn at a random position, 0.35 to 0.8 of the canvas long."""
    return draw_strokes_at_random(digit.strokes, brush=brush, generator=generator, side=side)
