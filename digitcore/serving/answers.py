"""Predictions as JSON values: the answers of both the command line and the HTTP API."""

from typing import Any, Literal, TypeAlias

from digitcore.imaging.preprocessing import DigitImage
from digitcore.models.classifier import DigitClassifier, Prediction
from digitcore.models.numbers import NumberReading, read_number, read_picture

__all__ = ["Mode", "answer_for", "digit_answer", "number_answer"]

Mode: TypeAlias = Literal["digit", "number"]
"""What a picture is read as, whatever it shows."""


def answer_for(classifier: DigitClassifier, image: DigitImage, *, mode: Mode | None) -> dict[str, Any]:
    """The answer for a picture: for one digit or for a number, whichever it shows where no mode is given.

    Raises:
        ImageError, ValueError: as for `read_picture`.
    """
    if mode == "digit":
        return digit_answer(classifier.predict(image))
    if mode == "number":
        return number_answer(read_number(classifier, image))
    reading = read_picture(classifier, image)
    return digit_answer(reading.prediction) if reading.number is None else number_answer(reading.number)


def digit_answer(prediction: Prediction) -> dict[str, Any]:
    """The answer for a picture of one digit."""
    return {
        "prediction": prediction.digit,
        "confidence": prediction.confidence,
        "probabilities": prediction.probabilities.tolist(),
        "accepted": prediction.accepted,
        "reason": prediction.reason,
    }


def number_answer(reading: NumberReading) -> dict[str, Any]:
    """The answer for a picture of several digits, and for each of them."""
    return {
        "number": reading.number,
        "confidence": reading.confidence,
        "accepted": reading.accepted,
        "reason": reading.reason,
        "digits": [{"box": list(digit.box)} | digit_answer(digit.prediction) for digit in reading.digits],
    }
