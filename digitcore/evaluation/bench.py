"""Benchmark of a checkpoint: times, accuracy on drawn digits and picture files, numbers, and what is refused.

Times are given against a yardstick measured in the same run.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np

from digitcore.data.datasets import is_available, load_digits
from digitcore.data.drawn_numbers import DrawnNumber, draw_numbers
from digitcore.data.nondigits import (
    FASHION_FOLDER,
    RESEMBLING,
    NonDigit,
    doodles,
    fashion_items,
    noises,
    pen_letters,
    printed_letters,
    printed_symbols,
    scribbles,
)
from digitcore.data.pen_digits import REPORTING_WRITERS, PenDigit, draw_at_random, load_pen_digits
from digitcore.data.pen_forms import FORMS, form_of
from digitcore.data.pen_pictures import (
    DRAWING_LINES,
    DRAWING_SIDES,
    SURROUNDINGS,
    PenPicture,
    drawing_file,
    photographs,
)
from digitcore.errors import DatasetMissingError
from digitcore.evaluation.evaluation import evaluate
from digitcore.evaluation.intervals import share_interval
from digitcore.evaluation.metrics import SURE
from digitcore.evaluation.timing import median_seconds, milliseconds_per_digit, yardstick_seconds
from digitcore.imaging.components import Box
from digitcore.imaging.preprocessing import preprocess, read_image
from digitcore.imaging.segmentation import PictureInk
from digitcore.imaging.strokes import BRUSHES, CANVAS_SIDE
from digitcore.models.classifier import DigitClassifier, Prediction, all_cores
from digitcore.models.numbers import NumberReading, read_number
from digitcore.models.refusal import refuse_ink

__all__ = ["PARTS", "Measurement", "measure_all"]

PARTS = ("time", "drawn", "pictures", "numbers", "refusals")
"""The parts that can be measured alone."""

_REPEATS = 5
_PICTURES_PER_KIND = 40  # of letters, scribbles, doodles and noise
_CELLS = 8  # of the table of drawings that have as many pictures together as photographs are taken
_QUALITIES = (None, 60, 80, 95)
_FASHION_ITEMS = 2000
_LEAST_OVERLAP = 0.8  # intersection over union of two boxes that count as the same


@dataclass(frozen=True)
class Measurement:
    """One figure."""

    name: str
    value: float
    unit: str
    interval: tuple[float, float] | None = None
    """95% interval of a proportion, which allows for writers where they are known."""
    ratio: float | None = None
    """A time divided by `yardstick_seconds` of the same run."""


_Step: TypeAlias = Callable[[DigitClassifier], Iterator[Measurement]]


def measure_all(
    classifier: DigitClassifier,
    *,
    parts: Collection[str] = PARTS,
    drawings: int = 1248,
    numbers: int = 500,
    pictures: int = 500,
    fashion_folder: Path = FASHION_FOLDER,
    seed: int = 0,
) -> Iterator[Measurement]:
    """Every figure of these parts that can be measured with the data on this machine.

    pictures: photographs of each kind; an eighth as many drawings of each size, line and format.

    Raises:
        DatasetMissingError: after all other figures, where some data are not on this machine.
    """
    steps: dict[str, list[_Step]] = {
        "time": [_measure_time],
        "drawn": [partial(_measure_drawn, drawings=drawings, seed=seed)],
        "pictures": [
            partial(_measure_drawing_files, count=max(2, pictures // _CELLS), seed=seed),
            partial(_measure_photographs, count=pictures, seed=seed),
        ],
        "numbers": [
            partial(_measure_numbers, count=numbers, seed=seed, touching=False),
            partial(_measure_numbers, count=numbers, seed=seed, touching=True),
        ],
        "refusals": [
            _measure_false_refusals,
            partial(_measure_false_refusals_of_drawings, drawings=drawings, seed=seed),
            partial(_measure_refusals, seed=seed),
            _measure_refusals_of_prints,
            partial(_measure_refusals_of_fashion_items, folder=fashion_folder, seed=seed),
        ],
    }
    missing = []
    for step in (step for part in PARTS if part in parts for step in steps[part]):
        try:
            yield from step(classifier)
        except DatasetMissingError as error:
            missing.append(str(error))
    if missing:
        raise DatasetMissingError(" ".join(dict.fromkeys(missing)))


def _reporting_pen_digits() -> list[PenDigit]:
    return [digit for digit in load_pen_digits() if digit.writer in REPORTING_WRITERS]


def _sample_pen_digits(count: int, generator: np.random.Generator) -> list[PenDigit]:
    digits = _reporting_pen_digits()
    return [digits[i] for i in generator.permutation(len(digits))[:count]]


def _measure_time(classifier: DigitClassifier) -> Iterator[Measurement]:
    yardstick = yardstick_seconds()
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


def _measure_drawn(classifier: DigitClassifier, *, drawings: int, seed: int) -> Iterator[Measurement]:
    """Accuracy by brush, of all answers and of the sure ones; then by form that is rare in MNIST, over all brushes."""
    generator = np.random.default_rng(seed)
    sample = _sample_pen_digits(drawings, generator)
    forms = [form_of(digit) for digit in sample]
    by_form: dict[str, list[tuple[bool, int]]] = {form: [] for form in FORMS}
    for brush in BRUSHES:
        pictures = [draw_at_random(digit, brush=brush, generator=generator) for digit in sample]
        predictions = classifier.predict_batch(pictures)
        right = [prediction.digit == digit.label for prediction, digit in zip(predictions, sample, strict=True)]
        writers = [digit.writer for digit in sample]
        name = f"{len(sample)} pen digits drawn with a brush of {brush} px on {CANVAS_SIDE} px"
        yield _accuracy(name, right, writers)
        sure = [i for i, prediction in enumerate(predictions) if prediction.confidence >= SURE]
        if sure:
            words = f"{len(sure)} answers over 99.9% sure with a brush of {brush} px: right"
            yield _share(words, [right[i] for i in sure], [writers[i] for i in sure])
        for form, is_right, writer in zip(forms, right, writers, strict=True):
            if form is not None:
                by_form[form].append((is_right, writer))
    for form, drawn in by_form.items():
        if drawn:
            yield _accuracy(f"{form}, drawn {len(drawn)} times", *zip(*drawn, strict=True))


def _accuracy(name: str, right: Sequence[bool], writers: Sequence[int]) -> Measurement:
    interval = share_interval(np.array(right), np.array(writers))
    return Measurement(name, sum(right) / len(right), "accuracy", interval=interval)


def _measure_drawing_files(classifier: DigitClassifier, *, count: int, seed: int) -> Iterator[Measurement]:
    """Drawings as files, half of them dark on light: by the picture's side, the line's width, and the format."""
    generator = np.random.default_rng(seed)
    lines = [(side, line) for side in DRAWING_SIDES for line in DRAWING_LINES if line == 0 or line * side >= 1]
    by_kind: dict[str, list[_FileOutcome]] = {}
    for side, line in lines:
        for quality in _QUALITIES:
            sample = _sample_pen_digits(count, generator)
            files = [
                drawing_file(digit, side=side, line=line, quality=quality, is_dark=i % 2 == 0, generator=generator)
                for i, digit in enumerate(sample)
            ]
            outcomes = _file_outcomes(classifier, files, sample)
            width = f"line of {line:.0%}" if line else "line of 1 px"
            kind = "PNG" if quality is None else f"JPEG of quality {quality}"
            for name in (f"{side} px", width, kind, f"{side} px, {width}", "all"):
                by_kind.setdefault(name, []).extend(outcomes)
    for name, outcomes in by_kind.items():
        yield from _shares_of_files(f"{len(outcomes):,} drawings, {name}", outcomes)


def _measure_photographs(classifier: DigitClassifier, *, count: int, seed: int) -> Iterator[Measurement]:
    for surroundings in SURROUNDINGS:
        generator = np.random.default_rng(seed)
        pictures = list(
            photographs(_reporting_pen_digits(), count=count, generator=generator, surroundings=surroundings)
        )
        name = f"{len(pictures)} photographs, {surroundings}"
        outcomes = _file_outcomes(classifier, [picture.file for picture in pictures], pictures)
        yield from _shares_of_files(name, outcomes)


class _FileOutcome(NamedTuple):
    right: bool
    accepted: bool
    writer: int


def _file_outcomes(
    classifier: DigitClassifier, files: Sequence[bytes], digits: Sequence[PenDigit | PenPicture]
) -> list[_FileOutcome]:
    predictions = classifier.predict_batch([read_image(file) for file in files])
    return [
        _FileOutcome(prediction.digit == digit.label, prediction.accepted, digit.writer)
        for prediction, digit in zip(predictions, digits, strict=True)
    ]


def _shares_of_files(name: str, outcomes: Sequence[_FileOutcome]) -> Iterator[Measurement]:
    """How many are right, are accepted, and are both wrong and accepted."""
    writers = [outcome.writer for outcome in outcomes]
    yield _share(f"{name}: right", [outcome.right for outcome in outcomes], writers)
    yield _share(f"{name}: accepted", [outcome.accepted for outcome in outcomes], writers)
    wrong = [outcome.accepted and not outcome.right for outcome in outcomes]
    yield _share(f"{name}: accepted and wrong", wrong, writers)


def _measure_false_refusals(classifier: DigitClassifier) -> Iterator[Measurement]:
    digits = load_digits("mnist-validation")
    yield from _refused("false refusals: mnist-validation", classifier.predict_batch(list(digits.images)))


def _measure_false_refusals_of_drawings(
    classifier: DigitClassifier, *, drawings: int, seed: int
) -> Iterator[Measurement]:
    generator = np.random.default_rng(seed)
    sample = _sample_pen_digits(drawings, generator)
    for brush in BRUSHES:
        pictures = [draw_at_random(digit, brush=brush, generator=generator) for digit in sample]
        writers = [digit.writer for digit in sample]
        yield from _refused(f"false refusals: brush of {brush} px", classifier.predict_batch(pictures), writers)


def _measure_refusals(classifier: DigitClassifier, *, seed: int) -> Iterator[Measurement]:
    generator = np.random.default_rng(seed)
    yield from _measure_family(classifier, "noise", noises(per_kind=_PICTURES_PER_KIND, generator=generator))
    yield from _measure_family(classifier, "scribbles", scribbles(per_kind=_PICTURES_PER_KIND, generator=generator))
    yield from _measure_family(classifier, "doodles", doodles(per_kind=_PICTURES_PER_KIND, generator=generator))
    yield from _measure_letters(classifier, "letters", pen_letters(per_kind=_PICTURES_PER_KIND, generator=generator))


def _measure_refusals_of_prints(classifier: DigitClassifier) -> Iterator[Measurement]:
    yield from _measure_letters(classifier, "printed letters", printed_letters())
    yield from _measure_family(classifier, "printed symbols", printed_symbols())


def _measure_refusals_of_fashion_items(
    classifier: DigitClassifier, *, folder: Path, seed: int
) -> Iterator[Measurement]:
    items = fashion_items(folder, count=_FASHION_ITEMS, generator=np.random.default_rng(seed))
    yield from _measure_family(classifier, "fashion items", items)


def _measure_letters(classifier: DigitClassifier, family: str, letters: Iterable[NonDigit]) -> Iterator[Measurement]:
    """Refusals of the letters that resemble no digit, then of those that do, as a whole and by letter."""
    plain: list[NonDigit] = []
    resembling: list[NonDigit] = []
    for letter in letters:
        (resembling if letter.kind in RESEMBLING else plain).append(letter)
    yield from _measure_family(classifier, f"{family} that resemble no digit", plain)
    yield from _measure_family(classifier, f"{family} that resemble a digit", resembling)


def _measure_family(classifier: DigitClassifier, family: str, items: Iterable[NonDigit]) -> Iterator[Measurement]:
    """Refusals of a family of pictures as a whole, then by kind."""
    kinds: dict[str, list[Prediction]] = {}
    items = list(items)
    for item, prediction in zip(items, classifier.predict_batch([item.picture for item in items]), strict=True):
        kinds.setdefault(item.kind, []).append(prediction)
    yield from _refused(
        f"refused: {family}", [prediction for predictions in kinds.values() for prediction in predictions]
    )
    for kind, predictions in sorted(kinds.items()):
        yield _share(f"refused: {family}, {kind}", [not prediction.accepted for prediction in predictions])


def _refused(
    name: str, predictions: Sequence[Prediction], writers: Sequence[int] | None = None
) -> Iterator[Measurement]:
    """The share that is refused, and the share that is refused because of the ink alone."""
    yield _share(name, [not prediction.accepted for prediction in predictions], writers)
    by_ink = [refuse_ink(PictureInk(prediction.preprocessed.ink)) is not None for prediction in predictions]
    yield _share(f"{name}, by the ink alone", by_ink, writers)


def _share(name: str, outcomes: Sequence[bool], writers: Sequence[int] | None = None) -> Measurement:
    interval = share_interval(np.array(outcomes), None if writers is None else np.array(writers))
    return Measurement(name, sum(outcomes) / len(outcomes), f"of {len(outcomes)}", interval=interval)


def _measure_numbers(classifier: DigitClassifier, *, count: int, seed: int, touching: bool) -> Iterator[Measurement]:
    digits = _reporting_pen_digits()
    drawn = list(draw_numbers(digits, count=count, generator=np.random.default_rng(seed), touching=touching))
    readings = [read_number(classifier, number.ink) for number in drawn]
    pairs = list(zip(drawn, readings, strict=True))
    name = f"{count} numbers of 2 to 6 pen digits" + (" whose neighbours may touch" if touching else "")
    writers = [number.writer for number in drawn]
    yield _share(f"{name}: read exactly", [number.number == reading.number for number, reading in pairs], writers)
    yield _share(f"{name}: each digit found", [_is_segmented(number, reading) for number, reading in pairs], writers)


def _is_segmented(number: DrawnNumber, reading: NumberReading) -> bool:
    """Whether the reading has as many digits as were written, each in its place."""
    return len(number.boxes) == len(reading.digits) and all(
        _overlap(box, digit.box) >= _LEAST_OVERLAP for box, digit in zip(number.boxes, reading.digits, strict=True)
    )


def _overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes."""
    width, height = min(one[2], other[2]) - max(one[0], other[0]), min(one[3], other[3]) - max(one[1], other[1])
    intersection = max(0, width) * max(0, height)
    areas = sum((right - left) * (bottom - top) for left, top, right, bottom in (one, other))
    return intersection / (areas - intersection)
