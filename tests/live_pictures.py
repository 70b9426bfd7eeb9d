"""Pictures of the drawing canvas, and what Python answers for them: what the live answer in the browser is held to."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from digitcore.data.pen_digits import PenDigit
from digitcore.data.synthetic_digits import write_digit
from digitcore.imaging.preprocessing import extract_ink
from digitcore.imaging.segmentation import PictureInk
from digitcore.imaging.strokes import Stroke, place_strokes, render_strokes
from digitcore.models.classifier import load_classifier
from digitcore.models.refusal import refusal_scores
from pages.shared.drawing import SIDE

NETWORK = "world-compact"
BRUSHES = (6, 12, 24, 36, 48)
Picture = NDArray[np.uint8]
"""Pixels (SIDE, SIDE, 4)."""


@dataclass(frozen=True, eq=False)
class Expected:
    """What Python answers for one picture."""

    model_input: NDArray[np.uint8]
    is_blank: bool
    several: bool
    probabilities: NDArray[np.float32]
    digit: int
    margin: float
    """By how much the score is above the least that is accepted; negative where it is below."""


def expected_answers(pictures: Iterable[Picture]) -> list[Expected]:
    """The answer of the network in digitcore for each picture."""
    classifier = load_classifier(NETWORK)
    metadata = classifier.checkpoint.metadata
    inks = [PictureInk(extract_ink(picture)) for picture in pictures]
    predictions = classifier.predict_inks(inks)
    logits = classifier.logits(np.stack([prediction.model_input for prediction in predictions]))
    margins = refusal_scores(logits, metadata.refusal_score) - metadata.refusal_threshold
    return [
        Expected(
            prediction.model_input,
            not ink.pixels.any(),
            len(ink.digits) > 1,
            prediction.probabilities,
            prediction.digit,
            float(margin),
        )
        for ink, prediction, margin in zip(inks, predictions, margins, strict=True)
    ]


def check_answers(answers: Sequence[Mapping[str, Any]], pictures: Sequence[Picture]) -> None:
    """The answers of the live module equal Python's: bytes, digits, several or not, and probabilities to 1e-4."""
    expected = expected_answers(pictures)
    assert [answer["kind"] for answer in answers] == ["blank" if other.is_blank else "digit" for other in expected]
    assert [answer["several"] for answer in answers] == [other.several for other in expected]
    inputs = np.array([answer["input"] for answer in answers], np.uint8).reshape(-1, 28, 28)
    np.testing.assert_array_equal(inputs, [other.model_input for other in expected])
    probabilities = [answer["probabilities"] for answer in answers]
    np.testing.assert_allclose(probabilities, [other.probabilities for other in expected], rtol=0, atol=1e-4)
    assert [answer["digit"] for answer in answers] == [other.digit for other in expected]
    margins = np.array([other.margin for other in expected])
    clear = np.abs(margins) > 1e-4
    assert (np.array([answer["accepted"] for answer in answers])[clear] == (margins >= 0)[clear]).all()


def on_canvas(ink: NDArray[np.uint8]) -> Picture:
    """Ink (SIDE, SIDE) as black on white."""
    white = 255 - ink
    return np.dstack([white, white, white, np.full_like(white, 255)])


def sample_on_canvas(ink: NDArray[np.uint8]) -> Picture:
    """A digit (28, 28) as the page puts it on the canvas: each pixel a square."""
    return on_canvas(ink.repeat(SIDE // 28, axis=0).repeat(SIDE // 28, axis=1))


def drawn_on_canvas(strokes: Sequence[Stroke], *, brush: int, generator: np.random.Generator) -> Picture:
    """Strokes in any unit, drawn in a random place at a random size."""
    extent, position = generator.uniform(0.2, 0.85), (generator.random(), generator.random())
    placed = place_strokes(strokes, side=SIDE, extent=extent, position=position, brush=brush)
    return on_canvas(render_strokes(placed, side=SIDE, brush=brush))


def random_drawings(count: int, *, seed: int) -> Iterator[Picture]:
    """Digits by hand and scrawls that are none: all brushes, whole strokes and their beginnings, dots beside them."""
    generator = np.random.default_rng(seed)
    for i in range(count):
        strokes: Sequence[Stroke] = write_digit(i % 10, generator=generator)
        if i % 3 == 1:  # as it is while the pen moves
            strokes = [stroke[: max(1, int(generator.random() * len(stroke)))] for stroke in strokes]
        brush = BRUSHES[generator.integers(len(BRUSHES))]
        picture = drawn_on_canvas(strokes, brush=brush, generator=generator)
        yield _scrawled_on(picture, generator) if i % 3 == 2 else picture


def pen_drawings(digits: Sequence[PenDigit]) -> Iterator[Picture]:
    """Pen digits, each with another brush."""
    generator = np.random.default_rng(0)
    for i, digit in enumerate(digits):
        yield drawn_on_canvas(digit.strokes, brush=BRUSHES[i % len(BRUSHES)], generator=generator)


def special_pictures() -> list[Picture]:
    """What is seldom drawn: nothing, everything, dots of a few pixels, ink at the edges, faint ink, colours."""
    nothing = np.zeros((SIDE, SIDE), np.uint8)
    pictures = [on_canvas(nothing), on_canvas(np.full_like(nothing, 255))]
    for height, width in [(1, 1), (3, 5), (7, 19), (19, 7), (20, 20), (20, 11), (21, 1), (300, 2), (40, 3), (40, 5)]:
        ink = nothing.copy()
        ink[8 : 8 + height, 9 : 9 + width] = np.arange(height * width).reshape(height, width) % 200 + 56
        pictures.append(on_canvas(ink))
    for edge in (np.s_[:, :30], np.s_[-30:, :], np.s_[60:280, -40:], np.s_[:5]):
        ink = nothing.copy()
        ink[edge] = 255
        pictures.append(on_canvas(ink))
    for level in (25, 26, 40, 249, 250, 251):
        ink = nothing.copy()
        ink[100:200, 150:180] = level
        pictures.append(on_canvas(ink))
    coloured = on_canvas(nothing)
    coloured[80:250, 150:190, :3] = (200, 30, 60)
    inverted = on_canvas(nothing)
    inverted[:, :, :3] = 255 - inverted[:, :, :3]
    inverted[80:250, 150:190, :3] = (255, 200, 255)
    return [*pictures, coloured, inverted]


def _scrawled_on(picture: Picture, generator: np.random.Generator) -> Picture:
    """With lines, dots and dust anywhere on it."""
    image = Image.fromarray(picture[:, :, 0]).resize((3 * SIDE, 3 * SIDE))
    draw = ImageDraw.Draw(image)
    for _ in range(generator.integers(1, 4)):
        width = int(3 * BRUSHES[generator.integers(len(BRUSHES))])
        x, y = generator.uniform(0, 3 * SIDE, 2)
        dx, dy = generator.normal(0, generator.choice([1, 40, 300]), 2)
        draw.line([(x, y), (x + dx, y + dy)], fill=0, width=width)
        draw.ellipse([x - width / 2, y - width / 2, x + width / 2, y + width / 2], fill=0)
    return on_canvas(255 - np.asarray(image.reduce(3)))
