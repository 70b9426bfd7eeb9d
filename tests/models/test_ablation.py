"""Inputs made with one stage left out."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import digitcore
from digitcore.imaging.preprocessing import preprocess
from digitcore.models.ablation import variant_inputs, variants

Draw = Callable[..., NDArray[np.uint8]]


def _box(image: NDArray[np.uint8]) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(image.any(axis=1)), np.flatnonzero(image.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


@pytest.fixture
def canvas(draw: Draw) -> NDArray[np.uint8]:
    """A 7, black on white, small and in a corner."""
    return 255 - draw(7, extent=0.4, position=(0.1, 0.9))


def test_what_each_stage_does(canvas: NDArray[np.uint8]) -> None:
    preprocessed = preprocess(canvas)
    inputs = variant_inputs(canvas, preprocessed)
    for model_input in inputs.values():
        assert (model_input.dtype, model_input.shape, model_input.max()) == (np.uint8, (28, 28), 255)
    left, top, right, bottom = _box(inputs["not cropped"])
    assert max(right - left, bottom - top) <= 0.4 * 20 + 4
    left, top, right, bottom = _box(inputs["shape not kept"])
    assert (right - left, bottom - top) == (20, 20)
    left, top, right, bottom = _box(inputs["no margin"])
    assert bottom - top == 28
    left, top, right, bottom = _box(inputs["box centred, not mass"])
    assert abs(left - (28 - right)) <= 1
    assert abs(top - (28 - bottom)) <= 1
    assert np.array_equal(
        np.sort(inputs["box centred, not mass"], axis=None), np.sort(preprocessed.model_input, axis=None)
    )


def test_a_plain_resize_averages_blocks(canvas: NDArray[np.uint8]) -> None:
    blocks = (255 - canvas).reshape(28, 10, 28, 10).mean(axis=(1, 3))
    inputs = variant_inputs(canvas, preprocess(canvas))["plain resize"]
    np.testing.assert_allclose(inputs, blocks * (255 / blocks.max() if blocks.max() < 250 else 1), atol=1)


def test_dark_ink_stays_dark_where_it_is_not_made_out(canvas: NDArray[np.uint8]) -> None:
    """The whole canvas is then the digit: 20 by 20 pixels of white ground with a dark 7 on it."""
    inputs = variant_inputs(canvas, preprocess(canvas))["colours as they are"]
    assert _box(inputs)[2] - _box(inputs)[0] == 20
    assert np.median(inputs[inputs > 0]) == 255


def test_ink_that_is_opacity_alone(draw: Draw) -> None:
    ink = draw(4)
    rgba = np.dstack([np.zeros((*ink.shape, 3), np.uint8), ink])
    for picture in (rgba, Image.fromarray(rgba)):
        assert "colours as they are" not in variant_inputs(picture, preprocess(picture))


@pytest.mark.parametrize("shape", [(1, 300), (300, 1), (1, 1), (37, 500)])
def test_odd_shapes(shape: tuple[int, int]) -> None:
    ink = np.full(shape, 255, dtype=np.uint8)
    padded = np.pad(ink, 10)
    assert all(model_input.shape == (28, 28) for model_input in variant_inputs(padded, preprocess(padded)).values())


def test_the_answers_are_the_classifiers(canvas: NDArray[np.uint8]) -> None:
    classifier = digitcore.load_classifier("compact")
    answers = variants(classifier, canvas, preprocess(canvas))
    assert [variant.name for variant in answers] == list(variant_inputs(canvas, preprocess(canvas)))
    for variant in answers:
        logits = classifier.logits(variant.model_input[np.newaxis])[0].astype(np.float64)
        probabilities = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
        assert variant.digit == logits.argmax()
        assert variant.confidence == pytest.approx(probabilities.max(), abs=1e-6)
