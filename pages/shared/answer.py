"""An answer on the page: the digit, how sure the network is, what it saw, and the ten probabilities."""

from collections.abc import Sequence
from string import ascii_uppercase

import numpy as np
from numpy.typing import NDArray

from digitcore.models.classifier import Prediction
from digitcore.models.probabilities import Answer
from pages.shared.pictures import InlinePicture, inline_picture
from pages.shared.templates import show_template
from pages.shared.words import percent

PICTURE_SIDE = 168
"""Pixels, of the picture beside an answer: 6 to each of the 28."""


def show_answer(
    answer: Answer | Prediction,
    *,
    checkpoint: str,
    words: str,
    picture: InlinePicture | None,
    headline: str = "",
    strokes: int | None = None,
) -> None:
    """The answer for one digit.

    `words` say how sure it is; a `headline` comes first, and the digit then stands back. The page says to whoever
    reads its source which checkpoint answers, and how many strokes of a drawing it has seen.
    """
    show_template(
        "answer.html",
        probabilities=[float(probability) for probability in answer.probabilities],
        digit=answer.digit,
        checkpoint=checkpoint,
        words=words,
        picture=picture,
        headline=headline,
        strokes=strokes,
    )


def evaluated_panel(answer: Answer, *, checkpoint: str, label: int, image: NDArray[np.uint8] | None) -> None:
    """The answer for a digit whose label is known, with its picture (28, 28) where that is on this machine."""
    picture = None if image is None else input_picture(image, caption=_true_digit(label))
    show_answer(answer, checkpoint=checkpoint, words=_verdict(answer, label), picture=picture)


def evaluated_panels(
    answers: Sequence[Answer], *, checkpoints: Sequence[str], label: int, image: NDArray[np.uint8] | None
) -> None:
    """The same for the answers of several checkpoints, side by side."""
    readings = [
        {
            "name": f"{letter}: {checkpoint}",
            "checkpoint": checkpoint,
            "answer": answer,
            "words": _verdict(answer, label),
        }
        for letter, checkpoint, answer in zip(ascii_uppercase, checkpoints, answers, strict=False)
    ]
    picture = None if image is None else input_picture(image, caption=_true_digit(label))
    show_template("readings.html", readings=readings, picture=picture)


def _verdict(answer: Answer, label: int) -> str:
    verdict = "right" if answer.digit == label else f"wrong: the true digit is {label}"
    return f"{verdict}, {percent(answer.confidence)} sure"


def _true_digit(label: int) -> str:
    return f"true digit {label}"


def input_picture(image: NDArray[np.uint8], *, caption: str) -> InlinePicture:
    """A model input (28, 28) as it stands beside an answer."""
    return inline_picture(image, longest=PICTURE_SIDE, caption=caption, alt=f"28 × 28 pixels, {caption}")
