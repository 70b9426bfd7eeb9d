"""What was read on a picture, for those who look closer."""

from dataclasses import dataclass

import numpy as np

from digitcore.imaging.preprocessing import DigitImage
from digitcore.models.classifier import Prediction
from digitcore.models.numbers import FoundDigit, NumberReading

MARGIN = 8  # pixels around a digit of several


@dataclass(frozen=True, eq=False)
class ReadDigit:
    """One digit that was read."""

    image: DigitImage
    """The whole picture, or of one digit of several its ink alone, with a margin."""
    prediction: Prediction
    found: FoundDigit | None = None
    """Where it stands on the picture, if it is one of several."""


@dataclass(frozen=True, eq=False)
class Read:
    """What was read on a picture."""

    image: DigitImage
    digits: list[ReadDigit]
    """One where all was read as one digit."""
    number: NumberReading | None = None


def as_one_digit(image: DigitImage, prediction: Prediction) -> Read:
    """A picture read as one digit."""
    return Read(image, [ReadDigit(image, prediction)])


def as_number(image: DigitImage, number: NumberReading) -> Read:
    """A picture read as a number."""
    digits = [ReadDigit(np.pad(each.ink, MARGIN), each.prediction, each) for each in number.digits]
    return Read(image, digits, number)
