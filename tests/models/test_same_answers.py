"""Torch and the engine that answers give every digit and picture the same digit and the same refusal."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from digitcore.data.datasets import load_digits
from digitcore.data.nondigits import doodles, noises, pen_letters, printed_letters, printed_symbols, scribbles
from digitcore.data.pen_digits import JUDGING_WRITERS, PenDigit, draw_at_random, load_pen_digits
from digitcore.data.pen_pictures import DRAWING_LINES, DRAWING_SIDES, SURROUNDINGS, drawing_file, photographs
from digitcore.imaging.preprocessing import DigitImage, normalize, read_image
from digitcore.imaging.strokes import BRUSHES
from digitcore.models.classifier import DigitClassifier, load_classifier
from digitcore.models.engine import Engine, torch_engine
from digitcore.models.probabilities import answers_from
from digitcore.models.refusal import RefusalKind, refuse_answer

pytestmark = [pytest.mark.slow, pytest.mark.needs_mnist, pytest.mark.needs_pen_digits]

CHECKPOINTS = ("world", "compact", "world-compact")
OF_LOGITS = (None, "unsure", "no digit")
"""Refusals that depend on the network; the others are seen in the ink."""
_Verdict = tuple[int, RefusalKind | None]


def _verdicts(classifier: DigitClassifier, engine: Engine, inputs: NDArray[np.uint8]) -> list[_Verdict]:
    """Digit and refusal of model inputs (N, 28, 28) as an engine answers them."""
    metadata = classifier.checkpoint.metadata
    logits = engine.logits(normalize(inputs).numpy(), threads=2) / np.float32(metadata.temperature)
    refusals = [
        refuse_answer(row, score=metadata.refusal_score, threshold=metadata.refusal_threshold) for row in logits
    ]
    return [
        (answer.digit, refusal and refusal.kind) for answer, refusal in zip(answers_from(logits), refusals, strict=True)
    ]


@pytest.mark.parametrize("dataset", ["mnist-test", "pen-digits", "pen-validation"])
@pytest.mark.parametrize("name", CHECKPOINTS)
def test_digits(name: str, dataset: str) -> None:
    classifier, images = load_classifier(name), load_digits(dataset).images
    engines = (classifier.checkpoint.engine, torch_engine(classifier.checkpoint.network))
    answers, expected = (_verdicts(classifier, engine, images) for engine in engines)
    assert answers == expected


def _drawings(digits: Sequence[PenDigit], generator: np.random.Generator) -> Iterator[DigitImage]:
    for brush in BRUSHES:
        yield from (draw_at_random(digit, brush=brush, generator=generator) for digit in digits)


def _files(digits: Sequence[PenDigit], generator: np.random.Generator) -> Iterator[DigitImage]:
    """Drawings of every size, line and format, and photographs with everything around them."""
    for side in DRAWING_SIDES:
        for line in DRAWING_LINES:
            for quality in (None, 60, 95):
                for i, digit in enumerate(generator.permutation(len(digits))[:4]):
                    yield read_image(
                        drawing_file(
                            digits[digit], side=side, line=line, quality=quality, is_dark=i < 2, generator=generator
                        )
                    )
    for surroundings in SURROUNDINGS:
        yield from (
            read_image(picture.file)
            for picture in photographs(digits, count=20, generator=generator, surroundings=surroundings)
        )


def _non_digits(_: Sequence[PenDigit], generator: np.random.Generator) -> Iterator[DigitImage]:
    for family in (noises, scribbles, doodles, pen_letters):
        yield from (item.picture for item in family(per_kind=10, generator=generator))
    for items in (printed_letters(), printed_symbols()):
        yield from (item.picture for item in items)


@pytest.mark.parametrize("pictures", [_drawings, _files, _non_digits], ids=["drawings", "files", "non-digits"])
@pytest.mark.parametrize("name", CHECKPOINTS)
def test_pictures(name: str, pictures: Callable[..., Iterator[DigitImage]]) -> None:
    classifier = load_classifier(name)
    digits = [digit for digit in load_pen_digits() if digit.writer in JUDGING_WRITERS][::5]
    predictions = classifier.predict_batch(list(pictures(digits, np.random.default_rng(0))))
    inputs = np.stack([prediction.model_input for prediction in predictions])
    expected = _verdicts(classifier, torch_engine(classifier.checkpoint.network), inputs)
    answers = [(prediction.digit, prediction.refusal and prediction.refusal.kind) for prediction in predictions]
    judged = [(answer, other) for answer, other in zip(answers, expected, strict=True) if answer[1] in OF_LOGITS]
    assert [answer for answer, _ in judged] == [other for _, other in judged]
    assert [answer[0] for answer in answers] == [other[0] for other in expected]
