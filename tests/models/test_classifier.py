import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy.special import softmax

from digitcore.data.datasets import DigitSet
from digitcore.errors import CheckpointError, ImageError
from digitcore.imaging.preprocessing import normalize, preprocess
from digitcore.models.classifier import DigitClassifier, load_classifier

Draw = Callable[..., NDArray[np.uint8]]
Save = Callable[..., Path]


@pytest.fixture(scope="module")
def compact() -> DigitClassifier:
    return load_classifier("compact")


@pytest.mark.parametrize("digit", range(10))
def test_drawn_digits_are_read(compact: DigitClassifier, draw: Draw, digit: int) -> None:
    assert [compact.predict(draw(digit, seed)).digit for seed in range(3)] == [digit] * 3


def test_a_prediction_hangs_together(compact: DigitClassifier, draw: Draw) -> None:
    prediction = compact.predict(draw(5))
    assert prediction.probabilities.dtype == np.float32
    assert prediction.probabilities.shape == (10,)
    assert prediction.probabilities.sum() == pytest.approx(1, abs=1e-6)
    assert prediction.digit == int(prediction.probabilities.argmax())
    assert type(prediction.digit) is int
    assert type(prediction.confidence) is float
    assert prediction.confidence == prediction.probabilities.max()
    assert np.array_equal(prediction.model_input, preprocess(draw(5)).model_input)
    assert prediction.preprocessed.ink.shape == (280, 280)


def test_arrays_and_pillow_images_are_read_alike(compact: DigitClassifier, draw: Draw) -> None:
    array, image = compact.predict(draw(2)), compact.predict(Image.fromarray(draw(2)))
    assert np.array_equal(array.probabilities, image.probabilities)


def test_probabilities_are_those_of_the_network_divided_by_the_temperature(
    tmp_path: Path, save_random: Save, draw: Draw
) -> None:
    path = save_random(tmp_path / "one.safetensors", temperature=0.1)
    classifier = load_classifier(path)
    model_input = preprocess(draw(4)).model_input[np.newaxis]
    with torch.inference_mode():
        raw = classifier.checkpoint.network(normalize(model_input)).double().numpy()
    assert np.allclose(classifier.logits(model_input), raw / 0.1, atol=1e-5)
    assert np.allclose(classifier.predict(draw(4)).probabilities, softmax(raw / 0.1, axis=1)[0], atol=1e-6)


def test_a_batch_is_answered_like_its_pictures_one_by_one(compact: DigitClassifier, draw: Draw) -> None:
    pictures = [draw(i % 10, i) for i in range(30)]
    together = compact.predict_batch(pictures)
    for picture, prediction in zip(pictures, together, strict=True):
        alone = compact.predict(picture)
        assert prediction.digit == alone.digit
        assert np.abs(prediction.probabilities - alone.probabilities).max() < 1e-6
    assert compact.predict_batch([]) == []


def test_a_batch_names_the_picture_that_cannot_be_used(compact: DigitClassifier, draw: Draw) -> None:
    with pytest.raises(ImageError, match="Picture 1 of 3: The picture has the shape"):
        compact.predict_batch([draw(1), np.zeros((0, 28), dtype=np.uint8), draw(2)])
    with pytest.raises(ValueError, match="image must be uint8"):
        compact.predict(np.zeros((28, 28)))


@pytest.mark.parametrize("shape", [(280, 280), (28, 28), (1, 1), (30, 90), (90, 30, 3), (50, 50, 4)], ids=str)
def test_a_blank_picture_has_the_answer_of_no_ink_and_is_refused(
    compact: DigitClassifier, draw: Draw, shape: tuple[int, ...]
) -> None:
    alone = compact.predict(np.full(shape, 255, dtype=np.uint8))
    assert not alone.accepted
    assert alone.reason == "Blank: nothing stands out from the ground; draw or choose a digit"
    assert (alone.model_input.shape, alone.model_input.max()) == ((28, 28), 0)
    expected = softmax(compact.logits(alone.model_input[np.newaxis])[0].astype(np.float64))
    assert np.allclose(alone.probabilities, expected, atol=1e-6)
    height, width = shape[:2]
    assert alone.preprocessed.cropped.shape == alone.preprocessed.ink.shape == (height, width)
    assert max(alone.preprocessed.fitted.shape) == 20
    blank, digit = compact.predict_batch([np.zeros(shape, dtype=np.uint8), draw(3)])
    assert np.abs(blank.probabilities - alone.probabilities).max() < 1e-6
    assert (blank.reason, digit.accepted) == (alone.reason, True)


def test_logits_do_not_depend_on_the_batches(compact: DigitClassifier, validation_digits: DigitSet) -> None:
    images = validation_digits.images[::4][:1_203]  # not a whole number of batches
    logits = compact.logits(images)
    assert (logits.dtype, logits.shape) == (np.float32, (1_203, 10))
    assert [len(batch) for batch in compact.logits_by_batch(images)] == [500, 500, 203]
    assert np.abs(logits[700] - compact.logits(images[700:701])[0]).max() < 1e-4
    assert compact.logits(images[:0]).shape == (0, 10)


@pytest.mark.parametrize(("threshold", "accepted"), [(0.0, True), (1.0, False)])
def test_answers_below_the_threshold_are_not_accepted(
    tmp_path: Path, save_random: Save, draw: Draw, threshold: float, accepted: bool
) -> None:
    path = save_random(tmp_path / "one.safetensors", refusal_threshold=threshold)
    prediction = load_classifier(path).predict(draw(8))
    assert prediction.accepted is accepted
    if accepted:
        assert prediction.reason is None
    else:
        assert str(prediction.reason).startswith(f"Not sure: probably {prediction.digit} ({prediction.confidence:.0%})")


def test_a_confidence_at_the_threshold_is_accepted(tmp_path: Path, save_random: Save, draw: Draw) -> None:
    confidence = load_classifier(save_random(tmp_path / "a.safetensors")).predict(draw(8)).confidence
    at = load_classifier(save_random(tmp_path / "b.safetensors", refusal_threshold=confidence))
    over = load_classifier(save_random(tmp_path / "c.safetensors", refusal_threshold=np.nextafter(confidence, 1)))
    assert at.predict(draw(8)).accepted
    assert not over.predict(draw(8)).accepted


def test_threads_may_share_a_classifier_and_keep_their_setting(compact: DigitClassifier, draw: Draw) -> None:
    pictures = [draw(i % 10, i) for i in range(10)]
    expected = [compact.predict(picture).probabilities for picture in pictures]
    wrong: list[int] = []
    before = torch.get_num_threads()

    def work() -> None:
        for i, picture in enumerate(pictures):
            if not np.allclose(compact.predict(picture).probabilities, expected[i], atol=1e-6):
                wrong.append(i)

    threads = [threading.Thread(target=work) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert torch.get_num_threads() == before


def test_an_unknown_name(weights_folder: Path) -> None:
    with pytest.raises(CheckpointError, match="There is no checkpoint 'nosuch'"):
        load_classifier("nosuch")
