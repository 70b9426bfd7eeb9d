"""The answer for a picture: one digit, a number, or nothing yet. All take the same room, so that nothing jumps."""

from digitcore.models.architectures import CLASS_NAMES
from digitcore.models.classifier import Prediction
from digitcore.models.numbers import FoundDigit, NumberReading
from pages.shared.answer import PICTURE_SIDE, input_picture, show_answer
from pages.shared.pictures import inline_picture
from pages.shared.templates import show_template
from pages.shared.words import percent

_DIGIT_SIDE = 72  # pixels, of one digit of several


def answer_panel(prediction: Prediction, *, checkpoint: str, strokes: int | None) -> None:
    """The digit, large, how sure the network is, what it saw, and the ten probabilities.

    Where the answer is refused the reason comes first, and the digit stands back.
    """
    refusal = prediction.refusal
    show_answer(
        prediction,
        checkpoint=checkpoint,
        words=f"{percent(prediction.confidence)} sure" if refusal is None else refusal.advice,
        picture=input_picture(prediction.model_input, caption="what the model sees"),
        headline="" if refusal is None else refusal.headline,
        strokes=strokes,
    )


def number_panel(reading: NumberReading, *, checkpoint: str, strokes: int | None) -> None:
    """Several digits, large, where they stand in the picture, and each of them."""
    caption = "each digit read separately"
    alt = f"the picture with {len(reading.digits)} digits framed"
    show_template(
        "number.html",
        number=reading.number,
        accepted=reading.accepted,
        checkpoint=checkpoint,
        words=f"{percent(reading.confidence)} sure of all" if reading.reason is None else reading.reason,
        picture=inline_picture(reading.ink, longest=PICTURE_SIDE, caption=caption, alt=alt),
        boxes=[_box(digit, *reading.ink.shape) for digit in reading.digits],
        digits=[_digit(digit) for digit in reading.digits],
        strokes=strokes,
    )


def nothing_yet_panel(words: str, *, strokes: int | None) -> None:
    """What to do, while there is no picture."""
    show_template("nothing_yet.html", words=words, class_names=CLASS_NAMES, strokes=strokes)


def other_answer(digit: int, confidence: float, prediction: Prediction) -> str:
    """The answer to something else beside the one that was given: "still 7 (98.0%)", or "would be 1 (61.0%)"."""
    return f"{'still' if digit == prediction.digit else 'would be'} {digit} ({percent(confidence)})"


def _box(digit: FoundDigit, height: int, width: int) -> dict[str, float]:
    """Where a digit stands, in per cent of the picture."""
    left, top, right, bottom = digit.box
    return {
        "left": 100 * left / width,
        "top": 100 * top / height,
        "width": 100 * (right - left) / width,
        "height": 100 * (bottom - top) / height,
    }


def _digit(digit: FoundDigit) -> dict[str, object]:
    prediction = digit.prediction
    caption = percent(prediction.confidence) if prediction.refusal is None else prediction.refusal.headline
    alt = f"28 × 28 pixels, answer {prediction.digit}"
    return {
        "digit": prediction.digit,
        "accepted": prediction.accepted,
        "picture": inline_picture(prediction.model_input, longest=_DIGIT_SIDE, caption=caption, alt=alt),
    }
