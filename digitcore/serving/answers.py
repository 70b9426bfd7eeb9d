"""Predictions as JSON values: the answers of both the command line and the HTTP API."""

from typing import Any

from digitcore.models.classifier import Prediction
from digitcore.models.numbers import NumberReading

__all__ = ["digit_answer", "number_answer"]


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
