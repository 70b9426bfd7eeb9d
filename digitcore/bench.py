"""What this project claims, measured: accuracy on drawn digits, and time against a yardstick taken in the same run."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from digitcore.classifier import DigitClassifier, all_cores
from digitcore.datasets import is_available, load_digits
from digitcore.evaluation import evaluate
from digitcore.forms import FORMS, form_of
from digitcore.metrics import wilson_interval
from digitcore.preprocessing import preprocess
from digitcore.strokes import BRUSHES, CANVAS_SIDE, JUDGING_WRITERS, PenDigit, draw_at_random, load_pen_digits
from digitcore.timing import median_seconds, milliseconds_per_digit

__all__ = ["Measurement", "measure_all"]

_REPEATS = 5


@dataclass(frozen=True)
class Measurement:
    """One figure."""

    name: str
    value: float
    unit: str
    interval: tuple[float, float] | None = None
    """95 % Wilson interval, of a share."""
    ratio: float | None = None
    """Of a time: against the yardstick, numpy's product of two 512x512 matrices in this very run."""


def measure_all(classifier: DigitClassifier, *, drawings: int = 2498, seed: int = 0) -> Iterator[Measurement]:
    """Every figure that can be measured with the data on this machine.

    Raises:
        DatasetMissingError: the pen strokes are not on this machine; the other figures have been yielded by then.
    """
    yield from _measure_time(classifier)
    yield from _measure_drawn(classifier, _judging_pen_digits(), drawings=drawings, seed=seed)


def _judging_pen_digits() -> list[PenDigit]:
    return [digit for digit in load_pen_digits() if digit.writer in JUDGING_WRITERS]


def _measure_time(classifier: DigitClassifier) -> Iterator[Measurement]:
    matrix = np.ones((512, 512), dtype=np.float32)
    yardstick = median_seconds(lambda: matrix @ matrix, repeats=51)
    yield Measurement("yardstick: product of two 512x512 matrices", yardstick * 1e3, "ms", ratio=1.0)

    dataset = "mnist-test" if is_available("mnist-test") else "mnist-validation"
    digits = load_digits(dataset)
    seconds = median_seconds(lambda: evaluate(classifier, digits), repeats=_REPEATS)
    yield Measurement(f"{dataset} evaluated on {all_cores()} cores", seconds, "s", ratio=seconds / yardstick)
    yield Measurement(f"{dataset} evaluated on {all_cores()} cores", len(digits) / seconds, "digits/s")

    drawing = np.full((CANVAS_SIDE, CANVAS_SIDE, 4), 255, dtype=np.uint8)
    drawing[60:220, 130:150, :3] = 0
    milliseconds = milliseconds_per_digit(classifier)
    yield Measurement("one digit through the network", milliseconds, "ms", ratio=milliseconds / 1e3 / yardstick)
    for name, step in {
        "a drawing preprocessed": lambda: preprocess(drawing),
        "a drawing predicted": lambda: classifier.predict(drawing),
    }.items():
        seconds = median_seconds(step, repeats=51)
        yield Measurement(name, seconds * 1e3, "ms", ratio=seconds / yardstick)


def _measure_drawn(
    classifier: DigitClassifier, digits: Sequence[PenDigit], *, drawings: int, seed: int
) -> Iterator[Measurement]:
    """Each digit is drawn with each brush; then the forms that MNIST hardly knows, all brushes together."""
    generator = np.random.default_rng(seed)
    chosen = [digits[i] for i in generator.permutation(len(digits))[:drawings]]
    forms = [form_of(digit) for digit in chosen]
    right_of_form = {form: [0, 0] for form in FORMS}  # right, drawn
    for brush in BRUSHES:
        pictures = [draw_at_random(digit, brush=brush, generator=generator) for digit in chosen]
        predictions = classifier.predict_batch(pictures)
        right = [prediction.digit == digit.label for prediction, digit in zip(predictions, chosen, strict=True)]
        yield _accuracy(
            f"{len(chosen)} pen digits drawn with a brush of {brush} px on {CANVAS_SIDE} px", sum(right), len(right)
        )
        for form, is_right in zip(forms, right, strict=True):
            if form is not None:
                right_of_form[form][0] += is_right
                right_of_form[form][1] += 1
    for form, (good, drawn) in right_of_form.items():
        if drawn:
            yield _accuracy(f"{form}, drawn {drawn} times", good, drawn)


def _accuracy(name: str, right: int, count: int) -> Measurement:
    return Measurement(name, right / count, "accuracy", interval=wilson_interval(right, count))
