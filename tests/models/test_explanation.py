"""Explanations, against loops, finite differences and the classifier's own answers."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import digitcore
from digitcore.data.datasets import DigitSet
from digitcore.imaging.preprocessing import INPUT_MEAN, INPUT_STD
from digitcore.imaging.strokes import Stroke, place_strokes, render_strokes
from digitcore.models.explanation import (
    counterfactual,
    has_gradients,
    integrated_gradients,
    leave_one_out,
    nearest_rows,
    occlusion,
    saliency,
)

MAPS = (saliency, integrated_gradients, occlusion)


def test_against_a_loop() -> None:
    classifier = digitcore.load_classifier("compact")
    digits = digitcore.load_digits("uci-digits")
    features = classifier.features(digits.images[:200])
    image = digits.images[200]
    rows, similarities = nearest_rows(classifier, image, reference_features=features, count=5)
    wanted = classifier.features(image[np.newaxis])[0].astype(np.float64)
    by_hand = [float(row @ wanted / np.sqrt((row @ row) * (wanted @ wanted))) for row in features.astype(np.float64)]
    assert rows.tolist() == np.argsort(by_hand)[::-1][:5].tolist()
    np.testing.assert_allclose(similarities, np.sort(by_hand)[::-1][:5], atol=1e-5)


def test_a_digit_is_most_like_itself() -> None:
    classifier = digitcore.load_classifier("compact")
    images = digitcore.load_digits("uci-digits").images[:50]
    rows, similarities = nearest_rows(classifier, images[17], reference_features=classifier.features(images), count=1)
    assert rows.tolist() == [17]
    np.testing.assert_allclose(similarities, 1, atol=1e-5)


@pytest.fixture
def layers(strokes_of: Callable[..., list[Stroke]]) -> list[NDArray[np.uint8]]:
    """A 4: its hook and its bar."""
    placed = place_strokes(strokes_of(4), side=280, extent=0.6, position=(0.5, 0.5), brush=18)
    return [render_strokes([stroke], side=280, brush=18) for stroke in placed]


def test_without_each_stroke(layers: list[NDArray[np.uint8]]) -> None:
    classifier = digitcore.load_classifier("compact")
    assert classifier.predict(np.maximum(*layers)).digit == 4
    for without, rest in zip(leave_one_out(classifier, layers), reversed(layers), strict=True):
        assert without is not None
        expected = classifier.predict(255 - rest)
        np.testing.assert_allclose(without.probabilities, expected.probabilities, atol=1e-6)
    bar_alone = leave_one_out(classifier, layers)[0]
    assert bar_alone is not None
    assert bar_alone.digit == 1


def test_nothing_left(layers: list[NDArray[np.uint8]]) -> None:
    classifier = digitcore.load_classifier("compact")
    assert leave_one_out(classifier, layers[:1]) == [None]
    assert leave_one_out(classifier, []) == []
    off_the_canvas = np.zeros_like(layers[0])
    found = leave_one_out(classifier, [layers[0], off_the_canvas])
    assert found[0] is None
    assert found[1] is not None


def _logits(classifier: digitcore.DigitClassifier, ink: NDArray[np.float64]) -> NDArray[np.float64]:
    """Calibrated logits (N, 10) of ink (N, 28, 28), full ink being 1, in double precision."""
    network = classifier.checkpoint.network
    doubled = type(network)()
    doubled.load_state_dict(network.state_dict())
    with torch.no_grad():
        logits = doubled.double().eval()(torch.from_numpy((ink - INPUT_MEAN) / INPUT_STD)[:, np.newaxis])
    return logits.numpy() / classifier.checkpoint.metadata.temperature


@pytest.mark.parametrize("name", ["compact", "standard", "mlp"])
def test_saliency_against_finite_differences(validation_digits: DigitSet, name: str) -> None:
    classifier = digitcore.load_classifier(name)
    random = np.random.default_rng(0)
    noise = random.integers(0, 60, (28, 28), dtype=np.uint8)  # or equal pixels would tie for a maximum: a kink
    image = np.maximum(validation_digits.images[2100], noise)
    found = saliency(classifier, image, digit=4)
    pixels = random.choice(784, 60, replace=False)
    step = 1e-6
    steps = np.zeros((60, 784))
    steps[np.arange(60), pixels] = step
    ink = image / 255
    up, down = (_logits(classifier, ink + sign * steps.reshape(-1, 28, 28))[:, 4] for sign in (1, -1))
    np.testing.assert_allclose(found.ravel()[pixels], np.abs(up - down) / (2 * step), rtol=2e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["compact", "standard", "mlp"])
def test_integrated_gradients_are_complete(validation_digits: DigitSet, name: str) -> None:
    """All that ink adds is what the logit is more than that of a blank input; where there is none, none is added."""
    classifier = digitcore.load_classifier(name)
    for row in (0, 2100, 3700):
        image, digit = validation_digits.images[row], int(validation_digits.labels[row])
        found = integrated_gradients(classifier, image, digit=digit)
        blank, inked = classifier.logits(np.stack([np.zeros_like(image), image]))[:, digit].tolist()
        assert found.sum() == pytest.approx(inked - blank, rel=0.08, abs=0.1)
        assert not found[image == 0].any()


def test_occlusion_against_a_loop(validation_digits: DigitSet) -> None:
    classifier = digitcore.load_classifier("compact")
    image = validation_digits.images[3700]
    patches = [(slice(top, top + 4), slice(left, left + 4)) for top in range(0, 25, 2) for left in range(0, 25, 2)]
    covered = np.repeat(image[np.newaxis], len(patches), axis=0)
    for each, patch in zip(covered, patches, strict=True):
        each[patch] = 0
    falls = classifier.logits(image[np.newaxis])[0, 7] - classifier.logits(covered)[:, 7]
    total, times = np.zeros((28, 28)), np.zeros((28, 28))
    for fall, patch in zip(falls, patches, strict=True):
        total[patch] += fall
        times[patch] += 1
    np.testing.assert_allclose(occlusion(classifier, image, digit=7), total / times, atol=1e-4)


def _state(network: torch.nn.Module) -> list[NDArray[np.float32]]:
    return [value.clone().numpy() for value in network.state_dict().values()]


def test_the_shared_network_is_left_alone(validation_digits: DigitSet) -> None:
    """From many threads at once: the same maps, no gradient kept, no hook left, no weight changed."""
    classifier = digitcore.load_classifier("compact")
    network, images = classifier.checkpoint.network, validation_digits.images[::1000]
    before = _state(network)

    def explain(i: int) -> list[NDArray[np.float32]]:
        answer = int(classifier.logits(images[i : i + 1])[0].argmax())
        change = counterfactual(classifier, images[i], target=(answer + 1) % 10)
        maps = [explained(classifier, images[i], digit=answer) for explained in MAPS]
        return maps if change is None else [*maps, change.model_input]

    alone = [explain(i) for i in range(5)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(explain, list(range(5)) * 2))
    for one, other in zip(alone * 2, together, strict=True):
        for expected, found in zip(one, other, strict=True):
            np.testing.assert_allclose(found, expected, atol=1e-4)
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in network.parameters())
    assert all(np.array_equal(a, b) for a, b in zip(before, _state(network), strict=True))
    assert not network.training
    for module in network.modules():
        kept = [name for name, value in vars(module).items() if "hooks" in name and isinstance(value, dict) and value]
        assert kept == []


@pytest.mark.parametrize("name", ["compact", "mlp"])
def test_a_small_change_makes_another_digit(validation_digits: DigitSet, name: str) -> None:
    classifier = digitcore.load_classifier(name)
    images = validation_digits.images[::500]
    shares = []
    for image, logits in zip(images, classifier.logits(images), strict=True):
        answer, runner_up = (int(digit) for digit in np.argsort(-logits)[:2])
        change = counterfactual(classifier, image, target=runner_up)
        assert change is not None
        assert change.digit == runner_up == classifier.logits(change.model_input[np.newaxis])[0].argmax() != answer
        difference = (change.model_input.astype(int) - image) / 255
        ink = image.sum() / 255
        assert change.added == pytest.approx(difference.clip(min=0).sum() / ink, abs=1e-6)
        assert change.removed == pytest.approx(-difference.clip(max=0).sum() / ink, abs=1e-6)
        shares.append(change.added + change.removed)
    assert 0 < np.median(shares) < 0.35  # measured: 0.1 to 0.2


def test_every_other_digit_can_be_asked_for(validation_digits: DigitSet) -> None:
    classifier = digitcore.load_classifier("compact")
    image = validation_digits.images[700]
    for towards in (0, 2, 4, 9):
        change = counterfactual(classifier, image, target=towards)
        assert change is None or classifier.logits(change.model_input[np.newaxis])[0].argmax() == towards


def test_an_answer_is_no_other_digit(validation_digits: DigitSet) -> None:
    classifier = digitcore.load_classifier("compact")
    image = validation_digits.images[700]
    with pytest.raises(ValueError, match="target must be another digit"):
        counterfactual(classifier, image, target=int(classifier.logits(image[np.newaxis])[0].argmax()))


@pytest.fixture
def onnx_classifier(tmp_path: Path) -> digitcore.DigitClassifier:
    """compact, as an ONNX file."""
    pytest.importorskip("onnxruntime")
    from digitcore.models.export import export_network

    path = tmp_path / "compact.onnx"
    export_network(digitcore.load_classifier("compact").checkpoint, path, file_format="onnx")
    return digitcore.load_classifier(path)


def test_an_onnx_file_has_occlusion_only(
    onnx_classifier: digitcore.DigitClassifier, validation_digits: DigitSet
) -> None:
    image = validation_digits.images[2100]
    own = digitcore.load_classifier("compact")
    assert has_gradients(own)
    assert not has_gradients(onnx_classifier)
    expected = occlusion(own, image, digit=4)
    np.testing.assert_allclose(occlusion(onnx_classifier, image, digit=4), expected, atol=0.02)
    for explained in (saliency, integrated_gradients):
        with pytest.raises(ValueError, match="must have gradients"):
            explained(onnx_classifier, image, digit=4)
    with pytest.raises(ValueError, match="must have gradients"):
        counterfactual(onnx_classifier, image, target=9)
