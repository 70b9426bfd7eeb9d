"""The sentences of "Public API" in docs/architecture.md, as a user of the package would write them."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import digitcore
from digitcore import errors

Draw = Callable[..., NDArray[np.uint8]]


def test_a_picture_in_a_digit_out(draw: Draw) -> None:
    classifier = digitcore.load_classifier("compact")
    ink = draw(3)
    colour = np.repeat(ink[:, :, np.newaxis], 3, axis=2)
    rgba = np.dstack([colour, np.full_like(ink, 255)])
    for image in (Image.fromarray(ink), ink, colour, rgba):
        prediction = classifier.predict(image)
        assert prediction.digit == 3
        assert 0 <= prediction.confidence <= 1
        assert (prediction.probabilities.dtype, prediction.probabilities.shape) == (np.float32, (10,))
        assert prediction.accepted in (True, False)
        assert (prediction.model_input.dtype, prediction.model_input.shape) == (np.uint8, (28, 28))
        assert prediction.model_input.max() == 255


def test_a_name_or_a_path() -> None:
    path = digitcore.load_classifier("compact").checkpoint.path
    assert isinstance(path, Path)
    by_path = [digitcore.load_classifier(path), digitcore.load_classifier(str(path))]
    assert {classifier.checkpoint.name for classifier in by_path} == {"compact"}


def test_a_batch_is_a_list_of_predictions(draw: Draw) -> None:
    predictions = digitcore.load_classifier("compact").predict_batch([draw(1), draw(2)])
    assert [type(prediction) for prediction in predictions] == [digitcore.Prediction] * 2
    assert [prediction.digit for prediction in predictions] == [1, 2]


def test_digits_are_evaluated() -> None:
    digits = digitcore.load_digits("uci-digits")
    evaluation = digitcore.evaluate(digitcore.load_classifier("compact"), digits)
    assert isinstance(digits, digitcore.DigitSet)
    assert isinstance(evaluation, digitcore.Evaluation)
    assert np.array_equal(evaluation.ids, digits.ids)
    assert np.array_equal(evaluation.labels, digits.labels)
    assert (evaluation.logits.dtype, evaluation.logits.shape) == (np.float32, (len(digits), 10))
    assert evaluation.errors < 0.06 * len(digits)  # other writers, 8x8 pixels


def test_a_prediction_cannot_be_changed_by_assignment(draw: Draw) -> None:
    prediction = digitcore.load_classifier("compact").predict(draw(1))
    with pytest.raises(AttributeError):
        prediction.digit = 4


def test_the_error_tree_is_the_one_in_its_docstring() -> None:
    names = re.findall(r"\b(\w+Error)\b", (errors.__doc__ or "").split("::")[1])
    assert sorted(set(names) - {"ValueError"}) == sorted(errors.__all__)
    parents = {name: getattr(errors, name).__mro__[1].__name__ for name in errors.__all__}
    assert parents == {
        "StoreError": "DigitcoreError",
        "AnnotationError": "StoreError",
        "AnnotationConflictError": "AnnotationError",
        "CorrectionError": "StoreError",
        "CorrectionConflictError": "CorrectionError",
        "DigitcoreError": "Exception",
        "ImageError": "DigitcoreError",
        "BlankImageError": "ImageError",
        "CheckpointError": "DigitcoreError",
        "DatasetError": "DigitcoreError",
        "DatasetMissingError": "DatasetError",
        "HandwritingError": "StoreError",
        "HandwritingFullError": "HandwritingError",
        "ClassError": "HandwritingError",
        "TrainingError": "DigitcoreError",
    }
