"""Numbers: the digits on one picture found, taken apart where they touch, each read, and put together in order.

Here alone is decided whether a picture shows one digit or a number. One digit that is accepted stays one, whatever its
parts look like: the loops of an 8, a 5 whose bar flies, a 4 in two strokes. Where it is refused, several digits have to
explain the ink clearly better. Of 2,049 numbers of pen digits (writers 1 to 20) that fall apart two are taken for one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from digitcore.imaging.components import Box
from digitcore.imaging.preprocessing import DigitImage, extract_ink
from digitcore.imaging.seams import MOST_PIECES
from digitcore.imaging.segmentation import PictureInk
from digitcore.models.classifier import DigitClassifier, Prediction
from digitcore.models.touching import FoundDigit, evidence, is_doubtful, read_apart

__all__ = ["FoundDigit", "NumberReading", "PictureReading", "read_number", "read_picture"]

_BETTER = 1.0  # evidence by which a number has to beat one digit
_BETTER_TOUCHING = 2.5
_LEAST_WIDTH = 0.95  # of two digits that touch, as a share of their height
_SURE = 0.98  # of all of them
_LEAST_LEADING = 0.15  # between lines of one digit each, as a share of the taller: less is one digit with a gap


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

    @property
    def answer(self) -> str:
        """The number, or the digit, as text."""
        return str(self.prediction.digit) if self.number is None else self.number.number

    @property
    def confidence(self) -> float:
        """That it is right."""
        return self.prediction.confidence if self.number is None else self.number.confidence

    @property
    def accepted(self) -> bool:
        """Whether it may be relied on."""
        return self.prediction.accepted if self.number is None else self.number.accepted

    @property
    def reason(self) -> str | None:
        """Why it may not be, in words."""
        return self.prediction.reason if self.number is None else self.number.reason


def read_number(classifier: DigitClassifier, image: DigitImage) -> NumberReading:
    """The number on a picture, be it of one digit. A blank one gives an empty number that is not accepted.

    Raises:
        ImageError: its pixels cannot be used.
        ValueError: an array that is not uint8 of shape (H, W), (H, W, 3) or (H, W, 4).
    """
    picture = PictureInk(extract_ink(image))
    (whole,) = classifier.predict_inks([picture])
    return _number_in(classifier, picture, whole)


def read_picture(classifier: DigitClassifier, image: DigitImage) -> PictureReading:
    """What a picture shows: the answer for one digit and, where it shows several, the number.

    Ink in one place must also be wide, and its parts beyond doubt and not all 1, since many a letter falls into parts
    that look like digits, an M, a v or a w into 1s. So 8 of 10 pairs of pen digits that touch are taken apart, and 1 of
    40 letters.

    Raises:
        ImageError, ValueError: as for `read_number`.
    """
    picture = PictureInk(extract_ink(image))
    (whole,) = classifier.predict_inks([picture])
    number = None if whole.accepted else _number_if_several(classifier, picture, whole)
    return PictureReading(image, whole, number)


def _number_if_several(classifier: DigitClassifier, picture: PictureInk, whole: Prediction) -> NumberReading | None:
    if len(picture.digits) > 1:
        number = _number_in(classifier, picture, whole)
        return number if len(number.digits) > 1 else None
    left, top, right, bottom = box = whole.preprocessed.box
    is_wide = right - left >= _LEAST_WIDTH * (bottom - top)
    if not is_wide or not is_doubtful(box, whole) or len(picture.components) > MOST_PIECES:
        return None
    number = _number_in(classifier, picture, whole)
    is_certain = number.accepted and number.confidence >= _SURE and set(number.number) != {"1"}
    is_better = len(number.digits) > 1 and _gain(number.digits, whole) >= _BETTER_TOUCHING
    return number if is_certain and is_better else None


def _number_in(classifier: DigitClassifier, picture: PictureInk, whole: Prediction) -> NumberReading:
    """The number in ink that was read so as one digit, which it is unless digits that stand apart explain it better."""
    lines: list[list[FoundDigit]] = []
    is_apart = len(picture.digits) > 1
    if not (is_apart and whole.accepted):
        apart = iter(read_apart(classifier, picture.digits))
        lines = [[digit for _ in line for digit in next(apart)] for line in picture.lines]
    if is_apart and not _are_better(lines, whole):
        lines = [[FoundDigit(whole.preprocessed.box, whole.preprocessed.cropped, whole)]]
    digits = tuple(digit for line in lines for digit in line)
    number = " ".join("".join(str(digit.prediction.digit) for digit in line) for line in lines)
    reason = _reason(digits)
    confidence = float(np.prod([digit.prediction.confidence for digit in digits])) if digits else 0.0
    return NumberReading(picture.pixels, digits, number, confidence, reason is None, reason)


def _are_better(lines: Sequence[Sequence[FoundDigit]], whole: Prediction) -> bool:
    """Whether these digits, which stand apart, explain ink clearly better than the whole as one does."""
    digits = [digit for line in lines for digit in line]
    if not digits or (all(len(line) == 1 for line in lines) and not _are_apart([line[0].box for line in lines])):
        return False
    if len(lines) == 1 and len(digits) > 2:  # no digit with gaps falls into so many side by side
        return True
    if whole.refusal is not None and whole.refusal.kind == "several digits" and _reason(digits) is None:
        return True
    return _gain(digits, whole) >= _BETTER


def _gain(digits: Sequence[FoundDigit], whole: Prediction) -> float:
    """By how much evidence several digits explain ink better than one does."""
    several = sum(evidence(digit.prediction, digit.box) for digit in digits)
    return several - evidence(whole, whole.preprocessed.box)


def _are_apart(boxes: Sequence[Box]) -> bool:
    """Whether these boxes, from the top, stand apart as lines do."""
    space = min(lower[1] - upper[3] for upper, lower in pairwise(boxes))
    return space >= _LEAST_LEADING * max(bottom - top for _, top, _, bottom in boxes)


def _reason(digits: Sequence[FoundDigit]) -> str | None:
    """Why a number is not accepted; None where it is."""
    if not digits:
        return "The picture is blank: draw or choose a number that stands out from its ground."
    for position, digit in enumerate(digits, start=1):
        if not digit.prediction.accepted:
            return f"digit {position} of {len(digits)}: {digit.prediction.reason}"
    return None
