"""The digits that were read on a picture, for those who look closer."""

from dataclasses import dataclass

import numpy as np

from digitcore.imaging.preprocessing import DigitImage
from digitcore.models.classifier import Prediction
from digitcore.models.numbers import FoundDigit, PictureReading

REFUSED = "refused"
"""What the history says of a drawing that was read, but not as a digit."""
MARGIN = 8
"""Pixels around a digit of several."""


@dataclass(frozen=True, eq=False)
class ReadDigit:
    """One digit that was read."""

    image: DigitImage
    """The whole picture, or of one digit of several its ink alone, with a margin."""
    prediction: Prediction
    found: FoundDigit | None = None
    """Where it stands on the picture, if it is one of several."""


def read_digits(reading: PictureReading) -> list[ReadDigit]:
    """The digits of the number, or one where the picture was read as one digit."""
    if reading.number is None:
        return [ReadDigit(reading.image, reading.prediction)]
    return [ReadDigit(np.pad(digit.ink, MARGIN), digit.prediction, digit) for digit in reading.number.digits]


def answer_in_short(reading: PictureReading) -> str:
    """The number or the digit; `REFUSED` where the answer is not to be relied on."""
    return reading.answer if reading.accepted else REFUSED
