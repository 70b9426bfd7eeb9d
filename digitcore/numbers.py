"""Numbers: the digits on one picture found, each read, and put together from left to right."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digitcore.classifier import DigitClassifier, Prediction
from digitcore.pieces import Box
from digitcore.preprocessing import DigitImage, extract_ink
from digitcore.segmentation import find_lines

__all__ = ["FoundDigit", "NumberReading", "read_number"]


@dataclass(frozen=True, eq=False)
class FoundDigit:
    """One digit of a number."""

    box: Box
    """left, top, right, bottom of its ink, in pixels of the reading's `ink`; right and bottom are exclusive."""
    prediction: Prediction


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


def read_number(classifier: DigitClassifier, image: DigitImage) -> NumberReading:
    """The number on a picture. A blank one gives an empty number that is not accepted.

    Raises:
        ImageError: its pixels cannot be used.
        ValueError: an array that is not uint8 of shape (H, W), (H, W, 3) or (H, W, 4).
    """
    ink = extract_ink(image)
    lines = find_lines(ink)
    found = [digit for line in lines for digit in line]
    predictions = classifier.predict_inks([digit.ink for digit in found])
    digits = tuple(FoundDigit(each.box, said) for each, said in zip(found, predictions, strict=True))
    answers = iter(predictions)
    number = " ".join("".join(str(next(answers).digit) for _ in line) for line in lines)
    reason = _reason(digits)
    confidence = float(np.prod([digit.prediction.confidence for digit in digits])) if digits else 0.0
    return NumberReading(ink, digits, number, confidence, reason is None, reason)


def _reason(digits: tuple[FoundDigit, ...]) -> str | None:
    """Why a number is not accepted; None where it is."""
    if not digits:
        return "The picture is blank: draw or choose a number that stands out from its ground."
    for position, digit in enumerate(digits, start=1):
        if not digit.prediction.accepted:
            return f"digit {position} of {len(digits)}: {digit.prediction.reason}"
    return None
