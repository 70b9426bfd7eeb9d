"""Numbers: the digits on one picture found, taken apart where they touch, each read, and put together in order."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digitcore.imaging.preprocessing import DigitImage, extract_ink
from digitcore.imaging.seams import MOST_PIECES
from digitcore.imaging.segmentation import PictureInk
from digitcore.models.classifier import DigitClassifier, Prediction
from digitcore.models.touching import FoundDigit, is_doubtful, read_apart

__all__ = ["FoundDigit", "NumberReading", "PictureReading", "read_number", "read_picture"]

_LEAST_WIDTH = 0.95  # of two digits that touch, as a share of their height
_SURE = 0.98  # of all of them


@dataclass(frozen=True, eq=False)
class NumberReading:
    """What a checkpoint reads on a picture of several digits."""

    ink: NDArray[np.uint8]  # (H, W), 255 = ink
    digits: tuple[FoundDigit, ...]
    """In reading order: line by line from the top, each line from left to right."""
    number: str
    """The digits as text, lines separated by a space; empty where no digit was found."""
    confidence: float
    """That all digits are right: the product of theirs; 0 where there is none."""
    accepted: bool
    """False where no digit was found or one is not accepted; `reason` then says why."""
    reason: str | None


@dataclass(frozen=True, eq=False)
class PictureReading:
    """What a checkpoint reads on a picture, of which it is not known whether it shows one digit or several."""

    image: DigitImage
    prediction: Prediction
    """The answer for the whole picture as one digit."""
    number: NumberReading | None
    """The number where the picture shows several digits; None where it shows one, or none."""


def read_number(classifier: DigitClassifier, image: DigitImage) -> NumberReading:
    """The number on a picture. A blank one gives an empty number that is not accepted.

    Raises:
        ImageError: its pixels cannot be used.
        ValueError: an array that is not uint8 of shape (H, W), (H, W, 3) or (H, W, 4).
    """
    return _number_in(classifier, PictureInk(extract_ink(image)))


def read_picture(classifier: DigitClassifier, image: DigitImage) -> PictureReading:
    """What a picture shows: the answer for one digit and, where it shows several, the number.

    Digits that stand apart are several in any case. Ink in one place is tried only where it is doubtful as one digit,
    and must be wide and its parts beyond doubt and not all 1, since many a letter falls into parts that look like
    digits, an M, a v or a w into 1s. So 8 of 10 pairs of pen digits that touch are taken apart, and 1 of 40 letters.

    Raises:
        ImageError, ValueError: as for `read_number`.
    """
    picture = PictureInk(extract_ink(image))
    (prediction,) = classifier.predict_inks([picture])
    return PictureReading(image, prediction, _number_if_several(classifier, picture, prediction))


def _number_if_several(
    classifier: DigitClassifier, picture: PictureInk, prediction: Prediction
) -> NumberReading | None:
    if len(picture.digits) > 1:
        return _number_in(classifier, picture)
    if len(picture.components) > MOST_PIECES:
        return None
    left, top, right, bottom = box = prediction.preprocessed.box
    if right - left < _LEAST_WIDTH * (bottom - top) or not is_doubtful(box, prediction):
        return None
    reading = _number_in(classifier, picture)
    is_number = len(reading.digits) > 1 and reading.accepted and reading.confidence >= _SURE
    return reading if is_number and set(reading.number) != {"1"} else None


def _number_in(classifier: DigitClassifier, picture: PictureInk) -> NumberReading:
    apart = iter(read_apart(classifier, picture.digits))
    lines = [[digit for _ in line for digit in next(apart)] for line in picture.lines]
    digits = tuple(digit for line in lines for digit in line)
    number = " ".join("".join(str(digit.prediction.digit) for digit in line) for line in lines)
    reason = _reason(digits)
    confidence = float(np.prod([digit.prediction.confidence for digit in digits])) if digits else 0.0
    return NumberReading(picture.pixels, digits, number, confidence, reason is None, reason)


def _reason(digits: tuple[FoundDigit, ...]) -> str | None:
    """Why a number is not accepted; None where it is."""
    if not digits:
        return "The picture is blank: draw or choose a number that stands out from its ground."
    for position, digit in enumerate(digits, start=1):
        if not digit.prediction.accepted:
            return f"digit {position} of {len(digits)}: {digit.prediction.reason}"
    return None
